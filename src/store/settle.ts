import { existsSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { realPath } from './real-path.js';
import { openSqlite } from './sqlite.js';
import { explainWriteError } from './sqlite-error.js';

/**
 * Makes a database one whole file again whose writer was killed: SQLite rolls back, or brings in, what its journal or log
 * has, as whoever opens the file for writing does. Where others have it open, their last one does.
 *
 * @param busyMs how long to wait for another writer.
 * @throws BraidError ERR_BRAID_DB_…
 */
export function settle(path: string, busyMs: number): void {
  const file = realPath(path);
  if (!existsSync(`${file}-journal`) && !existsSync(`${file}-wal`)) return;
  let db: Database.Database | undefined;
  try {
    db = openSqlite(path, { timeout: busyMs, fileMustExist: true });
    db.pragma('schema_version');
    leaveWal(db);
    removeJournal(db);
  } catch (error) {
    throw explainWriteError(error, path);
  } finally {
    db?.close();
  }
}

/** One that its writer was killed before it had a header is nobody's to roll back, and would stay. */
function removeJournal(db: Database.Database): void {
  try {
    // What SQLite leaves of a persistent journal it takes away on the way from there.
    db.pragma('journal_mode = PERSIST');
    db.pragma('journal_mode = DELETE');
  } catch {
    // Others have it open.
  }
}

/** Brings everything into the one file, which then opens read-only and on any file system; unless others have it open. */
export function leaveWal(db: Database.Database): void {
  try {
    db.pragma('busy_timeout = 0');
    if (db.pragma('journal_mode', { simple: true }) === 'wal') db.pragma('journal_mode = DELETE');
  } catch {
    // They will be the last.
  }
}
