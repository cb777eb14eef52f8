import { stringify } from 'lossless-json';
import type { Tag, TagTypeName } from '../record/tags.js';
import { checked, inputError } from './input.js';
import { isObject, typedTag } from './schemas.js';
import type { JsonObject, TypedTag } from './types.js';

/** A tag as it is recorded, and its type where that isn't the value's own. */
export interface PlannedTag {
  readonly key: string;
  readonly value: Tag;
  readonly type?: TagTypeName;
}

/**
 * Tags of nested objects, with dotted keys: of all parents. Lists become JSON, null becomes text.
 *
 * @throws BraidError ERR_BRAID_INPUT_INVALID
 */
export function flattenTags(tags: JsonObject, place: string): PlannedTag[] {
  const found = new Map<string, PlannedTag>();
  const visit = (object: JsonObject, prefix: string) => {
    for (const [name, value] of Object.entries(object)) {
      const key = prefix + name;
      if (isObject(value)) {
        visit(value, `${key}.`);
        continue;
      }
      checkText(key, `${place}: the key ${JSON.stringify(key)}`);
      if (key === '') throw inputError(`${place}: a key is empty`);
      if (found.has(key)) throw inputError(`${place}: ${JSON.stringify(key)} is there twice, nested and with a dot`);
      found.set(key, { key, value: scalar(value, `${place}: ${JSON.stringify(key)}`) });
    }
  };
  visit(tags, '');
  return [...found.values()];
}

function scalar(value: unknown, place: string): Tag {
  const tag =
    typeof value === 'boolean' || typeof value === 'number' || typeof value === 'bigint' ? value : textOf(value);
  if (typeof tag === 'string') checkText(tag, place);
  else if (typeof tag === 'number' && !Number.isFinite(tag)) throw inputError(`${place} is not a finite number`);
  else if (typeof tag === 'bigint') checkInt64(tag, place);
  return tag;
}

function checkInt64(value: bigint, place: string): void {
  if (BigInt.asIntN(64, value) !== value) throw inputError(`${place}: ${value} is not a whole number of 64 bits`);
}

/** A value as text: JSON, if it is none. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (stringify(value) ?? String(value));
}

function checkText(text: string, place: string): void {
  if (text.includes('\0') || !text.isWellFormed()) {
    throw inputError(`${place} must be Unicode text without a NUL character`);
  }
}

/**
 * Tags as `add_records` takes them, each with its type.
 *
 * @throws BraidError ERR_BRAID_INPUT_INVALID
 */
export function typedTags(tags: Record<string, TypedTag>, place: string): PlannedTag[] {
  return Object.entries(tags).map(([key, given]) => {
    const at = `${place}: ${JSON.stringify(key)}`;
    if (key === '') throw inputError(`${place}: a key is empty`);
    checkText(key, at);
    const { value, type } = checked(typedTag, given, at);
    switch (type?.toUpperCase() ?? 'NONE') {
      case 'STRING':
        return { key, value: String(value) };
      case 'FLOAT':
        return { key, value: floatOf(value, at), type: 'float' };
      case 'NONE':
        if (typeof value === 'bigint') checkInt64(value, at);
        return { key, value };
      default:
        return { key, value: integerOf(value, at) };
    }
  });
}

function floatOf(value: TypedTag['value'], place: string): number {
  const number = typeof value === 'string' && value.trim() === '' ? NaN : Number(value);
  if (Number.isFinite(number)) return number;
  throw inputError(`${place}: ${stringify(value)} is not a finite number`);
}

function integerOf(value: TypedTag['value'], place: string): number | bigint {
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw inputError(`${place}: a number as large as ${value} may be rounded: give it as a bigint, or as a string`);
  }
  const text = String(typeof value === 'boolean' ? Number(value) : value).trim();
  const integer = /^[+-]?\d{1,19}$/.test(text) ? BigInt(text.replace('+', '')) : undefined;
  if (integer === undefined) throw inputError(`${place}: ${stringify(value)} is not a whole number of 64 bits`);
  checkInt64(integer, place);
  return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer;
}
