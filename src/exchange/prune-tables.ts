import type { Database } from 'better-sqlite3';
import { REQUESTED_BY_Q } from '../store/schema.js';

const IN = 'IN (SELECT node FROM temp.braid_pruned)';
const VERSIONS = 'IN (SELECT -node FROM temp.braid_pruned WHERE node < 0)';

/** What is to be cut, as nodes of lineage, and what else goes with it. */
export const PRUNED = `
  CREATE TEMP TABLE braid_pruned (node INTEGER NOT NULL PRIMARY KEY);
  CREATE TEMP TABLE braid_doomed (id TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID;
`;

/** Which records and versions to cut. All that is given must hold. */
export interface PruneConditions {
  /** Made before: Braid-DB's text of a time. */
  readonly before?: string;
  /** Of this run. */
  readonly run?: string;
  /** Invalid ones. */
  readonly invalid?: boolean;
}

/** Fills `braid_pruned`. A version that was named and never made goes with its model. */
export function selectPruned(db: Database, { before, run, invalid = false }: PruneConditions): void {
  const values = { before: before ?? null, run: run ?? null, invalid: invalid ? 1 : 0 };
  const attempts = '(SELECT a.* FROM attempts a JOIN runs USING (run_id) WHERE uuid = @run)';
  db.prepare(
    `INSERT INTO temp.braid_pruned (node) SELECT r.record_id FROM records r
     WHERE (@before IS NULL OR r.time < @before) AND (NOT @invalid OR r.invalidation_id IS NOT NULL)
       AND (@run IS NULL OR EXISTS (SELECT 1 FROM ${attempts} a WHERE r.record_id > a.id_base AND r.record_id <= a.id_end))`,
  ).run(values);
  db.prepare(
    `INSERT INTO temp.braid_pruned (node) SELECT -v.version_id FROM versions v
     WHERE (@before IS NULL OR v.time < @before) AND (NOT @invalid OR v.invalidation_id IS NOT NULL)
       AND (@run IS NULL OR v.attempt_id IN (SELECT attempt_id FROM ${attempts}))`,
  ).run(values);
  db.exec(
    `INSERT OR IGNORE INTO temp.braid_pruned (node) SELECT -version_id FROM versions WHERE time IS NULL AND model_id ${IN}`,
  );
}

/** Invalidations that go with what is cut, unless something else names them. */
const DOOMED = [
  `INSERT OR IGNORE INTO temp.braid_doomed (id) SELECT invalidation_id FROM records WHERE record_id ${IN} AND invalidation_id IS NOT NULL`,
  `INSERT OR IGNORE INTO temp.braid_doomed (id) SELECT invalidation_id FROM versions WHERE version_id ${VERSIONS} AND invalidation_id IS NOT NULL`,
  `INSERT OR IGNORE INTO temp.braid_doomed (id) SELECT q.id FROM invalidation_requests q WHERE ${REQUESTED_BY_Q} ${IN}`,
  `INSERT OR IGNORE INTO temp.braid_doomed (id) SELECT i.id FROM invalidations i WHERE i.root_invalidation IN (
     SELECT q.id FROM invalidation_requests q WHERE ${REQUESTED_BY_Q} ${IN})`,
];

/** In an order in which nothing is cut before what goes with it. The names are told as progress. */
const CUTS: readonly (readonly [table: string, where: string])[] = [
  ['exposures', `update_id IN (SELECT update_id FROM updates WHERE version_id ${VERSIONS})`],
  ['updates', `version_id ${VERSIONS}`],
  ['version_uris', `version_id ${VERSIONS}`],
  ['version_tags', `version_id ${VERSIONS}`],
  ['derivation_versions', `version_id ${VERSIONS} OR derivation ${IN}`],
  ['derivations', `derivation ${IN} OR record_id ${IN}`],
  // What only updates said that are cut, of models that stay.
  [
    'derivations',
    `stated = 0 AND derivation IN (SELECT model_id FROM versions WHERE version_id ${VERSIONS}) AND NOT EXISTS (
      SELECT 1 FROM exposures e CROSS JOIN updates u ON u.update_id = e.update_id CROSS JOIN versions v ON v.version_id = u.version_id
      WHERE e.source_id = derivations.record_id AND v.model_id = derivations.derivation)`,
  ],
  ['versions', `version_id ${VERSIONS}`],
  ['uris', `record_id ${IN}`],
  ['tags', `record_id ${IN}`],
  ['record_actions', `record_id ${IN}`],
  ['action_runs', `record_id ${IN}`],
  ['invalidation_reach', `node ${IN}`],
  ['revalidations', `request_id IN (SELECT q.id FROM invalidation_requests q WHERE ${REQUESTED_BY_Q} ${IN})`],
  ['invalidation_requests', `ifnull(-version_id, record_id) ${IN}`],
  // What had become one of them has its own place again, if it is merged again.
  ['joined_models', `record_id ${IN}`],
  ['records', `record_id ${IN}`],
];

/** Those that something else still names. */
const SPARED = `DELETE FROM temp.braid_doomed WHERE
  id IN (SELECT invalidation_id FROM records WHERE invalidation_id IS NOT NULL)
  OR id IN (SELECT invalidation_id FROM versions WHERE invalidation_id IS NOT NULL)
  OR id IN (SELECT invalidation_id FROM action_runs)
  OR id IN (SELECT root_invalidation FROM invalidations WHERE root_invalidation IS NOT NULL AND id NOT IN (SELECT id FROM temp.braid_doomed))`;

/** Cuts what `braid_pruned` names. Gives how many rows of each table went. */
export async function cutPruned(db: Database, pause: (table: string) => Promise<void>): Promise<Map<string, number>> {
  const cut = new Map<string, number>();
  for (const sql of DOOMED) db.exec(sql);
  for (const [table, where] of CUTS) {
    await pause(table);
    const { changes } = db.prepare(`DELETE FROM ${table} WHERE ${where}`).run();
    cut.set(table, (cut.get(table) ?? 0) + changes);
  }
  await pause('invalidations');
  while (db.prepare(SPARED).run().changes > 0);
  db.exec('DELETE FROM invalidations WHERE id IN (SELECT id FROM temp.braid_doomed)');
  return cut;
}
