import { workerData, type MessagePort } from 'node:worker_threads';
import { BraidError } from '../errors.js';
import { Store, type StoreOptions } from './store.js';

/** What the thread that owns the database is asked, and what it answers. */
export interface StoreCall {
  readonly id: number;
  readonly method: 'open' | keyof Store;
  readonly args: unknown[];
}
export type StoreReply = { readonly id: number } & (
  { readonly value: unknown } | { readonly code: string; readonly message: string; readonly stack?: string }
);

const { port, signal } = workerData as { port: MessagePort; signal: Int32Array };
let store: Store | undefined;

function answer({ method, args }: StoreCall): unknown {
  if (method === 'open') {
    store = new Store(args[0] as StoreOptions);
    return store.opened;
  }
  const methods = store as unknown as Record<string, (...args: unknown[]) => unknown>;
  return methods[method](...args);
}

port.on('message', (call: StoreCall) => {
  let reply: StoreReply;
  try {
    reply = { id: call.id, value: answer(call) };
  } catch (error) {
    const { message, stack } = error as Error;
    reply = { id: call.id, code: error instanceof BraidError ? error.code : 'ERR_BRAID_DB', message, stack };
  }
  port.postMessage(reply);
  // For a caller that waits without its event loop.
  Atomics.add(signal, 0, 1);
  Atomics.notify(signal, 0);
});
