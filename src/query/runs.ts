import type { RunStatus } from '../store/store.js';
import { parseTime } from '../time.js';
import type { Connection } from './connection.js';

export interface RunRow {
  id: string;
  name?: string;
  status: RunStatus;
  /** Ranks of its last attempt. */
  size: number;
  attempts: number;
  started: Date;
  ended?: Date;
  /** Ops that its ranks are known to have recorded. */
  recorded: number;
  /** Ops of it that are in the database. */
  committed: number;
  /** How many of those are records. */
  records: number;
  /** What its ranks sent to the root. */
  bytes: number;
}

type RawRun = Record<string, string | number | null>;

const COLUMNS = 'uuid, name, status, started, ended, size, attempts';
const RUNS = `runs
  JOIN (SELECT run_id, count(*) AS attempts, max(attempt) AS last, size FROM attempts GROUP BY run_id) USING (run_id)`;

/** Selects runs for `toRunState`, the oldest first: without what is counted, which takes a look at every rank. */
export const RUN_STATES = `SELECT ${COLUMNS} FROM ${RUNS} ORDER BY run_id`;

export function toRunState(row: RawRun): Omit<RunRow, 'recorded' | 'committed' | 'records' | 'bytes'> {
  return {
    id: row.uuid as string,
    name: (row.name as string | null) ?? undefined,
    status: row.status as RunStatus,
    size: row.size as number,
    attempts: row.attempts as number,
    started: parseTime(row.started as string),
    ended: row.ended === null ? undefined : parseTime(row.ended as string),
  };
}

/** Runs, the oldest first. */
export function runRows(connection: Connection): RunRow[] {
  const rows = connection.all<RawRun>(
    `SELECT ${COLUMNS}, recorded, committed, records, bytes FROM ${RUNS}
     JOIN (SELECT run_id, sum(l.recorded) AS recorded, sum(l.committed) AS committed, sum(l.records) AS records, sum(l.bytes) AS bytes
           FROM attempts JOIN ledger l USING (attempt_id) GROUP BY run_id) USING (run_id)
     ORDER BY run_id`,
  );
  return rows.map((row) => ({
    ...toRunState(row),
    recorded: row.recorded as number,
    committed: row.committed as number,
    records: row.records as number,
    bytes: row.bytes as number,
  }));
}
