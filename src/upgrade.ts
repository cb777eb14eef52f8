import { chmodSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Database } from 'better-sqlite3';
import { freeBackup } from './create.js';
import type { Upgraded, UpgradeProgress } from './exchange/upgrade.js';
import { openReadOnly, readDatabase } from './query/open.js';
import { LockWait } from './store/lock-wait.js';
import { realPath } from './store/real-path.js';
import { checkSchema, databaseKind } from './store/schema.js';
import { settle } from './store/settle.js';
import { openSqlite } from './store/sqlite.js';
import { explainWriteError } from './store/sqlite-error.js';

export type { UpgradeProgress } from './exchange/upgrade.js';

export interface UpgradeOptions {
  /** Only says what would be done: nothing is written beside temporary files. */
  dryRun?: boolean;
  /** How long to wait for another writer of the database, in milliseconds. Default 60,000. */
  busyMs?: number;
  onProgress?: (progress: UpgradeProgress) => void;
  /** Ends it; the database is then as it was. */
  signal?: AbortSignal;
}

export interface UpgradeReport extends Upgraded {
  path: string;
  /** False of a database that is ours already, which stays as it is. */
  upgraded: boolean;
  dryRun: boolean;
  /** UUID that the database has from now on, or has already; none of a dry run. */
  database?: string;
  /** A copy of it as it was. */
  backup?: string;
}

const NOTHING: Upgraded = { records: 0, kinds: { fact: 0, data: 0, model: 0, record: 0 }, requests: 0, invalidated: 0 };

/**
 * Makes a database of ours of one that Braid-DB has made: in place, in one transaction, after a copy of it was made as
 * `PATH.001.bak` (or `.002`, …). Kinds of records are inferred, and marked so. Braid-DB goes on reading and writing it.
 *
 * @throws BraidError ERR_BRAID_NOT_UPGRADABLE, ERR_BRAID_DB_FOREIGN, ERR_BRAID_DB_NEWER, ERR_BRAID_DB_BUSY, ERR_BRAID_DB_…
 */
export async function upgrade(path: string, options: UpgradeOptions = {}): Promise<UpgradeReport> {
  const { dryRun = false, busyMs = 60_000, onProgress, signal } = options;
  // A writer that was killed may have left a transaction, which who only reads can't roll back.
  if (!dryRun) settle(path, busyMs);
  const database = readDatabase(path, uuidOfOurs);
  const known = { path: resolve(path), dryRun };
  if (database !== undefined) return { ...known, ...NOTHING, upgraded: false, database };
  const { upgradeTables } = await import('./exchange/upgrade.js');
  const db = dryRun ? openSqlite('') : openSqlite(realPath(path), { timeout: 0, fileMustExist: true });
  let backup: string | undefined;
  try {
    db.pragma('foreign_keys = OFF');
    // Else SQLite would have the tables of others name the old ones by the names that these get for a while.
    db.pragma('legacy_alter_table = ON');
    if (dryRun) {
      db.prepare('ATTACH ? AS theirs').run(realPath(path));
      db.exec('BEGIN');
      const upgraded = await upgradeTables(db, { attached: 'theirs', onProgress, signal });
      return { ...known, ...upgraded, upgraded: true, database: undefined };
    }
    const wait = new LockWait(busyMs);
    wait.for(() => db.exec('BEGIN IMMEDIATE'));
    // Somebody else may have come first.
    const now = uuidOfOurs(db);
    if (now !== undefined) return { ...known, ...NOTHING, upgraded: false, database: now };
    backup = await copy(path, onProgress, signal);
    const upgraded = await upgradeTables(db, { onProgress, signal });
    wait.for(() => db.exec('COMMIT'));
    return { ...known, ...upgraded, upgraded: true, backup };
  } catch (error) {
    // Of what is as it was no copy is needed.
    if (backup !== undefined) rmSync(backup);
    throw (error as Error).name === 'AbortError' ? error : explainWriteError(error, path);
  } finally {
    if (db.inTransaction) db.exec('ROLLBACK');
    db.close();
  }
}

/** The UUID of one that is ours; undefined of Braid-DB's. */
function uuidOfOurs(db: Database): string | undefined {
  const kind = databaseKind(db);
  return kind === 'braid-db' ? undefined : checkSchema(db, kind);
}

/** Page by page, as they are; nobody writes meanwhile. */
async function copy(path: string, onProgress: UpgradeOptions['onProgress'], signal?: AbortSignal): Promise<string> {
  const beside = `${resolve(path)}.${process.pid}.tmp`;
  const db = openReadOnly(path);
  try {
    // Nobody may read of it who can't read what it is a copy of.
    writeFileSync(beside, '', { flag: 'wx', mode: 0o600 });
    chmodSync(beside, statSync(path).mode & 0o777);
    await db.backup(beside, {
      progress: ({ totalPages, remainingPages }) => {
        signal?.throwIfAborted();
        onProgress?.({ phase: 'backup', done: totalPages - remainingPages, total: totalPages });
        return PAGES;
      },
    });
    const backup = freeBackup(resolve(path));
    renameSync(beside, backup);
    return backup;
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  } finally {
    db.close();
  }
}

/** Of a copy, between two looks at what else is to be done. */
const PAGES = 2000;
