import { KINDS, type Kind } from '../frame/format.js';
import { tagValue, type Tag, type Tags } from '../record/tags.js';
import { versionKey } from '../record/version-key.js';
import { parseTime } from '../time.js';
import { Attempts } from './attempts.js';
import type { Connection } from './connection.js';
import { isKindInferred, type Layout } from './layout.js';

export interface RecordRow {
  id: number;
  /** `record` if it isn't known, as of records that Braid-DB has written. */
  kind: Kind;
  /** Nobody has stated the kind: `upgrade` has inferred it. */
  kindInferred?: true;
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

/** Rows `t` of tags of versions, as JSON, and expressions over a row `v` of versions. */
const TAGS_ARRAY = 'json_group_array(json_array(t.key, t.value, t.tag_type, t.boolean))';
export const VERSION_URIS = `(SELECT json_group_array(x.uri) FROM version_uris x WHERE x.version_id = v.version_id)`;
export const VERSION_TAGS = `(SELECT ${TAGS_ARRAY}
  FROM (SELECT * FROM version_tags WHERE version_id = v.version_id ORDER BY id) t)`;

/** Of a version: what it has beside what a record has. */
export interface VersionFields {
  /** `model@version`; undefined for a version of which no update is committed yet. */
  version?: number;
  step?: number;
  /** Of a version: names it to `reader.version`, and to lineage. */
  key?: string;
}
export type NodeRow = RecordRow & VersionFields;

/** The node comes first, in all of them. */
type RawRecord = readonly [node: number, id: number, kind: number, name: string, time: string, valid: number];
type RawVersion = readonly [attempt: number | null, number: number | null, step: number | null, rank: number, ordinal: number, onlyRank: number | null]; // prettier-ignore
type RawUri = readonly [node: number, uri: string];
type RawTag = readonly [node: number, key: string, value: string, type: number, boolean: number];

/** Those of a batch that are records, and the rows of those that are versions. */
const RECORDS = 'IN (SELECT value FROM json_each(?) WHERE value > 0)';
const VERSIONS = 'IN (SELECT -value FROM json_each(?) WHERE value < 0)';
const VERSION_COLUMNS = `v.attempt_id, v.number, v.step, v.rank, v.ordinal,
  (SELECT CASE WHEN min(x.rank) = max(x.rank) THEN min(x.rank) END FROM updates x WHERE x.version_id = v.version_id)`;

/** The invalidation of a row `r` of records, and that of a version `v` of the model `r`. */
export const RECORD_INVALIDATION = 'r.invalidation_id';
export const VERSION_INVALIDATION = 'ifnull(v.invalidation_id, r.invalidation_id)';

/** How many rows are made at once. */
const FIRST_BATCH = 8;
const LARGEST_BATCH = 256;
/** Of a batch, as text. Fewer rows are made at once where they are large. */
const BATCH_BYTES = 2 ** 20;

/**
 * Makes the rows of one query, of nodes: records by their ids, versions by the negative of their row's. What SQLite finds of a
 * batch of them comes as one text of JSON: rows one by one take half as long again.
 */
export class NodeRows {
  /** Read with the first row, and so as of the same moment. */
  #attempts: Attempts | undefined;
  #most = LARGEST_BATCH;

  /** @param only the id of the only record that will be made a row of. */
  constructor(
    private readonly connection: Connection,
    private readonly layout: Layout,
    private readonly only?: number,
  ) {}

  /** A row of each, in their order; undefined where there is none. */
  *of(nodes: readonly number[]): IterableIterator<NodeRow | undefined> {
    for (let at = 0; at < nodes.length;) {
      const batch = nodes.slice(at, at + this.#most);
      const rows = this.#batch(batch);
      if (rows) {
        for (const node of batch) yield rows.get(node);
        at += batch.length;
        this.#most = Math.min(this.#most * 2, LARGEST_BATCH);
      } else {
        this.#most = batch.length >> 1;
      }
    }
  }

  /** A row for each of what a query finds, whose first column is a node; there is none of what isn't committed. */
  *complete<Raw extends readonly [node: number, ...more: unknown[]], Row>(
    found: Iterable<Raw>,
    complete: (row: NodeRow, raw: Raw) => Row,
  ): IterableIterator<Row> {
    for (const batch of batches(found)) {
      let at = 0;
      for (const row of this.of(batch.map(([node]) => node))) {
        const raw = batch[at++];
        if (row) yield complete(row, raw);
      }
    }
  }

  /** By node; undefined where they are too large to be made at once. */
  #batch(nodes: readonly number[]): ReadonlyMap<number, NodeRow> | undefined {
    const { kind, boolean } = this.layout;
    const list = JSON.stringify(nodes);
    const most = nodes.length === 1 ? Infinity : BATCH_BYTES;
    const rows = new Map<number, NodeRow>();
    // What is asked for is in the order of an index, or of the table: of one node in the order in which it was added.
    const pack = <Raw>(columns: string, from: string) => this.connection.packed<Raw>(columns, from, list, most);
    const add = (
      found: readonly (readonly [...RawRecord, ...Partial<RawVersion>])[] | undefined,
      uris: () => RawUri[] | undefined,
      tags: () => RawTag[] | undefined,
    ): boolean => {
      if (!found) return false;
      if (found.length === 0) return true;
      for (const raw of found) rows.set(raw[0], this.#row(raw));
      const [ofUris, ofTags] = [uris(), tags()];
      for (const [node, uri] of ofUris ?? []) rows.get(node)?.uris.push(uri);
      for (const [node, key, value, type, isBoolean] of ofTags ?? []) {
        const row = rows.get(node);
        if (row) setTag(row.tags, key, tagValue(value, type, isBoolean));
      }
      return ofUris !== undefined && ofTags !== undefined;
    };
    const record = `r.record_id, ${kind}, r.name`;
    const tag = 't.key, t.value, t.tag_type';
    const records = () =>
      add(
        pack(
          `r.record_id, ${record}, r.time, ${RECORD_INVALIDATION} IS NULL`,
          `records r WHERE r.record_id ${RECORDS}`,
        ),
        () => pack('u.record_id, u.uri', `uris u WHERE u.record_id ${RECORDS}`),
        () => pack(`t.record_id, ${tag}, ${boolean}`, `tags t WHERE t.record_id ${RECORDS}`),
      );
    const versions = () =>
      add(
        pack(
          `-v.version_id, ${record}, ifnull(v.time, r.time), ${VERSION_INVALIDATION} IS NULL, ${VERSION_COLUMNS}`,
          `versions v CROSS JOIN records r ON r.record_id = v.model_id WHERE v.version_id ${VERSIONS}`,
        ),
        () => pack('-u.version_id, u.uri', `version_uris u WHERE u.version_id ${VERSIONS}`),
        () => pack(`-t.version_id, ${tag}, t.boolean`, `version_tags t WHERE t.version_id ${VERSIONS}`),
      );
    const made = (!nodes.some((node) => node > 0) || records()) && (!nodes.some((node) => node < 0) || versions());
    return made ? rows : undefined;
  }

  #row(raw: readonly [...RawRecord, ...Partial<RawVersion>]): NodeRow {
    const [, id, kind, name, time, valid, attemptId] = raw;
    const attempts = this.layout.ours ? (this.#attempts ??= new Attempts(this.connection, this.only)) : undefined;
    const isVersion = typeof attemptId === 'number';
    const maker = isVersion ? undefined : attempts?.of(id);
    const row: NodeRow = {
      id,
      kind: KINDS[kind] ?? 'record',
      name,
      time: parseTime(time),
      uris: [],
      tags: {},
      valid: valid === 1,
      run: maker?.run,
      rank: maker?.rank,
    };
    if (row.kind !== 'record' && isKindInferred(this.layout, id)) row.kindInferred = true;
    if (!isVersion) return row;
    const [number, step, rank, ordinal, onlyRank] = raw.slice(7) as [number | null, number | null, number, number, number | null]; // prettier-ignore
    const { run, attempt } = attempts!.get(attemptId);
    row.run = run;
    row.rank = onlyRank ?? undefined;
    row.version = number ?? undefined;
    row.step = step ?? undefined;
    row.key = versionKey({ model: id, run, attempt, step: row.step, rank, ordinal });
    return row;
  }
}

/** At first of few, so that who asks for one doesn't wait for many. */
function* batches<Raw>(found: Iterable<Raw>): IterableIterator<Raw[]> {
  let batch: Raw[] = [];
  let full = FIRST_BATCH;
  for (const raw of found) {
    if (batch.push(raw) < full) continue;
    yield batch;
    batch = [];
    full = Math.min(full * 2, LARGEST_BATCH);
  }
  if (batch.length > 0) yield batch;
}

export function toUris(json: string): string[] {
  return json === '[]' ? [] : (JSON.parse(json) as string[]);
}

export function toTags(json: string): Tags {
  if (json === '[]') return {};
  const tags: Tags = {};
  for (const [key, value, type, boolean] of JSON.parse(json) as [string, string, number, number][]) {
    setTag(tags, key, tagValue(value, type, boolean));
  }
  return tags;
}

/** An own property of whatever name. */
function setTag(tags: Tags, key: string, value: Tag): void {
  if (key === '__proto__')
    Object.defineProperty(tags, key, { value, enumerable: true, configurable: true, writable: true });
  else tags[key] = value;
}
