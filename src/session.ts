import { commitRounds } from './flush/commit-rounds.js';
import { Channel, verdictText, type Verdict } from './flush/channel.js';
import { wait, type Steps } from './flush/drive.js';
import { RoundMemory, type Contribution, type Gathering } from './flush/gathering.js';
import { ROOT, type CollectiveKind, type Header } from './flush/messages.js';
import { ranksText } from './flush/words.js';
import { Request } from './comm/request.js';
import { captureContext } from './context.js';
import { CostMeter } from './cost-meter.js';
import { BraidError } from './errors.js';
import { faultPoint } from './fault.js';
import { bootId, host } from './host.js';
import type { ParsedOptions } from './options.js';
import { Recorder } from './record/recorder.js';
import { Leftovers, rootHasEnded, type SpoolReport } from './leftovers.js';
import {
  checkPaths,
  deadAttempts,
  knownAttempts,
  leadRecovery,
  oncePerFile,
  recoverable,
  scansOf,
  type DeadAttempt,
  type Recovered,
  type Scans,
} from './recovery.js';
import type { RunReport } from './run-report.js';
import { anchorOf, leftoverDirectories, spoolDirectory } from './spool/directories.js';
import { fileSystemOf } from './spool/file-system.js';
import { Spool } from './spool/spool.js';
import { StoreClient } from './store/store-client.js';
import type { CommitTotals, RefusedFrame } from './store/commit.js';
import type { OpenAttempt } from './store/ledger.js';
import type { RunInit } from './store/store.js';

/** One process answers at once, so it can wait a moment for its worker when it is killed. */
export const LAST_WORDS_MS = 5_000;

/** What of others is nobody's worry; the rest of what an open leaves alone it says. */
const SILENT = new Set<SpoolReport['alone']>(['alive', 'missing', 'other-database']);

/** What a rank tells the root when it opens. */
interface Hello {
  readonly path: string;
  readonly host: string;
  readonly spool: string;
  readonly anchor: string;
  /** By BRAID=off it records nothing. */
  readonly off?: boolean;
}

/** What the root tells the ranks when the database is open. */
interface Welcome {
  readonly database: string;
  readonly run: string;
  readonly attempt: number;
  readonly base: number;
  readonly count: number;
  readonly scans: Scans;
}

/**
 * One opening of a database by one rank: everything that a `BraidDB` stands on. The collectives that move records are
 * here; what users call is in `BraidDB`.
 */
export class Session {
  recorder!: Recorder;
  /** Looks up a record of which only the id is known; whoever can read the database sets it. */
  describe!: (id: number) => { name: string; time: Date };
  /** Undefined with BRAID=off. */
  spool: Spool | undefined;
  /** On the root only. */
  store: StoreClient | undefined;
  readonly costs = new CostMeter();

  /** Its number on the channel, when all ranks have opened it; what failed on one must not count on any. */
  #database = 0;
  readonly #describe = (id: number) => this.describe(id);
  readonly #memory = new RoundMemory();
  /** On the root: of what more could come, by the database, when it was opened. */
  #open: readonly OpenAttempt[] = [];
  /** On the root: damaged frames that the ranks have yet to hear of. */
  readonly #refused: RefusedFrame[] = [];
  /** On the root: the attempt that is being begun, or has been. */
  #begun: { run: string; attempt: number } | undefined;

  /** Nothing is open before `open`, or `openOff`. */
  constructor(
    readonly path: string,
    readonly channel: Channel,
    readonly options: ParsedOptions,
  ) {}

  /**
   * Collective. Opens the database on the root, begins a run in it, makes every rank's spool, and brings in what earlier
   * runs have left on these machines.
   *
   * @param failure why this rank can't open it; it comes all the same.
   */
  async open(failure?: BraidError): Promise<void> {
    try {
      const welcome = await this.#hello(failure);
      await this.#begin(welcome);
    } catch (error) {
      this.spool?.remove();
      await this.store?.terminate();
      throw error;
    }
  }

  /** The process ends by a signal while this is being opened: the run that has begun, if one has, is KILLED. */
  killedWhileOpening(number: number): void {
    const { store } = this;
    this.spool?.mark('signal', number);
    if (!store) return;
    store.hurry();
    if (this.#begun) {
      const { run, attempt } = this.#begun;
      const ended = store.call('endAttempt', run, attempt, 'KILLED');
      store.waitFor(ended, LAST_WORDS_MS);
      if (!ended.done || ended.error) return;
      store.waitFor(store.call('settle', run, attempt, 'all'), LAST_WORDS_MS);
    }
    store.waitFor(store.call('close'), LAST_WORDS_MS);
    // Nothing is recorded yet. It may have been made while we waited.
    this.spool?.remove();
  }

  /**
   * Collective. What BRAID=off opens: ids of the same form, handles that can be shared, and nothing recorded.
   *
   * @param failure why this rank can't open it; it comes all the same.
   */
  async openOff(failure?: BraidError): Promise<void> {
    const hello: Hello = { path: this.path, host, spool: '', off: true, anchor: '' };
    await this.collective(
      'open',
      () => ({ frames: [], recorded: 0, text: JSON.stringify(hello), failure }),
      function* (gathering): Steps<string> {
        checkOff((yield* gathering.texts()).map((text) => JSON.parse(text) as Hello));
        return '';
      },
    );
    this.#database = this.channel.nextDatabase();
    const { rank, size } = this.channel;
    const identity = { run: '0'.repeat(32), attempt: 1, rank, size };
    this.recorder = new Recorder(identity, { base: 0, count: Number.MAX_SAFE_INTEGER }, undefined, this.#describe);
  }

  get isRoot(): boolean {
    return this.channel.rank === ROOT;
  }

  /** Takes part in a collective of this database. Resolves with the verdict's text; throws its error. */
  async collective(
    kind: CollectiveKind,
    contribute: () => Contribution,
    lead: (gathering: Gathering) => Steps<string>,
  ): Promise<string> {
    return verdictText(await this.start(kind, contribute, lead));
  }

  start(
    kind: CollectiveKind,
    contribute: () => Contribution,
    lead: (gathering: Gathering) => Steps<string>,
    leadIdle?: (headers: readonly Header[]) => string,
  ): Request<Verdict> {
    return this.channel.run({ kind, database: this.#database, patience: this.options, contribute, lead, leadIdle });
  }

  /**
   * Takes part in a collective that first commits all that is stored so far on every rank.
   *
   * @param then what the root does when that is done; gives the text for all. Not asked by a flush to which nobody brings
   *   anything, whose text is empty.
   */
  startFlush(
    kind: 'flush' | 'onRoot' | 'close',
    then: (totals: CommitTotals, headers: readonly Header[]) => Steps<string>,
    text?: string,
  ): Request<Verdict> {
    const { spool, recorder } = this;
    recorder.assertIdle(kind === 'flush' ? 'a flush, or a read, which flushes,' : `a call of ${kind}()`);
    // What is recorded between this call and the collective's turn is for the next one.
    const through = spool?.seal() ?? 0;
    if (through > 0) this.store?.prepare();
    let frames: readonly { sequence: number }[] = [];
    let come = 0;
    const verdict = this.start(
      kind,
      () => {
        const pending = spool?.pending(through) ?? [];
        frames = pending;
        this.store?.look();
        come = performance.now();
        return { frames: pending, recorded: spool?.recorded ?? 0, costs: this.costs.of(recorder, spool), text };
      },
      (gathering) => this.#leadFlush(gathering, then),
      kind === 'flush' ? this.#leadIdle : undefined,
    );
    verdict.onDone(() => {
      if (come > 0) this.costs.told(come);
      // Also when it failed: what was committed before need not be sent again.
      const { committed } = verdict.value;
      if (committed === 0) return;
      faultPoint('flush.trim');
      spool!.trim(frames[committed - 1].sequence);
      faultPoint('flush.trimmed');
    });
    return verdict;
  }

  /**
   * Takes part in the collective that commits the rest, ends the run and closes the database.
   *
   * @param before what the root does before the database is closed.
   */
  startClose(before: () => void): Request<Verdict> {
    return this.startFlush('close', (_, headers) => this.#leadClose(headers, before));
  }

  *#leadClose(headers: readonly Header[], before: () => void): Steps<string> {
    const { store, recorder } = this;
    const { run, attempt } = recorder.identity;
    faultPoint('close.committed');
    const recorded = headers.map((header) => header.recorded);
    const end = () =>
      wait(
        store!.call('endAttempt', run, attempt, 'COMPLETED', recorded, this.costs.finalReport(this.#memory.peakBytes)),
      );
    yield* end();
    faultPoint('close.completed');
    before();
    // Which all have waited for, too.
    if (yield* wait(store!.call('finishIndexes'))) yield* end();
    yield* wait(store!.call('close'));
    faultPoint('close.closed');
    return '';
  }

  *#leadFlush(
    gathering: Gathering,
    then: (totals: CommitTotals, headers: readonly Header[]) => Steps<string>,
  ): Steps<string> {
    const { headers } = gathering;
    this.costs.allCame(headers);
    const recorded = headers.map((header) => header.recorded);
    const onRefused = (refused: readonly RefusedFrame[]) => refused.forEach((each) => this.#refused.push(each));
    const report = this.costs.dueReport(this.#memory.peakBytes);
    const totals = yield* commitRounds(gathering, { ...this.#rounds, of: { recorded, report }, onRefused });
    this.costs.gathered(gathering.gatherMs);
    this.#checkFlushed(totals.ops);
    return yield* then(totals, headers);
  }

  /** The whole of a flush that brings nothing. */
  readonly #leadIdle = (headers: readonly Header[]): string => {
    this.costs.allCame(headers);
    this.#checkFlushed(0);
    return '';
  };

  #checkFlushed(ops: number): void {
    // With BRAID=off there is none.
    if (ops === 0) this.store?.checkThere();
    if (this.#refused.length > 0) throw lossOf(this.#refused.splice(0));
  }

  /** On the root: what recording has cost as of the last flush, if there was one. */
  lastReport(): RunReport | undefined {
    return this.costs.lastReport(this.#memory.peakBytes);
  }

  get #rounds() {
    return { store: this.store!, memory: this.#memory, roundBytes: this.options.roundBytes };
  }

  /** Collective. The root opens the database and begins the run. */
  async #hello(failure: BraidError | undefined): Promise<Welcome> {
    let spool = '';
    let anchor = '';
    try {
      if (!failure) {
        spool = spoolDirectory(this.path, this.options.spoolDir);
        anchor = anchorOf(spool);
      }
    } catch (error) {
      failure = error as BraidError;
    }
    const hello: Hello = { path: this.path, host, spool, anchor };
    const text = await this.collective(
      'open',
      () => ({ frames: [], recorded: 0, text: JSON.stringify(hello), failure }),
      (gathering) => this.#leadOpen(gathering),
    );
    this.#database = this.channel.nextDatabase();
    return JSON.parse(text) as Welcome;
  }

  *#leadOpen(gathering: Gathering): Steps<string> {
    const hellos = (yield* gathering.texts()).map((text) => JSON.parse(text) as Hello);
    checkOff(hellos);
    checkPaths(hellos);
    this.store = new StoreClient();
    const { path, options } = this;
    const { uuid } = yield* wait(this.store.open({ path, busyMs: options.busyMs }));
    const named = yield* wait(this.store.call('nextAttempt', options.resume));
    // The root's spool is there, and locked, before the run can be seen: who finds the run finds that it lives.
    this.spool = this.#makeSpool(uuid, named.run, named.attempt, hellos[ROOT].spool);
    this.#begun = named;
    const context = captureContext(this.channel.description);
    const ranks = hellos.map(({ host, spool, anchor }) => ({ host, spool, anchor }));
    const sole = yield* this.#soleRun();
    const { name, searchIndexes } = options;
    const beginning = this.store.call('beginRun', { ...named, name, context, ranks, sole, searchIndexes });
    // Asked before the hosts are: a run that begins meanwhile has no spool that they could have seen.
    const listing = this.store.call('openAttempts');
    const begun = yield* wait(beginning);
    this.costs.begin();
    faultPoint('open.run');
    this.#open = yield* wait(listing);
    const hosts = hellos.map((hello) => hello.host);
    const scans = scansOf(hosts, this.#open);
    return JSON.stringify({ database: uuid, ...begun, scans } satisfies Welcome);
  }

  /** On a file system of which other hosts write, too, there is one run at a time; here which of those there are is over. */
  *#soleRun(): Steps<RunInit['sole']> {
    const { local, name: fileSystem } = fileSystemOf(this.path);
    if (local) return undefined;
    const open = yield* wait(this.store!.call('openAttempts'));
    // Who resumes a run says that its attempts before are over, also where they can't be asked.
    const isOver = (attempt: OpenAttempt) => attempt.run === this.options.resume || rootHasEnded(attempt);
    const over = open.filter(isOver).map(({ run, attempt }) => `${run}.${attempt}`);
    return { fileSystem, over };
  }

  /** Collective. Every rank makes its spool, and one on each host looks for what others have left there. */
  async #begin({ database, run, attempt, base, count, scans }: Welcome): Promise<void> {
    const { rank, size } = this.channel;
    let failure: Error | undefined;
    let leftovers: Leftovers | undefined;
    try {
      const directory = spoolDirectory(this.path, this.options.spoolDir);
      this.spool ??= this.#makeSpool(database, run, attempt, directory);
      const { rank: scanner, places, directories } = scans[host];
      if (scanner === rank) {
        leftovers = new Leftovers({
          directories: leftoverDirectories(this.path, [directory, ...directories]),
          places,
          path: this.path,
          database,
          asked: Object.keys(scans),
          except: `${run}.${attempt}.`,
        });
      }
    } catch (error) {
      failure = error as Error;
    }
    try {
      const reports = leftovers?.reports.filter(({ alone }) => alone !== 'other-database') ?? [];
      const text = await this.collective(
        'begin',
        () => ({ frames: [], recorded: 0, text: JSON.stringify(reports), failure }),
        (gathering) => this.#leadBegin(gathering, { run, attempt }, Object.keys(scans)),
      );
      faultPoint('open.begun');
      this.recorder = new Recorder({ run, attempt, rank, size }, { base, count }, this.spool, this.#describe);
      if (text !== '') await this.#recover(JSON.parse(text) as DeadAttempt[], leftovers);
    } catch (error) {
      await this.#endRun(run, attempt, error as BraidError);
      throw error;
    } finally {
      leftovers?.release();
    }
  }

  *#leadBegin(gathering: Gathering, own: { run: string; attempt: number }, hosts: string[]): Steps<string> {
    const reports = (yield* gathering.texts()).flatMap((text) => JSON.parse(text) as SpoolReport[]);
    this.#checkResumable(reports, own);
    const found = deadAttempts(reports, { hosts, open: this.#open, except: own });
    const dead = yield* knownAttempts(this.store!, found);
    for (const { file, why } of oncePerFile(reports).filter(({ alone }) => alone && !SILENT.has(alone))) {
      process.stderr.write(`braid-mpi: ${file} is left for the next open, or braid recover: ${why}\n`);
    }
    return dead.length === 0 ? '' : JSON.stringify(dead);
  }

  /**
   * Collective. Commits the frames of dead attempts, from whichever hosts they are on, an attempt at a time. What stands in
   * the way of one is not in the way of the others, nor of this run: it is said, and the spools stay.
   */
  async #recover(attempts: readonly DeadAttempt[], leftovers: Leftovers | undefined): Promise<void> {
    for (const dead of attempts) {
      const of = `attempt ${dead.attempt} of run ${dead.run}`;
      const files = leftovers ? recoverable(dead, leftovers) : [];
      try {
        const text = await this.collective(
          'recover',
          () => ({ frames: leftovers?.frames(files) ?? [], recorded: 0 }),
          (gathering) => this.#leadRecover(gathering, dead),
        );
        const { lost } = JSON.parse(text) as Recovered;
        for (const file of leftovers?.finish(dead.spools, lost) ?? []) {
          process.stderr.write(
            `braid-mpi: not all that ${of} has left could be brought in: braid verify lists what is lost; ${file} is kept\n`,
          );
        }
      } catch (error) {
        if (!this.isRoot) continue;
        process.stderr.write(
          `braid-mpi: what ${of} has left could not be brought in: ${(error as Error).message}\n` +
            `braid-mpi: its spools stay; see braid recover ${this.path}\n`,
        );
      }
    }
  }

  *#leadRecover(gathering: Gathering, dead: DeadAttempt): Steps<string> {
    return JSON.stringify(yield* leadRecovery(gathering, this.#rounds, dead));
  }

  #makeSpool(database: string, run: string, attempt: number, directory: string): Spool {
    const { rank, size } = this.channel;
    const { spoolLimitBytes: limitBytes, durability } = this.options;
    const created = Date.now() * 1000;
    const owner = {
      database,
      path: this.path,
      run,
      attempt,
      rank,
      size,
      host,
      boot: bootId(),
      pid: process.pid,
      created,
    };
    return new Spool(directory, owner, { limitBytes, durable: durability === 'node' });
  }

  /** A run that lives is somebody's: two attempts at once would be two runs under one name. */
  #checkResumable(reports: readonly SpoolReport[], own: { run: string; attempt: number }): void {
    // Of two that come to resume it at once, the first goes on. A lock says that a rank lives, or that its spool is being
    // recovered; whose it is can't be told where its process isn't to be seen.
    const held = reports.filter(
      ({ alone, run, attempt }) => (alone === 'alive' || alone === 'busy') && run === own.run && attempt! < own.attempt,
    );
    if (held.length === 0) return;
    const hosts = [...new Set(held.map(({ host }) => host))].join(', ');
    const what = held.some(({ alone }) => alone === 'alive')
      ? 'still lives'
      : 'lives, or is being recovered or examined,';
    throw new BraidError(
      'ERR_BRAID_RUN_ALIVE',
      `run ${own.run} can't be resumed: its attempt ${held[0].attempt} ${what} on ${hosts}. ` +
        'Wait until it has ended, or end it',
    );
  }

  /** A run that couldn't begin has failed; nothing was recorded in it. */
  async #endRun(run: string, attempt: number, { code }: BraidError): Promise<void> {
    try {
      // What was not to be an attempt of the run at all must not change what is said of it.
      if (code === 'ERR_BRAID_RUN_ALIVE') await this.store?.call('dropAttempt', run, attempt);
      else {
        await this.store?.call('endAttempt', run, attempt, 'FAILED');
        await this.store?.call('settle', run, attempt, 'all');
      }
      await this.store?.call('close');
    } catch {
      // The error that is on its way says more.
    }
  }
}

/** A rank that records nothing takes part in no flush, so that others would wait for it. */
function checkOff(hellos: readonly Hello[]): void {
  const ranks = hellos.map((_, rank) => rank);
  const off = ranks.filter((rank) => hellos[rank].off);
  if (off.length === 0 || off.length === ranks.length) return;
  throw new BraidError(
    'ERR_BRAID_COLLECTIVE_MISMATCH',
    `BRAID=off is set on ${ranksText(off)}, and not on ${ranksText(ranks.filter((rank) => !hellos[rank].off))}: ` +
      'set it for all ranks, or for none',
  );
}

/** Said once: the frames are listed, and no flush will bring them. */
function lossOf(refused: readonly RefusedFrame[]): BraidError {
  const which = refused.slice(0, 8).map(({ rank, frame, reason }) => `frame ${frame} of rank ${rank} (${reason})`);
  if (refused.length > which.length) which.push(`and ${refused.length - which.length} more`);
  return new BraidError(
    'ERR_BRAID_FRAME_LOST',
    `the memory or the file of a spool is damaged: ${which.join(', ')} could not be committed, and what was recorded in it ` +
      'is lost; all else is committed. The run can go on, and braid verify lists the loss',
  );
}
