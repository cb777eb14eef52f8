import { isDeepStrictEqual } from 'node:util';
import { BraidError } from '../errors.js';
import { isId } from '../frame/format.js';
import { parseVersionKey } from '../record/version-key.js';
import type { BraidReader } from './reader.js';
import { MOST_LISTED, STATEMENT_FORMAT, STATEMENT_VERSION, type Statement } from './statement.js';
import { TOPICS, type Sentence } from './statement-composer.js';

/** Longer than any statement of 10,000 ids a sentence. */
const MOST_BYTES = 64 * 2 ** 20;
const MOST_SENTENCES = 100_000;

/** What a database says now of a sentence that was saved. */
export interface CheckedSentence {
  id: string;
  /** As it was saved. */
  text: string;
  holds: boolean;
  /** Where it doesn't hold. */
  why?: string;
  /** What the database says instead, if it says anything. */
  now?: string;
}

export interface StatementCheck {
  /** Whether each sentence holds, and none is left out. */
  holds: boolean;
  /** The database that it was made from, and the one that it was held against. */
  database: { stated: string | null; checked: string | null };
  sentences: CheckedSentence[];
  /** What the database says, and the statement doesn't. */
  leftOut: { id: string; text: string }[];
}

/**
 * Holds a saved statement against a database, sentence by sentence.
 *
 * @param json the text that was saved, or what it says.
 * @throws BraidError ERR_BRAID_STATEMENT_INVALID
 */
export function checkStatement(reader: BraidReader, json: unknown): StatementCheck {
  const saved = parseStatement(json);
  const { limit, subject } = saved;
  const now = current(reader, subject, limit);
  const known = new Map(now?.sentences.map((sentence) => [sentence.id, sentence]));
  const said = new Set(saved.sentences.map(({ id }) => id));
  const added = (now?.sentences ?? []).filter(({ id }) => !said.has(id));
  const sentences = saved.sentences.map((sentence) => {
    const same = known.get(sentence.id);
    return same ? compared(sentence, same) : notSaid(sentence, now ? added : undefined);
  });
  const leftOut = added.map(({ id, text }) => ({ id, text }));
  const checked = reader.uuid;
  return {
    holds: sentences.every(({ holds }) => holds) && leftOut.length === 0 && checked === saved.database,
    database: { stated: saved.database, checked },
    sentences,
    leftOut,
  };
}

const GONE = new Set(['ERR_BRAID_NO_SUCH_RECORD', 'ERR_BRAID_NO_SUCH_VERSION']);

function current(reader: BraidReader, { record, version }: Statement['subject'], limit: number): Statement | undefined {
  try {
    return reader.statement(version === undefined ? record : { key: version }, { limit });
  } catch (error) {
    if (error instanceof BraidError && GONE.has(error.code)) return undefined;
    throw error;
  }
}

/** @param added what the database says, and the statement doesn't; undefined if it has nothing of the subject. */
function notSaid({ id, text, topic }: Sentence, added: readonly Sentence[] | undefined): CheckedSentence {
  if (!added) return { id, text, holds: false, why: 'the database has no such record or version' };
  const instead = added.filter((sentence) => sentence.topic === topic).map((sentence) => sentence.text);
  const why = 'the database does not say this';
  return { id, text, holds: false, why, ...(instead.length === 0 ? {} : { now: instead.join(' ') }) };
}

function compared(saved: Sentence, now: Sentence): CheckedSentence {
  const { id, text } = saved;
  const why = difference(saved, now);
  if (why === undefined) return { id, text, holds: true };
  return { id, text, holds: false, why, ...(now.text === text ? {} : { now: now.text }) };
}

function difference(saved: Sentence, now: Sentence): string | undefined {
  if (saved.count !== now.count) return `it is supported by ${now.count} records and versions, not by ${saved.count}`;
  for (const list of ['records', 'versions'] as const) {
    if (isDeepStrictEqual(saved[list], now[list])) continue;
    const gone = (saved[list] as unknown[]).filter((each) => !(now[list] as unknown[]).includes(each));
    const shown = gone.slice(0, 5).map(String).join(', ');
    return gone.length > 0 ? `${shown} ${gone.length > 5 ? 'and others do' : 'does'} not support it` : `it has other ${list}`; // prettier-ignore
  }
  if (saved.digest !== now.digest) return 'other records or versions support it';
  if (saved.text !== now.text) return 'it reads otherwise';
  return saved.topic === now.topic ? undefined : `it belongs to '${now.topic}'`;
}

/**
 * A statement that was saved as JSON.
 *
 * @throws BraidError ERR_BRAID_STATEMENT_INVALID
 */
export function parseStatement(json: unknown): Statement {
  let value = json;
  if (typeof json === 'string') {
    if (json.length > MOST_BYTES) throw invalid('it is longer than any statement');
    try {
      value = JSON.parse(json);
    } catch (error) {
      throw invalid(`it is not JSON, or not all of it (${(error as Error).message.slice(0, 200)})`);
    }
  }
  if (!isObject(value) || value.format !== STATEMENT_FORMAT) throw invalid(`its format is not '${STATEMENT_FORMAT}'`);
  const { formatVersion, database, made, subject, limit, sentences } = value;
  if (formatVersion !== STATEMENT_VERSION) {
    throw invalid(
      `its formatVersion is not ${STATEMENT_VERSION}, which is all that this version of braid-mpi can check`,
    );
  }
  if (database !== null && !(typeof database === 'string' && /^[0-9a-f]{32}$/.test(database))) {
    throw invalid('database is no UUID');
  }
  if (typeof made !== 'string') throw invalid('made is no time');
  if (!isObject(subject) || !isRecordId(subject.record)) throw invalid('subject.record is no id');
  const { record, version } = subject as { record: number; version: unknown };
  const isVersion = typeof version === 'string' && parseVersionKey(version)?.model === record;
  if (version !== undefined && !isVersion) throw invalid('subject.version is no version of subject.record');
  if (!Number.isInteger(limit) || (limit as number) < 0 || (limit as number) > MOST_LISTED)
    throw invalid('limit is out of range');
  if (!Array.isArray(sentences) || sentences.length === 0 || sentences.length > MOST_SENTENCES) {
    throw invalid('sentences is no list of sentences');
  }
  sentences.forEach((sentence: unknown, i) => {
    if (!isSentence(sentence)) throw invalid(`sentences[${i}] is no sentence`);
  });
  return value as unknown as Statement;
}

function isSentence(value: unknown): value is Sentence {
  if (!isObject(value)) return false;
  const { id, topic, text, count, records, versions, digest } = value;
  return (
    typeof id === 'string' &&
    typeof text === 'string' &&
    (TOPICS as readonly unknown[]).includes(topic) &&
    Number.isSafeInteger(count) &&
    Array.isArray(records) &&
    records.every(isRecordId) &&
    Array.isArray(versions) &&
    versions.every((key) => typeof key === 'string') &&
    (digest === undefined || typeof digest === 'string')
  );
}

function isRecordId(value: unknown): value is number {
  return typeof value === 'number' && isId(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(why: string): BraidError {
  return new BraidError(
    'ERR_BRAID_STATEMENT_INVALID',
    `this is no statement that was saved as JSON: ${why} (braid statement DB RECORD --json -o FILE makes one)`,
  );
}
