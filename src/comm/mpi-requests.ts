import { RequestColumn, type MpiAddon, type RequestId } from '../native.js';
import { progress } from './progress.js';
import type { EachRequest } from './communicator.js';
import { Request, type Pollable } from './request.js';

/** What a receive tells when it is complete. */
export interface Status {
  readonly source: number;
  readonly tag: number;
  /** Elements received; -1 if they are no whole number. */
  readonly count: number;
}

/** A request in flight: what to do with the row that tells its end. */
type Finish = (row: Float64Array) => void;

/** Completions told by one test; more come with the next. */
const ROWS = 64;

/** All MPI requests in flight, tested together by one native call. */
export class MpiRequests implements Pollable {
  readonly #addon: MpiAddon;
  readonly #createError: (call: string, errorCode: number) => Error;
  readonly #inFlight = new Map<RequestId, Finish>();
  readonly #rows = new Float64Array(ROWS * RequestColumn.count);

  constructor(addon: MpiAddon, createError: (call: string, errorCode: number) => Error) {
    this.#addon = addon;
    this.#createError = createError;
  }

  /** A request that is complete when `id` is, with what `valueOf` makes of its row. */
  start<T>(call: string, id: RequestId, valueOf: (row: Float64Array) => T): Request<T> {
    const request = new Request<T>();
    this.#track(call, id, request, valueOf);
    return request;
  }

  startEach(call: string, id: RequestId, messageCount: number): EachRequest {
    const request = new PendingMessages(this, id, messageCount);
    this.#track(call, id, request, () => undefined);
    return request;
  }

  /** Indices of the messages of a request that are still to come. */
  pending(id: RequestId, indices: Int32Array): number[] {
    if (!this.#inFlight.has(id)) return [];
    return [...indices.subarray(0, this.#addon.pending(id, indices))];
  }

  test(withinMs = 0): boolean {
    let completed = false;
    for (let count = ROWS; count === ROWS;) {
      count = this.#addon.testSome(this.#rows, completed ? 0 : withinMs);
      completed ||= count > 0;
      // A finish has read its row before it tells anybody.
      if (count === 1) this.#takeOne(this.#rows)(this.#rows);
      else for (const finish of this.#take(count)) finish();
    }
    if (this.#inFlight.size === 0) progress.remove(this);
    return completed;
  }

  /** All rows are taken before any is acted on: a completion may start an operation and test again, into the same rows. */
  #take(count: number): (() => void)[] {
    const finishes: (() => void)[] = [];
    for (let i = 0; i < count; i++) {
      const row = this.#rows.slice(i * RequestColumn.count, (i + 1) * RequestColumn.count);
      const finish = this.#takeOne(row);
      finishes.push(() => finish(row));
    }
    return finishes;
  }

  #takeOne(row: Float64Array): Finish {
    const id = row[RequestColumn.id];
    const finish = this.#inFlight.get(id)!;
    this.#inFlight.delete(id);
    return finish;
  }

  #track<T>(call: string, id: RequestId, request: Request<T>, valueOf: (row: Float64Array) => T): void {
    // Each time: what has just begun is worth testing at full speed, however long the others have been waiting.
    progress.add(this);
    this.#inFlight.set(id, (row) => {
      const errorCode = row[RequestColumn.error];
      if (errorCode !== 0) request.reject(this.#createError(call, errorCode));
      else {
        let value: T;
        try {
          value = valueOf(row);
        } catch (error) {
          // The others that this test has told still have to be.
          request.reject(error as Error);
          return;
        }
        request.resolve(value);
      }
    });
  }
}

/** A request over many messages. */
class PendingMessages extends Request implements EachRequest {
  readonly #requests: MpiRequests;
  readonly #id: RequestId;
  readonly #messageCount: number;

  constructor(requests: MpiRequests, id: RequestId, messageCount: number) {
    super();
    this.#requests = requests;
    this.#id = id;
    this.#messageCount = messageCount;
  }

  pending(): number[] {
    return this.#requests.pending(this.#id, new Int32Array(this.#messageCount));
  }
}

export function statusOf(row: Float64Array): Status {
  return { source: row[RequestColumn.source], tag: row[RequestColumn.tag], count: row[RequestColumn.value] };
}
