import type { Database } from 'better-sqlite3';
import type { Invalidations } from './invalidation.js';
import { sayAgain } from './said-again.js';
import { databaseKind } from './schema.js';

/** In `meta`, as JSON: through which record, and which row of `invalidations`, what Braid-DB has written was looked for. */
const LOOKED_THROUGH = 'looked_through';

interface LookedThrough {
  readonly record: number;
  readonly invalidation: number;
}

const NOTHING: LookedThrough = { record: 0, invalidation: 0 };

/** True of rows `i` of `invalidations` that no request of ours is the root of: Braid-DB has made them. */
export const ofNoRequest = (schema: string): string =>
  `NOT EXISTS (SELECT 1 FROM ${schema}.invalidation_requests q WHERE q.id = ifnull(i.root_invalidation, i.id))`;

const FOREIGN = `i.rowid > @invalidation AND ${ofNoRequest('main')}`;

/** What is taken from where it is, to be said again. */
const TAKE = `
  INSERT INTO braid_chains (id, parent, cause, time)
    SELECT i.id, i.root_invalidation, CAST(i.cause AS TEXT), CAST(i.time AS TEXT) FROM invalidations i JOIN braid_theirs f ON f.id = i.id;
  INSERT INTO braid_invalid SELECT record_id, invalidation_id FROM records WHERE invalidation_id IN (SELECT id FROM braid_theirs);
  UPDATE records SET invalidation_id = NULL WHERE record_id IN (SELECT record FROM braid_invalid);
  DELETE FROM invalidations WHERE id IN (SELECT id FROM braid_theirs);
  DROP TABLE temp.braid_theirs`;

/** Of records by no run: those between the blocks of attempts. */
const STRANGERS = `
  WITH blocks (first, last) AS (
    SELECT id_base + 1, id_end FROM attempts WHERE id_end > @record
    UNION ALL SELECT @record, @record
    UNION ALL SELECT ${Number.MAX_SAFE_INTEGER}, ${Number.MAX_SAFE_INTEGER}),
  gaps (first, last) AS (
    SELECT max(last) OVER (ORDER BY first ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) + 1, lead(first) OVER (ORDER BY first) - 1
    FROM blocks)
  SELECT r.record_id FROM gaps g CROSS JOIN records r ON r.record_id BETWEEN g.first AND g.last`;

/**
 * Carries on what Braid-DB has written to a database of ours, which knows of nothing that we add: its invalidations are said
 * again as ours, and its records are as invalid as what they derive from. It writes while no run has the database open, so
 * who begins to write looks through what has come since. Inside a transaction.
 *
 * @param all whether to look through all there is, and for derivations that it has made between records of ours.
 * @returns how many records are invalid by it that were valid.
 */
export function adopt(db: Database, invalidations: Invalidations, all = false): number {
  const before = all ? NOTHING : lookedThrough(db);
  const { record, invalidation } = present(db);
  // One that is lower was pruned, and given out again.
  const since = { invalidation: invalidation < before.invalidation ? 0 : before.invalidation };
  const foreign = db.prepare(`SELECT i.id FROM invalidations i WHERE ${FOREIGN}`);
  // First, so that what is invalid for what we know says nothing of what Braid-DB has said.
  let invalidated = record > before.record ? invalidations.reachStrangers(STRANGERS, before, all) : 0;
  if (invalidation > since.invalidation && foreign.get(since) !== undefined) {
    db.exec('CREATE TEMP TABLE braid_theirs (id TEXT NOT NULL PRIMARY KEY)');
    db.prepare(`INSERT INTO braid_theirs ${foreign.source}`).run(since);
    invalidated += sayAgain(db, invalidations, TAKE).invalidated;
  }
  noteLookedThrough(db);
  return invalidated;
}

/** What is there now needs no look any more: it was looked through, or is ours. */
export function noteLookedThrough(db: Database): void {
  const now = JSON.stringify(present(db));
  db.prepare(
    `INSERT INTO meta (key, value) VALUES (@key, @now) ON CONFLICT (key) DO UPDATE SET value = @now WHERE value <> @now`,
  ).run({ key: LOOKED_THROUGH, now });
}

function present(db: Database): LookedThrough {
  return {
    record: db.prepare('SELECT ifnull(max(record_id), 0) FROM records').pluck().get() as number,
    invalidation: db.prepare('SELECT ifnull(max(rowid), 0) FROM invalidations').pluck().get() as number,
  };
}

/** Whether there is something to carry on, by what can be read of it. */
export function isToAdopt(db: Database): boolean {
  if (databaseKind(db) !== 'ours') return false;
  const found = db
    .prepare(
      `SELECT EXISTS (SELECT 1 FROM invalidations i WHERE ${FOREIGN}) OR EXISTS (
         SELECT 1 FROM invalidation_reach k CROSS JOIN derivations d ON d.record_id = k.node AND d.stated AND d.unversioned
         CROSS JOIN records r ON r.record_id = d.derivation AND r.invalidation_id IS NULL)`,
    )
    .pluck()
    .get({ invalidation: 0 });
  return found === 1;
}

function lookedThrough(db: Database): LookedThrough {
  const text = db.prepare('SELECT value FROM meta WHERE key = ?').pluck().get(LOOKED_THROUGH) as string | undefined;
  return text === undefined ? NOTHING : (JSON.parse(text) as LookedThrough);
}
