import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Database } from 'better-sqlite3';
import { BraidError, calledAs } from '../errors.js';
import { DatabaseFiles } from '../store/database-files.js';
import { Invalidations } from '../store/invalidation.js';
import { LockWait } from '../store/lock-wait.js';
import { checkPath, openForWriting } from '../store/open-for-writing.js';
import { ExtensionTables } from '../store/round-tables.js';
import { realPath } from '../store/real-path.js';
import { ensureSchema, EXCHANGE_TABLES } from '../store/schema.js';
import { leaveWal } from '../store/settle.js';
import { openSqlite } from '../store/sqlite.js';
import { explainWriteError } from '../store/sqlite-error.js';
import { Transactions } from '../store/transactions.js';

/** How many databases can be read at once beside the one that is written. */
export const MOST_ATTACHED = 8;

/**
 * A database for who writes much into it at once, by statements of their own: merging, extracting, pruning. In transactions
 * that take long, between whose parts others get to run. What is sorted or kept meanwhile goes into files.
 */
export class Bulk {
  readonly #attached = new Set<string>();

  private constructor(
    readonly db: Database,
    /** Of the database. */
    readonly uuid: string,
    readonly invalidations: Invalidations,
    readonly path: string,
    private readonly transactions: Transactions,
    private readonly keep = true,
  ) {}

  /**
   * One that is there.
   *
   * @param keep false: nothing that is done is to be kept, and the file stays as it is, to the byte. Others can't read it where so
   * much is done that memory doesn't hold it.
   * @throws BraidError ERR_BRAID_DB_…
   */
  static open(path: string, busyMs: number, keep = true): Bulk {
    const file = realPath(path);
    checkPath(path, file);
    if (!existsSync(file)) throw new BraidError('ERR_BRAID_DB_NOT_FOUND', `${path} does not exist`);
    const wait = new LockWait(busyMs);
    try {
      const { db, uuid, wal, tables } = wait.for(() =>
        openForWriting(file, { path, busyMs, existing: true, asIs: !keep }, wait),
      );
      db.pragma('temp_store = FILE');
      db.pragma(`busy_timeout = ${busyMs}`);
      const extended = tables instanceof ExtensionTables;
      const files = new DatabaseFiles(db, { path, file, uuid, wal, extended });
      return new Bulk(db, uuid, new Invalidations(db), path, new Transactions(db, wait, files), keep);
    } catch (error) {
      throw explainWriteError(error, path);
    }
  }

  /** A new one, which nobody else knows of before it is whole: if it isn't to be, a kill may leave anything of it. */
  static make(path: string): Bulk {
    try {
      const db = openSqlite(path);
      for (const pragma of [
        'foreign_keys = OFF',
        'journal_mode = OFF',
        'synchronous = OFF',
        'temp_store = FILE',
        'cache_size = -65536',
      ]) {
        // prettier-ignore
        db.pragma(pragma);
      }
      const uuid = ensureSchema(db);
      const files = { look() {}, check() {}, committed() {} };
      return new Bulk(db, uuid, new Invalidations(db), path, new Transactions(db, new LockWait(0), files));
    } catch (error) {
      throw explainWriteError(error, path);
    }
  }

  /** Lets statements read another database, as `name`. */
  attach(path: string, name: string): void {
    this.db.prepare(`ATTACH ? AS ${name}`).run(realPath(path));
    this.#attached.add(name);
  }

  detachAll(): void {
    for (const name of this.#attached) this.db.exec(`DETACH ${name}`);
    this.#attached.clear();
  }

  /** See `Transactions.runLong`. */
  transaction<T>(write: () => Promise<T>): Promise<T> {
    return this.transactions.runLong(() => {
      this.db.exec(EXCHANGE_TABLES);
      return write();
    }, this.keep);
  }

  close(): void {
    this.detachAll();
    if (this.keep) leaveWal(this.db);
    this.db.close();
  }
}

/**
 * Makes a new database beside the place where it is to be, and puts it there when it is whole.
 *
 * @param write gives whether it is wanted.
 */
export async function makeBeside(path: string, write: (bulk: Bulk) => Promise<boolean>): Promise<void> {
  const file = realPath(path);
  checkPath(path, file);
  const beside = `${file}.${process.pid}.tmp`;
  try {
    const bulk = Bulk.make(beside);
    let wanted = false;
    try {
      wanted = await write(bulk);
    } finally {
      bulk.close();
    }
    if (!wanted) return;
    toDisk(beside);
    renameSync(beside, file);
    toDisk(dirname(file));
  } catch (error) {
    throw calledAs(error, beside, path);
  } finally {
    discard(beside);
  }
}

/** Removes what was written beside a place, as far as it is there: what has gone wrong is told by who knows of it. */
export function discard(beside: string): void {
  for (const ending of ['', '-journal', '-wal', '-shm']) {
    try {
      rmSync(beside + ending, { force: true });
    } catch {
      // One that can't even be looked for, as for its long name.
    }
  }
}

/** Gives a file that is whole a name that nobody else has; false if somebody has. The one that it had may be removed. */
export function putNew(beside: string, file: string): boolean {
  toDisk(beside);
  try {
    linkSync(beside, file);
  } catch (error) {
    // Not every file system has links.
    if (existsSync(file)) return false;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw error;
    renameSync(beside, file);
  }
  toDisk(dirname(file));
  return true;
}

function toDisk(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
