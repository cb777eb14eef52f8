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
export const RECORD_URIS = '(SELECT json_group_array(u.uri ORDER BY u.id) FROM uris u WHERE u.record_id = r.record_id)';
export const recordTags = ({ boolean }: Layout) =>
  `(SELECT ${tagsArray(boolean)} FROM tags t WHERE t.record_id = r.record_id)`;

/** The columns of a row `r` of records, in the order in which `RecordRows` takes them. */
export function recordColumns(layout: Layout): string {
  return `r.record_id, ${layout.kind}, r.name, r.time, r.invalidation_id, ${RECORD_URIS}, ${recordTags(layout)}`;
}

/** Rows `t` of tags, or of those of versions, as JSON. */
export function tagsArray(boolean: string): string {
  return `json_group_array(json_array(t.key, t.value, t.tag_type, ${boolean}) ORDER BY t.id)`;
}

export type RawRecord = readonly [
  id: number,
  kind: number,
  name: string,
  time: string,
  invalidation: string | null,
  uris: string,
  tags: string,
  ...more: unknown[],
];

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
  const tags = JSON.parse(json) as [key: string, value: string, type: number, boolean: number][];
  // Own properties of whatever name, `__proto__` too.
  return Object.fromEntries(tags.map(([key, value, type, boolean]) => [key, tagValue(value, type, boolean)]));
}
