import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { channelOf } from './channels.js';
import { LocalCommunicator } from './comm/local-communicator.js';
import { selectCommunicator } from './comm/select.js';
import { BraidError } from './errors.js';
import { Channel, verdictText, type Verdict } from './flush/channel.js';
import { ROOT } from './flush/messages.js';
import { wait, type Steps } from './flush/drive.js';
import { RoundMemory, type Contribution, type Gathering } from './flush/gathering.js';
import { host } from './host.js';
import { findingsOf, survey, toldDirectories, type Survey } from './inspection.js';
import { Leftovers, type SpoolReport } from './leftovers.js';
import { parseOptions, type ParsedOptions } from './options.js';
import {
  type DeadAttempt,
  type Recovered,
  checkPaths,
  leadRecovery,
  oncePerFile,
  recoverable,
  scansOf,
  type Scans,
} from './recovery.js';
import { reportOf, type Findings, type RecoverReport, type Waiting } from './recovery-report.js';
import { readDatabase } from './query/open.js';
import { leftoverDirectories } from './spool/directories.js';
import { isToAdopt } from './store/adopting.js';
import { settle } from './store/settle.js';
import { StoreClient } from './store/store-client.js';
import { databaseKind } from './store/schema.js';
import { lacksSearchIndexes } from './store/search-indexes.js';
import { writeOnce } from './store/write-once.js';

export interface RecoverOptions {
  /** Collective: every rank of the MPI job calls it, and one on each host looks there. Else only this process does. */
  mpi?: boolean;
  /** Where spools may lie beside the places that the database names. */
  spoolDirs?: string[];
  /** Only says what would be done: writes to no file. */
  dryRun?: boolean;
  /** A run that is known to be dead, though its spools are of another host that can't be asked. The root's word counts. */
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

/**
 * Brings into a database what dead runs have left in spools on this host, or on all hosts of the job, each op once, and ends
 * those runs. A run that lives, or whose host isn't asked, is left alone. The next `BraidDB.open` does the same by itself.
 *
 * @returns what was done on all hosts; the same on every rank
 * @throws BraidError ERR_BRAID_DB_NOT_FOUND, ERR_BRAID_DB_…, ERR_BRAID_OPTION_INVALID, ERR_BRAID_NO_SUCH_RUN, ERR_BRAID_PATH_MISMATCH, ERR_BRAID_MPI_…; the same on every rank
 */
export async function recover(path: string, options: RecoverOptions = {}): Promise<RecoverReport> {
  const recovery = new Recovery(resolve(path), await channelFor(options), options);
  try {
    return await recovery.run();
  } finally {
    await recovery.end();
  }
}

async function channelFor({ mpi }: RecoverOptions): Promise<Channel> {
  if (!mpi) return new Channel(new LocalCommunicator());
  const { comm, description } = await selectCommunicator('on', PATIENCE);
  return channelOf(comm, description, PATIENCE);
}

const PATIENCE = { stallMs: 30_000 };

/** What a rank tells the root when it comes to recover. */
interface Hello {
  readonly path: string;
  readonly host: string;
  /** Directories that the user has named, and that are not on this host. */
  readonly missing: readonly string[];
}

/** What the root tells the ranks to look for. */
interface Task {
  readonly database: string;
  readonly assumeDead?: string;
  readonly scans: Scans;
}

/** What one host has. */
interface Scanned {
  readonly directories: readonly string[];
  readonly reports: readonly SpoolReport[];
}

/**
 * One recovery by the ranks of a job, of which one on each host looks for leftovers; a process that is alone is a job of
 * one. What is committed comes by the way of every flush, an attempt at a time: one that fails leaves the others to come.
 */
class Recovery {
  readonly #database: number;
  /** On a rank that looks for leftovers. */
  #leftovers: Leftovers | undefined;
  /** On the root, if there is something to commit. */
  #store: StoreClient | undefined;
  readonly #memory = new RoundMemory();

  constructor(
    private readonly path: string,
    private readonly channel: Channel,
    private readonly options: RecoverOptions,
  ) {
    this.#database = channel.nextDatabase();
  }

  async run(): Promise<RecoverReport> {
    let found!: Survey;
    let invalidated: number | undefined;
    const task = await this.#together<Task, Hello>(
      () => this.#hello(),
      (hellos) => {
        const { assumeDead } = this.options;
        checkHellos(hellos);
        if (!this.options.dryRun && existsSync(this.path)) settle(this.path, this.#parsed.busyMs);
        found = survey(this.path, assumeDead);
        if (!this.options.dryRun && readDatabase(this.path, isToAdopt)) {
          invalidated = writeOnce(this.path, this.#parsed.busyMs, (store) => store.adoptAll());
        } else if (
          !this.options.dryRun &&
          readDatabase(this.path, (db) => databaseKind(db) === 'ours' && lacksSearchIndexes(db))
        ) {
          // Of a run that had ended, and was killed then.
          writeOnce(this.path, this.#parsed.busyMs, () => undefined);
        }
        const hosts = hellos.map((hello) => hello.host);
        return { database: found.database, assumeDead, scans: scansOf(hosts, found.open, assumeDead !== undefined) };
      },
    );
    const hosts = Object.keys(task.scans);
    let scanned: Scanned[] = [];
    const findings = await this.#together<Findings, Scanned | null>(
      () => this.#scan(task),
      (all) => {
        scanned = all.filter((each) => each !== null);
        const reports = scanned.flatMap((each) => each.reports);
        return findingsOf(this.path, found, reports, hosts, task.assumeDead);
      },
    );
    const report = await this.#together<RecoverReport, Waiting[]>(
      () => this.#waiting(findings),
      (all) => {
        const directories = [...new Set(scanned.flatMap((each) => each.directories))];
        const reports = oncePerFile(scanned.flatMap((each) => each.reports));
        const base = { path: this.path, database: found.database, dryRun: this.options.dryRun ?? false, directories };
        const report = reportOf(base, findings, all.flat(), reports, found.open, hosts);
        return { ...report, invalidated };
      },
    );
    if (!report.dryRun) {
      const leftovers = this.#leftovers;
      if (leftovers) leftovers.remove(findings.empty.flatMap((each) => recoverable(each, leftovers)));
      if (findings.dead.length > 0) await this.#bringIn(findings.dead, report);
    }
    report.ops = report.attempts.reduce((sum, { ops }) => sum + ops, 0);
    report.records = report.attempts.reduce((sum, { records }) => sum + records, 0);
    return report;
  }

  async end(): Promise<void> {
    this.#leftovers?.release();
    if (!this.#store) return;
    // What was committed stays; the spools do, too. An open file would be left in WAL mode.
    await this.#store.call('close').then(undefined, () => {});
    await this.#store.terminate();
  }

  get #parsed(): ParsedOptions {
    const { busyMs, roundBytes } = this.options;
    return parseOptions({ busyMs, roundBytes });
  }

  #hello(): Hello {
    void this.#parsed;
    const missing = (this.options.spoolDirs ?? []).filter((directory) => !existsSync(directory));
    return { path: this.path, host, missing };
  }

  #scan({ database, assumeDead, scans }: Task): Scanned | null {
    const { rank, places, directories } = scans[host];
    if (rank !== this.channel.rank) return null;
    const { spoolDirs = [], dryRun, onProgress } = this.options;
    const leftovers = new Leftovers({
      directories: leftoverDirectories(this.path, [...toldDirectories(spoolDirs), ...directories]),
      places,
      path: this.path,
      database,
      // Of several who see the spools of a host that isn't asked, one is to take them.
      assumeDead: rank === ROOT ? assumeDead : undefined,
      asked: Object.keys(scans),
      readOnly: dryRun,
      onFile: (file) => onProgress?.({ phase: 'scan', file }),
    });
    this.#leftovers = leftovers;
    return { directories: leftovers.directories, reports: leftovers.reports };
  }

  #waiting({ dead, states }: Findings): Waiting[] {
    const leftovers = this.#leftovers;
    if (!leftovers) return [];
    return dead.flatMap((each) => {
      const frames = states[`${each.run}.${each.attempt}`]?.frames ?? [];
      const mine = each.spools.filter(({ file }) => leftovers.holds(file));
      return mine.map(({ file, rank }) => ({ file, ...leftovers.after(file, frames[rank!] ?? 0) }));
    });
  }

  async #bringIn(dead: readonly DeadAttempt[], report: RecoverReport): Promise<void> {
    const leftovers = this.#leftovers;
    const framesOf = (each: DeadAttempt) => leftovers?.frames(recoverable(each, leftovers)) ?? [];
    const own = dead.flatMap(framesOf).reduce((sum, { size }) => sum + size, 0);
    let totalBytes = 0;
    await this.#together<null, number>(
      () => own,
      function* (this: Recovery, all: number[]): Steps<null> {
        totalBytes = all.reduce((sum, each) => sum + each, 0);
        this.#store = new StoreClient();
        yield* wait(
          this.#store.open({ path: this.path, busyMs: this.#parsed.busyMs, existing: true, writer: 'recovery' }),
        );
        return null;
      },
    );
    let bytes = 0;
    const onRound = (size: number) =>
      this.options.onProgress?.({ phase: 'commit', totalBytes, bytes: (bytes += size) });
    const kept: string[][] = [];
    for (const each of dead) {
      const { run, attempt } = each;
      const verdict = await this.#collective(
        () => ({ frames: framesOf(each), recorded: 0 }),
        (gathering) => this.#leadRecovery(gathering, each, onRound),
      );
      const index = report.attempts.findIndex((one) => one.run === run && one.attempt === attempt);
      if (verdict.error) {
        if (index >= 0) report.attempts.splice(index, 1);
        report.left.push({ run, attempt, reason: 'failed', why: explained(verdict.error) });
        continue;
      }
      const { ops, records, lost } = JSON.parse(verdict.text) as Recovered;
      const aside = leftovers?.finish(each.spools, lost) ?? [];
      // Of one that had ended there is nothing to say.
      if (index < 0) continue;
      kept.push(aside);
      report.attempts[index] = { ...report.attempts[index], ops, records, lost: [...lost] };
    }
    const allKept = await this.#together<string[][], string[][]>(
      () => kept,
      function* (this: Recovery, all: string[][][]): Steps<string[][]> {
        yield* wait(this.#store!.call('finishIndexes'));
        yield* wait(this.#store!.call('close'));
        return report.attempts.map((_, i) => all.flatMap((each) => each[i]));
      },
    );
    report.attempts.forEach((each, i) => (each.kept = allKept[i]));
  }

  *#leadRecovery(gathering: Gathering, dead: DeadAttempt, onRound: (bytes: number) => void): Steps<string> {
    const { roundBytes } = this.#parsed;
    const rounds = { store: this.#store!, memory: this.#memory, roundBytes, onRound };
    return JSON.stringify(yield* leadRecovery(gathering, rounds, dead));
  }

  /** What the root makes of what every rank has to say, on every rank. */
  async #together<Answer, Said>(
    say: () => Said,
    lead: (this: Recovery, said: Said[]) => Answer | Steps<Answer>,
  ): Promise<Answer> {
    const answer = function* (this: Recovery, gathering: Gathering): Steps<string> {
      const said = (yield* gathering.texts()).map((text) => JSON.parse(text) as Said);
      const led = lead.call(this, said);
      return JSON.stringify(isSteps(led) ? yield* led : led);
    };
    const verdict = await this.#collective(
      () => ({ frames: [], recorded: 0, text: JSON.stringify(say()) }),
      (gathering) => answer.call(this, gathering),
    );
    return JSON.parse(verdictText(verdict)) as Answer;
  }

  async #collective(contribute: () => Contribution, lead: (gathering: Gathering) => Steps<string>): Promise<Verdict> {
    return this.channel.run({ kind: 'recover', database: this.#database, patience: PATIENCE, contribute, lead });
  }
}

function isSteps<T>(value: T | Steps<T>): value is Steps<T> {
  return typeof (value as Steps<T> | null)?.next === 'function';
}

/** All ranks must mean the same database, and what the user has named must be there on some host. */
function checkHellos(hellos: readonly Hello[]): void {
  checkPaths(hellos);
  const [first] = hellos;
  const nowhere = first.missing.find((directory) => hellos.every(({ missing }) => missing.includes(directory)));
  if (nowhere === undefined) return;
  throw new BraidError('ERR_BRAID_OPTION_INVALID', `spoolDirs: ${nowhere} does not exist`);
}

function explained(error: Error): string {
  return `${(error as BraidError).code}: ${error.message}; its spools stay`;
}
