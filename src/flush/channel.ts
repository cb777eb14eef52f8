import type { RecorderCommunicator } from '../comm/communicator.js';
import { progress } from '../comm/progress.js';
import { Request } from '../comm/request.js';
import { BraidError, type BraidErrorCode } from '../errors.js';
import { faultPoint } from '../fault.js';
import { drive, wait, type Steps } from './drive.js';
import { Gathering, frameSizes, promised, textOf, type Contribution } from './gathering.js';
import { sendEarly, takeEarly } from './early.js';
import {
  HEADER_BYTES,
  HEADER_TAG,
  ORDER_BYTES,
  ORDER_TAG,
  ROOT,
  TEXT_TAG,
  isInline,
  readHeader,
  readOrder,
  writeHeader,
  writeOrder,
  type CollectiveKind,
  type Header,
  type OrderFor,
} from './messages.js';
import type { Patience } from '../options.js';
import { NO_COSTS } from '../run-report.js';
import { objectionTo } from './objection.js';
import { WaitWatch } from './patience.js';
import { anyText, callOf, endedBefore, ranksText } from './words.js';

/** Where the root has something of its own to do before its first order, it tells the others that all have come. */
const WORKS_FIRST: readonly CollectiveKind[] = ['recover', 'onRoot', 'close'];

/** How much later than the root, which knows who is missing, the others end the job. */
const GRACE_MS = 1000;

const THE_ROOT = Int32Array.of(ROOT);
const NONE: readonly number[] = [];

/** One collective, as a rank calls it. */
export interface Collective {
  readonly kind: CollectiveKind;
  readonly database: number;
  readonly patience: Patience;
  /** What this rank brings; asked for when its turn comes. */
  readonly contribute: () => Contribution;
  /** What the root does with what came; gives the text that every rank gets. */
  readonly lead: (gathering: Gathering) => Steps<string>;
  /** The same where no rank brings anything, if that takes no waiting. */
  readonly leadIdle?: (headers: readonly Header[]) => string;
}

/** How a collective ended, the same on every rank but for `committed`, which is about this rank's frames. */
export interface Verdict {
  readonly text: string;
  readonly committed: number;
  readonly error?: Error;
}

/** The text of a verdict; throws its error. */
export function verdictText({ text, error }: Verdict): string {
  if (error) throw error;
  return text;
}

/**
 * The collectives of the recorder over one communicator: one at a time, in the order of the calls.
 *
 * Each begins with a fixed message of every rank to the root and ends with a verdict to all, point to point, so that
 * ranks that call different things, fail, or leave get the same error instead of waiting for ever; MPI's own collectives
 * run only in between, when the root knows that everybody has come for the same thing.
 */
export class Channel {
  readonly #comm: RecorderCommunicator;
  readonly #others: Int32Array;
  readonly #watch: WaitWatch;
  /** Ranks that have told that they go; of the others only the root tells them. */
  readonly #left = new Set<number>();
  readonly #queue: (() => void)[] = [];
  /** What is under way. */
  #current: CollectiveKind | undefined;
  #ordinal = 0;
  #databases = 0;

  /** @param description of the communicator, for the run's context; undefined of a single process. */
  constructor(
    comm: RecorderCommunicator,
    readonly description?: object,
  ) {
    this.#comm = comm;
    this.#watch = new WaitWatch(comm);
    this.#others = Int32Array.from(
      Array.from({ length: comm.size }, (_, rank) => rank).filter((rank) => rank !== ROOT),
    );
  }

  get rank(): number {
    return this.#comm.rank;
  }

  get size(): number {
    return this.#comm.size;
  }

  /** Numbers the databases that are open over this channel: all ranks open them together, in the same order. */
  nextDatabase(): number {
    return ++this.#databases;
  }

  /** Takes part in a collective when those called before have ended. Always resolves; the verdict may hold an error. */
  run(collective: Collective): Request<Verdict> {
    const result = new Request<Verdict>();
    this.#queue.push(() => {
      faultPoint('flush.come');
      this.#current = collective.kind;
      const verdict = drive(this.rank === ROOT ? this.#lead(collective) : this.#follow(collective));
      verdict.onDone(() => {
        this.#current = undefined;
        if (verdict.error) result.resolve({ text: '', committed: 0, error: verdict.error });
        else result.resolve(verdict.value);
        this.#next();
      });
    });
    this.#next();
    return result;
  }

  /**
   * Tells the others that this process goes away without them, so that their next collective is an error and not a wait.
   * May be called from an exit handler: it needs no event loop.
   *
   * The root counts on a rank that has come to a collective, so that rank goes through with it first; where it can't
   * within `waitMs`, it ends the job. A root may go at once: the others are told in place of its next order.
   */
  leave(waitMs: number): void {
    this.#queue.length = 0;
    if (this.size === 1 || this.#left.has(this.rank)) return;
    this.#left.add(this.rank);
    if (this.rank === ROOT) {
      this.#order(this.#present(), () => ({ order: 'left' }));
      return;
    }
    if (this.#current) this.#finish(this.#current, waitMs);
    if (this.#left.has(ROOT)) return;
    const header = writeHeader(this.#header('left', 0, { frames: [], recorded: 0 }));
    this.#comm.isendEach(header, HEADER_BYTES, THE_ROOT, HEADER_TAG);
  }

  /**
   * The end of a rank that has nothing open: the others may open something yet, which then is an error and not a wait. It
   * has to be driven without the event loop, and is done at once except on the root, which waits until each of the others
   * ends or calls something. A job that ends well leaves no message behind by that.
   */
  end(): Request {
    if (this.#left.has(this.rank)) return Request.completed();
    if (this.rank === ROOT && !this.#current) return drive(this.#dismiss());
    this.leave(0);
    return Request.completed();
  }

  *#dismiss(): Steps<void> {
    this.#left.add(ROOT);
    const present = this.#present();
    const ends = Array.from(present, (rank) => drive(this.#answer(rank)));
    for (const end of ends) yield* wait(end);
  }

  *#answer(rank: number): Steps<void> {
    const message = Buffer.alloc(HEADER_BYTES);
    yield* wait(this.#comm.irecvEach(message, HEADER_BYTES, Int32Array.of(rank), HEADER_TAG));
    const header = readHeader(message, 0);
    if (header.kind === 'left') return;
    const headers: Header[] = [];
    headers[rank] = header;
    yield* takeEarly(this.#comm, headers, (request) => request);
    yield* wait(this.#order(Int32Array.of(rank), () => ({ order: 'left' })));
  }

  #finish(kind: CollectiveKind, waitMs: number): void {
    const pause = new Int32Array(new SharedArrayBuffer(4));
    const end = performance.now() + waitMs;
    for (;;) {
      progress.poke();
      if (!this.#current) return;
      if (performance.now() >= end) break;
      // Ranks often share a core with those they wait for.
      Atomics.wait(pause, 0, 0, 1);
    }
    process.stderr.write(
      `braid-mpi: rank ${this.rank} ends the job: it exits while its ${callOf(kind)} is under way, which the other ranks did not ` +
        `complete within ${waitMs} ms. Await it before the process ends\n`,
    );
    this.abort(1);
  }

  abort(exitCode: number): never {
    return this.#comm.abort(exitCode);
  }

  #next(): void {
    if (!this.#current) this.#queue.shift()?.();
  }

  #header(kind: CollectiveKind, database: number, contribution: Contribution): Header {
    const frames = contribution.failure ? [] : contribution.frames;
    return {
      kind,
      ordinal: this.#ordinal,
      database,
      failed: contribution.failure !== undefined,
      textBytes: Buffer.byteLength(textOf(contribution)),
      frames: frames.length,
      bytes: frames.reduce((sum, { size }) => sum + size, 0),
      recorded: contribution.recorded,
      costs: contribution.costs ?? NO_COSTS,
    };
  }

  #present(): Int32Array {
    if (this.#left.size === 0) return this.#others;
    return this.#others.filter((rank) => !this.#left.has(rank));
  }

  #order(ranks: Int32Array, orderFor: OrderFor): Request {
    const orders = Buffer.alloc(ranks.length * ORDER_BYTES);
    ranks.forEach((rank, i) => writeOrder(orders, i * ORDER_BYTES, orderFor(rank)));
    return this.#comm.isendEach(orders, ORDER_BYTES, ranks, ORDER_TAG);
  }

  *#lead(collective: Collective): Steps<Verdict> {
    this.#ordinal++;
    const { kind, database } = collective;
    const own = contributionOf(collective);
    const present = this.#present();
    const messages = Buffer.allocUnsafe(present.length * HEADER_BYTES);
    const request = this.#comm.irecvEach(messages, HEADER_BYTES, present, HEADER_TAG);
    const ownHeader = this.#header(kind, database, own);
    yield this.#patiently(request, collective, () => ranksText(request.pending().map((i) => present[i])), 'come to');

    const headers: (Header | undefined)[] = Array.from({ length: this.size });
    headers[ROOT] = ownHeader;
    present.forEach((rank, i) => {
      const header = readHeader(messages, i * HEADER_BYTES);
      headers[rank] = header;
      if (header.kind === 'left') this.#left.add(rank);
    });

    // Who is slow to join what was ordered can't be told: it may be any of them.
    const patiently = (request: Request) => this.#patiently(request, collective, () => anyText([...this.#present()]));
    const early = yield* takeEarly(this.#comm, headers, patiently);
    const sends: Request[] = [];
    let gathering: Gathering | undefined;
    let text = '';
    let error: Error | undefined;
    try {
      const objection = objectionTo(headers, this.#left);
      if (objection) throw objection;
      const all = headers as Header[];
      if (collective.leadIdle && all.every(bringsNothing)) text = collective.leadIdle(all);
      else {
        const give = (orderFor: OrderFor) => void sends.push(this.#order(this.#others, orderFor));
        gathering = new Gathering(this.#comm, { own, headers: all, early, order: give, patiently });
        const failed = all.findIndex((header) => header.failed);
        if (failed >= 0) throw own.failure ?? failureOf(failed, (yield* gathering.texts())[failed]);
        if (WORKS_FIRST.includes(kind)) give(() => ({ order: 'wait' }));
        text = yield* collective.lead(gathering);
      }
    } catch (caught) {
      error = caught as Error;
      text = textOf({ frames: [], recorded: 0, failure: error });
    }
    const committed = gathering?.committed ?? NONE;
    faultPoint('flush.verdict');
    for (const told of this.#pronounce(text, error !== undefined, committed)) yield patiently(told);
    for (const send of sends) yield send;
    faultPoint('flush.pronounced');
    return { text, committed: committed[ROOT] ?? 0, error };
  }

  /** Sends the verdict to all who are still there: what is on its way by that. */
  #pronounce(text: string, failed: boolean, committed: readonly number[]): Request[] {
    const present = this.#present();
    if (present.length === 0) return [];
    const bytes = Buffer.from(text);
    const byMessage = this.#left.size > 0;
    const inline = isInline(bytes.length) ? bytes : undefined;
    const order = this.#order(present, (rank) => ({
      order: 'verdict',
      frames: committed[rank] ?? 0,
      textBytes: bytes.length,
      inline,
      byMessage,
      failed,
    }));
    if (inline) return [order];
    if (!byMessage) return [order, this.#comm.ibcast(bytes, ROOT)];
    const copies = Buffer.concat(Array.from(present, () => bytes));
    return [order, this.#comm.isendEach(copies, bytes.length, present, TEXT_TAG)];
  }

  *#follow(collective: Collective): Steps<Verdict> {
    this.#ordinal++;
    const { kind, database } = collective;
    // It has told us once, and will not answer.
    if (this.#left.has(ROOT)) throw this.#rootLeft(kind);
    const own = contributionOf(collective);
    const header = this.#header(kind, database, own);
    const come = this.#comm.isendEach(writeHeader(header), HEADER_BYTES, THE_ROOT, HEADER_TAG);
    const early = sendEarly(this.#comm, header, own.frames);
    const message = Buffer.allocUnsafe(ORDER_BYTES);
    const who = () => ranksText([ROOT]);
    // The first order follows when all have come: if it doesn't, somebody hasn't. From then on only the root ends the job:
    // a root that commits for long and one that is stuck are the same, seen from here.
    const first = (request: Request) =>
      this.#patiently(request, collective, () => `${who()} or a rank that it waits for`, 'come to', GRACE_MS);
    const { stallMs } = collective.patience;
    const patiently = (request: Request) => this.#patiently(request, { kind, patience: { stallMs } }, who);
    const give = (bytes: Buffer) => {
      const request = this.#comm.igatherv(bytes, ROOT, null, null, null);
      // The root takes those of the others meanwhile.
      progress.attend(request, bytes.length * this.size);
      return patiently(request);
    };
    let ordered = first;
    let sent = 0;
    for (;;) {
      yield ordered(this.#comm.irecvEach(message, ORDER_BYTES, THE_ROOT, ORDER_TAG));
      ordered = patiently;
      const order = readOrder(message);
      switch (order.order) {
        case 'text':
          yield give(Buffer.from(textOf(own)));
          break;
        case 'sizes':
          yield give(frameSizes(own.frames));
          break;
        case 'send':
          faultPoint('flush.send');
          yield give(promised(own.frames, sent, order.frames));
          sent += order.frames;
          break;
        case 'verdict': {
          const bytes = order.inline ?? Buffer.alloc(order.textBytes);
          if (!order.inline) {
            yield patiently(
              order.byMessage
                ? this.#comm.irecvEach(bytes, bytes.length, THE_ROOT, TEXT_TAG)
                : this.#comm.ibcast(bytes, ROOT),
            );
          }
          yield come;
          if (early) yield early;
          faultPoint('flush.told');
          const text = bytes.toString();
          return { text, committed: order.frames, error: order.failed ? errorOf(text) : undefined };
        }
        case 'wait':
          break;
        case 'left':
          this.#left.add(ROOT);
          throw this.#rootLeft(kind);
      }
    }
  }

  #rootLeft(kind: CollectiveKind): BraidError {
    return new BraidError(
      'ERR_BRAID_RANK_LEFT',
      `rank ${ROOT}, which owns the database, ${endedBefore(kind)} while rank ${this.rank} called ${callOf(kind)}: ` +
        'what is recorded stays in the spool until the next open, or braid recover',
    );
  }

  /** For what other ranks must do: as long as it takes long says so, and ends the job when it may and must. */
  #patiently(
    request: Request,
    { kind, patience }: Pick<Collective, 'kind' | 'patience'>,
    missing: () => string,
    toDo = 'go on with',
    graceMs = 0,
  ): Request {
    // A communicator of one completes at once, and so do short messages to ranks that are there.
    if (request.test()) return request;
    const said = {
      stalled: () => `in ${callOf(kind)} for ${missing()}`,
      ended: () => `${missing()} did not ${toDo} ${callOf(kind)}`,
    };
    this.#watch.begin(patience, said, graceMs);
    request.onDone(() => this.#watch.end());
    return request;
  }
}

function bringsNothing({ frames, failed }: Header): boolean {
  return frames === 0 && !failed;
}

/** What a rank brings. One that can't say what takes its place all the same, with the reason why. */
function contributionOf({ contribute }: Collective): Contribution {
  try {
    return contribute();
  } catch (error) {
    return { frames: [], recorded: 0, failure: error as Error };
  }
}

function failureOf(rank: number, text: string): BraidError {
  const { code, message } = errorOf(text);
  return new BraidError(code, `rank ${rank}: ${message}`);
}

function errorOf(text: string): BraidError {
  const { code, message } = JSON.parse(text) as { code: BraidErrorCode; message: string };
  return new BraidError(code, message);
}
