import { randomUUID } from 'node:crypto';
import { closeSync, constants, fstatSync, linkSync, openSync, rmdirSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { BraidError } from '../errors.js';
import { faultPoint } from '../fault.js';
import { loadAddon } from '../load-addon.js';
import type { CoreAddon } from '../native.js';
import { isOfOurNaming } from './directories.js';
import { removeFile } from './remove-file.js';
import { LeftoverSpool } from './spool-file.js';

/** How a spool's name ends while it is made. */
const UNFINISHED = '.making';

/** Whatever else lies in a directory, by whatever name, is none of ours. */
const NAME = /^[0-9a-f]{32}\.[1-9][0-9]*\.[0-9]+\.spool$/;
const UNFINISHED_NAME = /^[0-9a-f]{32}\.[1-9][0-9]*\.[0-9]+\.spool\.[0-9a-f-]{36}\.making$/;

export function isSpoolName(name: string): boolean {
  return NAME.test(name);
}

export function isUnfinishedName(name: string): boolean {
  return UNFINISHED_NAME.test(name);
}

/** How often others may get in between: each time takes a scan that looks at a name in the instant in which it is there. */
const TRIES = 100;

/**
 * Makes a spool's file with its header, locked, and gives it its name last: nobody ever sees a `.spool` that is not yet
 * locked, or not yet anybody's. One of the same name that is free and holds nothing is replaced.
 *
 * @param makeDirectory makes sure that its directory is there: whoever takes the last spool from it removes it.
 * @returns the open file.
 * @throws BraidError ERR_BRAID_RUN_ALIVE, ERR_BRAID_SPOOL_UNWRITABLE; what `makeDirectory` and the system do
 */
export function createSpool(file: string, header: Buffer, makeDirectory: () => void): number {
  let cause: unknown;
  for (let tries = 0; tries < TRIES; tries++) {
    makeDirectory();
    try {
      return create(file, header);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') removeEmpty(file, error);
      if (code !== 'EEXIST' && code !== 'ENOENT' && code !== 'EBUSY') throw error;
      cause = error;
    }
  }
  throw cause;
}

function create(file: string, header: Buffer): number {
  const core = loadAddon<CoreAddon>('braid_core');
  const unfinished = `${file}.${randomUUID()}${UNFINISHED}`;
  // Neither a file nor a link of that name is taken: O_EXCL follows none.
  const fd = openSync(unfinished, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    if (!core.lock(fd)) throw Object.assign(new Error(`${unfinished} is being deleted by a scan`), { code: 'EBUSY' });
    core.allocate(fd, 0, header.length);
    writeSync(fd, header, 0, header.length, 0);
    faultPoint('open.making');
    linkSync(unfinished, file);
    faultPoint('open.named');
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  } finally {
    removeFile(unfinished);
  }
}

/** Deletes what a maker that was killed has left, if it was: one that lives holds its lock, or comes too late for it. */
export function removeUnfinished(file: string): void {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // Finished in the meantime, or not ours to open.
    return;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.uid !== process.geteuid!()) return;
    if (loadAddon<CoreAddon>('braid_core').lock(fd)) removeSpool(file);
  } finally {
    closeSync(fd);
  }
}

/** Deletes a spool of which we hold the lock, and its directory behind the last one, unless the user has named it. */
export function removeSpool(file: string): void {
  removeFile(file);
  const directory = dirname(file);
  if (isOfOurNaming(directory)) removeDirectory(directory);
}

/** Removes a directory unless another rank's spool, or another run's, keeps it. */
export function removeDirectory(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Not empty, or gone already.
  }
}

/** Deletes the file of that name if it is nobody's any more, and holds nothing; throws why not. */
function removeEmpty(file: string, cause: unknown): void {
  let spool: LeftoverSpool;
  try {
    spool = LeftoverSpool.open(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw notEmpty(file, cause);
  }
  try {
    const lock = spool.lock();
    if (lock === 'gone') return;
    if (lock !== 'taken') throw alive(file, cause);
    if (!spool.isEmpty) throw notEmpty(file, cause);
    removeFile(file);
  } finally {
    spool.close();
  }
}

function alive(file: string, cause: unknown): BraidError {
  return new BraidError(
    'ERR_BRAID_RUN_ALIVE',
    `another process has begun the same attempt of this run: it holds ${file}. Wait until it has ended, or end it`,
    { cause },
  );
}

function notEmpty(file: string, cause: unknown): BraidError {
  return new BraidError(
    'ERR_BRAID_SPOOL_UNWRITABLE',
    `${file} is there already, and not empty: the database was put back from an older copy, perhaps. Move the file away, ` +
      'or name another directory with spoolDir (BRAID_SPOOL_DIR)',
    { cause },
  );
}
