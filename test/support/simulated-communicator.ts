import assert from 'node:assert/strict';
import type { EachRequest, RecorderCommunicator } from '#src/comm/communicator.js';
import { Request } from '#src/comm/request.js';

/**
 * Many ranks in one process, whose messages arrive in an order that a seed decides. It keeps MPI's rules and nothing more:
 * messages between two ranks don't overtake each other, collectives match by the order of the calls on each rank, and
 * nothing completes inside the call that starts it.
 */
export class SimulatedWorld {
  readonly size: number;
  readonly comms: SimulatedCommunicator[];
  aborted: number | undefined;
  #tasks: (() => void)[] = [];
  #scheduled = false;
  #random: () => number;

  constructor(size: number, seed = 1) {
    this.size = size;
    this.#random = generator(seed);
    const group = new Group(this);
    this.comms = Array.from({ length: size }, (_, rank) => new SimulatedCommunicator(group, rank));
  }

  /** @internal Runs `task` some time later. */
  later(task: () => void): void {
    this.#tasks.push(task);
    if (this.#scheduled) return;
    this.#scheduled = true;
    const turn = () => {
      const index = Math.floor(this.#random() * this.#tasks.length);
      const [task] = this.#tasks.splice(index, 1);
      task();
      this.#scheduled = this.#tasks.length > 0;
      if (this.#scheduled) setImmediate(turn);
    };
    setImmediate(turn);
  }
}

interface Part {
  rank: number;
  kind: string;
  data: unknown;
  request: Request<unknown>;
}

/** The state that the ranks of one communicator share. */
class Group {
  readonly sent = new Map<string, { bytes: Uint8Array; request: () => void }[]>();
  readonly wanted = new Map<string, ((bytes: Uint8Array) => void)[]>();
  readonly collectives: Part[][] = [];

  constructor(readonly world: SimulatedWorld) {}
}

class SimulatedEach extends Request implements EachRequest {
  readonly waiting = new Set<number>();
  pending(): number[] {
    return [...this.waiting];
  }
  arrived(index: number): void {
    this.waiting.delete(index);
    if (this.waiting.size === 0) this.resolve();
  }
}

export class SimulatedCommunicator implements RecorderCommunicator {
  #collective = 0;

  constructor(
    private readonly group: Group,
    readonly rank: number,
  ) {}

  get size(): number {
    return this.group.world.size;
  }

  idup(): Request<RecorderCommunicator> {
    return this.#join('idup', undefined, (parts) => {
      const group = new Group(this.group.world);
      for (const { rank, request } of parts) request.resolve(new SimulatedCommunicator(group, rank));
    }) as Request<RecorderCommunicator>;
  }

  isendEach(buffer: Uint8Array, bytesEach: number, dests: Int32Array, tag: number): Request {
    const each = new SimulatedEach();
    dests.forEach((dest, i) => {
      each.waiting.add(i);
      const key = `${this.rank}>${dest}#${tag}`;
      push(this.group.sent, key, {
        bytes: buffer.slice(i * bytesEach, (i + 1) * bytesEach),
        request: () => each.arrived(i),
      });
      this.#match(key);
    });
    if (dests.length === 0) each.resolve();
    return each;
  }

  irecvEach(buffer: Uint8Array, bytesEach: number, sources: Int32Array, tag: number): EachRequest {
    const each = new SimulatedEach();
    sources.forEach((source, i) => {
      each.waiting.add(i);
      const key = `${source}>${this.rank}#${tag}`;
      push(this.group.wanted, key, (bytes: Uint8Array) => {
        assert.equal(bytes.length, bytesEach, `a message of ${source} to ${this.rank} with tag ${tag}`);
        buffer.set(bytes, i * bytesEach);
        each.arrived(i);
      });
      this.#match(key);
    });
    if (sources.length === 0) each.resolve();
    return each;
  }

  igatherv(
    send: Uint8Array,
    root: number,
    receive: Uint8Array | null,
    counts: Int32Array | null,
    displs: Int32Array | null,
  ): Request {
    return this.#join(`igatherv ${root}`, { send, receive, counts, displs }, (parts) => {
      const at = parts.find(({ rank }) => rank === root)!.data as Gatherv;
      for (const { rank, data } of parts) {
        const { send } = data as Gatherv;
        assert.equal(send.length, at.counts![rank], `what rank ${rank} sends`);
        at.receive!.set(send, at.displs![rank]);
      }
      for (const { request } of parts) request.resolve(undefined);
    }) as Request;
  }

  ibcast(buffer: Uint8Array, root: number): Request {
    return this.#join(`ibcast ${root}`, buffer, (parts) => {
      const from = parts.find(({ rank }) => rank === root)!.data as Uint8Array;
      for (const { data } of parts) {
        assert.equal((data as Uint8Array).length, from.length, 'the length of a broadcast');
        (data as Uint8Array).set(from);
      }
      for (const { request } of parts) request.resolve(undefined);
    }) as Request;
  }

  abort(exitCode: number): never {
    this.group.world.aborted = exitCode;
    throw new Error(`abort(${exitCode})`);
  }

  free(): void {}

  #join(kind: string, data: unknown, complete: (parts: Part[]) => void): Request<unknown> {
    const request = new Request<unknown>();
    const parts = (this.group.collectives[this.#collective++] ??= []);
    parts.push({ rank: this.rank, kind, data, request });
    assert.equal(parts[0].kind, kind, `rank ${this.rank} and rank ${parts[0].rank} call different collectives`);
    if (parts.length === this.size) this.group.world.later(() => complete(parts));
    return request;
  }

  #match(key: string): void {
    const sent = this.group.sent.get(key);
    const wanted = this.group.wanted.get(key);
    if (!sent?.length || !wanted?.length) return;
    const message = sent.shift()!;
    const take = wanted.shift()!;
    this.group.world.later(() => take(message.bytes));
    this.group.world.later(message.request);
  }
}

interface Gatherv {
  send: Uint8Array;
  receive: Uint8Array | null;
  counts: Int32Array | null;
  displs: Int32Array | null;
}

function push<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}

/** Numbers from 0 to 1 that follow from a seed (mulberry32). */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
