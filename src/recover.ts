import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Database } from 'better-sqlite3';
import { LocalCommunicator } from './comm/local-communicator.js';
import { BraidError } from './errors.js';
import { Channel, verdictText } from './flush/channel.js';
import { wait, type Steps } from './flush/drive.js';
import { RoundMemory } from './flush/gathering.js';
import { host } from './host.js';
import { parseOptions } from './options.js';
import { openReadOnly } from './query/open.js';
import {
  type DeadAttempt,
  Leftovers,
  type SpoolReport,
  deadAttempts,
  finalStatus,
  leadRecovery,
  recoverable,
} from './recovery.js';
import { leftoverDirectories } from './spool/directories.js';
import { attemptState, runningAttempts, spoolPlaces, type AttemptState, type RunningAttempt } from './store/ledger.js';
import { checkSchema } from './store/schema.js';
import { StoreClient } from './store/store-client.js';
import type { CommitResult } from './store/commit.js';
import type { RunStatus } from './store/store.js';

export interface RecoverOptions {
  /** Where spools may lie beside the places that the database names. */
  spoolDirs?: string[];
  /** Only says what would be done: writes to no file. */
  dryRun?: boolean;
  /** A run that is known to be dead, though its spools are of another host that can't be asked. */
  assumeDead?: string;
  /** How long to wait for another writer of the database, in milliseconds. Default 60,000. */
  busyMs?: number;
  /** How much is read and committed at once, in bytes. Default 64 MiB. */
  roundBytes?: number;
  onProgress?: (progress: RecoverProgress) => void;
}

export interface RecoverProgress {
  phase: 'scan' | 'commit';
  /** `scan`: the spool that is being read. */
  file?: string;
  /** `commit`: of all frames that were found, and how many of them are committed. */
  totalBytes?: number;
  bytes?: number;
}

/** What recovery found of one attempt of a run that nobody works on any more. */
export interface RecoveredAttempt {
  run: string;
  attempt: number;
  /** What it is called from now on. */
  status: RunStatus;
  /** Its spools on this host, which are removed when their content is in the database. */
  files: string[];
  /** What was brought in (with `dryRun`: would be). What had been committed before is not counted. */
  ops: number;
  records: number;
  /** Pieces of its spools that can't be read. The database lists them as gaps. */
  lost: { rank: number; frame?: number; reason: string }[];
}

/** A spool, or a directory that can't be read, or a run, that was left as it is. */
export interface LeftAlone {
  file?: string;
  reason: 'alive' | 'other-database' | 'other-host' | 'unreadable' | 'damaged' | 'unknown-run';
  why: string;
  run?: string;
  attempt?: number;
  rank?: number;
  host?: string;
}

export interface RecoverReport {
  path: string;
  /** UUID of the database. */
  database: string;
  dryRun: boolean;
  /** The directories that were looked into. */
  directories: string[];
  attempts: RecoveredAttempt[];
  /** Of all attempts. */
  ops: number;
  records: number;
  left: LeftAlone[];
}

/**
 * Brings into a database what dead runs have left in spools on this host, each op once, and ends those runs. A run that
 * lives, or whose host can't be asked, is left alone. The next `BraidDB.open` does the same by itself.
 *
 * @throws BraidError ERR_BRAID_DB_NOT_FOUND, ERR_BRAID_DB_…, ERR_BRAID_OPTION_INVALID, ERR_BRAID_NO_SUCH_RUN
 */
export async function recover(path: string, options: RecoverOptions = {}): Promise<RecoverReport> {
  const inspection = inspect(path, options);
  try {
    const report = reportOf(inspection, options.dryRun ?? false);
    if (!report.dryRun && inspection.dead.length > 0) {
      const { ops, records } = await bringIn(inspection, options);
      report.ops = ops;
      report.records = records;
    }
    return report;
  } finally {
    inspection.leftovers.release();
  }
}

/** What there is to recover for a database on this host. Until `leftovers.release()` nobody else can recover it. */
export interface Inspection {
  readonly path: string;
  readonly database: string;
  readonly directories: readonly string[];
  readonly leftovers: Leftovers;
  readonly dead: readonly DeadAttempt[];
  /** RUNNING in the database before the spools were looked at. */
  readonly running: readonly RunningAttempt[];
  /** Of each attempt that a spool names. */
  readonly states: ReadonlyMap<string, AttemptState | undefined>;
}

/** Looks at a database and the spools on this host, and changes nothing but to hold the dead ones locked. */
export function inspect(path: string, options: Omit<RecoverOptions, 'onProgress' | 'busyMs'> = {}): Inspection {
  const { spoolDirs = [], assumeDead, dryRun, roundBytes } = options;
  const { onProgress } = options as RecoverOptions;
  const { spoolDir } = parseOptions({ roundBytes });
  for (const directory of spoolDirs) {
    if (existsSync(directory)) continue;
    throw new BraidError('ERR_BRAID_OPTION_INVALID', `spoolDirs: ${directory} does not exist`);
  }
  const db = openReadOnly(path);
  try {
    const database = checkSchema(db);
    if (assumeDead !== undefined) checkRun(db, assumeDead);
    // Asked before the spools are looked at: a run that begins meanwhile has one by then that would be missed.
    const running = runningAttempts(db);
    const told = [...spoolDirs, ...(spoolDir === undefined ? [] : [spoolDir])].map((directory) => resolve(directory));
    const places = spoolPlaces(db).filter((place) => place.host === host || assumeDead !== undefined);
    const directories = leftoverDirectories(resolve(path), [...told, ...places.map(({ spool }) => spool)]);
    const leftovers = new Leftovers({
      directories,
      database,
      assumeDead,
      readOnly: dryRun,
      onFile: (file) => onProgress?.({ phase: 'scan', file }),
    });
    const states = new Map<string, AttemptState | undefined>();
    for (const { run, attempt, database: of } of leftovers.reports) {
      if (run && attempt && of === database) states.set(`${run}.${attempt}`, attemptState(db, run, attempt));
    }
    const found = deadAttempts(leftovers.reports, { hosts: [host], running, assumeDead });
    // A run without spools is known from the database itself.
    const dead = found.filter(({ run, attempt, spools }) => spools.length === 0 || states.get(`${run}.${attempt}`));
    return { path: resolve(path), database, directories, leftovers, dead, running, states };
  } finally {
    db.close();
  }
}

/** Attempts that have ended and of which ops wait in spools on this host. */
export function waitingAttempts(path: string): { run: string; attempt: number; ops: number }[] {
  const { leftovers, dead, states } = inspect(path, { dryRun: true });
  try {
    return dead
      .map(({ run, attempt, spools }) => {
        const frames = states.get(`${run}.${attempt}`)?.frames ?? [];
        const ops = spools.reduce((sum, { file, rank }) => sum + leftovers.after(file, frames[rank!] ?? 0).ops, 0);
        return { run, attempt, ops };
      })
      .filter(({ ops }) => ops > 0);
  } finally {
    leftovers.release();
  }
}

/** Commits by the way of every flush, as a job of one rank. */
async function bringIn(
  inspection: Inspection,
  { busyMs, roundBytes, onProgress }: RecoverOptions,
): Promise<CommitResult> {
  const { path, leftovers, dead } = inspection;
  const options = parseOptions({ busyMs, roundBytes });
  const store = new StoreClient();
  try {
    await store.open({ path, busyMs: options.busyMs, existing: true });
    const files = recoverable(dead, leftovers);
    const frames = leftovers.frames(files);
    const totalBytes = frames.reduce((sum, { size }) => sum + size, 0);
    let bytes = 0;
    const channel = new Channel(new LocalCommunicator());
    const verdict = await channel.run({
      kind: 'recover',
      database: channel.nextDatabase(),
      patience: { stallMs: options.stallMs },
      contribute: () => ({ frames, recorded: 0 }),
      lead: function* (gathering): Steps<string> {
        const rounds = {
          store,
          memory: new RoundMemory(),
          roundBytes: options.roundBytes,
          onRound: (size: number) => onProgress?.({ phase: 'commit', totalBytes, bytes: (bytes += size) }),
        };
        const totals = yield* leadRecovery(gathering, rounds, dead);
        yield* wait(store.call('close'));
        return JSON.stringify(totals);
      },
    });
    const totals = JSON.parse(verdictText(verdict)) as CommitResult;
    leftovers.remove(files);
    return totals;
  } catch (error) {
    // What was committed stays; the spools do, too. An open file would be left in WAL mode.
    await store.call('close').then(undefined, () => {});
    throw error;
  } finally {
    await store.terminate();
  }
}

function reportOf(
  { path, database, directories, leftovers, dead, running, states }: Inspection,
  dryRun: boolean,
): RecoverReport {
  const attempts = dead.map(({ run, attempt, status, spools }) => {
    const state = states.get(`${run}.${attempt}`);
    const found = spools.map(({ file, rank }) => leftovers.after(file, state!.frames[rank!] ?? 0));
    return {
      run,
      attempt,
      status: state ? finalStatus(state.status, status) : status,
      files: spools.map(({ file }) => file),
      ops: found.reduce((sum, { ops }) => sum + ops, 0),
      records: found.reduce((sum, { records }) => sum + records, 0),
      lost: spools.flatMap(({ rank, losses = [] }) =>
        losses
          .filter(({ sequence }) => sequence === undefined || sequence > (state!.frames[rank!] ?? 0))
          .map(({ sequence, reason }) => ({ rank: rank!, frame: sequence, reason })),
      ),
    } satisfies RecoveredAttempt;
  });
  const taken = new Set(attempts.flatMap(({ files }) => files));
  const left = leftovers.reports.filter(({ file }) => !taken.has(file)).map((report) => leftAlone(report, states));
  return {
    path,
    database,
    dryRun,
    directories: [...directories],
    attempts,
    ops: attempts.reduce((sum, { ops }) => sum + ops, 0),
    records: attempts.reduce((sum, { records }) => sum + records, 0),
    left: [...left, ...elsewhere(running, dead, left)],
  };
}

function leftAlone(report: SpoolReport, states: Inspection['states']): LeftAlone {
  const { file, alone, why, run, attempt, rank, host } = report;
  const base = { file, run, attempt, rank, host };
  if (alone) return { ...base, reason: alone, why: why! };
  if (!states.get(`${run}.${attempt}`)) {
    return { ...base, reason: 'unknown-run', why: `the database knows no attempt ${attempt} of run ${run}` };
  }
  return { ...base, reason: 'alive', why: 'another rank of its run lives' };
}

/** RUNNING attempts of which nothing was found here, because they are of another host. */
function elsewhere(
  running: readonly RunningAttempt[],
  dead: readonly DeadAttempt[],
  left: readonly LeftAlone[],
): LeftAlone[] {
  const seen = new Set([...dead, ...left].map(({ run, attempt }) => `${run}.${attempt}`));
  return running
    .filter(({ run, attempt }) => !seen.has(`${run}.${attempt}`))
    .map(({ run, attempt, spools }) => {
      const [root] = spools;
      const here = root?.host === host;
      return {
        run,
        attempt,
        host: root?.host,
        reason: here ? 'unreadable' : 'other-host',
        why: here
          ? `its spools in ${root.spool} can't be read, so it may live`
          : `its rank 0 ran on ${root?.host}, where it may still live: run braid recover there, or name it with --assume-dead`,
      };
    });
}

function checkRun(db: Database, run: string): void {
  if (db.prepare('SELECT 1 FROM runs WHERE uuid = ?').get(run)) return;
  throw new BraidError('ERR_BRAID_NO_SUCH_RUN', `${db.name} has no run ${run}: braid stats lists its runs`);
}
