import { createHash } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import { REQUESTED } from './schema.js';

/** Of a row `q` of requests: that nobody has taken it back. */
export const LIVE = 'NOT EXISTS (SELECT 1 FROM revalidations x WHERE x.request_id = q.id)';

const SHOWN = `
  CREATE TEMP TABLE IF NOT EXISTS braid_shown (
    node INTEGER NOT NULL PRIMARY KEY, request_id TEXT NOT NULL, time TEXT NOT NULL, inferred INTEGER NOT NULL, id TEXT);
  DELETE FROM temp.braid_shown;
  -- What reaches it, or was asked of itself: the first.
  INSERT INTO temp.braid_shown (node, request_id, time, inferred)
    SELECT c.node, q.id, q.time, k.inferred FROM temp.braid_changed c
    CROSS JOIN invalidation_reach k ON k.node = c.node CROSS JOIN invalidation_requests q ON q.id = k.request_id
    UNION ALL
    SELECT c.node, q.id, q.time, 0 FROM temp.braid_changed c
    CROSS JOIN invalidation_requests q INDEXED BY ix_invalidation_requests_node ON ${REQUESTED} = c.node
    WHERE q.done AND ${LIVE}
    ON CONFLICT (node) DO UPDATE SET request_id = excluded.request_id, time = excluded.time, inferred = excluded.inferred
      WHERE (excluded.time, excluded.request_id) < (time, request_id);
  -- Records that are not there yet; and those whose cause is Braid-DB's own, which stays.
  DELETE FROM temp.braid_shown WHERE node > 0 AND NOT EXISTS (
    SELECT 1 FROM records r LEFT JOIN invalidations i ON i.id = r.invalidation_id WHERE r.record_id = node
      AND (i.id IS NULL OR EXISTS (SELECT 1 FROM invalidation_requests q WHERE q.id = ifnull(i.root_invalidation, i.id))));
`;

const STORED = `
  DELETE FROM invalidations WHERE root_invalidation IS NOT NULL AND id IN (
    SELECT r.invalidation_id FROM temp.braid_shown s CROSS JOIN records r ON r.record_id = s.node WHERE r.invalidation_id <> s.id
    UNION ALL
    SELECT v.invalidation_id FROM temp.braid_shown s CROSS JOIN versions v ON v.version_id = -s.node WHERE v.invalidation_id <> s.id);
  INSERT INTO invalidations (id, root_invalidation, cause, time, inferred)
    SELECT s.id, q.id, q.cause, q.time, s.inferred FROM temp.braid_shown s CROSS JOIN invalidation_requests q ON q.id = s.request_id
    WHERE s.id <> q.id
    ON CONFLICT (id) DO UPDATE SET inferred = excluded.inferred WHERE inferred <> excluded.inferred;
  UPDATE records SET invalidation_id = (SELECT s.id FROM temp.braid_shown s WHERE s.node = record_id)
    WHERE record_id IN (SELECT node FROM temp.braid_shown WHERE node > 0);
  UPDATE versions SET invalidation_id = (SELECT s.id FROM temp.braid_shown s WHERE s.node = -version_id)
    WHERE version_id IN (SELECT -node FROM temp.braid_shown WHERE node < 0);
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
  db.exec(SHOWN);
  const requests = db
    .prepare(
      `SELECT q.id, ${REQUESTED} AS node FROM (SELECT DISTINCT request_id FROM temp.braid_shown)
       CROSS JOIN invalidation_requests q ON q.id = request_id`,
    )
    .all() as { id: string; node: number }[];
  const name = db.prepare(
    `UPDATE temp.braid_shown SET id = iif(node = @node, @id, @prefix || printf('%016x', node)) WHERE request_id = @id`,
  );
  for (const { id, node } of requests) name.run({ id, node, prefix: prefixOf(id) });
  const invalidated = db
    .prepare(
      `SELECT ifnull(sum(s.node > 0), 0) AS records, ifnull(sum(s.node < 0), 0) AS versions, ifnull(sum(s.inferred), 0) AS inferred
       FROM temp.braid_shown s LEFT JOIN records r ON r.record_id = s.node LEFT JOIN versions v ON v.version_id = -s.node
       WHERE r.invalidation_id IS NULL AND v.invalidation_id IS NULL`,
    )
    .get() as Invalidated;
  db.exec(STORED);
  return invalidated;
}

/** The id of a cascaded invalidation follows from its request and its node: the same request gives the same rows, in order. */
function prefixOf(request: string): string {
  return createHash('sha256').update(request).digest('hex').slice(0, 16);
}
