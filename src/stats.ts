import { existsSync, statSync } from 'node:fs';
import { liveness, type Liveness } from './liveness.js';
import { parseTime } from './time.js';
import { findRun } from './query/find.js';
import { BraidReader, type RunRow } from './query/reader.js';
import { COSTS, shareOf, spreadOf, type RunReport, type Spread } from './run-report.js';
import { realPath } from './store/real-path.js';

/**
 * What recording has cost in one attempt. Each is there where the attempt's report has it: all in one that was closed, by
 * this version; up to the last flush in one that was killed.
 */
export interface RecordingCost {
  attempt: number;
  /** Wall time of that attempt alone, as far as the report goes. */
  seconds?: number;
  /** Of all ranks, what each recorded, and the bytes of it that are committed. */
  ops: Spread;
  bytes: Spread;
  /** Recording calls, as sampled. */
  captureMs?: Spread;
  /** Sealing frames. */
  sealMs?: Spread;
  /** From coming to a flush, an onRoot or a close, until its verdict: computing may have gone on meanwhile. */
  verdictMs?: Spread;
  /** What of its program's time a rank waited for these. */
  blockedMs?: Spread;
  peakSpoolBytes?: Spread;
  /** On the root: gathering rounds, committing them in their own thread, and memory for them. */
  gatherMs?: number;
  commitMs?: number;
  peakRoundBytes?: number;
  /** Building the indexes for searches, if that was left to its end. */
  indexMs?: number;
  /** Capture, sealing and waiting of the rank with most of them, as a part of the wall time: 0.01 is one per cent. */
  share?: number;
}

export interface RankStats {
  attempt: number;
  rank: number;
  host: string;
  /** Directory. */
  spool: string;
  recorded: number;
  committed: number;
  records: number;
  /** Of what is committed. */
  bytes: number;
  captureMs?: number;
  sealMs?: number;
  verdictMs?: number;
  blockedMs?: number;
  peakSpoolBytes?: number;
}

export interface RunStats extends RunRow, Liveness {
  /** Wall time of its attempts together; of one that goes on, until now; of one that was killed, until its last flush, if it had one. */
  seconds?: number;
  recordsPerSecond?: number;
  /** Of its last attempt, if it had a flush or was closed. */
  cost?: RecordingCost;
}

export interface RunDetails extends RunStats {
  ranks: RankStats[];
  /** How its last attempt was started. */
  context: Record<string, unknown>;
}

export interface DatabaseStats {
  path: string;
  madeBy: 'braid-mpi' | 'braid-db';
  /** With what is not yet moved from its write-ahead log. */
  fileBytes: number;
  journalMode: string;
  /** Rows. */
  tables: Record<string, number>;
  runs: RunStats[];
}

interface AttemptRow {
  attempt_id: number;
  attempt: number;
  status: string;
  started: string;
  ended: string | null;
  report: string | null;
  context: string;
}

const TABLES = ['records', 'derivations', 'uris', 'tags', 'invalidations'];
const OUR_TABLES = ['versions', 'updates', 'exposures'];

/**
 * What a database holds, and how its runs went.
 *
 * @throws BraidError as `BraidReader.open`
 */
export function databaseStats(path: string): DatabaseStats {
  const reader = BraidReader.open(path);
  try {
    const { ours } = reader.layout;
    const runs = runStats(reader, reader.runs());
    return {
      path: reader.path,
      madeBy: ours ? 'braid-mpi' : 'braid-db',
      fileBytes: [path, `${realPath(path)}-wal`].reduce(
        (sum, file) => sum + (existsSync(file) ? statSync(file).size : 0),
        0,
      ),
      journalMode: reader.query<{ journal_mode: string }>('PRAGMA journal_mode')[0].journal_mode,
      tables: Object.fromEntries(
        [...TABLES, ...(ours ? OUR_TABLES : [])].map((table) => [
          table,
          reader.query<{ count: number }>(`SELECT count(*) AS count FROM ${table}`)[0].count,
        ]),
      ),
      runs,
    };
  } finally {
    reader.close();
  }
}

/**
 * How one run went, rank by rank.
 *
 * @param run its id, or its first digits.
 * @throws BraidError as `BraidReader.open`; ERR_BRAID_NO_SUCH_RUN, ERR_BRAID_RUN_AMBIGUOUS
 */
export function runDetails(path: string, run: string): RunDetails {
  const reader = BraidReader.open(path);
  try {
    const id = findRun(reader, run);
    const [stats] = runStats(
      reader,
      reader.runs().filter((row) => row.id === id),
    );
    const attempts = attemptsOf(reader, id);
    const reports = new Map(attempts.map(({ attempt, report }) => [attempt, parsed(report)]));
    const ranks = reader.query<RankStats>(
      `SELECT attempt, rank, host, spool, recorded, committed, records, bytes FROM ledger JOIN attempts USING (attempt_id)
       JOIN runs USING (run_id) WHERE uuid = ? ORDER BY attempt, rank`,
      id,
    );
    return {
      ...stats,
      context: JSON.parse(attempts.at(-1)!.context) as Record<string, unknown>,
      ranks: ranks.map((row) => ({ ...row, ...costsOf(reports.get(row.attempt)!, row.rank) })),
    };
  } finally {
    reader.close();
  }
}

function runStats(reader: BraidReader, runs: readonly RunRow[]): RunStats[] {
  const ended = runs.every(({ status }) => status === 'COMPLETED');
  const living = ended ? new Map<string, Liveness>() : liveness(reader.path);
  return runs.map((run) => {
    const attempts = attemptsOf(reader, run.id);
    const found = living.get(run.id);
    const lives = run.status === 'RUNNING' ? (found ?? { liveness: 'elsewhere' as const }) : waiting(found);
    const walls = attempts.map(({ status, started, ended, report }) => {
      if (status === 'COMPLETED' && ended !== null) return secondsBetween(started, parseTime(ended));
      if (ended === null && lives.liveness === 'alive') return secondsBetween(started, new Date());
      // One that died was ended by whoever found it so, some time later.
      const { untilMs } = parsed(report);
      return untilMs === undefined ? undefined : untilMs / 1000;
    });
    const seconds = walls.includes(undefined) ? undefined : walls.reduce((sum, wall) => sum! + wall!, 0);
    const last = attempts.at(-1);
    return {
      ...run,
      seconds,
      recordsPerSecond: seconds ? run.records / seconds : undefined,
      cost: last && costOf(reader, last, walls.at(-1)),
      ...lives,
    };
  });
}

/** Of a run that is said to have ended: what of it waits, if anything does. */
function waiting(found: Liveness | undefined): Liveness {
  return found?.waitingOps ? { liveness: 'dead', waitingOps: found.waitingOps } : {};
}

function attemptsOf(reader: BraidReader, run: string): AttemptRow[] {
  return reader.query<AttemptRow>(
    `SELECT attempt_id, attempt, a.status, a.started, a.ended, report, context FROM attempts a JOIN runs USING (run_id)
     WHERE uuid = ? ORDER BY attempt`,
    run,
  );
}

function parsed(report: string | null): RunReport {
  return report === null ? {} : (JSON.parse(report) as RunReport);
}

/** What a report says of one rank. */
function costsOf(report: RunReport, rank: number): Pick<RankStats, (typeof COSTS)[number]> {
  return Object.fromEntries(COSTS.map((cost) => [cost, report[cost]?.[rank]]));
}

function costOf(reader: BraidReader, attempt: AttemptRow, seconds: number | undefined): RecordingCost | undefined {
  if (attempt.report === null) return undefined;
  const report = parsed(attempt.report);
  const ranks = reader.query<{ recorded: number; bytes: number }>(
    'SELECT recorded, bytes FROM ledger WHERE attempt_id = ?',
    attempt.attempt_id,
  );
  const { gatherMs, commitMs, peakRoundBytes, indexMs, untilMs } = report;
  return {
    attempt: attempt.attempt,
    seconds: untilMs === undefined ? seconds : untilMs / 1000,
    ops: spreadOf(ranks.map(({ recorded }) => recorded))!,
    bytes: spreadOf(ranks.map(({ bytes }) => bytes))!,
    ...Object.fromEntries(COSTS.map((cost) => [cost, spreadOf(report[cost])])),
    ...{ gatherMs, commitMs, peakRoundBytes, indexMs },
    share: shareOf(report, seconds),
  };
}

function secondsBetween(started: string, ended: Date): number {
  return Math.max(0, (ended.getTime() - parseTime(started).getTime()) / 1000);
}
