import type { Database } from 'better-sqlite3';
import type { DatabaseFiles } from './database-files.js';
import type { LockWait } from './lock-wait.js';

/** Write transactions of one connection: all that is ever written to a database that is open goes through here. */
export class Transactions {
  constructor(
    private readonly db: Database,
    private readonly wait: LockWait,
    private readonly files: Pick<DatabaseFiles, 'look' | 'check' | 'committed'>,
  ) {}

  /** What `write` did is in the database afterwards, and that is where it was; or nothing is. Inside another it is part of that. */
  run<T>(write: () => T): T {
    if (this.db.inTransaction) return write();
    this.#begin();
    try {
      this.files.look();
      const result = write();
      this.#commit();
      return result;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  /**
   * The same for what takes long, and lets others run meanwhile. The connection must be the caller's alone.
   *
   * @param keep false: it is taken back, and was done to see what comes of it.
   */
  async runLong<T>(write: () => Promise<T>, keep: boolean): Promise<T> {
    this.#begin();
    try {
      this.files.look();
      const result = await write();
      if (keep) this.#commit();
      else this.#rollBack();
      return result;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  #begin(): void {
    this.wait.for(() => this.db.exec('BEGIN IMMEDIATE'));
  }

  #commit(): void {
    this.files.check();
    // It may be asked again: what is written stays, and so does the claim to be next.
    this.wait.for(() => this.db.exec('COMMIT'));
    this.files.committed();
  }

  #rollBack(): void {
    // SQLite may have rolled back by itself, as it does when the disk is full.
    if (this.db.inTransaction) this.db.exec('ROLLBACK');
  }
}
