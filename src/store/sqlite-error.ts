import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { realPath } from './real-path.js';
import { sqliteCode } from './sqlite.js';
import { BraidError, type BraidErrorCode } from '../errors.js';

type Explanation = readonly [prefix: string, code: BraidErrorCode, advice: string];

const FULL: Explanation = ['SQLITE_FULL', 'ERR_BRAID_DB_FULL', 'its disk is full'];

/** What to tell of a full disk: to a job that goes on, to who does something all at once, to who recovers. */
const WHEN_FULL = {
  flush: 'free some space; the next flush commits all the rest',
  atOnce: 'nothing was changed; free some space, and run it again',
  recovery: 'free some space, and recover again; what is not committed stays in the spools',
} as const;

/** What to tell of SQLite's own errors, by the beginning of their code. */
const EXPLAINED: readonly Explanation[] = [
  FULL,
  [
    'SQLITE_BUSY',
    'ERR_BRAID_DB_BUSY',
    'another program keeps it locked (an open sqlite3 shell, a backup, another run?)',
  ],
  ['SQLITE_LOCKED', 'ERR_BRAID_DB_BUSY', 'another connection keeps a table locked'],
  [
    'SQLITE_READONLY_ROLLBACK',
    'ERR_BRAID_DB_UNSETTLED',
    'its writer was killed in the midst of a transaction: braid recover, or the next run, makes it whole',
  ],
  ['SQLITE_READONLY', 'ERR_BRAID_DB_UNWRITABLE', 'it, or its directory, cannot be written to'],
  [
    'SQLITE_CANTOPEN',
    'ERR_BRAID_DB_UNWRITABLE',
    'it cannot be opened: does its directory exist, and may this user write there?',
  ],
  ['SQLITE_PERM', 'ERR_BRAID_DB_UNWRITABLE', 'access is denied'],
  ['SQLITE_NOTADB', 'ERR_BRAID_DB_NOT_SQLITE', 'it is not an SQLite database'],
  [
    'SQLITE_CORRUPT',
    'ERR_BRAID_DB_CORRUPT',
    'it is damaged: see braid verify; what a run has not committed stays in its spools',
  ],
  ['SQLITE_IOERR', 'ERR_BRAID_DB_IO', 'its disk reports an error; what is not committed stays in the spools'],
];

/** Who writes to a database. */
export type Writer = keyof typeof WHEN_FULL;

/** The error to give a user for whatever a database operation on `path` threw. */
export function explainSqliteError(error: unknown, path: string): BraidError {
  if (error instanceof BraidError) return error;
  const sqlite = sqliteCode(error);
  const known = sqlite === undefined ? undefined : EXPLAINED.find(([prefix]) => sqlite.startsWith(prefix));
  if ((error as Error).message.startsWith('JSON cannot hold BLOB')) {
    return new BraidError(
      'ERR_BRAID_DB_CORRUPT',
      `${path}: a name, a URI or a tag is a BLOB where text is to be: braid verify names its record (${sqlite})`,
      { cause: error },
    );
  }
  if (known) return new BraidError(known[1], `${path}: ${known[2]} (${sqlite})`, { cause: error });
  const { message } = error as Error;
  return new BraidError('ERR_BRAID_DB', `${path}: ${message}`, { cause: error });
}

/** The same for who writes to it, and so may find out whether it is for want of room that SQLite could make no file. */
export function explainWriteError(error: unknown, path: string, writer: Writer = 'atOnce'): BraidError {
  const { code } = error as { code?: string };
  const full = code === FULL[0] || isNoRoom(error);
  if (full || (/^SQLITE_(CANTOPEN|IOERR)/.test(code ?? '') && isFull(dirname(realPath(path))))) {
    return new BraidError(FULL[1], `${path}: ${FULL[2]}: ${WHEN_FULL[writer]} (${code})`, { cause: error });
  }
  return explainSqliteError(error, path);
}

function isNoRoom(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

function isFull(directory: string): boolean {
  const file = join(directory, `.braid-room-${process.pid}`);
  try {
    writeFileSync(file, Buffer.alloc(4096), { flag: 'wx', mode: 0o600 });
    return false;
  } catch (error) {
    return isNoRoom(error);
  } finally {
    rmSync(file, { force: true });
  }
}
