import { MpiTypeError } from './mpi-error.js';
import { progress } from './progress.js';

/** Something under way that is tested from the event loop: an MPI request, a commit in the worker. */
export interface Pollable {
  /**
   * Looks whether anything has completed, and if so runs its completions. Returns true if something had.
   *
   * @param withinMs to look again until something has, for so long; else once.
   */
  test(withinMs?: number): boolean;
}

/**
 * An operation under way. Completion is told synchronously, from wherever the operation was tested, so that a state
 * machine that stands on requests advances even when the caller never returns to the event loop.
 *
 * It is also awaitable: `await comm.iallreduce(…)`, or several by `await Promise.all([…])`.
 */
export class Request<T = void> implements PromiseLike<T> {
  #settled = false;
  #value: T | undefined;
  #error: Error | undefined;
  #callbacks: (() => void)[] = [];
  #promise: Promise<T> | undefined;

  /** A request that is complete from the start, as all of a one-process communicator are. */
  static completed(): Request;
  static completed<T>(value: T): Request<T>;
  static completed<T>(value?: T): Request<T> {
    const request = new Request<T>();
    request.resolve(value as T);
    return request;
  }

  get done(): boolean {
    return this.#settled;
  }

  /** The error it failed with; undefined while under way or when it succeeded. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** The value it completed with; throws its error, or if it is still under way. */
  get value(): T {
    if (!this.#settled) throw new Error('the request is still under way');
    if (this.#error) throw this.#error;
    return this.#value as T;
  }

  /** Whether it is complete, after asking once. Never waits. */
  test(): boolean {
    if (!this.#settled) progress.poke();
    return this.#settled;
  }

  /** Waits for its end without returning to the event loop, as a blocking call does. Returns its value or throws its error. */
  wait(): T {
    while (!this.#settled) progress.poke();
    return this.value;
  }

  /** For who has nothing to do before its end: it may be as near as a few microseconds, which no turn of the event loop is. */
  linger(): void {
    if (!this.#settled) progress.linger(this);
  }

  /**
   * Runs `callback` on completion, at once if it is complete already. What it throws becomes an uncaught exception of the
   * process: whoever happened to test, a recording call perhaps, has nothing to do with it.
   */
  onDone(callback: () => void): void {
    if (this.#settled) tell(callback);
    else this.#callbacks.push(callback);
  }

  /** For whoever made the request: it has completed with `value`. */
  resolve(value: T): void {
    this.#settle(() => (this.#value = value));
  }

  /** For whoever made the request: it has failed with `error`. */
  reject(error: Error): void {
    this.#settle(() => (this.#error = error));
  }

  then<A = T, B = never>(
    fulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#promise ??= new Promise<T>((resolve, reject) => {
      this.onDone(() => (this.#error ? reject(this.#error) : resolve(this.#value as T)));
    });
    this.linger();
    return this.#promise.then(fulfilled, rejected);
  }

  /** As a promise's. */
  catch<B = never>(rejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(undefined, rejected);
  }

  /** As a promise's. */
  finally(callback?: (() => void) | null): Promise<T> {
    return this.then().finally(callback);
  }

  #settle(set: () => void): void {
    if (this.#settled) throw new Error('the request is complete already');
    set();
    this.#settled = true;
    const callbacks = this.#callbacks;
    this.#callbacks = [];
    callbacks.forEach(tell);
  }
}

function tell(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

export function waitAll<T extends readonly Request<unknown>[]>(
  requests: readonly [...T],
): { -readonly [I in keyof T]: T[I] extends Request<infer V> ? V : never } {
  checkRequests(requests);
  // All of them before any error is thrown: their buffers are the caller's again.
  while (!requests.every((request) => request.done)) progress.poke();
  return requests.map((request) => request.value) as never;
}

export function waitAny(requests: readonly Request<unknown>[]): number {
  checkRequests(requests);
  if (requests.length === 0) return -1;
  for (;;) {
    const index = requests.findIndex((request) => request.done);
    if (index >= 0) return index;
    progress.poke();
  }
}

/** A promise, say, would never be done: nobody returns to the event loop. */
function checkRequests(requests: readonly unknown[]): void {
  if (!Array.isArray(requests)) throw new MpiTypeError('requests must be an array of requests');
  const wrong = requests.findIndex((request) => !(request instanceof Request));
  if (wrong >= 0) throw new MpiTypeError(`requests[${wrong}] is no Request, as the methods that begin with i give`);
}
