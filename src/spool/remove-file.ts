import { unlinkSync } from 'node:fs';

/**
 * Deletes a file, if it is there. Not by Node's `rmSync`: what it needs for directories is loaded the first time, and takes
 * longer than all else that a spool is made and removed by.
 */
export function removeFile(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
