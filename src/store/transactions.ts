import type { Database } from 'better-sqlite3';
import type { DatabaseFiles } from './database-files.js';
import type { LockWait } from './lock-wait.js';

/** Write transactions of one connection: all that is ever written to a database that is open goes through here. */
export class Transactions {
  constructor(
    private readonly db: Database,
    private readonly wait: LockWait,
    private readonly files: DatabaseFiles,
  ) {}

  /** What `write` did is in the database afterwards, and that is where it was; or nothing is. Inside another it is part of that. */
  run<T>(write: () => T): T {
    const { db, wait, files } = this;
    if (db.inTransaction) return write();
    wait.for(() => db.exec('BEGIN IMMEDIATE'));
    try {
      files.look();
      const result = write();
      files.check();
      // It may be asked again: what is written stays, and so does the claim to be next.
      wait.for(() => db.exec('COMMIT'));
      files.committed();
      return result;
    } catch (error) {
      // SQLite may have rolled back by itself, as it does when the disk is full.
      if (db.inTransaction) db.exec('ROLLBACK');
      throw error;
    }
  }
}
