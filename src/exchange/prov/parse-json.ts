import { getHeapStatistics } from 'node:v8';
import { parse } from 'lossless-json';
import { BraidError } from '../../errors.js';

/** Of a document: read, it takes some twenty times that of the heap, and V8 has no text of more than half a GiB. */
export function mostDocumentBytes(): number {
  return Math.min(Math.floor(getHeapStatistics().heap_size_limit / 32), 500 * 2 ** 20);
}

/** A literal in an array of a statement in a list of a section of a bundle is this deep, and nothing is deeper. */
const MAX_DEPTH = 10;

/** A number as it is written: one of 64 bits would not be exact as a number of JavaScript. */
export class JsonNumber {
  constructor(readonly text: string) {}
}

export function invalid(name: string, what: string, options?: ErrorOptions): BraidError {
  return new BraidError('ERR_BRAID_IMPORT_INVALID', `${name}: ${what}`, options);
}

/** Somebody's name in a message: whole, unless it is long. */
export function shown(name: string): string {
  return name.length <= 80 ? name : `${name.slice(0, 79)}…`.toWellFormed();
}

/** A place in a document: where it is long, its beginning and its end. */
export function shownPlace(place: string): string {
  return place.length <= 300 ? place : `${place.slice(0, 150)}…${place.slice(-120)}`.toWellFormed();
}

/**
 * JSON, of which nothing is lost: a key that an object has twice is an error, and numbers stay as they are written.
 *
 * @param name of the document, for errors.
 * @throws BraidError ERR_BRAID_IMPORT_INVALID
 */
export function parseJson(bytes: Uint8Array, name: string): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
    throw invalid(name, utf16 ? 'it is UTF-16, and JSON is UTF-8: convert it' : 'it is not UTF-8, as JSON is', {
      cause,
    });
  }
  checkForm(text, name);
  try {
    return parse(text, undefined, { parseNumber: (number) => new JsonNumber(number) });
  } catch (cause) {
    const { message } = cause as Error;
    const at = /\s*(?:at|in) position (\d+)/.exec(message);
    const where = at ? ` at ${placeOf(text, Number(at[1]))}` : '';
    throw invalid(name, `it is not JSON: ${shownPlace(at ? message.replace(at[0], '') : message)}${where}`, { cause });
  }
}

/** What the parser doesn't refuse: nesting that it has no stack for, and a key twice, also with the same value. */
function checkForm(text: string, name: string): void {
  // Of each object around, its keys; of an array nothing.
  const around: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '"') {
      const start = at;
      while (++at < text.length && text[at] !== '"') if (text[at] === '\\') at++;
      const keys = around.at(-1);
      if (!keys || !isKey(text, at + 1)) continue;
      const key = unescaped(text.slice(start + 1, at));
      if (keys.has(key)) {
        throw invalid(name, `an object has the key ${JSON.stringify(shown(key))} twice, at ${placeOf(text, start)}`);
      }
      keys.add(key);
    } else if (character === '[' || character === '{') {
      if (around.length === MAX_DEPTH) {
        throw invalid(name, `it is nested deeper than PROV-JSON is, at ${placeOf(text, at)}`);
      }
      around.push(character === '{' ? new Set() : undefined);
    } else if (character === ']' || character === '}') {
      around.pop();
    }
  }
}

/** Whether a colon is next. */
function isKey(text: string, at: number): boolean {
  while (/\s/.test(text.charAt(at))) at++;
  return text[at] === ':';
}

function unescaped(key: string): string {
  if (!key.includes('\\')) return key;
  try {
    return JSON.parse(`"${key}"`) as string;
  } catch {
    // The parser says so.
    return key;
  }
}

function placeOf(text: string, position: number): string {
  const before = text.slice(0, position);
  const line = before.split('\n').length;
  return `line ${line}, column ${position - before.lastIndexOf('\n')}`;
}
