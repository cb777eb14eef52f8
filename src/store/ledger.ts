import type { Database } from 'better-sqlite3';
import { groupBy } from '../group-by.js';
import type { RunStatus } from './store.js';

/** Where a rank runs, or ran, and keeps its spool. */
export interface Place {
  readonly rank: number;
  readonly host: string;
  readonly spool: string;
  /** By what that directory can be told from others of its name. */
  readonly anchor: string;
}

/** An attempt of which more can come: it is RUNNING in the database, whether or not anybody of it lives, or has spools unread. */
export interface OpenAttempt {
  readonly run: string;
  readonly attempt: number;
  readonly status: RunStatus;
  /** Of the ranks of which more can come; of one that is RUNNING, all. */
  readonly places: readonly Place[];
}

/** What the database says of an attempt. */
export interface AttemptState {
  readonly status: RunStatus;
  /** By rank, the newest frame that is committed. */
  readonly frames: readonly number[];
  /** What is known to be lost. */
  readonly gaps: readonly { readonly rank: number; readonly frame: number; readonly reason: string }[];
}

/** The attempts of which more can come, the oldest first. */
export function openAttempts(db: Database): OpenAttempt[] {
  const rows = db
    .prepare(
      `SELECT uuid AS run, attempt, a.status, rank, host, spool, anchor
       FROM attempts a JOIN runs USING (run_id) JOIN ledger USING (attempt_id)
       WHERE NOT settled ORDER BY attempt_id, rank`,
    )
    .all() as (Place & Omit<OpenAttempt, 'places'>)[];
  const attempts = groupBy(rows, ({ run, attempt }) => `${run}.${attempt}`);
  return [...attempts.values()].map((ranks) => {
    const [{ run, attempt, status }] = ranks;
    const places = ranks.map(({ rank, host, spool, anchor }) => ({ rank, host, spool, anchor }));
    return { run, attempt, status, places };
  });
}

/** Undefined if the database knows no such attempt. */
export function attemptState(db: Database, run: string, attempt: number): AttemptState | undefined {
  const rows = db
    .prepare(
      `SELECT attempt_id, a.status, l.frame FROM attempts a JOIN runs r USING (run_id) LEFT JOIN ledger l USING (attempt_id)
       WHERE r.uuid = ? AND a.attempt = ? ORDER BY l.rank`,
    )
    .all(run, attempt) as { attempt_id: number; status: RunStatus; frame: number | null }[];
  if (rows.length === 0) return undefined;
  const [{ attempt_id, status }] = rows;
  const gaps = db
    .prepare('SELECT rank, frame, reason FROM ledger_gaps WHERE attempt_id = ? ORDER BY rank, frame')
    .all(attempt_id) as AttemptState['gaps'];
  return { status, frames: rows.map(({ frame }) => frame ?? 0), gaps };
}

/** Sequence numbers from the first through the last. */
export type Range = readonly [first: number, last: number];

/** The same numbers, which ascend, as ranges. */
export function rangesOf(sequences: Iterable<number>): Range[] {
  const ranges: [number, number][] = [];
  for (const sequence of sequences) {
    const range = ranges.at(-1);
    if (range && sequence <= range[1] + 1) range[1] = Math.max(range[1], sequence);
    else ranges.push([sequence, sequence]);
  }
  return ranges;
}

/**
 * What is missing from `first` through `last` where `present`, in order, is there. A rank numbers its frames without holes
 * and gives them in that order, so what is missing is lost.
 */
export function holesIn(present: readonly Range[], first: number, last: number): Range[] {
  const holes: Range[] = [];
  let next = first;
  for (const [from, through] of [...present, [last + 1, last + 1] as const]) {
    if (from > next) holes.push([next, Math.min(from - 1, last)]);
    next = Math.max(next, through + 1);
    if (next > last) break;
  }
  return holes;
}

/** A hole, as `ledger_gaps` lists it. */
export function gapOf([first, last]: Range): { frame: number; reason: string } {
  const what = first === last ? 'it is missing' : `frames ${first} through ${last} are missing`;
  return { frame: first, reason: `${what}: was the database put back from an older copy?` };
}
