import { createHash } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import { REQUESTED_BY_Q } from './schema.js';

/** Of a row `q` of requests: that nobody has taken it back. */
export const LIVE = 'NOT EXISTS (SELECT 1 FROM revalidations x WHERE x.request_id = q.id)';

const TABLES = `
  CREATE TEMP TABLE IF NOT EXISTS braid_requests (request_id TEXT NOT NULL PRIMARY KEY, node INTEGER, prefix TEXT) WITHOUT ROWID;
  CREATE TEMP TABLE IF NOT EXISTS braid_causes (
    node INTEGER NOT NULL PRIMARY KEY, request_id TEXT NOT NULL, inferred INTEGER NOT NULL, id TEXT NOT NULL, had TEXT);
  DELETE FROM temp.braid_requests;
  DELETE FROM temp.braid_causes;
`;

const REACHED = 'temp.braid_changed c CROSS JOIN invalidation_reach k ON k.node = c.node';
/** What was said of a changed node itself, and doesn't cascade: what does has reached it. */
const ALONE = `temp.braid_changed c CROSS JOIN invalidation_requests q INDEXED BY ix_invalidation_requests_node
  ON ${REQUESTED_BY_Q} = c.node AND NOT q.cascade AND q.done AND ${LIVE}`;

/**
 * The rows of `invalidations` that changed nodes are to have, and which they had: of records that are there, and whose cause
 * is not Braid-DB's own, which stays.
 */
function causesSql(from: string, request: string, inferred: string): string {
  return `INSERT INTO temp.braid_causes (node, request_id, inferred, id, had)
    SELECT c.node, ${request}, ${inferred}, iif(c.node = p.node, ${request}, p.prefix || printf('%016x', c.node)),
      CASE WHEN c.node > 0 THEN r.invalidation_id ELSE v.invalidation_id END
    FROM ${from} CROSS JOIN temp.braid_requests p ON p.request_id = ${request}
    LEFT JOIN records r ON c.node > 0 AND r.record_id = c.node LEFT JOIN versions v ON c.node < 0 AND v.version_id = -c.node
    WHERE (c.node < 0 OR r.record_id IS NOT NULL) AND (r.invalidation_id IS NULL OR EXISTS (
      SELECT 1 FROM invalidations i CROSS JOIN invalidation_requests o ON o.id = ifnull(i.root_invalidation, i.id)
      WHERE i.id = r.invalidation_id))`;
}

/** The first by time counts. */
const FIRST = `ON CONFLICT (node) DO UPDATE SET request_id = excluded.request_id, inferred = excluded.inferred, id = excluded.id
  WHERE (SELECT (q.time, q.id) < (o.time, o.id) FROM invalidation_requests q, invalidation_requests o
    WHERE q.id = excluded.request_id AND o.id = braid_causes.request_id)`;

const STORED = `
  DELETE FROM invalidations WHERE root_invalidation IS NOT NULL AND id IN (
    SELECT had FROM temp.braid_causes WHERE had <> id) AND id NOT IN (SELECT invalidation_id FROM action_runs);
  INSERT INTO invalidations (id, root_invalidation, cause, time, inferred)
    SELECT s.id, q.id, q.cause, q.time, s.inferred FROM temp.braid_causes s
    CROSS JOIN invalidation_requests q ON q.id = s.request_id WHERE s.id <> q.id
    ON CONFLICT (id) DO UPDATE SET inferred = excluded.inferred WHERE inferred <> excluded.inferred;
  UPDATE records SET invalidation_id = (SELECT s.id FROM temp.braid_causes s WHERE s.node = record_id)
    WHERE record_id IN (SELECT node FROM temp.braid_causes WHERE node > 0 AND had IS NOT id);
  UPDATE versions SET invalidation_id = (SELECT s.id FROM temp.braid_causes s WHERE s.node = -version_id)
    WHERE version_id IN (SELECT -node FROM temp.braid_causes WHERE node < 0 AND had IS NOT id);
`;

/** What was valid and isn't any more. */
export interface Invalidated {
  records: number;
  versions: number;
  /** How many of both may derive from what was invalidated, and aren't known to. */
  inferred: number;
}

/**
 * Gives the nodes of `braid_changed` their rows of `invalidations`, one each as Braid-DB has them: what was asked for its own,
 * whatever it cascades to one that names that as its root.
 */
export function storeCauses(db: Database): Invalidated {
  db.exec(TABLES);
  const alone = db.prepare('SELECT EXISTS (SELECT 1 FROM invalidation_requests WHERE cascade = 0)').pluck().get() === 1;
  const requests = db
    .prepare(
      `SELECT q.id, ${REQUESTED_BY_Q} AS node FROM invalidation_requests q WHERE q.id IN (
         SELECT k.request_id FROM ${REACHED} ${alone ? `UNION SELECT q.id FROM ${ALONE}` : ''})`,
    )
    .all() as { id: string; node: number }[];
  const add = db.prepare('INSERT INTO temp.braid_requests (request_id, node, prefix) VALUES (?, ?, ?)');
  for (const { id, node } of requests) add.run(id, node, prefixOf(id));
  db.exec(causesSql(REACHED, 'k.request_id', 'k.inferred'));
  if (alone) db.exec(`${causesSql(ALONE, 'q.id', '0')} ${FIRST}`);
  const invalidated = db
    .prepare(
      `SELECT ifnull(sum(node > 0), 0) AS records, ifnull(sum(node < 0), 0) AS versions, ifnull(sum(inferred), 0) AS inferred
       FROM temp.braid_causes WHERE had IS NULL`,
    )
    .get() as Invalidated;
  db.exec(STORED);
  return invalidated;
}

/** The id of a cascaded invalidation follows from its request and its node: the same request gives the same rows, in order. */
export function cascadedId(request: string, record: number): string {
  return prefixOf(request) + record.toString(16).padStart(16, '0');
}

function prefixOf(request: string): string {
  return createHash('sha256').update(request).digest('hex').slice(0, 16);
}
