import { resolve } from 'node:path';
import { channelOf } from './channels.js';
import { exitWaitMs } from './comm/mpi-runtime.js';
import type { Request } from './comm/request.js';
import { selectCommunicator } from './comm/select.js';
import { BraidError } from './errors.js';
import { jsonText } from './json-text.js';
import { sayEnd, unwatchExit, watchExit, type ExitAware } from './exit.js';
import { faultPoint } from './fault.js';
import { verdictText, type Verdict } from './flush/channel.js';
import type { Steps } from './flush/drive.js';
import { ROOT } from './flush/messages.js';
import { parseOptions, type OpenOptions, type ParsedOptions } from './options.js';
import { BraidReader } from './query/reader.js';
import { BraidFact } from './record/fact.js';
import { BraidData } from './record/data.js';
import { BraidModel } from './record/model.js';
import { BraidRecord, Existing } from './record/record.js';
import { RECORDER, type HasRecorder, type Recorder } from './record/recorder.js';
import { RecordReference } from './record/reference.js';
import { BraidVersion } from './record/version.js';
import { LAST_WORDS_MS, Session } from './session.js';
import type { CommitTotals } from './store/commit.js';
import { AskedPromise } from './waiting.js';

/** What one flush brought into the database, from all ranks together. */
export interface FlushResult {
  records: number;
  ops: number;
  bytes: number;
  /** Wall time on the root, from the call to the verdict. */
  ms: number;
}

/**
 * A database that this process records into, alone or together with the other ranks of its job.
 *
 * What is marked Collective must be called by all ranks, in the same order. Everything else concerns this rank only.
 */
export class BraidDB implements HasRecorder {
  readonly #session: Session;
  readonly #exit: ExitAware;
  #reader: BraidReader | undefined;
  #closing: Promise<void> | undefined;
  /** The collective by which it is being closed. */
  #ending: Request<Verdict> | undefined;
  /** The function of an `onRoot` runs: what was stored before it is committed, and no collective can begin. */
  #answering = false;

  private constructor(session: Session) {
    this.#session = session;
    this.#exit = {
      signals: session.options.signals,
      killed: (signal, number) => this.#killed(signal, number),
      unclosed: (code) => this.#unclosed(code),
    };
    session.describe = (id) => this.#describe(id);
    if (session.spool) watchExit(this.#exit);
  }

  /**
   * Collective. Opens a database, making it if there is none, and begins a run in it. What earlier runs have left in
   * spools on these machines is brought in first.
   *
   * @param path of the SQLite file, the same on every rank. Only the root (rank 0) opens it.
   * @throws BraidError ERR_BRAID_OPTION_INVALID, ERR_BRAID_TEXT_INVALID, ERR_BRAID_PATH_INVALID, ERR_BRAID_PATH_MISMATCH, ERR_BRAID_DB_…, ERR_BRAID_SPOOL_…, ERR_BRAID_MPI_…, ERR_BRAID_COLLECTIVE_MISMATCH, ERR_BRAID_NO_SUCH_RUN, ERR_BRAID_RUN_ALIVE, ERR_BRAID_WRONG_THREAD; the same on every rank
   */
  static async open(path: string, options?: OpenOptions): Promise<BraidDB> {
    const off = process.env.BRAID === 'off';
    let parsed: ParsedOptions | undefined;
    let failure: BraidError | undefined;
    try {
      parsed = parseOptions(options);
      checkPath(path);
    } catch (error) {
      failure = error as BraidError;
    }
    parsed ??= whichRanks(options);
    const { comm, description } = await selectCommunicator(parsed.mpi, parsed, parsed.comm);
    const channel = await channelOf(comm, description, parsed);
    const session = new Session(failure ? '' : resolve(path), channel, parsed);
    await (off ? session.openOff(failure) : openWatched(session, failure));
    return new BraidDB(session);
  }

  /** @internal What records made with this database need of it. */
  get [RECORDER](): Recorder {
    return this.#session.recorder;
  }

  get rank(): number {
    return this.#session.channel.rank;
  }

  /** Ranks. */
  get size(): number {
    return this.#session.channel.size;
  }

  /** Whether this is the rank that owns the database. */
  get isRoot(): boolean {
    return this.#session.isRoot;
  }

  /** 32 hex digits; all zero with `BRAID=off`. */
  get runId(): string {
    return this.#session.recorder.identity.run;
  }

  /** Absolute. */
  get path(): string {
    return this.#session.path;
  }

  /**
   * Collective. Commits all that is stored so far, on every rank. May be awaited late: recording goes on meanwhile, and
   * what is recorded after the call is for the next flush.
   *
   * @returns what it committed, of all ranks together.
   * @throws BraidError ERR_BRAID_REENTERED on the rank that is in a recording call; ERR_BRAID_CLOSED, ERR_BRAID_DB_…, ERR_BRAID_COLLECTIVE_MISMATCH, ERR_BRAID_RANK_LEFT; the same on every rank. Nothing is lost: the next flush commits what this one didn't
   */
  flush(): Promise<FlushResult> {
    let verdict: Request<Verdict> | undefined;
    const result = new AskedPromise<FlushResult>((resolve, reject) => {
      this.#assertOpen();
      // With BRAID=off.
      if (!this.#session.spool) return resolve(nothingFlushed());
      const request = this.#session.startFlush('flush', flushed(performance.now()));
      verdict = request;
      request.onDone(() => {
        const { text, error } = request.value;
        if (error) reject(error);
        else resolve(text === '' ? nothingFlushed() : (JSON.parse(text) as FlushResult));
      });
    });
    result.onAsked = () => {
      if (!verdict) return;
      this.#session.costs.blocks(verdict);
      verdict.linger();
    };
    return result;
  }

  /**
   * Collective. Commits all that is stored, ends the run as COMPLETED, and closes the database. Calling it again is no error.
   *
   * @throws BraidError as `flush`; the database then is still open, and `close` can be called again
   */
  close(): Promise<void> {
    this.#closing ??= this.#close().catch((error: unknown) => {
      this.#closing = undefined;
      throw error;
    });
    return this.#closing;
  }

  /**
   * Collective. Gives every rank a handle on the root's record, of the same class, or on its version of a model: ranks
   * that are given a version have seen it, and what they derive from the model is derived from that.
   *
   * @param value the root's; what other ranks pass is ignored, so they pass null.
   * @throws BraidError ERR_BRAID_SHARE_INVALID, ERR_BRAID_CLOSED, ERR_BRAID_COLLECTIVE_MISMATCH, ERR_BRAID_RANK_LEFT; the same on every rank
   */
  async share<T extends BraidRecord | BraidVersion>(value: T | null): Promise<T> {
    this.#assertOpen();
    const recorder = this.#session.recorder;
    const failure = this.isRoot ? this.#shareFailure(value) : undefined;
    const text = await this.#session.collective(
      'share',
      () => ({ frames: [], recorded: 0, failure }),
      function* (): Steps<string> {
        return JSON.stringify(shareable(value!));
      },
    );
    const shared = JSON.parse(text) as Shared;
    if ('key' in shared) {
      const version = BraidVersion.parse(recorder, shared.key);
      recorder.seen.set(version.model, version.versionName);
      return (this.isRoot ? value : version) as T;
    }
    if (this.isRoot) return value as T;
    const Class = CLASSES[shared.kind];
    return new Class(this, new Existing(shared.id, shared.name, shared.time)) as BraidRecord as T;
  }

  /**
   * Collective. Flushes, runs `fn` on the root with a reader of the database, and gives every rank what it returns, by
   * way of JSON (bigints become decimal strings).
   *
   * @param fn synchronous; called on the root only.
   * @throws BraidError as `flush`; ERR_BRAID_ON_ROOT with the message of what `fn` threw
   */
  async onRoot<T>(fn: (reader: BraidReader) => T): Promise<T> {
    this.#assertOpen();
    const answer = () => {
      this.#answering = true;
      try {
        return toJson(fn(this.#openReader()));
      } catch (cause) {
        if (cause instanceof BraidError) throw cause;
        throw new BraidError(
          'ERR_BRAID_ON_ROOT',
          `the function given to onRoot() threw: ${(cause as Error)?.message}`,
          { cause },
        );
      } finally {
        this.#answering = false;
      }
    };
    const verdict = this.#session.startFlush('onRoot', function* () {
      return answer();
    });
    this.#session.costs.blocks(verdict);
    const text = verdictText(await verdict);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /**
   * A handle on a record that was made elsewhere, of whatever kind.
   *
   * @throws BraidError ERR_BRAID_ID_INVALID
   */
  ref(id: number): BraidRecord {
    return new RecordReference(this, new Existing(id));
  }

  /**
   * The version that a key names.
   *
   * @throws BraidError ERR_BRAID_VERSION_INVALID
   */
  version(key: string): BraidVersion {
    return BraidVersion.parse(this.#session.recorder, key);
  }

  /**
   * Reads the database. In one process every read first commits what is pending, so it sees the program's own writes. Of a
   * job's ranks only the root can read: what the last verdict covered (a round of a flush under way may show before its
   * verdict).
   *
   * @throws BraidError ERR_BRAID_NOT_ON_ROOT, ERR_BRAID_CLOSED
   */
  get reader(): BraidReader {
    this.#assertOpen();
    if (!this.isRoot) {
      throw new BraidError(
        'ERR_BRAID_NOT_ON_ROOT',
        `rank ${this.rank} can't read: the database is open on rank ${ROOT} only. Use await db.onRoot((reader) => …) on all ranks`,
      );
    }
    return this.#openReader();
  }

  #openReader(): BraidReader {
    if (!this.#session.spool) return (this.#reader ??= BraidReader.empty());
    const alone = this.size === 1;
    return (this.#reader ??= BraidReader.open(this.path, alone ? { before: () => this.#flushNow() } : {}));
  }

  /** Commits what is pending without returning to the event loop. Only of a process that is alone. */
  #flushNow(limitMs?: number): void {
    const { spool, store } = this.#session;
    if (!spool?.dirty || this.#answering) return;
    const verdict = this.#session.startFlush('flush', flushed(performance.now()));
    this.#session.costs.blocks(verdict);
    store!.waitFor(verdict, limitMs);
    if (verdict.done) verdictText(verdict.value);
  }

  async #close(): Promise<void> {
    const { recorder, spool } = this.#session;
    recorder.closed = true;
    if (!spool) {
      this.#reader?.close();
      return;
    }
    try {
      this.#ending = this.#session.startClose(() => this.#closeReader());
      verdictText(await this.#ending);
    } catch (error) {
      recorder.closed = false;
      throw error;
    }
    faultPoint('close.told');
    spool.remove();
    unwatchExit(this.#exit);
    // The database is closed: nobody needs to wait for the end of the thread.
    void this.#session.store?.terminate();
  }

  /** An open reader would keep the database from becoming one file. */
  #closeReader(): void {
    this.#reader?.close();
    this.#reader = undefined;
  }

  #assertOpen(): void {
    this.#session.recorder.assertOpen();
  }

  #describe(id: number): { name: string; time: Date } {
    const row = this.reader.record(id);
    if (!row) throw new BraidError('ERR_BRAID_NO_SUCH_RECORD', `the database has no record ${id} (yet)`);
    return row;
  }

  #shareFailure(value: unknown): BraidError | undefined {
    const recorder = this.#session.recorder;
    if ((value instanceof BraidRecord || value instanceof BraidVersion) && value.recorder === recorder)
      return undefined;
    return new BraidError(
      'ERR_BRAID_SHARE_INVALID',
      'share() needs a record of this database, or a version, from the root: db.share(db.isRoot ? new BraidFact(db, …) : null)',
    );
  }

  #killed(signal: string, number: number): void {
    const { spool, store, channel, recorder } = this.#session;
    recorder.closed = true;
    spool!.mark('signal', number);
    store?.hurry();
    const { run, attempt } = recorder.identity;
    try {
      if (channel.size === 1 && this.#ending) {
        // One process is as good as closed: nobody else can be in its way.
        store!.waitFor(this.#ending, LAST_WORDS_MS);
        if (this.#ending.done && !this.#ending.value.error) return spool!.remove();
      }
      if (channel.size === 1) this.#flushNow(LAST_WORDS_MS);
      if (store) {
        const ended = store.call('endAttempt', run, attempt, 'KILLED', undefined, this.#session.lastReport());
        store.waitFor(ended, LAST_WORDS_MS);
        if (channel.size === 1 && ended.done && !ended.error && !spool!.dirty) {
          store.waitFor(store.call('settle', run, attempt, [0]), LAST_WORDS_MS);
          spool!.remove();
          store.waitFor(store.call('close'), LAST_WORDS_MS);
          return;
        }
      }
    } catch {
      // The spool has it all.
    }
    sayEnd(this.#session, `ended by ${signal} before close()`, this.isRoot);
  }

  #unclosed(code: number): void {
    const { spool, channel } = this.#session;
    if (code === 0) {
      spool!.mark('unclosed', 0);
      channel.leave(exitWaitMs());
      sayEnd(this.#session, 'ended without close()', this.isRoot);
    } else {
      spool!.mark('failed', code);
      sayEnd(this.#session, `ended with exit code ${code} before close()`, true);
    }
  }
}

const CLASSES = { fact: BraidFact, data: BraidData, model: BraidModel, record: RecordReference } as const;

type Shared = { kind: keyof typeof CLASSES; id: number; name?: string; time?: number } | { key: string };

function shareable(value: BraidRecord | BraidVersion): Shared {
  if (value instanceof BraidVersion) return { key: value.key };
  return { kind: value.kind, id: value.id, ...value.known() };
}

function nothingFlushed(): FlushResult {
  return { records: 0, ops: 0, bytes: 0, ms: 0 };
}

/** What the root tells all ranks of a flush. */
function flushed(started: number): (totals: CommitTotals) => Steps<string> {
  return (totals) => tellFlushed(totals, started);
}

/** Not inside `flushed`: V8 gives each generator function a shape of its own, and learns anew how to run it. */
function* tellFlushed(totals: CommitTotals, started: number): Steps<string> {
  return totals.ops === 0 ? '' : JSON.stringify({ ...totals, ms: performance.now() - started } satisfies FlushResult);
}

function toJson(value: unknown): string {
  if (typeof (value as PromiseLike<unknown> | undefined)?.then === 'function') {
    throw new BraidError(
      'ERR_BRAID_ON_ROOT',
      'the function given to onRoot() must be synchronous, and returned a promise',
    );
  }
  return jsonText(value) ?? '';
}

/**
 * Of options that are wrong, those that say which ranks belong together, if they are right: a rank with a wrong option
 * takes its place among the others all the same, or they would wait for it.
 */
function whichRanks(options: OpenOptions | undefined): ParsedOptions {
  try {
    return parseOptions({ mpi: options?.mpi, comm: options?.comm }, {});
  } catch {
    return parseOptions({}, {});
  }
}

/** The others count on a rank that has begun to open. */
async function openWatched(session: Session, failure: BraidError | undefined): Promise<void> {
  const { channel, options } = session;
  const opening: ExitAware = {
    signals: options.signals,
    killed: (_, number) => session.killedWhileOpening(number),
    unclosed: (code) => code === 0 && channel.leave(exitWaitMs()),
  };
  watchExit(opening);
  try {
    await session.open(failure);
  } finally {
    unwatchExit(opening);
  }
}

function checkPath(path: unknown): void {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return;
  throw new BraidError('ERR_BRAID_PATH_INVALID', 'the path of the database must be a string that is not empty');
}
