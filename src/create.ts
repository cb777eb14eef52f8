import { closeSync, existsSync, lstatSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { BraidError } from './errors.js';
import { parseOptions } from './options.js';
import { databaseKind } from './store/schema.js';
import { Store } from './store/store.js';
import { explainWriteError } from './store/sqlite-error.js';
import { inspect } from './inspection.js';
import { recover } from './recover.js';
import { openReadOnly } from './query/open.js';

export interface CreateReport {
  path: string;
  /** UUID of the new database. */
  database: string;
  /** Where the file that was there before has gone. */
  backup?: string;
}

/**
 * Makes an empty database. `BraidDB.open` makes one by itself; this is for scripts that want to know that it is new.
 *
 * @param options.backup move an existing file to `PATH.001.bak` (or `.002`, …) first, as Braid-DB's db-create does. What
 *   dead runs have left in spools is brought into it before, for they would not be found by its new name.
 * @throws BraidError ERR_BRAID_DB_EXISTS, ERR_BRAID_DB_IS_DIRECTORY, ERR_BRAID_DB_UNWRITABLE, ERR_BRAID_DB_BUSY
 */
export async function create(path: string, { backup = false }: { backup?: boolean } = {}): Promise<CreateReport> {
  const absolute = resolve(path);
  const { busyMs } = parseOptions();
  const moved = isThere(absolute) && backup ? await moveAway(absolute) : undefined;
  try {
    // Exclusively, so that of two that create the same one fails.
    closeSync(openSync(absolute, 'wx'));
  } catch (error) {
    throw explainCreation(error as NodeJS.ErrnoException, absolute);
  }
  try {
    const store = new Store({ path: absolute, busyMs });
    store.close();
    return { path: absolute, database: store.opened.uuid, backup: moved };
  } catch (error) {
    rmSync(absolute, { force: true });
    throw error;
  }
}

/** Of a link the link counts, wherever it leads: it is moved, and what belongs to the file stays beside that. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

async function moveAway(path: string): Promise<string> {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw isDirectory(path);
  if (isOurs(path)) await settle(path);
  const backup = freeBackup(path);
  try {
    // SQLite finds them by the file's name, and would miss what they hold.
    for (const part of ['-journal', '-wal']) if (existsSync(path + part)) renameSync(path + part, backup + part);
    rmSync(`${path}-shm`, { force: true });
    renameSync(path, backup);
  } catch (error) {
    throw explainCreation(error as NodeJS.ErrnoException, path);
  }
  return backup;
}

/** `PATH.001.bak`, or the first after that which is not there. */
export function freeBackup(path: string): string {
  for (let number = 1; ; number++) {
    const backup = `${path}.${String(number).padStart(3, '0')}.bak`;
    if (!isThere(backup)) return backup;
  }
}

function isOurs(path: string): boolean {
  try {
    const db = openReadOnly(path);
    try {
      return databaseKind(db) === 'ours';
    } finally {
      db.close();
    }
  } catch {
    // Whatever else it is can be moved as it is.
    return false;
  }
}

/** Makes one whole file of a database, which no run may be using. */
async function settle(path: string): Promise<void> {
  const { leftovers, database } = inspect(path);
  leftovers.release();
  const used = leftovers.reports.find(
    ({ alone, database: of }) => (alone === 'alive' || alone === 'busy') && of === database,
  );
  if (used) throw new BraidError('ERR_BRAID_DB_BUSY', `${path}: run ${used.run} is at work in it: ${used.why}`);
  await recover(path);
}

function isDirectory(path: string): BraidError {
  return new BraidError('ERR_BRAID_DB_IS_DIRECTORY', `${path} is a directory: name a file in it`);
}

function explainCreation(error: NodeJS.ErrnoException, path: string): BraidError {
  switch (error.code) {
    case 'EEXIST':
      if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return isDirectory(path);
      return new BraidError('ERR_BRAID_DB_EXISTS', `${path} exists: -B (backup: true) moves it away first`);
    case 'ENOENT':
    case 'ENOTDIR':
      return new BraidError('ERR_BRAID_DB_UNWRITABLE', `${path}: its directory does not exist`, { cause: error });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new BraidError('ERR_BRAID_DB_UNWRITABLE', `${path}: ${error.message}`, { cause: error });
    default:
      return explainWriteError(error, path);
  }
}
