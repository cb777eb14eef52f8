import { InvalidArgumentError, Option } from 'commander';
import { BraidError } from '../errors.js';

/** A BraidError of wrong usage, and not of what was found. */
const USAGE_CODES = new Set([
  'ERR_BRAID_OPTION_INVALID',
  'ERR_BRAID_ID_INVALID',
  'ERR_BRAID_PATH_INVALID',
  'ERR_BRAID_SEARCH_INVALID',
]);

export function isWrongUsage(error: unknown): boolean {
  return error instanceof BraidError && USAGE_CODES.has(error.code);
}

export function jsonOption(what = 'print one JSON document'): Option {
  return new Option('--json', what);
}

export function kindOption(): Option {
  return new Option('--kind <kind>', 'only records of this kind').choices(['fact', 'data', 'model', 'record']);
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^[0-9]+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('It must be a whole number.');
}
