import { Store } from './store.js';

/** Opens a database that is there for one write, which is one transaction. */
export function writeOnce<Result>(path: string, busyMs: number, write: (store: Store) => Result): Result {
  const store = new Store({ path, busyMs, existing: true, commit: 'statements', writer: 'atOnce' });
  try {
    return write(store);
  } finally {
    store.close();
  }
}
