import { sqliteCode } from './sqlite.js';

/** How long SQLite itself waits at a time: meanwhile it can't be told that the process is to end. */
const SLICE_MS = 100;
/** How long a process that is to end still waits for another's lock, all in all. */
const LAST_WAIT_MS = 500;

/**
 * Waits for the locks of others, by turns in SQLite and here. A thread that sits in SQLite can't be ended: the process
 * would wait for it as long as it may wait itself, and then abort where SQLite's error is to become JavaScript's.
 */
export class LockWait {
  #lastEnd: number | undefined;

  /**
   * @param busyMs how long it waits.
   * @param ending whether the process is to end.
   */
  constructor(
    private readonly busyMs: number,
    private readonly ending: () => boolean = () => false,
  ) {}

  /** SQLite's own part of it. */
  get sliceMs(): number {
    return Math.min(this.busyMs, SLICE_MS);
  }

  /** Tries again as long as somebody else has the lock. @param attempt changes nothing where it can't have it. */
  for<T>(attempt: () => T): T {
    const end = performance.now() + this.busyMs;
    for (;;) {
      try {
        return attempt();
      } catch (error) {
        if (!isBusy(error) || performance.now() >= Math.min(end, this.#last())) throw error;
      }
    }
  }

  #last(): number {
    if (!this.ending()) return Infinity;
    this.#lastEnd ??= performance.now() + LAST_WAIT_MS;
    return this.#lastEnd;
  }
}

/** Whether SQLite has waited for somebody else's lock in vain. */
export function isBusy(error: unknown): boolean {
  return sqliteCode(error)?.startsWith('SQLITE_BUSY') ?? false;
}
