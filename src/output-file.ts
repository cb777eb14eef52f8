import { closeSync, existsSync, openSync, readSync, renameSync, rmSync, statSync, type Stats } from 'node:fs';
import { BraidError, calledAs } from './errors.js';
import { realPath } from './store/real-path.js';

const SQLITE = 'SQLite format 3\0';

/**
 * Writes a file, or a folder, beside the one that is named, and then renames it: whoever reads it has the old one or the new one,
 * and a full disk spoils none.
 *
 * @param write to a place where there is nothing yet.
 * @throws BraidError ERR_BRAID_OPTION_INVALID, ERR_BRAID_OUTPUT, and what `write` throws of ours; an AbortError
 */
export async function writeBeside(output: string, write: (file: string) => Promise<void>): Promise<void> {
  const place = outputFile(output);
  const file = `${place}.${process.pid}.tmp`;
  try {
    await write(file);
    if (existsSync(place) && statSync(file).isDirectory()) throw taken(output);
    renameSync(file, place);
  } catch (error) {
    discard(file);
    if (error instanceof BraidError) throw calledAs(error, file, output);
    if ((error as Error).name === 'AbortError') throw error;
    const message = (error as Error).message.replaceAll(file, output);
    throw new BraidError('ERR_BRAID_OUTPUT', `${output} can't be written: ${message}`, { cause: error });
  }
}

function discard(file: string): void {
  try {
    rmSync(file, { recursive: true, force: true });
  } catch {
    // What has gone wrong before is told.
  }
}

/**
 * The file that is to get a new content under this name: what a link leads to. Never in the place of a database, a folder, a
 * device or a pipe.
 */
function outputFile(name: string): string {
  const path = name.replace(/(?<=.)\/+$/, '');
  const there = statsOf(path);
  if (!there) return realPath(path);
  if (there.isDirectory()) throw taken(name);
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

/** Undefined where nothing is, or nothing that we may see: then writing says what is wrong. */
function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function taken(output: string): BraidError {
  return new BraidError('ERR_BRAID_OUTPUT', `${output} exists already: name a folder that doesn't, or remove it`);
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
