import type { Database } from 'better-sqlite3';
import type { Input } from './mapped.js';

/** What is extracted: records by their ids, versions by the negative of theirs. */
export const NODES = `
  CREATE TEMP TABLE braid_nodes (node INTEGER NOT NULL PRIMARY KEY);
  CREATE TEMP TABLE braid_of_runs (run_id INTEGER NOT NULL PRIMARY KEY);
`;

const IN = 'IN (SELECT node FROM temp.braid_nodes)';
/** Of a version that may be none. */
const NONE_OR_IN = (version: string) => `(${version} IS NULL OR -${version} ${IN})`;
const KEPT_RUN = 'run_id IN (SELECT run_id FROM temp.braid_of_runs)';

/**
 * What an extract has of each table; of those that aren't here, whatever belongs to what it has. Nothing names what isn't in it.
 */
const KEPT: Record<string, string> = {
  records: `record_id ${IN}`,
  uris: `record_id ${IN}`,
  tags: `record_id ${IN}`,
  // What only updates say must be said by one that is here.
  derivations: `derivation ${IN} AND record_id ${IN} AND (stated OR EXISTS (
    SELECT 1 FROM $exposures e CROSS JOIN $updates u ON u.update_id = e.update_id CROSS JOIN $versions v ON v.version_id = u.version_id
    WHERE e.source_id = derivations.record_id AND v.model_id = derivations.derivation AND -v.version_id ${IN}))`,
  versions: `-version_id ${IN}`,
  updates: `-version_id ${IN} AND ${NONE_OR_IN('seen')}`,
  exposures: `source_id ${IN} AND ${NONE_OR_IN('version_id')}`,
  derivation_versions: `derivation ${IN} AND -version_id ${IN}`,
  runs: KEPT_RUN,
  attempts: KEPT_RUN,
  invalidation_requests: `record_id ${IN} AND ${NONE_OR_IN('version_id')}`,
  record_actions: `record_id ${IN}`,
  action_runs: `record_id ${IN}`,
  invalidation_actions: `id IN (SELECT invalidation_action_id FROM $records WHERE record_id ${IN}
    UNION SELECT action_id FROM $record_actions WHERE record_id ${IN} UNION SELECT action_id FROM $action_runs WHERE record_id ${IN})`,
  invalidations: `id IN (WITH RECURSIVE named (id) AS (
      SELECT invalidation_id FROM $records WHERE record_id ${IN} AND invalidation_id IS NOT NULL
      UNION SELECT invalidation_id FROM $action_runs WHERE record_id ${IN}
      UNION SELECT i.root_invalidation FROM named n CROSS JOIN $invalidations i ON i.id = n.id WHERE i.root_invalidation IS NOT NULL)
    SELECT id FROM named)`,
};

/** The tables of a database that is attached, with what `braid_nodes` names, and what belongs to it. */
export function extractInput(db: Database, schema: string, ever: boolean): Input {
  if (ever) {
    db.exec(
      `INSERT OR IGNORE INTO temp.braid_nodes (node) SELECT -version_id FROM ${schema}.versions WHERE model_id ${IN}`,
    );
  }
  const keep = db.prepare('INSERT OR IGNORE INTO temp.braid_of_runs (run_id) VALUES (?)');
  const attempts = db
    .prepare(
      `SELECT run_id FROM ${schema}.attempts a WHERE EXISTS (SELECT 1 FROM temp.braid_nodes WHERE node > id_base AND node <= id_end)
       UNION SELECT a.run_id FROM temp.braid_nodes n CROSS JOIN ${schema}.versions v ON v.version_id = -n.node AND n.node < 0
         CROSS JOIN ${schema}.attempts a ON a.attempt_id = v.attempt_id`,
    )
    .pluck();
  for (const run of attempts.all()) keep.run(run);
  for (const [table, where] of Object.entries(KEPT)) {
    const condition = where.replace(/\$(\w+)/g, (_, name: string) => `${schema}.${name}`);
    db.exec(`CREATE TEMP VIEW braid_kept_${table} AS SELECT * FROM ${schema}.${table} WHERE ${condition}`);
  }
  return { schema, from: (table) => (table in KEPT ? `temp.braid_kept_${table}` : `${schema}.${table}`) };
}
