import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Database } from 'better-sqlite3';
import { channelOf } from './channels.js';
import { LocalCommunicator } from './comm/local-communicator.js';
import { selectCommunicator } from './comm/select.js';
import { BraidError } from './errors.js';
import { Channel, ROOT, ranksText, verdictText, type Verdict } from './flush/channel.js';
import { wait, type Steps } from './flush/drive.js';
import { RoundMemory, type Contribution, type Gathering } from './flush/gathering.js';
import { groupBy } from './group-by.js';
import { host } from './host.js';
import { parseOptions, type ParsedOptions } from './options.js';
import { readDatabase } from './query/open.js';
import { Leftovers, isEmpty, type SpoolReport } from './leftovers.js';
import {
  type DeadAttempt,
  type Recovered,
  checkPaths,
  deadAttempts,
  finalStatus,
  leadRecovery,
  lossesOf,
  oncePerFile,
  recoverable,
  scansOf,
  type Scans,
} from './recovery.js';
import { leftoverDirectories } from './spool/directories.js';
import { attemptState, openAttempts, type AttemptState, type OpenAttempt, type Place } from './store/ledger.js';
import { settle } from './store/settle.js';
import { checkSchema } from './store/schema.js';
import { StoreClient } from './store/store-client.js';
import type { RunStatus } from './store/store.js';

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

/** What there is to recover for a database on the hosts that were asked. */
interface Findings {
  readonly dead: readonly DeadAttempt[];
  /** Not known to the database, and without content: they were killed while they began. */
  readonly empty: readonly DeadAttempt[];
  /** Of each attempt that a spool names, by `RUN.ATTEMPT`. */
  readonly states: Readonly<Record<string, AttemptState | undefined>>;
}

/** What a database says before the spools are looked at. */
interface Survey {
  readonly database: string;
  /** A run that begins afterwards isn't among them: it would be missed among the spools, too. */
  readonly open: readonly OpenAttempt[];
}

function survey(path: string, assumeDead: string | undefined): Survey {
  return readDatabase(path, (db) => {
    const database = checkSchema(db);
    if (assumeDead !== undefined) checkRun(db, assumeDead);
    return { database, open: openAttempts(db) };
  });
}

function findingsOf(
  path: string,
  { database, open }: Survey,
  reports: readonly SpoolReport[],
  hosts: readonly string[],
  assumeDead: string | undefined,
): Findings {
  return readDatabase(path, (db) => {
    const states: Record<string, AttemptState | undefined> = {};
    for (const { run, attempt, database: of } of reports) {
      if (run && attempt && of === database) states[`${run}.${attempt}`] ??= attemptState(db, run, attempt);
    }
    for (const { run, attempt } of open) states[`${run}.${attempt}`] ??= attemptState(db, run, attempt);
    const found = deadAttempts(reports, { hosts, open, assumeDead });
    const known = ({ run, attempt }: DeadAttempt) => states[`${run}.${attempt}`];
    const dead = found.filter(known);
    const empty = found.filter((each) => !known(each) && each.spools.every(isEmpty));
    return { dead, empty, states };
  });
}

/** What there is to recover for a database on this host. Until `leftovers.release()` nobody else can recover it. */
export interface Inspection extends Findings {
  readonly path: string;
  readonly database: string;
  readonly open: readonly OpenAttempt[];
  readonly leftovers: Leftovers;
}

/** Looks at a database and the spools on this host, and changes nothing; the dead ones are held against recoveries. */
export function inspect(path: string): Inspection {
  const found = survey(path, undefined);
  const { places, directories } = scansOf([host], found.open)[host];
  const leftovers = new Leftovers({
    directories: leftoverDirectories(resolve(path), [...toldDirectories(), ...directories]),
    places,
    path: resolve(path),
    database: found.database,
    readOnly: true,
  });
  const findings = findingsOf(path, found, leftovers.reports, [host], undefined);
  return { ...findings, path: resolve(path), database: found.database, open: found.open, leftovers };
}

function toldDirectories(spoolDirs: readonly string[] = []): string[] {
  const { spoolDir } = parseOptions();
  return [...spoolDirs, ...(spoolDir === undefined ? [] : [spoolDir])].map((directory) => resolve(directory));
}

/** What attempts that have ended have left in spools, by the database and by what is to be seen from here. */
export interface Remains {
  /** Ops that wait in spools on this host. */
  readonly waiting: { run: string; attempt: number; ops: number }[];
  /** Spools that nobody has read, and that aren't to be seen from here. */
  readonly unread: LeftAlone[];
}

export function remainsOf(path: string): Remains {
  const { leftovers, dead, states, open } = inspect(path);
  try {
    const waiting = dead
      .map(({ run, attempt, spools }) => {
        const frames = states[`${run}.${attempt}`]?.frames ?? [];
        const ops = spools.reduce((sum, { file, rank }) => sum + leftovers.after(file, frames[rank!] ?? 0).ops, 0);
        return { run, attempt, ops };
      })
      .filter(({ ops }) => ops > 0);
    const ended = open.filter(({ status }) => status !== 'RUNNING');
    return { waiting, unread: elsewhere(ended, dead, leftovers.reports, [host]) };
  } finally {
    leftovers.release();
  }
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

/** What a host has of a spool above its rank's watermark. */
interface Waiting {
  readonly file: string;
  readonly ops: number;
  readonly records: number;
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
    const task = await this.#together<Task, Hello>(
      () => this.#hello(),
      (hellos) => {
        const { assumeDead } = this.options;
        checkHellos(hellos);
        if (!this.options.dryRun && existsSync(this.path)) settle(this.path, this.#parsed.busyMs);
        found = survey(this.path, assumeDead);
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
        return reportOf(base, findings, all.flat(), reports, found.open, hosts);
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
        yield* wait(this.#store.open({ path: this.path, busyMs: this.#parsed.busyMs, existing: true }));
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

function reportOf(
  base: Pick<RecoverReport, 'path' | 'database' | 'dryRun' | 'directories'>,
  { dead, empty, states }: Findings,
  waiting: readonly Waiting[],
  reports: readonly SpoolReport[],
  open: readonly OpenAttempt[],
  hosts: readonly string[],
): RecoverReport {
  const isNews = ({ run, attempt, spools }: DeadAttempt) =>
    spools.length > 0 || states[`${run}.${attempt}`]?.status === 'RUNNING';
  const attempts = dead.filter(isNews).map(({ run, attempt, status, spools }) => {
    const state = states[`${run}.${attempt}`];
    const files = new Set(spools.map(({ file }) => file));
    const found = waiting.filter(({ file }) => files.has(file));
    return {
      run,
      attempt,
      status: state ? finalStatus(state.status, status) : status,
      files: [...files],
      kept: [],
      ops: found.reduce((sum, { ops }) => sum + ops, 0),
      records: found.reduce((sum, { records }) => sum + records, 0),
      lost: spools.flatMap((spool) => lossesOf(spool, state!)),
    } satisfies RecoveredAttempt;
  });
  const taken = new Set([...dead, ...empty].flatMap(({ spools }) => spools.map(({ file }) => file)));
  const left = reports
    // Of those that aren't there, the ones in which a run may live are told with that run.
    .filter(({ file, alone }) => alone !== 'missing' && !taken.has(file))
    .map((report) => leftAlone(report, states, reports));
  return { ...base, attempts, ops: 0, records: 0, left: [...left, ...elsewhere(open, dead, reports, hosts)] };
}

function leftAlone(report: SpoolReport, states: Findings['states'], all: readonly SpoolReport[]): LeftAlone {
  const { file, alone, why, run, attempt, rank, host } = report;
  const base = { file, run, attempt, rank, host };
  if (alone && alone !== 'missing') return { ...base, reason: alone, why: why! };
  if (!states[`${run}.${attempt}`]) {
    return { ...base, reason: 'unknown-run', why: `the database knows no attempt ${attempt} of run ${run}` };
  }
  const lives = all.some((one) => one.run === run && one.attempt === attempt && one.alone === 'alive');
  if (lives) return { ...base, reason: 'alive', why: 'another rank of its run lives' };
  return { ...base, reason: 'other-host', why: 'rank 0 of its run was not to be asked, and may live' };
}

/** What attempts may have left where nobody has looked, by host: of one that may live, all; of one that is dead, what wasn't seen. */
function elsewhere(
  open: readonly OpenAttempt[],
  dead: readonly DeadAttempt[],
  reports: readonly SpoolReport[],
  hosts: readonly string[],
): LeftAlone[] {
  const keyOf = ({ run, attempt }: { run?: string; attempt?: number }) => `${run}.${attempt}`;
  const unseen = new Map(dead.map((each) => [keyOf(each), each.assumed ? [] : each.unseen]));
  // Those of which a spool was found are told with it, unless they are dead.
  const told = new Set(reports.filter(({ alone, run }) => alone && run !== undefined).map(keyOf));
  return open.flatMap((attempt) => {
    const places = unseen.get(keyOf(attempt)) ?? (told.has(keyOf(attempt)) ? [] : attempt.places);
    const ended = unseen.has(keyOf(attempt)) || attempt.status !== 'RUNNING';
    return [...groupBy(places, ({ host }) => host).values()].map((there) => unread(attempt, there, ended, hosts));
  });
}

/** Of ranks on one host. */
function unread(
  { run, attempt }: OpenAttempt,
  places: readonly Place[],
  ended: boolean,
  hosts: readonly string[],
): LeftAlone {
  const [{ host, spool, rank }] = places;
  const ranks = ranksText(places.map((place) => place.rank));
  const here = hosts.includes(host);
  const where = here
    ? `the spool directory ${spool} of ${ranks} is not to be seen from here`
    : `${ranks} ran on ${host}`;
  const may = ended ? 'what was left there is not in the database' : 'the run may still live';
  const look = here ? 'run braid recover from where it is' : 'run braid recover there';
  return {
    run,
    attempt,
    rank,
    host,
    reason: here ? 'unreadable' : 'other-host',
    why: `${where}, ${may}: ${look}, or, if nothing can come of it, name the run with --assume-dead`,
  };
}

function checkRun(db: Database, run: string): void {
  if (db.prepare('SELECT 1 FROM runs WHERE uuid = ?').get(run)) return;
  throw new BraidError('ERR_BRAID_NO_SUCH_RUN', `${db.name} has no run ${run}: braid stats lists its runs`);
}
