import { createHash } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import type { InvalidationRequest, Invalidations } from './invalidation.js';

/** Of invalidations that Braid-DB has made, and of the records that are invalid for them. */
const TABLES = `
  CREATE TEMP TABLE braid_chains (id TEXT NOT NULL PRIMARY KEY, parent TEXT, cause TEXT NOT NULL, time TEXT NOT NULL, root TEXT);
  CREATE INDEX temp.ix_braid_chains_parent ON braid_chains (parent);
  CREATE TEMP TABLE braid_invalid (record INTEGER NOT NULL PRIMARY KEY, id TEXT NOT NULL);
  CREATE INDEX temp.ix_braid_invalid_id ON braid_invalid (id);
`;

/** Its `root_invalidation` names what an invalidation comes from at once. */
const ROOTS = `
  WITH RECURSIVE down (id, root) AS (
    SELECT id, id FROM braid_chains WHERE parent IS NULL OR parent = id OR parent NOT IN (SELECT id FROM braid_chains)
    UNION SELECT c.id, d.root FROM down d CROSS JOIN braid_chains c ON c.parent = d.id)
  UPDATE braid_chains SET root = down.root FROM down WHERE down.id = braid_chains.id;
`;

/**
 * SQL for whether Braid-DB has left nothing valid that had been derived from a record by a time, however far: only an invalidation
 * without a cascade leaves such.
 *
 * @param valid what else is true of a row `r` of records that is valid.
 */
export function allInvalid(record: string, time: string, valid = 'true'): string {
  return `NOT EXISTS (
    WITH RECURSIVE down (record) AS (
      SELECT ${record}
      UNION SELECT d.derivation FROM down CROSS JOIN main.derivations d ON d.record_id = down.record AND d.time <= ${time})
    SELECT 1 FROM down CROSS JOIN main.records r ON r.record_id = down.record AND r.invalidation_id IS NULL WHERE ${valid})`;
}

/** What was said again, and how many records are invalid by it that were valid. */
export interface SaidAgain {
  readonly requests: number;
  readonly invalidated: number;
}

/**
 * Says again as ours what Braid-DB has invalidated: the first of each cascade for its record, and with it what derives from
 * that; unless something that had been derived from it before stayed valid, which only one without a cascade leaves. What is invalid
 * by no derivation that is known here stays so by an invalidation of its own. Inside a transaction.
 *
 * @param fill SQL that fills `braid_chains` (id, parent, cause, time) and `braid_invalid`, whose records it makes valid.
 */
export function sayAgain(db: Database, invalidations: Invalidations, fill: string): SaidAgain {
  db.exec(`${TABLES} ${fill}; ${ROOTS}`);
  const count = db.prepare('SELECT count(*) FROM records WHERE invalidation_id IS NOT NULL').pluck();
  const before =
    (db.prepare('SELECT count(*) FROM temp.braid_invalid').pluck().get() as number) + (count.get() as number);
  const first = db
    .prepare(
      `SELECT c.id, min(w.record) AS record, c.cause, c.time,
         EXISTS (SELECT 1 FROM braid_chains x WHERE x.parent = c.id)
           OR ${allInvalid('w.record', 'c.time', 'r.record_id NOT IN (SELECT record FROM braid_invalid)')} AS cascade
       FROM braid_chains c CROSS JOIN braid_invalid w ON w.id = c.id WHERE c.root = c.id GROUP BY c.id`,
    )
    .all() as (Omit<InvalidationRequest, 'cascade'> & { cascade: number })[];
  const requests = first.map((request) => ({ ...request, cascade: request.cascade === 1 }));
  // Some are invalid for something else, too, that came before.
  invalidations.invalidate(requests, 'SELECT record FROM braid_invalid');
  const rest = db
    .prepare(
      `SELECT ifnull(c.id, w.id) AS id, w.record, ifnull(c.cause, 'not recorded') AS cause, ifnull(c.time, r.time) AS time
       FROM braid_invalid w CROSS JOIN records r ON r.record_id = w.record LEFT JOIN braid_chains c ON c.id = w.id
       WHERE r.invalidation_id IS NULL`,
    )
    .all() as Omit<InvalidationRequest, 'cascade'>[];
  const said = new Set(first.map(({ id }) => id));
  const alone = rest.map((request) => {
    // The same file says the same, whenever it is read.
    const id = said.has(request.id) ? idOf(request) : request.id;
    said.add(id);
    return { ...request, id, cascade: false };
  });
  invalidations.invalidate(alone);
  // Of no record any more: they are history.
  db.exec(`
    INSERT OR IGNORE INTO invalidations (id, root_invalidation, cause, time)
      SELECT c.id, (SELECT i.id FROM invalidations i WHERE i.id = c.root AND c.root <> c.id), c.cause, c.time FROM braid_chains c
      WHERE NOT EXISTS (SELECT 1 FROM braid_invalid w WHERE w.id = c.id);
  `);
  const after = count.get() as number;
  db.exec('DROP TABLE temp.braid_chains; DROP TABLE temp.braid_invalid');
  return { requests: first.length + alone.length, invalidated: after - before };
}

/** Of an invalidation that several records share. */
export function idOf({ id, record }: { readonly id: string; readonly record: number }): string {
  return createHash('sha256').update(`${id} ${record}`).digest('hex').slice(0, 32);
}
