import { existsSync, readdirSync, renameSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { faultPoint } from './fault.js';
import type { SendableFrame } from './flush/gathering.js';
import { groupBy } from './group-by.js';
import { bootId, host } from './host.js';
import { isSpoolName, isUnfinishedName, removeDirectory, removeSpool, removeUnfinished } from './spool/create-spool.js';
import { readDatabase } from './query/open.js';
import { isOfOurNaming, seesAnchor } from './spool/directories.js';
import { LeftoverSpool, type SpoolEnd, type SpoolFrame, type SpoolLoss } from './spool/spool-file.js';
import { rangesOf, type OpenAttempt, type Place, type Range } from './store/ledger.js';
import { checkSchema } from './store/schema.js';

/** A spool that was found, as it is told to the root. */
export interface SpoolReport {
  /** Or a directory that can't be read, or isn't the one that is meant: that of `anchor`. */
  readonly file: string;
  readonly anchor?: string;
  /** Why it is not to be touched; absent if it can be recovered. */
  readonly alone?: 'alive' | 'busy' | 'other-database' | 'other-host' | 'unreadable' | 'damaged' | 'missing';
  readonly why?: string;
  readonly database?: string;
  readonly run?: string;
  readonly attempt?: number;
  readonly rank?: number;
  readonly host?: string;
  readonly end?: SpoolEnd;
  /** The frames that can be read. */
  readonly sequences?: readonly Range[];
  /** The newest frame that a verdict had covered. */
  readonly trimmed?: number;
  readonly losses?: readonly SpoolLoss[];
}

export interface ScanOptions {
  readonly directories: readonly string[];
  /** Which of them, as the database names them, are to be seen from here is told, too. */
  readonly places?: readonly Pick<Place, 'spool' | 'anchor'>[];
  /** The database's file, and its UUID. */
  readonly path: string;
  readonly database: string;
  /** The run that is just beginning here: its spools are not leftovers. */
  readonly except?: string;
  /** A run that the user says is dead, wherever its spools say they are from. */
  readonly assumeDead?: string;
  /** Hosts that look for their own: what they have left is theirs to bring, wherever it lies and whatever is assumed. */
  readonly asked?: readonly string[];
  /** Only looks: opens nothing for writing, deletes nothing, and holds what it finds against recoveries only. */
  readonly readOnly?: boolean;
  /** Told of each file before it is read. */
  readonly onFile?: (file: string) => void;
}

interface Held {
  readonly spool: LeftoverSpool;
  readonly frames: readonly SpoolFrame[];
}

/**
 * The spools in this machine's directories. Those that may be recovered are held locked until `release`: all of an
 * attempt, or none.
 */
export class Leftovers {
  readonly reports: SpoolReport[] = [];
  /** Those that were there to be looked into. */
  readonly directories: string[] = [];
  readonly #held = new Map<string, Held>();
  /** By the path of a database that a spool names. */
  readonly #originals = new Map<string, boolean>();

  constructor(private readonly options: ScanOptions) {
    // In an order that is the same for all: of two who come for an attempt, one finds the other at its first spool.
    const files = options.directories
      .flatMap((directory) => this.#list(directory))
      .sort((a, b) => compare(basename(a), basename(b)) || compare(a, b));
    for (const attempt of groupBy(files, attemptOf).values()) this.#lookAt(attempt);
    for (const { spool, anchor } of options.places ?? []) {
      if (seesAnchor(anchor)) continue;
      const why = 'it is not there, or is another directory of that name';
      this.reports.push({ file: spool, anchor, host, alone: 'missing', why });
    }
  }

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
        readInto: (target: Buffer) => void spool.read(frame, target),
      }));
    });
  }

  /** Deletes files that are held, and hold nothing that isn't committed. */
  remove(files: readonly string[]): void {
    for (const file of files) {
      removeSpool(file);
      faultPoint('recover.removed');
    }
  }

  /**
   * Deletes those spools of a recovered attempt that are held here. One of which something is lost is kept under another
   * name instead, so that no scan finds it.
   *
   * @returns the names of what was kept.
   */
  finish(spools: readonly SpoolReport[], lost: readonly { readonly rank: number }[]): string[] {
    const damaged = new Set(lost.map(({ rank }) => rank));
    const mine = spools.filter(({ file }) => this.holds(file));
    this.remove(mine.filter(({ rank }) => !damaged.has(rank!)).map(({ file }) => file));
    return mine.filter(({ rank }) => damaged.has(rank!)).map(({ file }) => setAside(file));
  }

  release(): void {
    for (const { spool } of this.#held.values()) spool.close();
    this.#held.clear();
  }

  /** The spools in a directory. What makers who died have left there is deleted. */
  #list(directory: string): string[] {
    const { except, readOnly } = this.options;
    let names: string[];
    try {
      names = readdirSync(directory);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      // Another user's, say. What it holds may live: that nothing was found tells nothing. But by a name of ours, where the
      // database knows of nothing, it holds nothing of it.
      if (code !== 'ENOENT' && (this.#isPlace(directory) || !isOfOurNaming(directory))) {
        this.reports.push({ file: directory, host, alone: 'unreadable', why: message });
      }
      return [];
    }
    this.directories.push(directory);
    if (!readOnly) {
      for (const name of names) if (isUnfinishedName(name)) removeUnfinished(join(directory, name));
      // Of one that was killed before it had a file in it.
      if (names.length === 0 && isOfOurNaming(directory)) removeDirectory(directory);
    }
    return names
      .filter((name) => isSpoolName(name) && !(except && name.startsWith(except)))
      .map((name) => join(directory, name));
  }

  #isPlace(directory: string): boolean {
    return this.options.places?.some(({ spool }) => spool === directory) ?? false;
  }

  /** Takes all spools of an attempt, or none of them if any is somebody's. */
  #lookAt(files: readonly string[]): void {
    const taken: { spool: LeftoverSpool; report: SpoolReport }[] = [];
    let somebody: SpoolReport | undefined;
    for (const file of files) {
      this.options.onFile?.(file);
      const found = this.#open(file, somebody);
      if (!found) continue;
      const { spool, report } = found;
      if (!report.alone && spool) {
        taken.push({ spool, report });
        continue;
      }
      this.reports.push(report);
      spool?.close();
      if (report.alone === 'alive' || report.alone === 'busy') somebody ??= report;
    }
    for (const { spool, report } of taken) {
      if (somebody) this.reports.push(ofAnother(report, somebody));
      else if (this.#take(spool, report)) continue;
      spool.close();
    }
  }

  /** Reads a spool's header and takes its lock, unless its attempt is known to be somebody's. */
  #open(file: string, somebody?: SpoolReport): { spool?: LeftoverSpool; report: SpoolReport } | undefined {
    let spool: LeftoverSpool | undefined;
    try {
      spool = LeftoverSpool.open(file, this.options.readOnly);
      const report = this.#judge(spool, somebody);
      if (report) return { spool, report };
      spool.close();
      return undefined;
    } catch (error) {
      spool?.close();
      // Gone since the directory was read: its rank has just closed.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      return { report: { file, host, ...unreadable(error) } };
    }
  }

  /** Undefined of a file that is gone, or holds nothing and is nobody's. */
  #judge(spool: LeftoverSpool, somebody?: SpoolReport): SpoolReport | undefined {
    const { asked = [], assumeDead, database, readOnly } = this.options;
    const before = reportOf(spool);
    if (spool.owner && before.database !== database) {
      return {
        ...before,
        alone: 'other-database',
        why: `it belongs to database ${before.database}, ${spool.owner.path}`,
      };
    }
    if (spool.owner && this.#isOfOriginal(spool.owner.path)) {
      return {
        ...before,
        alone: 'other-database',
        why: `it belongs to ${spool.owner.path}, of which this database is a copy`,
      };
    }
    const assumedDead = spool.owner && assumeDead === before.run;
    // Host names that are containers of one kernel could all take it: it is for the one that wrote it, where that looks.
    const brought = before.host !== host && asked.includes(before.host!);
    // A lock of another machine may not be seen here; one of another name that runs on the same kernel is this one.
    const elsewhere = before.host !== host && spool.owner?.boot !== bootId();
    if (spool.owner && (brought || (elsewhere && !assumedDead))) {
      return { ...before, alone: 'other-host', why: `it was written on ${before.host}, where its rank may still live` };
    }
    if (somebody) return ofAnother(before, somebody);
    const lock = spool.lock();
    if (lock === 'gone') return undefined;
    const report = reportOf(spool);
    if (lock !== 'taken') {
      if (assumedDead && spool.owner?.boot !== bootId()) return report;
      return { ...report, ...holder(spool, lock === 'looked-at') };
    }
    if (spool.owner) return report;
    // Its header was lost with the power, before anything was in it.
    if (!readOnly) removeSpool(spool.file);
    return undefined;
  }

  /** Whether the database that a spool was made for is still there, and another file than the one that is looked at. */
  #isOfOriginal(path: string): boolean {
    const known = this.#originals.get(path);
    if (known !== undefined) return known;
    const [its, ours] = [path, this.options.path].map((file) => statSync(file, { throwIfNoEntry: false }));
    const same = !its || !ours || (its.dev === ours.dev && its.ino === ours.ino);
    const original = !same && databaseUuid(path) === this.options.database;
    this.#originals.set(path, original);
    return original;
  }

  #take(spool: LeftoverSpool, report: SpoolReport): boolean {
    try {
      const { frames, losses } = spool.scan();
      const sequences = rangesOf(frames.map(({ sequence }) => sequence));
      this.reports.push({ ...report, sequences, trimmed: spool.trimmed, losses });
      this.#held.set(spool.file, { spool, frames });
      return true;
    } catch (error) {
      this.reports.push({ ...report, ...unreadable(error) });
      return false;
    }
  }
}

/** Whether the root of an attempt is known to have ended: it ran on this host, and has its spool locked no more. */
export function rootHasEnded({ run, attempt, places }: OpenAttempt): boolean {
  const root = places.find(({ rank }) => rank === 0);
  if (root?.host !== host) return false;
  let spool: LeftoverSpool | undefined;
  try {
    spool = LeftoverSpool.open(join(root.spool, `${run}.${attempt}.0.spool`), true);
    const lock = spool.lock();
    return lock === 'taken' || lock === 'gone';
  } catch (error) {
    // Not to be seen is not gone: the directory may be there for others.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && seesAnchor(root.anchor);
  } finally {
    spool?.close();
  }
}

/** Whether a spool never held anything, as of an attempt that was killed while it began. */
export function isEmpty({ sequences = [], trimmed = 0, losses = [] }: SpoolReport): boolean {
  return sequences.length === 0 && trimmed === 0 && losses.length === 0;
}

function reportOf({ file, owner, end }: LeftoverSpool): SpoolReport {
  if (!owner) return { file };
  const { database, run, attempt, rank } = owner;
  return { file, database, run, attempt, rank, host: owner.host, end };
}

/** Who has the lock of a spool. */
function holder({ owner }: LeftoverSpool, lookedAt: boolean): Pick<SpoolReport, 'alone' | 'why'> {
  if (lookedAt) return { alone: 'busy', why: 'it is being examined' };
  if (owner && lives(owner.pid)) return { alone: 'alive', why: 'its rank lives' };
  return { alone: 'busy', why: 'it is being recovered, or its rank lives in another container' };
}

function ofAnother(report: SpoolReport, { alone, why }: SpoolReport): SpoolReport {
  return {
    ...report,
    alone,
    why: alone === 'alive' ? 'another rank of its run lives' : `of another spool of its run: ${why}`,
  };
}

function unreadable(error: unknown): Pick<SpoolReport, 'alone' | 'why'> {
  const { code, message } = error as NodeJS.ErrnoException;
  return { alone: code === 'ERR_BRAID_SPOOL_DAMAGED' ? 'damaged' : 'unreadable', why: message };
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function setAside(file: string): string {
  let aside = `${file}.damaged`;
  for (let i = 2; existsSync(aside); i++) aside = `${file}.damaged-${i}`;
  renameSync(file, aside);
  return aside;
}

/** Undefined of what is no database of ours, or can't be read. */
function databaseUuid(path: string): string | undefined {
  try {
    return readDatabase(path, (db) => checkSchema(db));
  } catch {
    return undefined;
  }
}

/** `RUN.ATTEMPT` of `DIRECTORY/RUN.ATTEMPT.RANK.spool`. */
function attemptOf(file: string): string {
  return basename(file).split('.').slice(0, 2).join('.');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
