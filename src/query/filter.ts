import { BraidError } from '../errors.js';
import { KindCode, TagType, type Kind } from '../frame/format.js';
import { tagText, tagTypeOf, type Tag, type Tags } from '../record/tags.js';
import { timeText } from '../time.js';
import type { Layout } from './layout.js';

export interface RecordFilter {
  name?: string;
  kind?: Kind;
  /** Tags that it must have, by value and type. */
  tag?: Tags;
  run?: string;
  rank?: number;
  /** Not older than this. */
  since?: Date;
  /** Not newer than this. */
  until?: Date;
}

/** SQL over what is filtered. */
export interface FilteredBy {
  readonly kind: string;
  readonly time: string;
  readonly run: string;
  /** True where its rank is `?`. */
  readonly ofRank: string;
  /** True where it has a row `t` of tags that meets a condition. */
  readonly hasTag: (condition: string) => string;
  /** Of a row `t` of tags. */
  readonly boolean: string;
}

export interface Condition {
  readonly where: string;
  readonly values: unknown[];
}

/** Of rows `r` of records. */
export function filteredRecords({ kind, run, rank, boolean }: Layout): FilteredBy {
  const hasTag = (condition: string) =>
    `EXISTS (SELECT 1 FROM tags t WHERE t.record_id = r.record_id AND ${condition})`;
  return { kind, time: 'r.time', run, ofRank: `${rank} = ?`, hasTag, boolean };
}

/**
 * What all filters that are given ask together.
 *
 * @throws BraidError ERR_BRAID_FILTER_INVALID, ERR_BRAID_TAG_INVALID
 */
export function conditionOf(filter: RecordFilter, by: FilteredBy): Condition {
  const { name, kind, tag, run, rank, since, until, ...unknown } = filter;
  const [stranger] = Object.keys(unknown);
  if (stranger !== undefined) throw invalid(`property ${JSON.stringify(stranger)}`);
  if (kind !== undefined && !(kind in KindCode)) throw invalid(`kind ${JSON.stringify(kind)}`);
  const conditions: string[] = [];
  const values: unknown[] = [];
  const add = (condition: string, ...bound: unknown[]) => {
    conditions.push(condition);
    values.push(...bound);
  };
  if (name !== undefined) add('r.name = ?', name);
  if (kind !== undefined) add(`${by.kind} = ?`, KindCode[kind]);
  if (run !== undefined) add(`${by.run} = ?`, run);
  if (rank !== undefined) add(by.ofRank, rank);
  if (since !== undefined) add(`${by.time} >= ?`, boundary('since', since, 0));
  // A Date has milliseconds, and what it names all microseconds of its last.
  if (until !== undefined) add(`${by.time} <= ?`, boundary('until', until, 999));
  for (const [key, value] of Object.entries(tag ?? {})) {
    const { where, values } = tagCondition(key, value, by.boolean);
    add(by.hasTag(where), ...values);
  }
  return { where: conditions.length === 0 ? 'true' : conditions.join(' AND '), values };
}

function boundary(name: string, time: Date, micros: number): string {
  const millis = time instanceof Date ? time.getTime() : NaN;
  if (Number.isNaN(millis)) throw new BraidError('ERR_BRAID_FILTER_INVALID', `${name} must be a valid Date`);
  return timeText(millis * 1000 + micros);
}

function invalid(what: string): BraidError {
  return new BraidError(
    'ERR_BRAID_FILTER_INVALID',
    `a filter of records has no ${what}: it has name, kind, tag, run, rank, since and until`,
  );
}

/**
 * A tag with this key, value and type, as SQL over a row `t` of tags. By the plus SQLite looks among the tags of a record, which
 * are few, and not among those of the key by an index for searches.
 */
function tagCondition(key: string, value: Tag, boolean: string): Condition {
  const type = tagTypeOf(key, value);
  if (type === TagType.float || type === TagType.integer) {
    // A number is a number: 1 finds a float tag of 1, and 0.5 one that Python wrote as 5e-1.
    return {
      where: `+t.key = ? AND t.tag_type IN (2, 3) AND ${boolean} = 0 AND CAST(t.value AS NUMERIC) = ?`,
      values: [key, value],
    };
  }
  const isBoolean = type === TagType.boolean;
  return {
    where: `+t.key = ? AND t.value = ? AND t.tag_type = ? AND ${boolean} = ?`,
    values: [key, tagText(value), isBoolean ? TagType.integer : type, isBoolean ? 1 : 0],
  };
}
