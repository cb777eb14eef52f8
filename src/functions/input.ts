import type { Readable } from 'node:stream';
import { parse } from 'lossless-json';
import * as v from 'valibot';
import { BraidError } from '../errors.js';
import { jsonText } from '../json-text.js';

/** Deeper than this nobody nests records or tags; the stack, on which they are walked, holds a hundred times as much. */
const MAX_DEPTH = 100;
/** Of a record with its URIs and tags, as JSON: well below what one recording call can store. */
const MAX_RECORD_BYTES = 2 ** 20;

export function inputError(message: string): BraidError {
  return new BraidError('ERR_BRAID_INPUT_INVALID', message);
}

/**
 * Reads a stream to its end. One that is longer is left as it is, so that an answer can still be sent.
 *
 * @throws BraidError ERR_BRAID_TOO_LARGE
 */
export async function readBytes(stream: Readable, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > limitBytes) {
      throw new BraidError('ERR_BRAID_TOO_LARGE', `a call can have ${limitBytes} bytes: give the records in several`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * Reads JSON from bytes. Integers that a double can't hold are bigints.
 *
 * @throws BraidError ERR_BRAID_INPUT_INVALID, with the place
 */
export function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw inputError('the input is not UTF-8');
  }
  if (text.trim() === '') throw inputError('the input is empty: JSON is needed');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw inputError(`the input is not JSON: ${(error as Error).message}`);
  }
  if (!/\d{16}/.test(text)) return value;
  // The parser that is exact calls itself for each level.
  checkDepth(value);
  return parse(text, undefined, { parseNumber: exactNumber, onDuplicateKey: ({ newValue }) => newValue });
}

function exactNumber(text: string): number | bigint {
  const number = Number(text);
  return /[.e]/i.test(text) || Number.isSafeInteger(number) ? number : BigInt(text);
}

/** Before anything walks it by recursion. */
export function checkDepth(value: unknown): void {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) throw inputError(`the input is nested deeper than ${MAX_DEPTH} levels`);
    level = level.flatMap((each) =>
      typeof each === 'object' && each !== null
        ? Object.values(each as Record<string, unknown>).filter((inner) => typeof inner === 'object')
        : [],
    );
  }
}

/** @throws BraidError ERR_BRAID_INPUT_INVALID */
export function checked<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  place = '',
): v.InferOutput<Schema> {
  const { issues, output } = v.safeParse(schema, value, { abortEarly: true });
  if (!issues) return output;
  const { path, message } = deepest(issues[0]);
  const where = path.reduce<string>(
    (parent, key) =>
      typeof key === 'number' ? `${parent}[${key}]` : parent === '' ? String(key) : `${parent}.${String(key)}`,
    place,
  );
  throw inputError(where === '' ? message : `${where}: ${message}`);
}

/** Of what could be one thing or another, what is wrong with the one that goes wrong last: it is what was meant. */
function deepest(issue: v.BaseIssue<unknown>): { path: unknown[]; message: string } {
  const path = (issue.path ?? []).map(({ key }) => key);
  const inner = (issue.issues ?? []).map(deepest).sort((a, b) => b.path.length - a.path.length)[0];
  if (!inner || inner.path.length === 0) {
    const missing = issue.input === undefined && issue.message.startsWith('Invalid key');
    return { path, message: missing ? 'is missing' : issue.message };
  }
  return { path: [...path, ...inner.path], message: inner.message };
}

/** What is given and not known. */
export function strangers(value: object, known: object): string[] {
  return Object.keys(value).filter((key) => !Object.hasOwn(known, key));
}

/** @throws BraidError ERR_BRAID_TOO_LARGE */
export function checkSize(record: object, place: string): void {
  const json = jsonText(record);
  const bytes = Buffer.byteLength(json);
  if (bytes <= MAX_RECORD_BYTES) return;
  throw new BraidError(
    'ERR_BRAID_TOO_LARGE',
    `${place} takes ${bytes} bytes of JSON, and a record with its URIs and tags can take ${MAX_RECORD_BYTES}: keep large data in a file and record its URI`,
  );
}
