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

/** Of tables that are read by ranges of records: those of the nodes in that range, and not all that there are. */
const OF_RECORDS: Record<string, string> = {
  records: 'r.name, r.time, r.kind, r.invalidation_id, r.invalidation_action_id',
  uris: 'r.id, r.uri',
  tags: 'r.id, r.key, r.value, r.tag_type, r.boolean',
};

/**
 * What only updates say must be said by one that is here. A table, and not a view: of derivations one end is found by an
 * index, and they are read by the other.
 */
const DERIVATIONS = `
  CREATE TEMP TABLE braid_kept_derivations (record_id INTEGER NOT NULL, derivation INTEGER NOT NULL, time TEXT NOT NULL,
    unversioned INTEGER NOT NULL, stated INTEGER NOT NULL, PRIMARY KEY (record_id, derivation)) WITHOUT ROWID;
  INSERT INTO temp.braid_kept_derivations
  SELECT d.record_id, d.derivation, d.time, d.unversioned, d.stated FROM temp.braid_nodes n
  CROSS JOIN $derivations d ON d.derivation = n.node CROSS JOIN temp.braid_nodes s ON s.node = d.record_id
  WHERE d.stated OR EXISTS (
    SELECT 1 FROM $exposures e CROSS JOIN $updates u ON u.update_id = e.update_id CROSS JOIN $versions v ON v.version_id = u.version_id
    WHERE e.source_id = d.record_id AND v.model_id = d.derivation AND -v.version_id ${IN});
`;

/**
 * What an extract has of each other table; of those that aren't here, whatever belongs to what it has. Nothing names what
 * isn't in it.
 */
const KEPT: Record<string, string> = {
  versions: `-version_id ${IN}`,
  updates: `-version_id ${IN} AND ${NONE_OR_IN('seen')}`,
  exposures: `source_id ${IN} AND ${NONE_OR_IN('version_id')}`,
  derivation_versions: `+derivation ${IN} AND -version_id ${IN}`,
  joined_models: `record_id ${IN}`,
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
export function extractInput(
  db: Database,
  schema: string,
  { ever, run }: { readonly ever: boolean; readonly run?: string },
): Input {
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
  // Also where it has recorded nothing.
  if (run !== undefined)
    db.prepare(`INSERT OR IGNORE INTO temp.braid_of_runs SELECT run_id FROM ${schema}.runs WHERE uuid = ?`).run(run);
  const there = (sql: string) => sql.replace(/\$(\w+)/g, (_, name: string) => `${schema}.${name}`);
  db.exec(there(DERIVATIONS));
  for (const [table, columns] of Object.entries(OF_RECORDS)) {
    db.exec(
      `CREATE TEMP VIEW braid_kept_${table} AS SELECT n.node AS record_id, ${columns}
       FROM temp.braid_nodes n CROSS JOIN ${schema}.${table} r ON r.record_id = n.node`,
    );
  }
  for (const [table, where] of Object.entries(KEPT)) {
    db.exec(`CREATE TEMP VIEW braid_kept_${table} AS SELECT * FROM ${schema}.${table} WHERE ${there(where)}`);
  }
  const kept = new Set([...Object.keys(OF_RECORDS), 'derivations', ...Object.keys(KEPT)]);
  return { schema, from: (table) => (kept.has(table) ? `temp.braid_kept_${table}` : `${schema}.${table}`) };
}
