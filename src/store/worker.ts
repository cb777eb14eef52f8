import { existsSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { workerData } from 'node:worker_threads';
import { BraidError } from '../errors.js';
import { loadAddon } from '../load-addon.js';
import type { CoreAddon } from '../native.js';
import { Store, type StoreOptions } from './store.js';
import { openSqlite } from './sqlite.js';
import { ENDING, REPLIES, TID, type StoreCall, type StoreReply, type ThreadData } from './thread.js';

const { port, signal, reopen, launcher } = workerData as ThreadData;
let store: Store | undefined;
const ending = () => Atomics.load(signal, ENDING) === 1;

function answer({ method, args }: StoreCall): unknown {
  if (method === 'open') {
    store = new Store(args[0] as StoreOptions, ending);
    return store.opened;
  }
  if (reopen) store ??= reopened(reopen);
  const methods = store as unknown as Record<string, (...args: unknown[]) => unknown>;
  return methods[method](...args);
}

/** Opens what a thread before this one had open. What that one hadn't committed is rolled back, and comes again. */
function reopened({ options, uuid }: NonNullable<ThreadData['reopen']>): Store {
  if (existsSync(options.path)) {
    const again = new Store({ ...options, existing: true }, ending);
    if (again.opened.uuid === uuid) return again;
    again.close();
  }
  throw new BraidError(
    'ERR_BRAID_DB_REPLACED',
    `${options.path} was deleted or replaced while a run had it open: put it back; what is not committed stays in the spools`,
  );
}

// The core that the rank is bound to is the program's: where the job has others, to commit takes no time of it.
if (launcher !== undefined) loadAddon<CoreAddon>('braid_core').widenAffinity(launcher);
Atomics.store(signal, TID, Number(basename(readlinkSync('/proc/thread-self'))));
Atomics.notify(signal, TID);
port.on('message', (call: StoreCall) => {
  let reply: StoreReply;
  try {
    reply = { id: call.id, value: answer(call) };
  } catch (error) {
    const { message, stack } = error as Error;
    reply = { id: call.id, code: error instanceof BraidError ? error.code : 'ERR_BRAID_DB', message, stack };
  }
  port.postMessage(reply);
  Atomics.add(signal, REPLIES, 1);
  Atomics.notify(signal, REPLIES);
});

try {
  // Loads it, in the time before the first call.
  openSqlite(':memory:').close();
} catch {
  // The call will tell.
}
