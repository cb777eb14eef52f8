import { InvalidArgumentError, Option } from 'commander';
import { BraidError } from '../errors.js';
import type { Tag, Tags } from '../record/tags.js';
import { momentsOf } from '../query/time-span.js';

/** A BraidError of wrong usage, and not of what was found. */
const USAGE_CODES = new Set([
  'ERR_BRAID_OPTION_INVALID',
  'ERR_BRAID_ID_INVALID',
  'ERR_BRAID_PATH_INVALID',
  'ERR_BRAID_SEARCH_INVALID',
  'ERR_BRAID_STATEMENT_INVALID',
  'ERR_BRAID_VERSION_INVALID',
  'ERR_BRAID_CAUSE_INVALID',
]);

/** What RECORD and MODEL may be, for help. */
export const NODE_HELP = `
A record is an id, or name:NAME where only one has that name. A version of a model is MODEL@3 (by number), MODEL@step=12
(MODEL@step=12,run=8861a738,attempt=2 where several attempts have it), MODEL@time=2026-07-28T09:30:00Z (the newest then),
MODEL@when=RECORD (the newest when that record was made), or its key. A time means the end of what is written: of a day, of a
second. A model without a version is all that it has learnt.
`;

export function isWrongUsage(error: unknown): boolean {
  return error instanceof BraidError && USAGE_CODES.has(error.code);
}

export function jsonOption(what = 'print one JSON document'): Option {
  return new Option('--json', what);
}

export function kindOption(): Option {
  return new Option('--kind <kind>', 'only records of this kind').choices(['fact', 'data', 'model', 'record']);
}

/** A tag as KEY=VALUE, typed as it looks: a number, true or false, else text; "1" in quotes is text. Added to those before. */
export function tagArgument(text: string, before: Tags = {}): Tags {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined) throw new InvalidArgumentError('It must be KEY=VALUE.');
  if (Object.hasOwn(before, key)) {
    throw new InvalidArgumentError(
      `${key} is given twice, and one value of it can be asked for; braid search takes any.`,
    );
  }
  return { ...before, [key]: tagOf(value) };
}

function tagOf(text: string): Tag {
  if (text === 'true' || text === 'false') return text === 'true';
  if (/^".*"$/s.test(text)) return text.slice(1, -1);
  if (/^[+-]?\d+$/.test(text)) return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : text;
}

/** The beginning of a time, in UTC unless it says otherwise: of a day its midnight. */
export function timeArgument(text: string): Date {
  return moments(text).first;
}

/** The end of a time: all of a day that is named is before it. */
export function lastTimeArgument(text: string): Date {
  return moments(text).last;
}

function moments(text: string): { first: Date; last: Date } {
  const found = momentsOf(text);
  if (found) return found;
  throw new InvalidArgumentError('It must be a time: 2026-07-28T09:30:00Z, or 2026-07-28.');
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^[0-9]+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('It must be a whole number.');
}
