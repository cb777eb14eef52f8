import { BraidError } from '../errors.js';
import { TagType, type TagTypeCode } from '../frame/format.js';

/** A typed value: integers (safe ones, and bigints within int64), other finite numbers, strings, booleans. */
export type Tag = string | number | bigint | boolean;
export type Tags = Record<string, Tag>;
export type TagTypeName = 'string' | 'integer' | 'float' | 'boolean';

const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

/**
 * The type that a value is stored with.
 *
 * @throws BraidError ERR_BRAID_TAG_INVALID
 */
export function tagTypeOf(key: string, value: Tag, declared?: TagTypeName): TagTypeCode {
  const type = natural(key, value);
  if (declared === undefined || type === TagType[declared]) return type;
  // Any number is a float if its writer says so; nothing else changes its type in silence.
  if (declared === 'float' && typeof value === 'number') return TagType.float;
  throw invalid(key, `${describe(value)} is not of type ${declared}`);
}

function natural(key: string, value: Tag): TagTypeCode {
  switch (typeof value) {
    case 'string':
      return TagType.string;
    case 'number':
      if (Number.isSafeInteger(value) && !Object.is(value, -0)) return TagType.integer;
      if (Number.isFinite(value)) return TagType.float;
      throw invalid(key, `${value} is not a finite number`);
    case 'bigint':
      if (value >= MIN_INT64 && value <= MAX_INT64) return TagType.integer;
      throw invalid(key, `${value} does not fit a 64-bit integer`);
    case 'boolean':
      return TagType.boolean;
    default:
      throw invalid(key, `${describe(value)} is not a string, number, bigint or boolean`);
  }
}

/** The text that `tags.value` holds: Braid-DB keeps all values as text. */
export function tagText(value: Tag): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (value === 0 && Object.is(value, -0)) return '-0.0';
  return String(value);
}

/** The value that was stored, typed. Integers beyond 2^53 come back as bigints; what doesn't parse, as its text. */
export function tagValue(text: string, type: number, boolean: number): Tag {
  if (type === TagType.integer) {
    if (boolean) return text !== '0';
    const number = Number(text);
    if (Number.isSafeInteger(number)) return number;
    return /^[+-]?\d+$/.test(text) ? BigInt(text) : text;
  }
  if (type === TagType.float) {
    const number = Number(text);
    return Number.isNaN(number) ? text : number;
  }
  return text;
}

function describe(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

function invalid(key: string, why: string): BraidError {
  return new BraidError('ERR_BRAID_TAG_INVALID', `tag ${JSON.stringify(key)}: ${why}`);
}
