import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Database } from 'better-sqlite3';
import { LocalCommunicator } from './comm/local-communicator.js';
import { BraidError } from './errors.js';
import { Channel, verdictText } from './flush/channel.js';
import type { Steps } from './flush/drive.js';
import { RoundMemory } from './flush/gathering.js';
import { host } from './host.js';
import { parseOptions } from './options.js';
import { openReadOnly } from './query/open.js';
import { Leftovers, isEmpty, type SpoolReport } from './leftovers.js';
import {
  type DeadAttempt,
  type Recovered,
  deadAttempts,
  finalStatus,
  leadRecovery,
  lossesOf,
  recoverable,
} from './recovery.js';
import { leftoverDirectories } from './spool/directories.js';
import { attemptState, runningAttempts, spoolPlaces, type AttemptState, type RunningAttempt } from './store/ledger.js';
import { checkSchema } from './store/schema.js';
import { StoreClient } from './store/store-client.js';
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
  /** Those of which something is lost, by the names under which they are kept instead. */
  kept: string[];
  /** What was brought in (with `dryRun`: would be). What had been committed before is not counted. */
  ops: number;
  records: number;
  /** What can't be read, is missing, or is refused by the database, which lists it as gaps. */
  lost: { rank: number; frame?: number; reason: string }[];
}

/** A spool, or a directory that can't be read, or an attempt of a run, that was left as it is. */
export interface LeftAlone {
  file?: string;
  reason: 'alive' | 'busy' | 'other-database' | 'other-host' | 'unreadable' | 'damaged' | 'unknown-run' | 'failed';
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
    if (!report.dryRun) {
      const { dead, empty, leftovers } = inspection;
      leftovers.remove(empty.flatMap((each) => recoverable(each, leftovers)));
      if (dead.length > 0 || isUnfolded(inspection)) await bringIn(inspection, options, report);
    }
    report.ops = report.attempts.reduce((sum, { ops }) => sum + ops, 0);
    report.records = report.attempts.reduce((sum, { records }) => sum + records, 0);
    return report;
  } finally {
    inspection.leftovers.release();
  }
}

/** Whether a root that was killed has left SQLite's log beside the file: whoever opens the database makes it one file again. */
function isUnfolded({ path, leftovers }: Inspection): boolean {
  const lives = leftovers.reports.some(({ alone }) => alone === 'alive' || alone === 'busy');
  return !lives && existsSync(`${path}-wal`);
}

/** What there is to recover for a database on this host. Until `leftovers.release()` nobody else can recover it. */
export interface Inspection {
  readonly path: string;
  readonly database: string;
  readonly directories: readonly string[];
  readonly leftovers: Leftovers;
  readonly dead: readonly DeadAttempt[];
  /** Not known to the database, and without content: they were killed while they began. */
  readonly empty: readonly DeadAttempt[];
  /** RUNNING in the database before the spools were looked at. */
  readonly running: readonly RunningAttempt[];
  /** Of each attempt that a spool names. */
  readonly states: ReadonlyMap<string, AttemptState | undefined>;
}

/**
 * Looks at a database and the spools on this host, and changes nothing but to hold the dead ones locked; in a dry run only
 * against recoveries, and not against others who look.
 */
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
      path,
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
    const known = ({ run, attempt, spools }: DeadAttempt) => spools.length === 0 || states.get(`${run}.${attempt}`);
    const dead = found.filter(known);
    const empty = found.filter((each) => !known(each) && each.spools.every(isEmpty));
    return {
      path: resolve(path),
      database,
      directories: leftovers.directories,
      leftovers,
      dead,
      empty,
      running,
      states,
    };
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

/** Commits by the way of every flush, as a job of one rank, an attempt at a time: one that fails leaves the others to come. */
async function bringIn(
  { path, leftovers, dead }: Inspection,
  { busyMs, roundBytes, onProgress }: RecoverOptions,
  report: RecoverReport,
): Promise<void> {
  const options = parseOptions({ busyMs, roundBytes });
  const store = new StoreClient();
  try {
    await store.open({ path, busyMs: options.busyMs, existing: true });
    const work = dead.map((each) => ({ each, frames: leftovers.frames(recoverable(each, leftovers)) }));
    const totalBytes = work.flatMap(({ frames }) => frames).reduce((sum, { size }) => sum + size, 0);
    let bytes = 0;
    const rounds = {
      store,
      memory: new RoundMemory(),
      roundBytes: options.roundBytes,
      onRound: (size: number) => onProgress?.({ phase: 'commit', totalBytes, bytes: (bytes += size) }),
    };
    const channel = new Channel(new LocalCommunicator());
    const database = channel.nextDatabase();
    for (const { each, frames } of work) {
      const verdict = await channel.run({
        kind: 'recover',
        database,
        patience: { stallMs: options.stallMs },
        contribute: () => ({ frames, recorded: 0 }),
        lead: function* (gathering): Steps<string> {
          return JSON.stringify(yield* leadRecovery(gathering, rounds, each));
        },
      });
      const index = report.attempts.findIndex(({ run, attempt }) => run === each.run && attempt === each.attempt);
      if (verdict.error) {
        const { run, attempt } = each;
        report.attempts.splice(index, 1);
        report.left.push({ run, attempt, reason: 'failed', why: explained(verdict.error) });
        continue;
      }
      const { ops, records, lost } = JSON.parse(verdictText(verdict)) as Recovered;
      const kept = leftovers.finish(each.spools, lost);
      report.attempts[index] = { ...report.attempts[index], ops, records, lost: [...lost], kept };
    }
    await store.call('close');
  } catch (error) {
    // What was committed stays; the spools do, too. An open file would be left in WAL mode.
    await store.call('close').then(undefined, () => {});
    throw error;
  } finally {
    await store.terminate();
  }
}

function explained(error: Error): string {
  return `${(error as BraidError).code}: ${error.message}; its spools stay`;
}

function reportOf(
  { path, database, directories, leftovers, dead, empty, running, states }: Inspection,
  dryRun: boolean,
): RecoverReport {
  const attempts = dead.map(({ run, attempt, status, spools }) => {
    const state = states.get(`${run}.${attempt}`);
    const watermark = (rank: number) => state!.frames[rank] ?? 0;
    const found = spools.map(({ file, rank }) => leftovers.after(file, watermark(rank!)));
    return {
      run,
      attempt,
      status: state ? finalStatus(state.status, status) : status,
      files: spools.map(({ file }) => file),
      kept: [],
      ops: found.reduce((sum, { ops }) => sum + ops, 0),
      records: found.reduce((sum, { records }) => sum + records, 0),
      lost: spools.flatMap((spool) => lossesOf(spool, watermark(spool.rank!))),
    } satisfies RecoveredAttempt;
  });
  const taken = new Set([...dead, ...empty].flatMap(({ spools }) => spools.map(({ file }) => file)));
  const left = leftovers.reports
    // Of those that aren't there, the ones in which a run may live are told with that run.
    .filter(({ file, alone }) => alone !== 'missing' && !taken.has(file))
    .map((report) => leftAlone(report, states));
  return {
    path,
    database,
    dryRun,
    directories: [...directories],
    attempts,
    ops: 0,
    records: 0,
    left: [...left, ...elsewhere(running, dead, left)],
  };
}

function leftAlone(report: SpoolReport, states: Inspection['states']): LeftAlone {
  const { file, alone, why, run, attempt, rank, host } = report;
  const base = { file, run, attempt, rank, host };
  if (alone && alone !== 'missing') return { ...base, reason: alone, why: why! };
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
          ? `its spools in ${root.spool} are not to be seen from here, so it may live: if it is dead, name it with --assume-dead`
          : `its rank 0 ran on ${root?.host}, where it may still live: run braid recover there, or name it with --assume-dead`,
      };
    });
}

function checkRun(db: Database, run: string): void {
  if (db.prepare('SELECT 1 FROM runs WHERE uuid = ?').get(run)) return;
  throw new BraidError('ERR_BRAID_NO_SUCH_RUN', `${db.name} has no run ${run}: braid stats lists its runs`);
}
