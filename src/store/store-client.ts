import { existsSync, statSync } from 'node:fs';
import { MessageChannel, Worker, receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import { bindingLauncher } from '../comm/launcher.js';
import { progress } from '../comm/progress.js';
import { Request, type Pollable } from '../comm/request.js';
import { BraidError, type BraidErrorCode } from '../errors.js';
import { plannedFault } from '../fault.js';
import { packageFile } from '../package.js';
import { injectedStatfs } from '../spool/file-system.js';
import { checkInodes } from './database-files.js';
import { Store, type OpenedStore, type StoreOptions } from './store.js';
import { ENDING, REPLIES, SIGNAL_WORDS, TID, type StoreCall, type StoreReply, type ThreadData } from './thread.js';

/** How often a caller that waits without its event loop looks whether the thread still lives. */
const LOOK_MS = 100;
/** How long what was seen of the files holds, for who has nothing to write: who writes looks by himself. */
const LOOK_HOLDS_MS = 1;
/** How long the end of the process waits for what the thread is doing. */
const END_WAIT_MS = 5_000;

/** What takes less time than a thread takes to start, where nobody else has the lock. */
const SHORT = new Set<StoreCall['method']>(
  ['nextAttempt', 'openAttempts', 'attemptState', 'beginRun', 'endAttempt', 'dropAttempt', 'settle', 'close'], // prettier-ignore
);
/** Indexes of a larger file are built in the thread. */
const SHORT_BYTES = 2 ** 20;

/** All that may have a thread. */
const clients = new Set<StoreClient>();
let watching = false;

interface Thread {
  readonly worker: Worker;
  readonly port: MessagePort;
  readonly signal: Int32Array;
  /** Calls that it was sent. */
  sent: number;
}

/**
 * The database, as the main thread sees it: calls are requests. A worker thread has it, to which SharedArrayBuffers that are
 * passed are not copied.
 *
 * Until there is something to commit, or another's lock to wait for, the main thread has it itself: a thread takes longer to
 * start than a run to begin and end (docs/decisions/0019).
 *
 * A thread that dies (mostly of too little memory) fails the calls that it had not answered; the next call starts another,
 * which opens the same database again. A commit that nobody heard of is no harm: what is sent again counts once.
 */
export class StoreClient implements Pollable {
  /** Why the database isn't there any more, if that is what was found last. */
  gone: BraidError | undefined;
  readonly #calls = new Map<number, Request<unknown>>();
  #thread: Thread | undefined;
  /** In this thread. */
  #here: Store | undefined;
  /** What was in this thread, until the other has it: who is the last to let it go takes its log away. */
  #left: Store | undefined;
  #opened: (ThreadData['reopen'] & Pick<OpenedStore, 'inodes'>) | undefined;
  #lastId = 0;
  #ending = false;
  /** When the files were last seen to be there. */
  #lookedAt = -Infinity;

  constructor() {
    progress.watch(this);
    if (!watching) process.on('exit', () => clients.forEach((client) => client.#end()));
    watching = true;
    clients.add(this);
  }

  /** Starts the thread before it is asked anything, since it takes a while to load what it needs. */
  prepare(): void {
    this.#thread ??= this.#start();
  }

  open(options: StoreOptions): Request<OpenedStore> {
    const request = this.#thread ? this.#send<OpenedStore>('open', [options]) : this.#open(options);
    request.onDone(() => {
      if (!request.error) this.#opened = { options, uuid: request.value.uuid, inodes: request.value.inodes };
    });
    return request;
  }

  /** Asks for a method of `Store`. */
  call<M extends keyof Store>(
    method: M,
    ...args: Store[M] extends (...args: infer A) => unknown ? A : never
  ): Request<Store[M] extends (...args: never[]) => infer R ? R : never> {
    const here = this.#here;
    if (!here) return this.#send(method, args);
    if (this.#isShort(method)) {
      const methods = here as unknown as Record<string, (...args: unknown[]) => never>;
      const done = this.#try(() => methods[method](...args));
      if (done) return done;
    }
    [this.#left, this.#here] = [here, undefined];
    return this.#send(method, args);
  }

  /** Looks whether the files are still there, while others are waited for: for `checkThere`. */
  look(): void {
    // Flushes that follow each other at once would do little else.
    if (performance.now() - this.#lookedAt < LOOK_HOLDS_MS / 2) return;
    try {
      this.#lookedAt = -Infinity;
      checkInodes(this.#opened!.inodes);
      this.#lookedAt = performance.now();
    } catch {
      // `checkThere` will look again, and tell.
    }
  }

  /**
   * Sees that the files are still there, without asking the thread: where there is nothing to write it wouldn't look.
   *
   * @throws BraidError ERR_BRAID_DB_REPLACED
   */
  checkThere(): void {
    if (performance.now() - this.#lookedAt > LOOK_HOLDS_MS) checkInodes(this.#opened!.inodes);
  }

  /** The process is to end: from now on another's lock is waited for a moment only. What finds it locked then fails. */
  hurry(): void {
    this.#ending = true;
    if (this.#thread) Atomics.store(this.#thread.signal, ENDING, 1);
  }

  /** Takes replies that have come, without the event loop. */
  test(): boolean {
    // Asking a port takes microseconds, and this is asked by every flush.
    if (this.#calls.size === 0) return false;
    const port = this.#thread?.port;
    let settled = false;
    for (;;) {
      const received = port && receiveMessageOnPort(port);
      if (!received) return settled;
      this.#settle(received.message as StoreReply);
      settled = true;
    }
  }

  /** Waits for `request`, holding up the event loop; not longer than `limitMs`. */
  waitFor(request: Request<unknown>, limitMs = Infinity): void {
    const end = performance.now() + limitMs;
    while (!request.done && this.#thread) {
      const thread = this.#thread;
      const seen = Atomics.load(thread.signal, REPLIES);
      if (this.test()) continue;
      const leftMs = end - performance.now();
      if (leftMs <= 0) return;
      const answered = Atomics.wait(thread.signal, REPLIES, seen, Math.min(leftMs, LOOK_MS)) !== 'timed-out';
      // Its 'exit' would come by the event loop.
      if (!answered && !isThere(thread)) this.#ended(thread, 'it is gone');
    }
  }

  /**
   * Ends the thread, when it has answered: where it is ended while an error of SQLite becomes JavaScript's, the process
   * aborts. Of a database that is closed nothing is under way; where an open has failed, what it asked beside that is.
   */
  async terminate(): Promise<void> {
    this.hurry();
    for (const call of [...this.#calls.values()]) await new Promise<void>((resolve) => call.onDone(resolve));
    progress.remove(this);
    clients.delete(this);
    this.#release();
    const thread = this.#thread;
    this.#thread = undefined;
    thread?.port.close();
    await thread?.worker.terminate();
  }

  #start(): Thread {
    const { port1: port, port2 } = new MessageChannel();
    const signal = new Int32Array(new SharedArrayBuffer(4 * SIGNAL_WORDS));
    if (this.#ending) Atomics.store(signal, ENDING, 1);
    const worker = new Worker(packageFile('dist/worker.cjs'), {
      workerData: {
        port: port2,
        signal,
        reopen: this.#opened,
        launcher: bindingLauncher(process.env, process.ppid),
        BRAID_FAULTS: plannedFault,
        BRAID_TEST_STATFS: injectedStatfs,
      } satisfies ThreadData,
      transferList: [port2],
      // What the process was started with (a test runner's loader, an inspector) is not for this thread.
      execArgv: [],
      env: {},
      // It writes nothing, and for what it might write Node would set up the streams of this process, which takes a while.
      stdout: true,
      stderr: true,
    });
    const thread = { worker, port, signal, sent: 0 };
    worker.unref();
    worker.on('error', (error) => this.#ended(thread, error.message, error));
    worker.on('exit', (code) => this.#ended(thread, `exit code ${code}`));
    port.on('message', (reply: StoreReply) => this.#settle(reply));
    port.unref();
    return thread;
  }

  #open(options: StoreOptions): Request<OpenedStore> {
    const opened = this.#try(() => {
      this.#here = new Store({ ...options, busyMs: 0 }, () => this.#ending);
      return this.#here.opened;
    });
    return opened ?? this.#send('open', [options]);
  }

  /** A call that is carried out at once; undefined where it would have to wait for another's lock. */
  #try<T>(call: () => T): Request<T> | undefined {
    const request = new Request<T>();
    try {
      request.resolve(call());
      this.gone = undefined;
    } catch (error) {
      const { code } = error as BraidError;
      if (code === 'ERR_BRAID_DB_BUSY') return undefined;
      if (code === 'ERR_BRAID_DB_REPLACED') this.gone = error as BraidError;
      request.reject(error as Error);
    }
    return request;
  }

  #isShort(method: StoreCall['method']): boolean {
    if (method !== 'finishIndexes') return SHORT.has(method);
    const stat = statSync(this.#opened!.options.path, { throwIfNoEntry: false });
    return stat === undefined || stat.size <= SHORT_BYTES;
  }

  #release(): void {
    for (const store of [this.#here, this.#left]) store?.release();
    [this.#here, this.#left] = [undefined, undefined];
  }

  #send<T>(method: StoreCall['method'], args: unknown[]): Request<T> {
    const id = ++this.#lastId;
    const request = new Request<unknown>();
    this.#calls.set(id, request);
    const thread = (this.#thread ??= this.#start());
    // The worker and not its port: that of a dead thread is closed, and the process could end before it hears of it.
    thread.worker.ref();
    thread.port.postMessage({ id, method, args } satisfies StoreCall);
    thread.sent++;
    return request as Request<T>;
  }

  #settle(reply: StoreReply): void {
    const request = this.#calls.get(reply.id)!;
    this.#calls.delete(reply.id);
    if (this.#calls.size === 0) this.#thread?.worker.unref();
    this.gone = undefined;
    if ('value' in reply) {
      this.#release();
      request.resolve(reply.value);
    } else {
      const error = new BraidError(reply.code as BraidErrorCode, reply.message);
      if (reply.stack) error.stack = reply.stack;
      if (error.code === 'ERR_BRAID_DB_REPLACED') this.gone = error;
      request.reject(error);
    }
  }

  /**
   * The process ends: it can't where the thread sits in SQLite, which may wait there for a lock. What the thread answers now
   * goes to nobody.
   */
  #end(): void {
    // As that of a thread is when it ends: the last one brings its log into the file.
    this.#release();
    const thread = this.#thread;
    if (!thread) return;
    this.hurry();
    const end = performance.now() + END_WAIT_MS;
    for (;;) {
      const seen = Atomics.load(thread.signal, REPLIES);
      const leftMs = end - performance.now();
      if (seen >= thread.sent || leftMs <= 0 || !isThere(thread)) return;
      Atomics.wait(thread.signal, REPLIES, seen, Math.min(leftMs, LOOK_MS));
    }
  }

  #ended(thread: Thread, why: string, cause?: Error): void {
    if (thread !== this.#thread) return;
    // What it could still answer counts.
    this.test();
    this.#thread = undefined;
    thread.port.close();
    const error = new BraidError(
      'ERR_BRAID_DB',
      `the thread that writes the database ended: ${why}. What it had not committed stays in the spools; the next call ` +
        'starts another',
      { cause },
    );
    const unanswered = [...this.#calls.values()];
    // Before they are told: whoever is may call again, and that is for the next thread.
    this.#calls.clear();
    for (const request of unanswered) request.reject(error);
  }
}

/** Whether a thread runs, or is yet to begin. */
function isThere({ signal }: Thread): boolean {
  const tid = Atomics.load(signal, TID);
  return tid === 0 || existsSync(`/proc/self/task/${tid}`);
}
