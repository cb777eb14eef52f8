import { randomUUID } from 'node:crypto';
import { closeSync, constants, fstatSync, linkSync, openSync, rmSync, rmdirSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { BraidError } from '../errors.js';
import { faultPoint } from '../fault.js';
import { loadAddon } from '../load-addon.js';
import type { CoreAddon } from '../native.js';
import { LeftoverSpool } from './spool-file.js';

/** How a spool's name ends while it is made. */
export const UNFINISHED = '.making';

/** How often others may get in between: each time takes a scan that looks at a name in the instant in which it is there. */
const TRIES = 100;

/**
 * Makes a spool's file with its header, locked, and gives it its name last: nobody ever sees a `.spool` that is not yet
 * locked, or not yet anybody's. One of the same name that is free and holds nothing is replaced.
 *
 * @param makeDirectory makes sure that its directory is there: whoever takes the last spool from it removes it.
 * @returns the open file.
 * @throws BraidError ERR_BRAID_SPOOL_UNWRITABLE; what `makeDirectory` and the system do
 */
export function createSpool(file: string, header: Buffer, makeDirectory: () => void): number {
  let cause: unknown;
  for (let tries = 0; tries < TRIES; tries++) {
    makeDirectory();
    try {
      return create(file, header);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST' && !removeEmpty(file)) throw taken(file, error);
      if (code !== 'EEXIST' && code !== 'ENOENT' && code !== 'EBUSY') throw error;
      cause = error;
    }
  }
  throw cause;
}

function create(file: string, header: Buffer): number {
  const core = loadAddon<CoreAddon>('braid_core');
  const unfinished = `${file}.${randomUUID()}${UNFINISHED}`;
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openSync(unfinished, flags, 0o600);
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
    rmSync(unfinished, { force: true });
  }
}

function taken(file: string, cause: unknown): BraidError {
  return new BraidError(
    'ERR_BRAID_SPOOL_UNWRITABLE',
    `${file} is there already, and alive or not empty: another process begins the same attempt of this run, or the ` +
      'database was put back from an older copy. Move the file away, or name another directory with spoolDir (BRAID_SPOOL_DIR)',
    { cause },
  );
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

/** Deletes a spool of which we hold the lock, and its directory behind the last one. */
export function removeSpool(file: string): void {
  rmSync(file, { force: true });
  try {
    rmdirSync(dirname(file));
  } catch {
    // Not empty, or gone already.
  }
}

/** Whether the file of that name is gone: it was nobody's any more, and held nothing. */
function removeEmpty(file: string): boolean {
  let spool: LeftoverSpool;
  try {
    spool = LeftoverSpool.open(file);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
  try {
    const lock = spool.lock();
    if (lock === 'gone') return true;
    if (lock !== 'taken' || !spool.isEmpty) return false;
    rmSync(file, { force: true });
    return true;
  } finally {
    spool.close();
  }
}
