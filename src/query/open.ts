import { existsSync, statSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { BraidError } from '../errors.js';
import { openSqlite } from '../store/sqlite.js';
import { explainSqliteError } from '../store/sqlite-error.js';

/**
 * Opens an existing database for reading.
 *
 * @throws BraidError ERR_BRAID_DB_NOT_FOUND, ERR_BRAID_DB_IS_DIRECTORY, ERR_BRAID_DB_NOT_SQLITE, ERR_BRAID_DB_UNWRITABLE
 */
export function openReadOnly(path: string): Database.Database {
  if (!existsSync(path)) throw new BraidError('ERR_BRAID_DB_NOT_FOUND', `${path} does not exist`);
  if (statSync(path).isDirectory()) {
    throw new BraidError('ERR_BRAID_DB_IS_DIRECTORY', `${path} is a directory: name a file in it`);
  }
  let db: Database.Database | undefined;
  try {
    db = openSqlite(path, { readonly: true, timeout: 10_000 });
    // Reads the file's header: whether it is a database at all shows only now.
    db.pragma('schema_version');
    return db;
  } catch (error) {
    db?.close();
    throw explainSqliteError(error, path);
  }
}

/**
 * Reads an existing database once.
 *
 * @throws BraidError ERR_BRAID_DB_…
 */
export function readDatabase<T>(path: string, read: (db: Database.Database) => T): T {
  const db = openReadOnly(path);
  try {
    return read(db);
  } catch (error) {
    throw explainSqliteError(error, path);
  } finally {
    db.close();
  }
}
