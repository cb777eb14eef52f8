import { MessageChannel, Worker, receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import { progress } from '../comm/progress.js';
import { Request, type Pollable } from '../comm/request.js';
import { BraidError, type BraidErrorCode } from '../errors.js';
import type { OpenedStore, Store, StoreOptions } from './store.js';
import type { StoreCall, StoreReply } from './worker.js';

/**
 * The database in its worker thread, as the main thread sees it: calls are requests. SharedArrayBuffers that are passed
 * are not copied.
 */
export class StoreClient implements Pollable {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #signal = new Int32Array(new SharedArrayBuffer(4));
  readonly #calls = new Map<number, Request<unknown>>();
  #lastId = 0;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: { port: port2, signal: this.#signal },
      transferList: [port2],
      // What the process was started with (a test runner's loader, an inspector) is not for this thread.
      execArgv: [],
      env: {},
    });
    this.#worker.unref();
    this.#worker.on('error', (error) => this.#fail(error));
    this.#port.on('message', (reply: StoreReply) => this.#settle(reply));
    this.#port.unref();
    progress.watch(this);
  }

  open(options: StoreOptions): Request<OpenedStore> {
    return this.#call('open', [options]);
  }

  /** Asks for a method of `Store`. */
  call<M extends keyof Store>(
    method: M,
    ...args: Store[M] extends (...args: infer A) => unknown ? A : never
  ): Request<Store[M] extends (...args: never[]) => infer R ? R : never> {
    return this.#call(method, args);
  }

  /** Takes replies that have come, without the event loop. */
  test(): boolean {
    let settled = false;
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (!received) return settled;
      this.#settle(received.message as StoreReply);
      settled = true;
    }
  }

  /** Waits for `request`, holding up the event loop; not longer than `limitMs`. */
  waitFor(request: Request<unknown>, limitMs = Infinity): void {
    const end = performance.now() + limitMs;
    while (!request.done && performance.now() < end) {
      const seen = Atomics.load(this.#signal, 0);
      if (!this.test() && !request.done) Atomics.wait(this.#signal, 0, seen, end - performance.now());
    }
  }

  /** Ends the thread. The database must have been closed before. */
  async terminate(): Promise<void> {
    progress.remove(this);
    this.#port.close();
    await this.#worker.terminate();
  }

  #call<T>(method: StoreCall['method'], args: unknown[]): Request<T> {
    const id = ++this.#lastId;
    const request = new Request<unknown>();
    this.#calls.set(id, request);
    this.#port.ref();
    this.#port.postMessage({ id, method, args } satisfies StoreCall);
    return request as Request<T>;
  }

  #settle(reply: StoreReply): void {
    const request = this.#calls.get(reply.id)!;
    this.#calls.delete(reply.id);
    if (this.#calls.size === 0) this.#port.unref();
    if ('value' in reply) {
      request.resolve(reply.value);
    } else {
      const error = new BraidError(reply.code as BraidErrorCode, reply.message);
      if (reply.stack) error.stack = reply.stack;
      request.reject(error);
    }
  }

  #fail(cause: Error): void {
    const error = new BraidError('ERR_BRAID_DB', `the thread that writes the database ended: ${cause.message}`, {
      cause,
    });
    for (const request of this.#calls.values()) request.reject(error);
    this.#calls.clear();
    this.#port.unref();
  }
}
