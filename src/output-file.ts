import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { BraidError } from './errors.js';
import { realPath } from './store/real-path.js';

const SQLITE = 'SQLite format 3\0';

/**
 * The file that is to get a new content under this name: what a link leads to. Never in the place of a database, nor of a
 * device or a pipe.
 *
 * @throws BraidError ERR_BRAID_OPTION_INVALID, ERR_BRAID_OUTPUT
 */
export function outputFile(name: string): string {
  const path = name.replace(/(?<=.)\/+$/, '');
  const there = statSync(path, { throwIfNoEntry: false });
  if (!there) return realPath(path);
  if (there.isDirectory()) return path;
  if (!there.isFile()) {
    throw new BraidError(
      'ERR_BRAID_OUTPUT',
      `${name} is no file that could be replaced: name one, or leave out the output for standard output`,
    );
  }
  if (isDatabase(path)) {
    throw new BraidError(
      'ERR_BRAID_OPTION_INVALID',
      `${name} is a database, and what is written would take its place: name another file`,
    );
  }
  return realPath(path);
}

function isDatabase(path: string): boolean {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const head = Buffer.alloc(SQLITE.length);
    readSync(file, head, 0, head.length, 0);
    return head.toString('latin1') === SQLITE;
  } catch {
    // Who can't read it may replace it all the same.
    return false;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
