import { Store } from './store.js';

/** Opens a database that is there for one write, which is one transaction; and leaves it with the indexes that a killed run has not built. */
export function writeOnce<Result>(path: string, busyMs: number, write: (store: Store) => Result): Result {
  const store = new Store({ path, busyMs, existing: true, commit: 'statements', writer: 'atOnce' });
  try {
    const result = write(store);
    store.finishIndexes();
    return result;
  } finally {
    store.close();
  }
}
