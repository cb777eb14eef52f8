import type { Value } from './terms.js';
import { localName } from './terms.js';

export type Attribute = readonly [name: string, value: Value];

export const typed = (name: string): Attribute => ['prov:type', { name }];
export const label = (name: string | null): Attribute[] => text('prov:label', name);
export const text = (name: string, value: string | null | undefined): Attribute[] =>
  typeof value === 'string' ? [[name, sayable(value)]] : [];
export const whole = (name: string, value: number | null | undefined): Attribute[] =>
  typeof value === 'number' ? [[name, { text: String(value), type: 'xsd:long' }]] : [];
export const time = (name: string, value: string | undefined): Attribute[] =>
  value === undefined ? [] : [[name, { text: value, type: 'xsd:dateTime' }]];
export const flag = (name: string, value: boolean): Attribute[] =>
  value ? [[name, { text: 'true', type: 'xsd:boolean' }]] : [];

/** @param json a list of URIs; null for none. */
export function locations(json: string | null): Attribute[] {
  return listOf<string>(json).map((uri) => ['prov:location', { text: sayable(uri), type: 'xsd:anyURI' }]);
}

/** @param json a list of tags, all that were ever added. */
export function tags(json: string | null): Attribute[] {
  return listOf<[key: string, value: string, type: number, boolean: number]>(json).map(
    ([key, value, type, boolean]) => [`tag:${localName(key)}`, literalOf(value, type, boolean)],
  );
}

function listOf<T>(json: string | null): T[] {
  return json === null || json === '[]' ? [] : (JSON.parse(json) as T[]);
}

/** What isn't of its type, as Braid-DB's users may have stored it, is text. */
function literalOf(value: string, type: number, boolean: number): Value {
  if (type === 2) {
    if (boolean) return { text: value === '0' ? 'false' : 'true', type: 'xsd:boolean' };
    if (/^[+-]?\d{1,19}$/.test(value) && BigInt.asIntN(64, BigInt(value)) === BigInt(value)) {
      return { text: value, type: 'xsd:long' };
    }
  } else if (type === 3) {
    const special = SPECIAL.get(value.toLowerCase());
    if (special !== undefined) return { text: special, type: 'xsd:double' };
    if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value)) return { text: value, type: 'xsd:double' };
  }
  return sayable(value);
}

/** Somebody may have stored a NUL by SQL: XML, and so PROV, has no such character. */
function sayable(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text;
}

const SPECIAL = new Map([
  ['nan', 'NaN'],
  ['inf', 'INF'],
  ['infinity', 'INF'],
  ['-inf', '-INF'],
  ['-infinity', '-INF'],
]);
