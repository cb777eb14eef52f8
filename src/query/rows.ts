import { KINDS, type Kind } from '../frame/format.js';
import { tagValue, type Tags } from '../record/tags.js';
import { parseTime } from '../time.js';
import { Attempts } from './attempts.js';
import type { Connection } from './connection.js';
import type { Layout } from './layout.js';

export interface RecordRow {
  id: number;
  /** `record` if it isn't known, as of records that Braid-DB has written. */
  kind: Kind;
  name: string;
  time: Date;
  uris: string[];
  /** Of a key that was added more than once, the last. */
  tags: Tags;
  valid: boolean;
  /** The run that made it, as 32 hex digits. */
  run?: string;
  rank?: number;
}

/** Expressions over a row `r` of records. */
export const RECORD_URIS = `(SELECT json_group_array(u.uri) FROM ${inOrder('uris', 'record_id')} u)`;
export const recordTags = ({ boolean }: Layout) =>
  `(SELECT ${tagsArray(boolean)} FROM ${inOrder('tags', 'record_id')} t)`;

/** The columns of a row `r` of records, in the order in which `RecordRows` takes them. */
export function recordColumns(layout: Layout): string {
  return `r.record_id, ${layout.kind}, r.name, r.time, r.invalidation_id, ${RECORD_URIS}, ${recordTags(layout)}`;
}

/** Rows `t` of tags, or of those of versions, as JSON. */
function tagsArray(boolean: string): string {
  return `json_group_array(json_array(t.key, t.value, t.tag_type, ${boolean}))`;
}

/** Rows of one record as its index has them: an ORDER BY of the aggregate would sort them once more. */
function inOrder(table: string, column: string): string {
  return `(SELECT * FROM ${table} WHERE ${column} = r.record_id ORDER BY id)`;
}

/** Expressions over a row `v` of versions. */
export const VERSION_URIS = `(SELECT json_group_array(x.uri) FROM version_uris x WHERE x.version_id = v.version_id)`;
export const VERSION_TAGS = `(SELECT ${tagsArray('t.boolean')}
  FROM (SELECT * FROM version_tags WHERE version_id = v.version_id ORDER BY id) t)`;

export type RecordColumns = readonly [
  id: number,
  kind: number,
  name: string,
  time: string,
  invalidation: string | null,
  uris: string,
  tags: string,
];
export type RawRecord = readonly [...RecordColumns, ...more: unknown[]];

/** Makes the rows of one query. */
export class RecordRows {
  /** Read with the first row, and so as of the same moment. */
  #attempts: Attempts | undefined;

  /** @param only the id of the only record that will be made a row of. */
  constructor(
    private readonly connection: Connection,
    private readonly layout: Layout,
    private readonly only?: number,
  ) {}

  get attempts(): Attempts {
    return (this.#attempts ??= new Attempts(this.connection, this.only));
  }

  row = ([id, kind, name, time, invalidation, uris, tags]: RawRecord): RecordRow => {
    const maker = this.layout.ours ? this.attempts.of(id) : undefined;
    return {
      id,
      kind: KINDS[kind] ?? 'record',
      name,
      time: parseTime(time),
      uris: toUris(uris),
      tags: toTags(tags),
      valid: invalidation === null,
      run: maker?.run,
      rank: maker?.rank,
    };
  };
}

export function toUris(json: string): string[] {
  return json === '[]' ? [] : (JSON.parse(json) as string[]);
}

export function toTags(json: string): Tags {
  if (json === '[]') return {};
  const tags: Tags = {};
  for (const [key, value, type, boolean] of JSON.parse(json) as [string, string, number, number][]) {
    const typed = tagValue(value, type, boolean);
    // An own property of whatever name.
    if (key === '__proto__')
      Object.defineProperty(tags, key, { value: typed, enumerable: true, configurable: true, writable: true }); // prettier-ignore
    else tags[key] = typed;
  }
  return tags;
}
