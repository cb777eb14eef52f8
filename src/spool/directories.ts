import { existsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileSystemOf } from './file-system.js';

/** Beside the database, a directory of this user's own. */
function besideDatabase(path: string): string {
  return `${path}-spool-${process.geteuid!()}`;
}

function inTemporary(): string {
  return join(tmpdir(), `braid-spool-${process.geteuid!()}`);
}

/**
 * Where this process keeps its spool: as told, else beside the database if that is on this machine's own disk, else in
 * this node's temporary directory: a network file system would pay for every page, and can't promise that a mapped page
 * outlives the process.
 */
export function spoolDirectory(path: string, told: string | undefined): string {
  // Absolute: the database tells others of it, who look for it from elsewhere.
  if (told !== undefined) return resolve(told);
  return existsSync(dirname(path)) && fileSystemOf(dirname(path)).local ? besideDatabase(path) : inTemporary();
}

/** Where spools of a database may have been left on this machine. */
export function leftoverDirectories(path: string, told: readonly string[]): string[] {
  return [...new Set([...told, besideDatabase(path), inTemporary()])];
}

/**
 * Whether a directory that isn't there would be seen if it were: it is named to be in the database's own directory, and
 * that is before our eyes. Of any other it can't be told: a `/tmp` may be another one for each service and each job.
 */
export function liesBeside(directory: string, path: string): boolean {
  const [one, other] = [directory, path].map((each) => statSync(dirname(each), { throwIfNoEntry: false }));
  return one !== undefined && one.dev === other?.dev && one.ino === other.ino;
}
