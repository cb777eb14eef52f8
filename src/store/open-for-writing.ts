import { existsSync, lstatSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type Database from 'better-sqlite3';
import { BraidError } from '../errors.js';
import { packageFile } from '../package.js';
import { fileSystemOf } from '../spool/file-system.js';
import type { LockWait } from './lock-wait.js';
import { ExtensionTables, StatementTables, type RoundTables } from './round-tables.js';
import { checkSchema, ensureSchema } from './schema.js';
import { openSqlite } from './sqlite.js';
import type { StoreOptions } from './store.js';

/** Our SQLite extension. */
export const EXTENSION = packageFile('build/Release/braid_sqlite.so');

export interface OpenDatabase {
  readonly db: Database.Database;
  /** Of the database. */
  readonly uuid: string;
  /** Whether readers and the writer don't block each other. */
  readonly wal: boolean;
  readonly tables: RoundTables;
  /** Why `tables` is not by the extension, where it was to be. */
  readonly reason?: string;
}

/** A connection that can commit rounds, to a database that is ours, or is made so. */
export function openForWriting(
  file: string,
  { commit = 'extension', existing = false, asIs = false }: StoreOptions,
  wait: LockWait,
): OpenDatabase {
  const db = openSqlite(file, { timeout: wait.sliceMs, fileMustExist: existing });
  try {
    db.pragma('foreign_keys = OFF');
    const logged = fileSystemOf(file).wal;
    const uuid = existing ? ensured(db, checkSchema) : made(db, logged);
    // To change it is to change the file.
    if (!asIs) db.pragma(`journal_mode = ${logged ? 'WAL' : 'DELETE'}`);
    db.pragma('synchronous = FULL');
    db.pragma('temp_store = MEMORY');
    db.pragma('cache_size = -65536');
    const wal = db.pragma('journal_mode', { simple: true }) === 'wal';
    // The log is made by the first that reads.
    db.pragma('schema_version');
    return { db, uuid, wal, ...roundTables(db, commit) };
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * Makes the tables of a new file, or checks those that there are. What is made need not have reached the disk before the
 * file is turned to a log, which nobody records without: of an empty file there is nothing to lose, and each of the two
 * would wait for the disk four times. Until then a kill is undone by the journal, and the turn is a write of one page.
 */
function made(db: Database.Database, logged: boolean): string {
  // Who asks for it has also rolled back what another left in a journal, and waited for the disk.
  const empty = db.pragma('page_count', { simple: true }) === 0;
  if (!logged || !empty) return ensured(db, ensureSchema);
  db.pragma('synchronous = OFF');
  const uuid = ensured(db, ensureSchema);
  db.pragma('synchronous = FULL');
  db.pragma('journal_mode = MEMORY');
  if (db.pragma('journal_mode = WAL', { simple: true }) === 'wal') return uuid;
  db.pragma('journal_mode = DELETE');
  return uuid;
}

function ensured(db: Database.Database, ensure: (db: Database.Database) => string): string {
  db.exec('BEGIN IMMEDIATE');
  const uuid = ensure(db);
  db.exec('COMMIT');
  return uuid;
}

function roundTables(
  db: Database.Database,
  commit: 'extension' | 'statements',
): Pick<OpenDatabase, 'tables' | 'reason'> {
  if (commit === 'statements') return { tables: new StatementTables(db) };
  try {
    return { tables: new ExtensionTables(db, EXTENSION) };
  } catch (error) {
    return { tables: new StatementTables(db), reason: (error as Error).message };
  }
}

/** Says what SQLite would only call "unable to open". */
export function checkPath(path: string, file: string): void {
  if (lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new BraidError('ERR_BRAID_DB_UNWRITABLE', `${path} is a link, and leads in a circle`);
  }
  const stat = statSync(file, { throwIfNoEntry: false });
  if (!stat) {
    if (!existsSync(dirname(file))) {
      const directory = file === path ? 'its directory' : `${file}, to which it leads: the directory of that`;
      throw new BraidError('ERR_BRAID_DB_UNWRITABLE', `${path}: ${directory} does not exist`);
    }
    return;
  }
  if (stat.isDirectory())
    throw new BraidError('ERR_BRAID_DB_IS_DIRECTORY', `${path} is a directory: name a file in it`);
  if (!stat.isFile()) throw new BraidError('ERR_BRAID_DB_NOT_SQLITE', `${path} is not a regular file`);
}
