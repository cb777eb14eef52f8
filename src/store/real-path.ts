import { readlinkSync, realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** As many as the kernel follows. */
const LINKS = 40;

/**
 * The file that a database's path leads to, which SQLite makes if a link leads to none. Beside it, and not beside a link,
 * SQLite keeps the journal, the log and the index of that.
 */
export function realPath(path: string): string {
  let file = resolve(path);
  for (let links = 0; links < LINKS; links++) {
    try {
      return realpathSync(file);
    } catch {
      // There is nothing, or a link to nothing.
    }
    try {
      file = resolve(dirname(file), readlinkSync(file));
    } catch {
      return file;
    }
  }
  // They lead in a circle; SQLite says that it can't be opened.
  return path;
}
