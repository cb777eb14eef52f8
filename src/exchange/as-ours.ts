import { rmSync } from 'node:fs';
import { readDatabase } from '../query/open.js';
import { realPath } from '../store/real-path.js';
import { checkSchema, databaseKind } from '../store/schema.js';
import { openSqlite } from '../store/sqlite.js';
import { upgradeTables } from './upgrade.js';

interface Options {
  /** Beside what the copies are made. */
  readonly beside: string;
  readonly onProgress?: (path: string, done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Databases to be read by our tables. Of one that Braid-DB has made that is a copy, made as `upgrade` would make it, for as long as
 * it takes; the file itself is only read.
 */
export class AsOurs {
  readonly #copies: string[] = [];

  constructor(private readonly options: Options) {}

  /**
   * That a database can be read so.
   *
   * @throws BraidError ERR_BRAID_DB_FOREIGN, ERR_BRAID_DB_…
   */
  static check(path: string): void {
    readDatabase(path, (db) => {
      const kind = databaseKind(db);
      if (kind !== 'braid-db') checkSchema(db, kind);
    });
  }

  /** @throws BraidError ERR_BRAID_NOT_UPGRADABLE, ERR_BRAID_DB_… */
  async file(path: string): Promise<string> {
    if (readDatabase(path, databaseKind) !== 'braid-db') return path;
    const { beside, onProgress, signal } = this.options;
    const copy = `${realPath(beside)}.${process.pid}.${this.#copies.length}.tmp`;
    this.#copies.push(copy);
    const db = openSqlite(copy);
    try {
      for (const pragma of ['foreign_keys = OFF', 'journal_mode = OFF', 'synchronous = OFF']) db.pragma(pragma);
      db.prepare('ATTACH ? AS theirs').run(realPath(path));
      db.exec('BEGIN');
      await upgradeTables(db, {
        attached: 'theirs',
        signal,
        onProgress: ({ done, total }) => onProgress?.(path, done, total),
      });
      db.exec('COMMIT');
    } finally {
      db.close();
    }
    return copy;
  }

  close(): void {
    for (const copy of this.#copies) rmSync(copy, { force: true });
  }
}
