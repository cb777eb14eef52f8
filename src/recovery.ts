import { readdirSync, rmSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { commitRounds, type CommitRounds } from './flush/commit-rounds.js';
import { wait, type Steps } from './flush/drive.js';
import type { Gathering, SendableFrame } from './flush/gathering.js';
import { groupBy } from './group-by.js';
import { bootId, host } from './host.js';
import { loadAddon } from './load-addon.js';
import type { CoreAddon } from './native.js';
import { LeftoverSpool, type SpoolEnd, type SpoolFrame, type SpoolLoss } from './spool/spool-file.js';
import type { CommitResult } from './store/commit.js';
import type { RunningAttempt } from './store/ledger.js';
import type { StoreClient } from './store/store-client.js';
import type { RunStatus } from './store/store.js';

/** A spool that was found, as it is told to the root. */
export interface SpoolReport {
  /** Or a directory that can't be read. */
  readonly file: string;
  /** Why it is not to be touched; absent if it can be recovered. */
  readonly alone?: 'alive' | 'other-database' | 'other-host' | 'unreadable' | 'damaged';
  readonly why?: string;
  readonly database?: string;
  readonly run?: string;
  readonly attempt?: number;
  readonly rank?: number;
  readonly host?: string;
  readonly end?: SpoolEnd;
  readonly ops?: number;
  readonly frames?: number;
  readonly bytes?: number;
  readonly losses?: readonly SpoolLoss[];
}

export interface ScanOptions {
  readonly directories: readonly string[];
  /** UUID of the database. */
  readonly database: string;
  /** The run that is just beginning here: its spools are not leftovers. */
  readonly except?: string;
  /** A run that the user says is dead, wherever its spools say they are from. */
  readonly assumeDead?: string;
  /** Only looks: opens nothing for writing, and leaves files that hold nothing where they are. */
  readonly readOnly?: boolean;
  /** Told of each file before it is read. */
  readonly onFile?: (file: string) => void;
}

/** The spools in this machine's directories. Those that may be recovered are held locked until `release`. */
export class Leftovers {
  readonly reports: SpoolReport[] = [];
  readonly #held = new Map<string, { spool: LeftoverSpool; frames: SpoolFrame[] }>();

  constructor(private readonly options: ScanOptions) {
    for (const directory of options.directories) {
      for (const name of this.#list(directory)) {
        if (name.endsWith('.spool') && !(options.except && name.startsWith(options.except)))
          this.#look(join(directory, name));
      }
    }
  }

  /** Whether a file may be recovered by this machine. One that is only reported may be another's, which sees it too. */
  holds(file: string): boolean {
    return this.#held.has(file);
  }

  /** What of a file lies above its rank's watermark. */
  after(file: string, watermark: number): { ops: number; records: number } {
    const frames = this.#held.get(file)!.frames.filter(({ sequence }) => sequence > watermark);
    return {
      ops: frames.reduce((sum, { ops }) => sum + ops, 0),
      records: frames.reduce((sum, { records }) => sum + records, 0),
    };
  }

  /** The frames of the given files, in their order, read when they are needed. */
  frames(files: readonly string[]): SendableFrame[] {
    return files.flatMap((file) => {
      const { spool, frames } = this.#held.get(file)!;
      return frames.map((frame) => ({
        size: frame.bytes,
        get bytes() {
          return spool.read(frame);
        },
      }));
    });
  }

  /** Deletes files whose frames are all committed. */
  remove(files: readonly string[]): void {
    for (const file of files) {
      rmSync(file, { force: true });
      try {
        rmdirSync(dirname(file));
      } catch {
        // Not empty.
      }
    }
  }

  release(): void {
    for (const { spool } of this.#held.values()) spool.close();
    this.#held.clear();
  }

  #list(directory: string): string[] {
    try {
      return readdirSync(directory);
    } catch (error) {
      // Another user's, say. What it holds may live: that nothing was found there tells nothing.
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') this.reports.push({ file: directory, alone: 'unreadable', why: message });
      return [];
    }
  }

  #look(file: string): void {
    this.options.onFile?.(file);
    let spool: LeftoverSpool | undefined;
    let report: SpoolReport | undefined;
    try {
      spool = LeftoverSpool.open(file, this.options.readOnly);
      report = this.#judge(spool);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      // Gone since the directory was read: its rank has just closed.
      if (code === 'ENOENT') return;
      report = { file, alone: code === 'ERR_BRAID_SPOOL_DAMAGED' ? 'damaged' : 'unreadable', why: message };
    }
    if (report) this.reports.push(report);
    if (report && !report.alone) return;
    spool?.close();
    // Killed before its header was written: it holds nothing.
    if (!report && !this.options.readOnly) this.remove([file]);
  }

  /** Undefined of a file that holds nothing and is nobody's. */
  #judge(spool: LeftoverSpool): SpoolReport | undefined {
    const { file, owner } = spool;
    const locked = loadAddon<CoreAddon>('braid_core').lock(spool.fd);
    if (!owner) return locked ? undefined : { file, alone: 'alive', why: 'it is just being made' };
    const { database, run, attempt, rank } = owner;
    const base = { file, database, run, attempt, rank, host: owner.host, end: spool.end };
    const assumedDead = this.options.assumeDead === run;
    if (database !== this.options.database) {
      return { ...base, alone: 'other-database', why: `it belongs to database ${database}, ${owner.path}` };
    }
    // A lock of another machine may not be seen here.
    if (owner.host !== host && !assumedDead) {
      return { ...base, alone: 'other-host', why: `it was written on ${owner.host}, where its rank may still live` };
    }
    if (!locked && !(assumedDead && owner.boot !== bootId())) return { ...base, alone: 'alive', why: 'its rank lives' };
    const { frames, losses } = spool.scan();
    this.#held.set(file, { spool, frames });
    return {
      ...base,
      ops: frames.reduce((sum, { ops }) => sum + ops, 0),
      frames: frames.length,
      bytes: frames.reduce((sum, { bytes }) => sum + bytes, 0),
      losses,
    };
  }
}

/** One attempt that can be recovered. */
export interface DeadAttempt {
  readonly run: string;
  readonly attempt: number;
  /** What it is to be called, if the database still says RUNNING. */
  readonly status: RunStatus;
  readonly spools: readonly SpoolReport[];
}

/** What is known beside the spools that were found. */
export interface Surroundings {
  /** Those whose directories were looked into. */
  readonly hosts: readonly string[];
  /** What was RUNNING in the database before that. */
  readonly running: readonly RunningAttempt[];
  readonly except?: { run: string; attempt: number };
  /** As in {@link ScanOptions}. */
  readonly assumeDead?: string;
}

/**
 * Which attempts are dead and can be recovered, by what was found on the hosts that were asked. An attempt of which any
 * spool is locked lives, and so is left alone as a whole: a dead rank of it is its own business.
 */
export function deadAttempts(
  reports: readonly SpoolReport[],
  { hosts, running, except, assumeDead }: Surroundings,
): DeadAttempt[] {
  const keyOf = ({ run, attempt }: { run?: string; attempt?: number }) => `${run}.${attempt}`;
  const alive = new Set(reports.filter(({ alone }) => alone === 'alive').map(keyOf));
  const found = groupBy(
    reports.filter((report) => !report.alone && !alive.has(keyOf(report))),
    keyOf,
  );
  const dead: DeadAttempt[] = [...found.values()].map((spools) => ({
    run: spools[0].run!,
    attempt: spools[0].attempt!,
    status: statusOf(spools),
    spools,
  }));
  const unseen = new Set(reports.filter(({ alone }) => alone === 'unreadable').map(({ file }) => file));
  // One that left no spool where its root ran has ended there without a word, and committed all it had.
  for (const attempt of running) {
    if (except && keyOf(attempt) === keyOf(except)) continue;
    if (found.has(keyOf(attempt)) || alive.has(keyOf(attempt))) continue;
    const root = attempt.spools.find(({ rank }) => rank === 0);
    if (attempt.run !== assumeDead) {
      if (!root || !hosts.includes(root.host)) continue;
      if (unseen.has(root.spool) || unseen.has(join(root.spool, `${keyOf(attempt)}.0.spool`))) continue;
    }
    dead.push({ run: attempt.run, attempt: attempt.attempt, status: 'INCOMPLETE', spools: [] });
  }
  return dead;
}

function statusOf(spools: readonly SpoolReport[]): RunStatus {
  const ends = spools.map(({ end }) => end);
  // In this order: the ranks of a job of which one has failed are ended by a signal.
  if (ends.includes('failed')) return 'FAILED';
  if (ends.includes('signal')) return 'KILLED';
  return 'INCOMPLETE';
}

/** The leftover files of this machine that belong to the given attempts. */
export function recoverable(dead: readonly DeadAttempt[], leftovers: Leftovers): string[] {
  return dead.flatMap(({ spools }) => spools.map(({ file }) => file)).filter((file) => leftovers.holds(file));
}

/** Leaves out attempts that the database doesn't know, as when it was put back from an older copy. */
export function* knownAttempts(store: StoreClient, dead: readonly DeadAttempt[]): Steps<DeadAttempt[]> {
  const known: DeadAttempt[] = [];
  for (const each of dead) {
    if (yield* wait(store.call('attemptState', each.run, each.attempt))) known.push(each);
  }
  return known;
}

/** Lists what is lost of dead attempts; before their frames are committed, for a frame that already is, is not lost. */
function* listGaps(store: StoreClient, dead: readonly DeadAttempt[]): Steps<void> {
  for (const { run, attempt, spools } of dead) {
    for (const { rank, losses = [] } of spools) {
      const gaps = losses.map(({ sequence = 0, reason }) => ({ frame: sequence, reason }));
      if (gaps.length > 0) yield* wait(store.call('addGaps', run, attempt, rank!, gaps));
    }
  }
}

/**
 * The status of a recovered attempt, of what the database says and what its spools say. What the root could still write
 * stands, unless its ranks know better: a launcher ends the others by a signal when one has failed.
 */
export function finalStatus(written: RunStatus, found: RunStatus): RunStatus {
  return written === 'RUNNING' || (written === 'KILLED' && found === 'FAILED') ? found : written;
}

/** Gives recovered attempts their status, and gives back the ids of those of which nothing more can come. */
function* endDead(store: StoreClient, dead: readonly DeadAttempt[]): Steps<void> {
  for (const { run, attempt, status, spools } of dead) {
    const state = yield* wait(store.call('attemptState', run, attempt));
    if (!state) continue;
    const final = finalStatus(state.status, status);
    if (final !== state.status) yield* wait(store.call('endAttempt', run, attempt, final));
    if (final === 'COMPLETED') continue;
    // With every rank's spool read, nobody can come with an id that isn't in the database.
    const complete = spools.length === state.frames.length && spools.every(({ losses = [] }) => losses.length === 0);
    if (complete) yield* wait(store.call('returnIds', run, attempt));
  }
}

/** The root's side of a recovery, in which the ranks give the frames of dead attempts. */
export function* leadRecovery(
  gathering: Gathering,
  rounds: CommitRounds,
  dead: readonly DeadAttempt[],
): Steps<CommitResult> {
  yield* listGaps(rounds.store, dead);
  const totals = yield* commitRounds(gathering, rounds);
  yield* endDead(rounds.store, dead);
  return totals;
}
