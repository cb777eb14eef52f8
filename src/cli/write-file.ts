import { writeFile as write } from 'node:fs/promises';
import { extname } from 'node:path';
import { BraidError } from '../errors.js';
import { writeBeside } from '../output-file.js';

/** Endings that name a format. Any other may be a part of a name. */
const ENDINGS = new Set(['svg', 'html', 'htm', 'mmd', 'mermaid', 'dot', 'gv', 'json', 'png', 'jpg', 'jpeg', 'gif', 'webp', 'bmp', 'tif', 'tiff', 'pdf', 'ps', 'eps']); // prettier-ignore

/**
 * That the name of a file doesn't promise another format than what will be in it.
 *
 * @param endings of that format, with their dots.
 * @param formats what else can be had, and how.
 * @throws BraidError ERR_BRAID_OPTION_INVALID
 */
export function checkEnding(file: string, format: string, endings: readonly string[], formats: string): void {
  const ending = extname(file).toLowerCase();
  if (endings.includes(ending) || !ENDINGS.has(ending.slice(1))) return;
  throw new BraidError('ERR_BRAID_OPTION_INVALID', `${file} would not be ${ending}, but ${format}: ${formats}`);
}

/** See `writeBeside`. */
export function writeFile(name: string, text: string): Promise<void> {
  return writeBeside(name, (file) => write(file, text));
}
