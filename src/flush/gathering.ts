import type { RecorderCommunicator } from '../comm/communicator.js';
import { progress } from '../comm/progress.js';
import { Request } from '../comm/request.js';
import type { RankCosts } from '../run-report.js';
import { wait, type Steps } from './drive.js';
import type { Header, OrderFor } from './messages.js';
import { loadAddon } from '../load-addon.js';
import type { CoreAddon } from '../native.js';
import { planRounds, type PlannedRound } from './plan.js';

/** A frame on its way: its size is known without reading it, its bytes may be read when its round comes. */
export interface SendableFrame {
  readonly size: number;
  readonly bytes: Buffer;
  /** Of one that is still to be read: puts its bytes there, in place of memory of their own. */
  readonly readInto?: (target: Buffer) => void;
}

/** What a rank brings to a collective. */
export interface Contribution {
  /** Sealed frames, oldest first. Their bytes stay where they are until the collective has ended. */
  readonly frames: readonly SendableFrame[];
  readonly text?: string;
  /** Why this rank can't do its part. It comes all the same, so that nobody waits for it. */
  readonly failure?: Error;
  /** Ops recorded so far. */
  readonly recorded: number;
  /** What recording has cost so far. */
  readonly costs?: RankCosts;
}

/** Frames of several ranks, gathered. `memory` is reused by the round after the next. */
export interface Round {
  readonly memory: SharedArrayBuffer;
  readonly bytes: number;
}

/** Two buffers for rounds: one is filled while the other is committed. Kept from flush to flush. */
export class RoundMemory {
  readonly #buffers: (SharedArrayBuffer | undefined)[] = [undefined, undefined];
  #next = 0;
  peakBytes = 0;

  /** Nothing is being committed: the first of them is next, which is the warmer one where there is one round. */
  begin(): void {
    this.#next = 0;
  }

  /** @param most what a round has, if it isn't one frame that has more. */
  take(bytes: number, most: number): SharedArrayBuffer {
    const index = this.#next;
    this.#next = 1 - index;
    let buffer = this.#buffers[index];
    if (!buffer || buffer.byteLength < bytes) {
      // Room to spare, so that rounds that grow a little don't each take new memory.
      const roomy = Math.min(Math.ceil(bytes * 1.25), most);
      buffer = new SharedArrayBuffer(Math.max(2 ** 16, roomy, bytes));
      this.#buffers[index] = buffer;
      this.peakBytes = this.#buffers.reduce((sum, each) => sum + (each?.byteLength ?? 0), 0);
    }
    return buffer;
  }
}

/** The bytes of `count` frames from the `first` on, as one piece: in place if they lie together, else copied. */
export function contiguous(frames: readonly SendableFrame[], first: number, count: number): Buffer {
  if (count === 0) return Buffer.alloc(0);
  const wanted = frames.slice(first, first + count);
  if (wanted.some(({ readInto }) => readInto)) return copied(wanted);
  const pieces = wanted.map(({ bytes }) => bytes);
  const start = pieces[0];
  const together = pieces.every((piece, i) => {
    const before = pieces[i - 1] ?? start;
    return i === 0 || (piece.buffer === start.buffer && piece.byteOffset === before.byteOffset + before.length);
  });
  if (!together) return copied(wanted);
  const last = pieces[count - 1];
  return Buffer.from(start.buffer, start.byteOffset, last.byteOffset + last.length - start.byteOffset);
}

let core: CoreAddon | undefined;

function copied(frames: readonly SendableFrame[], target: Buffer = Buffer.alloc(sizeOf(frames))): Buffer {
  core ??= loadAddon<CoreAddon>('braid_core');
  let at = 0;
  for (const frame of frames) {
    const place = target.subarray(at, at + frame.size);
    if (frame.readInto) frame.readInto(place);
    else core.copy(place, frame.bytes);
    at += frame.size;
  }
  return target;
}

function sizeOf(frames: readonly SendableFrame[]): number {
  return frames.reduce((sum, { size }) => sum + size, 0);
}

/**
 * What `contiguous` gives; zeros where a frame can't be read. What a rank has promised it must send, or the others wait for
 * it in the gather; and the root refuses zeros as it refuses any frame that its CRC doesn't fit.
 */
export function promised(frames: readonly SendableFrame[], first: number, count: number): Buffer {
  try {
    return contiguous(frames, first, count);
  } catch (error) {
    process.stderr.write(`braid-mpi: what was to be committed cannot be read: ${(error as Error).message}\n`);
    return Buffer.alloc(sizeOf(frames.slice(first, first + count)));
  }
}

/** The frames' sizes, as the root needs them to plan rounds. */
export function frameSizes(frames: readonly SendableFrame[]): Buffer {
  return Buffer.from(Uint32Array.from(frames, ({ size }) => size).buffer);
}

/** What a collective begins with on the root, when all have come. */
export interface Come {
  readonly own: Contribution;
  /** By rank. */
  readonly headers: readonly Header[];
  /** The frames of those ranks that have sent theirs with the header. */
  readonly early: ReadonlyMap<number, Buffer>;
  readonly order: (orderFor: OrderFor) => void;
  /** Watches what other ranks must join. */
  readonly patiently: (request: Request) => Request;
}

/** The root's side of a collective in which all ranks take part: it orders, they give. */
export class Gathering {
  /** How many frames of each rank are committed. */
  readonly committed: number[];
  /** What gathering them took. */
  gatherMs = 0;

  /** By rank. */
  readonly headers: readonly Header[];
  readonly #comm: RecorderCommunicator;
  readonly #come: Come;

  constructor(comm: RecorderCommunicator, come: Come) {
    this.#comm = comm;
    this.#come = come;
    this.headers = come.headers;
    this.committed = this.headers.map(() => 0);
  }

  /** Every rank's text. */
  *texts(): Steps<string[]> {
    const counts = this.headers.map(({ textBytes }) => textBytes);
    const displs = displsOf(counts);
    const bytes = Buffer.alloc(counts.reduce((sum, each) => sum + each, 0));
    yield* this.#gather(() => ({ order: 'text' }), Buffer.from(textOf(this.#come.own)), bytes, counts, displs);
    return counts.map((count, rank) => bytes.toString('utf8', displs[rank], displs[rank] + count));
  }

  /**
   * Gathers all frames, in rounds of at most `roundBytes` (or one frame), and hands each round to `commit`. The next round
   * is gathered while one is committed; never more than two are in memory.
   *
   * Fails with the first commit that fails; `committed` says what was committed before.
   */
  *rounds(roundBytes: number, memory: RoundMemory, commit: (round: Round) => Request<unknown>): Steps<void> {
    const { headers } = this;
    const total = headers.reduce((sum, { bytes }) => sum + bytes, 0);
    if (total === 0) return;
    const all: PlannedRound = { counts: headers.map(({ frames }) => frames), bytes: headers.map(({ bytes }) => bytes) };
    const plan = total <= roundBytes ? [all] : planRounds(yield* this.#sizes(), roundBytes);
    let underway: { request: Request<unknown>; counts: readonly number[] } | undefined;
    memory.begin();
    const placed: Placed = { ownFrames: 0, early: headers.map(() => 0) };
    try {
      for (const round of plan) {
        const { counts, bytes } = round;
        const total = bytes.reduce((sum, each) => sum + each, 0);
        const target = memory.take(total, roundBytes);
        const { asked, placeOwn } = this.#place(round, placed, target);
        if (asked.some((each) => each > 0)) {
          const orderFor: OrderFor = (rank) => ({ order: 'send', frames: asked[rank] > 0 ? counts[rank] : 0 });
          yield* this.#gather(orderFor, placeOwn, Buffer.from(target, 0, total), asked, displsOf(bytes));
        } else {
          placeOwn();
        }
        const before = underway;
        underway = undefined;
        if (before) yield* this.#settle(before);
        underway = { request: commit({ memory: target, bytes: total }), counts };
      }
    } finally {
      // Also when a gather has failed: what is being committed must not be forgotten, nor its memory be filled again.
      if (underway) yield* this.#settle(underway);
    }
  }

  *#settle({ request, counts }: { request: Request<unknown>; counts: readonly number[] }): Steps<void> {
    yield* wait(request);
    counts.forEach((count, rank) => (this.committed[rank] += count));
  }

  *#sizes(): Steps<Uint32Array[]> {
    const counts = this.headers.map(({ frames }) => frames * 4);
    const displs = displsOf(counts);
    const bytes = Buffer.alloc(counts.reduce((sum, each) => sum + each, 0));
    yield* this.#gather(() => ({ order: 'sizes' }), frameSizes(this.#come.own.frames), bytes, counts, displs);
    return counts.map((count, rank) => new Uint32Array(bytes.buffer, bytes.byteOffset + displs[rank], count / 4));
  }

  /**
   * Puts the next of those frames of a round that are here into their places. Gives the bytes that each rank is still to send;
   * and what places the root's own, which it has no memory to spare for another copy of, while the others send theirs.
   */
  #place(
    { counts, bytes }: PlannedRound,
    placed: Placed,
    target: SharedArrayBuffer,
  ): { asked: number[]; placeOwn: () => void } {
    const { own, early } = this.#come;
    const displs = displsOf(bytes);
    let placeOwn = () => {};
    const asked = bytes.map((each, rank) => {
      const place = Buffer.from(target, displs[rank], each);
      if (rank === this.#comm.rank) {
        const frames = own.frames.slice(placed.ownFrames, placed.ownFrames + counts[rank]);
        placed.ownFrames += counts[rank];
        placeOwn = () => copied(frames, place);
        return 0;
      }
      const come = early.get(rank);
      if (!come) return each;
      come.copy(place, 0, placed.early[rank]);
      placed.early[rank] += each;
      return 0;
    });
    // What is still to be read may fail, and nobody is to wait for it then.
    if (own.frames.some(({ readInto }) => readInto)) {
      placeOwn();
      placeOwn = () => {};
    }
    return { asked, placeOwn };
  }

  /**
   * The order goes out last: what fails on the root fails while nobody waits for it in the gather.
   *
   * @param own what the root brings; or, if that has a place already, what puts it there.
   */
  *#gather(
    orderFor: OrderFor,
    own: Buffer | (() => void),
    bytes: Buffer,
    counts: readonly number[],
    displs: Int32Array,
  ): Steps<void> {
    const { order, patiently } = this.#come;
    order(orderFor);
    const { rank } = this.#comm;
    const received = Int32Array.from(counts);
    const placed = typeof own === 'function';
    if (placed) received[rank] = 0;
    const started = performance.now();
    const request = this.#comm.igatherv(placed ? Buffer.alloc(0) : own, rank, bytes, received, displs);
    if (placed) own();
    progress.attend(request, bytes.length);
    yield patiently(request);
    this.gatherMs += performance.now() - started;
  }
}

/** What is in its place of the frames that nobody needs to send: by number of the root's own, by bytes of the others'. */
interface Placed {
  ownFrames: number;
  readonly early: number[];
}

/** Where each rank's part begins, where they lie one behind the other. */
function displsOf(counts: readonly number[]): Int32Array {
  const displs = new Int32Array(counts.length);
  for (let rank = 1; rank < counts.length; rank++) displs[rank] = displs[rank - 1] + counts[rank - 1];
  return displs;
}

/** What a rank's text is: what it has to say, or why it failed. */
export function textOf({ text, failure }: Contribution): string {
  if (!failure) return text ?? '';
  const { code, message } = failure as Error & { code?: string };
  // What isn't ours (a system call's code, a bug) gets a code that other ranks can tell from ours.
  return JSON.stringify({ code: code?.startsWith('ERR_BRAID_') ? code : 'ERR_BRAID_RANK_FAILED', message });
}
