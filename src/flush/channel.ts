import type { RecorderCommunicator } from '../comm/communicator.js';
import { Request } from '../comm/request.js';
import { BraidError, type BraidErrorCode } from '../errors.js';
import { drive, wait, type Steps } from './drive.js';
import { Gathering, contiguous, frameSizes, textOf, type Contribution } from './gathering.js';
import {
  HEADER_TAG,
  MESSAGE_BYTES,
  ORDER_TAG,
  TEXT_TAG,
  readHeader,
  readOrder,
  writeHeader,
  writeOrder,
  type CollectiveKind,
  type Header,
  type Order,
} from './messages.js';

/** The rank that owns the database. */
export const ROOT = 0;

/** How long to wait for ranks before saying so, and before ending the job. */
export interface Patience {
  readonly stallMs: number;
  readonly abortMs?: number;
}

/** One collective, as a rank calls it. */
export interface Collective {
  readonly kind: CollectiveKind;
  readonly database: number;
  readonly patience: Patience;
  /** What this rank brings; asked for when its turn comes. */
  readonly contribute: () => Contribution;
  /** What the root does with what came; gives the text that every rank gets. */
  readonly lead: (gathering: Gathering) => Steps<string>;
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
  readonly #left = new Set<number>();
  readonly #queue: (() => Request<unknown>)[] = [];
  #busy = false;
  #ordinal = 0;
  #databases = 0;

  /** @param description of the communicator, for the run's context; undefined of a single process. */
  constructor(
    comm: RecorderCommunicator,
    readonly description?: object,
  ) {
    this.#comm = comm;
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

  /** Numbers the databases that are opened over this channel: all ranks open in the same order. */
  nextDatabase(): number {
    return ++this.#databases;
  }

  /** Takes part in a collective when those called before have ended. Always resolves; the verdict may hold an error. */
  run(collective: Collective): Request<Verdict> {
    const result = new Request<Verdict>();
    this.#queue.push(() => {
      const verdict = drive(this.rank === ROOT ? this.#lead(collective) : this.#follow(collective));
      verdict.onDone(() => {
        this.#busy = false;
        if (verdict.error) result.resolve({ text: '', committed: 0, error: verdict.error });
        else result.resolve(verdict.value);
        this.#next();
      });
      return verdict;
    });
    this.#next();
    return result;
  }

  /**
   * Tells the others that this process goes away without them, so that their next collective is an error and not a wait.
   * Point to point and without waiting: it may be called from an exit handler.
   */
  leave(): void {
    if (this.size === 1) return;
    if (this.rank === ROOT) {
      this.#order(this.#present(), () => ({ order: 'left' }));
    } else {
      this.#comm.isendEach(
        this.#header('left', 0, { frames: [], recorded: 0 }),
        MESSAGE_BYTES,
        Int32Array.of(ROOT),
        HEADER_TAG,
      );
    }
  }

  abort(exitCode: number): never {
    return this.#comm.abort(exitCode);
  }

  #next(): void {
    if (this.#busy) return;
    const start = this.#queue.shift();
    if (!start) return;
    this.#busy = true;
    start();
  }

  #header(kind: CollectiveKind, database: number, contribution: Contribution): Buffer {
    const frames = contribution.failure ? [] : contribution.frames;
    return writeHeader({
      kind,
      ordinal: this.#ordinal,
      database,
      failed: contribution.failure !== undefined,
      textBytes: Buffer.byteLength(textOf(contribution)),
      frames: frames.length,
      bytes: frames.reduce((sum, { size }) => sum + size, 0),
      recorded: contribution.recorded,
      captureMs: contribution.captureMs ?? 0,
    });
  }

  #present(): Int32Array {
    return this.#others.filter((rank) => !this.#left.has(rank));
  }

  #order(ranks: Int32Array, orderFor: (rank: number) => Partial<Order> & Pick<Order, 'order'>): Request {
    const orders = Buffer.alloc(ranks.length * MESSAGE_BYTES);
    ranks.forEach((rank, i) => writeOrder(orders, i * MESSAGE_BYTES, orderFor(rank)));
    return this.#comm.isendEach(orders, MESSAGE_BYTES, ranks, ORDER_TAG);
  }

  *#lead({ kind, database, patience, contribute, lead }: Collective): Steps<Verdict> {
    this.#ordinal++;
    const own = contribute();
    const present = this.#present();
    const messages = Buffer.alloc(present.length * MESSAGE_BYTES);
    const request = this.#comm.irecvEach(messages, MESSAGE_BYTES, present, HEADER_TAG);
    const ownHeader = readHeader(this.#header(kind, database, own), 0);
    yield* this.#arrival(
      request,
      this.#watch(patience, kind, () => request.pending().map((i) => present[i])),
    );

    const headers: (Header | undefined)[] = Array.from({ length: this.size });
    headers[ROOT] = ownHeader;
    present.forEach((rank, i) => (headers[rank] = readHeader(messages, i * MESSAGE_BYTES)));
    present.forEach((rank) => {
      if (headers[rank]!.kind === 'left') this.#left.add(rank);
    });

    const sends: Request[] = [];
    let gathering: Gathering | undefined;
    let text = '';
    let error: Error | undefined;
    try {
      const objection = this.#objection(headers);
      if (objection) throw objection;
      gathering = new Gathering(this.#comm, own, headers as Header[], (orderFor) =>
        sends.push(this.#order(this.#others, orderFor)),
      );
      const failed = headers.findIndex((header) => header!.failed);
      if (failed >= 0) throw own.failure ?? failureOf(failed, (yield* gathering.texts())[failed]);
      text = yield* lead(gathering);
    } catch (caught) {
      error = caught as Error;
      text = textOf({ frames: [], recorded: 0, failure: error });
    }
    const { committed = [] } = gathering ?? {};
    yield* this.#pronounce(text, error !== undefined, committed);
    for (const send of sends) yield* wait(send);
    return { text, committed: committed[ROOT] ?? 0, error };
  }

  /** Sends the verdict to all who are still there. */
  *#pronounce(text: string, failed: boolean, committed: readonly number[]): Steps<void> {
    const present = this.#present();
    if (present.length === 0) return;
    const bytes = Buffer.from(text);
    const byMessage = this.#left.size > 0;
    const orders = this.#order(present, (rank) => ({
      order: 'verdict',
      frames: committed[rank] ?? 0,
      textBytes: bytes.length,
      byMessage,
      failed,
    }));
    if (bytes.length > 0) {
      if (byMessage) {
        const copies = Buffer.concat(Array.from(present, () => bytes));
        yield* wait(this.#comm.isendEach(copies, bytes.length, present, TEXT_TAG));
      } else {
        yield* wait(this.#comm.ibcast(bytes, ROOT));
      }
    }
    yield* wait(orders);
  }

  *#follow({ kind, database, patience, contribute }: Collective): Steps<Verdict> {
    this.#ordinal++;
    const own = contribute();
    const root = Int32Array.of(ROOT);
    const header = this.#comm.isendEach(this.#header(kind, database, own), MESSAGE_BYTES, root, HEADER_TAG);
    const message = Buffer.alloc(MESSAGE_BYTES);
    // Only the root ends the job: seen from here, a root that commits for long and one that never comes are the same.
    const patienceForRoot = { stallMs: patience.stallMs };
    let sent = 0;
    for (;;) {
      const request = this.#comm.irecvEach(message, MESSAGE_BYTES, root, ORDER_TAG);
      yield* this.#arrival(
        request,
        this.#watch(patienceForRoot, kind, () => [ROOT]),
      );
      const order = readOrder(message);
      switch (order.order) {
        case 'text':
          yield* wait(this.#comm.igatherv(Buffer.from(textOf(own)), ROOT, null, null, null));
          break;
        case 'sizes':
          yield* wait(this.#comm.igatherv(frameSizes(own.frames), ROOT, null, null, null));
          break;
        case 'send':
          yield* wait(this.#comm.igatherv(contiguous(own.frames, sent, order.frames), ROOT, null, null, null));
          sent += order.frames;
          break;
        case 'verdict': {
          const bytes = Buffer.alloc(order.textBytes);
          if (bytes.length > 0) {
            yield* wait(
              order.byMessage
                ? this.#comm.irecvEach(bytes, bytes.length, root, TEXT_TAG)
                : this.#comm.ibcast(bytes, ROOT),
            );
          }
          yield* wait(header);
          const text = bytes.toString();
          return { text, committed: order.frames, error: order.failed ? errorOf(text) : undefined };
        }
        case 'left':
          throw new BraidError(
            'ERR_BRAID_RANK_LEFT',
            `rank ${ROOT}, which owns the database, ended without close() while rank ${this.rank} called ${kind}(): ` +
              'what is recorded stays in the spool until the next open, or braid recover',
          );
      }
    }
  }

  *#arrival(request: Request, stopWatch: () => void): Steps<void> {
    try {
      yield* wait(request);
    } finally {
      stopWatch();
    }
  }

  /** Why this collective can't take place, if it can't: a rank has left, or the ranks have come for different things. */
  #objection(headers: readonly (Header | undefined)[]): BraidError | undefined {
    const wanted = headers[ROOT]!;
    const called = (header: Header) =>
      `${header.kind}()` + (header.database === wanted.database ? '' : ` of its database number ${header.database}`);
    if (this.#left.size > 0) {
      return new BraidError(
        'ERR_BRAID_RANK_LEFT',
        `${ranksText([...this.#left])} ended without close(), while rank ${ROOT} called ${called(wanted)}: ` +
          'every rank must make the same collective calls. What is recorded stays in the spools until the next open, or braid recover',
      );
    }
    const groups = new Map<string, number[]>();
    headers.forEach((header, rank) => {
      const call = called(header!);
      groups.set(call, [...(groups.get(call) ?? []), rank]);
    });
    if (groups.size === 1) return undefined;
    const who = [...groups].map(([call, ranks]) => `${call} on ${ranksText(ranks)}`).join(', ');
    return new BraidError(
      'ERR_BRAID_COLLECTIVE_MISMATCH',
      `the ranks have called different things: ${who}. Every rank must make the same collective calls in the same order`,
    );
  }

  /** Warns after `stallMs`, and ends the job after `abortMs`. Returns what stops it. */
  #watch(patience: Patience, kind: CollectiveKind, missing: () => number[]): () => void {
    if (this.size === 1) return () => {};
    const { stallMs, abortMs } = patience;
    const say = (what: string) => process.stderr.write(`braid-mpi: rank ${this.rank} ${what}\n`);
    const stall = setTimeout(() => {
      say(`has waited ${stallMs} ms in ${kind}() for ${ranksText(missing())}`);
    }, stallMs).unref();
    const abort =
      abortMs === undefined
        ? undefined
        : setTimeout(() => {
            say(`ends the job: ${ranksText(missing())} did not come to ${kind}() within ${abortMs} ms (abortMs)`);
            this.abort(1);
          }, abortMs).unref();
    return () => {
      clearTimeout(stall);
      clearTimeout(abort);
    };
  }
}

/** "rank 3", "ranks 0, 2-5 and 9 more". */
export function ranksText(ranks: number[]): string {
  const spans: string[] = [];
  for (let i = 0; i < ranks.length;) {
    let last = i;
    while (ranks[last + 1] === ranks[last] + 1) last++;
    spans.push(last === i ? `${ranks[i]}` : `${ranks[i]}-${ranks[last]}`);
    i = last + 1;
  }
  const shown = spans.slice(0, 8).join(', ') + (spans.length > 8 ? ` and more` : '');
  return `${ranks.length === 1 ? 'rank' : 'ranks'} ${shown}`;
}

function failureOf(rank: number, text: string): BraidError {
  const { code, message } = errorOf(text);
  return new BraidError(code, `rank ${rank}: ${message}`);
}

function errorOf(text: string): BraidError {
  const { code, message } = JSON.parse(text) as { code: BraidErrorCode; message: string };
  return new BraidError(code, message);
}
