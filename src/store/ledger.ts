import type { Database } from 'better-sqlite3';
import { groupBy } from '../group-by.js';
import type { RunStatus } from './store.js';

/** An attempt that is RUNNING in the database, whether or not anybody of it lives. */
export interface RunningAttempt {
  readonly run: string;
  readonly attempt: number;
  /** By rank: where it runs and keeps its spool. */
  readonly spools: readonly { readonly rank: number; readonly host: string; readonly spool: string }[];
}

/** What the database says of an attempt. */
export interface AttemptState {
  readonly status: RunStatus;
  /** By rank, the newest frame that is committed. */
  readonly frames: readonly number[];
}

/** Attempts that the database calls RUNNING, the oldest first. */
export function runningAttempts(db: Database): RunningAttempt[] {
  const rows = db
    .prepare(
      `SELECT uuid AS run, attempt, rank, host, spool FROM attempts a JOIN runs USING (run_id) JOIN ledger USING (attempt_id)
       WHERE a.status = 'RUNNING' ORDER BY attempt_id, rank`,
    )
    .all() as { run: string; attempt: number; rank: number; host: string; spool: string }[];
  const attempts = groupBy(rows, ({ run, attempt }) => `${run}.${attempt}`);
  return [...attempts.values()].map((ranks) => ({
    run: ranks[0].run,
    attempt: ranks[0].attempt,
    spools: ranks.map(({ rank, host, spool }) => ({ rank, host, spool })),
  }));
}

/** The directories where attempts that did not end by `close()` have kept their spools, and may have left them. */
export function spoolPlaces(db: Database): { host: string; spool: string }[] {
  return db
    .prepare(
      `SELECT DISTINCT host, spool FROM ledger JOIN attempts USING (attempt_id) WHERE status <> 'COMPLETED' ORDER BY host, spool`,
    )
    .all() as { host: string; spool: string }[];
}

/** Undefined if the database knows no such attempt. */
export function attemptState(db: Database, run: string, attempt: number): AttemptState | undefined {
  const rows = db
    .prepare(
      `SELECT a.status, l.frame FROM attempts a JOIN runs r USING (run_id) LEFT JOIN ledger l USING (attempt_id)
       WHERE r.uuid = ? AND a.attempt = ? ORDER BY l.rank`,
    )
    .all(run, attempt) as { status: RunStatus; frame: number | null }[];
  return rows.length === 0 ? undefined : { status: rows[0].status, frames: rows.map(({ frame }) => frame ?? 0) };
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
