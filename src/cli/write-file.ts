import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { BraidError } from '../errors.js';

/** Beside the file first, and then renamed: whoever reads it has the old one or the new one, and a full disk spoils none. */
export function writeFile(file: string, text: string): void {
  const beside = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(beside, text);
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw new BraidError('ERR_BRAID_OUTPUT', `${file} can't be written: ${(error as Error).message}`, { cause: error });
  }
}
