import { KindCode, KINDS, TagType, type Kind } from '../frame/format.js';
import { tagValue, type Tag, type Tags } from '../record/tags.js';
import { versionKey } from '../record/version-key.js';
import { parseTime } from '../time.js';
import { Attempts } from './attempts.js';
import { columnsQuery, type ColumnsQuery, type Connection } from './connection.js';
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
  /** All values of each key that has several different ones, in the order in which they were added. */
  tagValues?: Record<string, Tag[]>;
  valid: boolean;
  /** The run that made it, as 32 hex digits. */
  run?: string;
  rank?: number;
}

/** Expressions over a row `v` of versions: URIs and tags as JSON. */
export const VERSION_URIS = `(SELECT json_group_array(x.uri) FROM version_uris x WHERE x.version_id = v.version_id)`;
export const VERSION_TAGS = `(SELECT json_group_array(json_array(t.key, t.value, t.tag_type, t.boolean))
  FROM (SELECT * FROM version_tags WHERE version_id = v.version_id ORDER BY id) t)`;

/** Of a version: what it has beside what a record has. */
export interface VersionFields {
  /** `model@version`; undefined for a version of which no update is committed yet. */
  version?: number;
  step?: number;
  /** Of a version: names it to `reader.version`, and to lineage. */
  key?: string;
}
/**
 * A record, or a version of a model: `key` is there of a version, whose `id`, `kind` and `name` are the model's. The name is
 * empty where the model isn't committed.
 */
export interface NodeRow extends RecordRow, VersionFields {}

type RawTag = readonly [key: string, value: string, type: number, boolean: number];

/** What is read of a batch, by places in it: its nodes, the last columns of versions only; their URIs; and their tags. */
type RawTables = readonly [RawNodes, [places: number[], uris: string[]], RawTags];
/** A code has a place and something small, for of every number SQLite makes a text. */
type RawNodes = Readonly<RawRecords> | readonly [...RawRecords, ...RawVersions];
type RawRecords = [codes: number[], names: string[], times: string[]];
type RawVersions = [models: number[], attempts: number[], numbers: (number | null)[], steps: (number | null)[], ranks: number[], ordinals: number[], onlyRanks: (number | null)[]]; // prettier-ignore
type RawTags = [codes: number[], keys: string[], values: string[]];

/** The only rank that has updated a version. */
const ONLY_RANK =
  '(SELECT CASE WHEN min(x.rank) = max(x.rank) THEN min(x.rank) END FROM updates x WHERE x.version_id = v.version_id)';

/** The invalidation of a row `r` of records, and that of a version `v` of the model `r`; the time of that version. */
export const RECORD_INVALIDATION = 'r.invalidation_id';
export const VERSION_INVALIDATION = 'ifnull(v.invalidation_id, r.invalidation_id)';
export const VERSION_TIME = 'ifnull(v.time, r.time)';
/** The kind of a version `v`, whose model `r` may not be committed yet. */
export const VERSION_KIND = `ifnull(r.kind, ${KindCode.model})`;

/** Those of a list of JSON that are records, and the rows of those that are versions, by their places in it. */
const BATCH_OF_RECORDS =
  'batch (place, id) AS MATERIALIZED (SELECT key, CAST(value AS INTEGER) FROM json_each(?) WHERE value > 0)';
const BATCH_OF_VERSIONS =
  'batch (place, id) AS MATERIALIZED (SELECT key, CAST(-value AS INTEGER) FROM json_each(?) WHERE value < 0)';

/** A place with a kind and whether it is valid; a kind that there isn't, also one between two that there are, is none. */
const nodeCode = (kind: string, invalidation: string) =>
  `batch.place * 8 + iif(${kind} IN (1, 2, 3), ${kind}, 0) * 2 + (${invalidation} IS NULL)`;
/** A place with which of {@link TAG_TYPES} a tag is of. */
const tagCode = (boolean: string) =>
  `batch.place * 4 + CASE t.tag_type WHEN ${TagType.integer} THEN iif(${boolean}, 3, 1) WHEN ${TagType.float} THEN 2 ELSE 0 END`;
const TAG_TYPES = [
  [TagType.string, 0],
  [TagType.integer, 0],
  [TagType.float, 0],
  [TagType.integer, 1],
] as const;

/** How many rows are made at once. */
const FIRST_BATCH = 8;
const LARGEST_BATCH = 256;
/** Of a batch, as text. Fewer rows are made at once where they are large. */
const BATCH_BYTES = 2 ** 20;

/** Makes the rows of one query, of nodes: records by their ids, versions by the negative of their row's. */
export class NodeRows {
  /** Read with the first row, and so as of the same moment. */
  #attempts: Attempts | undefined;
  #most = LARGEST_BATCH;
  #records: ColumnsQuery | undefined;
  #versions: ColumnsQuery | undefined;

  /** @param only the id of the only record that will be made a row of. */
  constructor(
    private readonly connection: Connection,
    private readonly layout: Layout,
    private readonly only?: number,
  ) {}

  /** A row of each, in their order; undefined where there is none. */
  *of(nodes: readonly number[]): IterableIterator<NodeRow | undefined> {
    for (const [rows] of this.#batches(nodes)) yield* rows;
  }

  /** A row for each of what a query finds, whose first column is a node; there is none of what isn't committed. */
  *complete<Raw extends readonly [node: number, ...more: unknown[]], Row>(
    found: Iterable<Raw>,
    complete: (row: NodeRow, raw: Raw) => Row,
  ): IterableIterator<Row> {
    for (const raws of batches(found)) {
      for (const [rows, at] of this.#batches(raws.map(([node]) => node))) {
        for (let i = 0; i < rows.length; i++) {
          const row = rows[i];
          if (row) yield complete(row, raws[at + i]);
        }
      }
    }
  }

  /** The rows of some at a time, and the place of the first of them. */
  *#batches(nodes: readonly number[]): IterableIterator<[rows: (NodeRow | undefined)[], at: number]> {
    for (let at = 0; at < nodes.length;) {
      const batch = nodes.slice(at, at + this.#most);
      const rows = this.#batch(batch);
      if (rows) {
        yield [rows, at];
        at += batch.length;
        this.#most = Math.min(this.#most * 2, LARGEST_BATCH);
      } else {
        this.#most = batch.length >> 1;
      }
    }
  }

  /** Of each node its row; undefined where they are too large to be made at once. */
  #batch(nodes: readonly number[]): (NodeRow | undefined)[] | undefined {
    const rows = nodes.map((): NodeRow | undefined => undefined);
    const most = nodes.length === 1 ? Infinity : BATCH_BYTES;
    const list = JSON.stringify(nodes);
    const add = (query: ColumnsQuery) => {
      const found = this.connection.columns(query, list, most);
      if (found) this.#add(rows, nodes, found as unknown as RawTables);
      return found !== undefined;
    };
    const made =
      (!nodes.some((node) => node > 0) || add((this.#records ??= recordsQuery(this.layout)))) &&
      (!nodes.some((node) => node < 0) || add((this.#versions ??= versionsQuery())));
    return made ? rows : undefined;
  }

  #add(rows: (NodeRow | undefined)[], nodes: readonly number[], [raw, ofUris, ofTags]: RawTables): void {
    const attempts = this.layout.ours ? (this.#attempts ??= new Attempts(this.connection, this.only)) : undefined;
    raw[0].forEach((code, i) => (rows[code >> 3] = this.#row(nodes[code >> 3], raw, i, attempts)));
    // There may be some of records that are not committed.
    const [uriPlaces, uris] = ofUris;
    uriPlaces.forEach((place, i) => rows[place]?.uris.push(uris[i]));
    const [tagCodes, keys, values] = ofTags;
    tagCodes.forEach((code, i) => {
      const row = rows[code >> 2];
      const [type, boolean] = TAG_TYPES[code & 3];
      if (row) addTag(row, keys[i], values[i], type, boolean);
    });
  }

  #row(node: number, raw: RawNodes, i: number, attempts: Attempts | undefined): NodeRow {
    const [codes, names, times] = raw;
    const isRecord = raw.length === 3;
    const id = isRecord ? node : raw[3][i];
    const maker = isRecord ? attempts?.of(id) : undefined;
    const row: NodeRow = {
      id,
      kind: KINDS[(codes[i] >> 1) & 3],
      name: names[i],
      time: parseTime(times[i]),
      uris: [],
      tags: {},
      valid: (codes[i] & 1) === 1,
      run: maker?.run,
      rank: maker?.rank,
    };
    if (row.kind !== 'record' && isKindInferred(this.layout, id)) row.kindInferred = true;
    if (isRecord) return row;
    const [, , , , attemptIds, numbers, steps, ranks, ordinals, onlyRanks] = raw;
    const { run, attempt } = attempts!.get(attemptIds[i]);
    row.run = run;
    row.rank = onlyRanks[i] ?? undefined;
    row.version = numbers[i] ?? undefined;
    row.step = steps[i] ?? undefined;
    row.key = versionKey({ model: id, run, attempt, step: row.step, rank: ranks[i], ordinal: ordinals[i] });
    return row;
  }
}

// What a record or a version has several of comes in the order of an index, and of its rows: as it was added.

function recordsQuery({ ours, kind, boolean }: Layout): ColumnsQuery {
  const tables = [
    {
      columns: [nodeCode(kind, RECORD_INVALIDATION), 'r.name', 'r.time'],
      from: 'batch CROSS JOIN records r ON r.record_id = batch.id',
    },
    { columns: ['batch.place', 'u.uri'], from: 'batch CROSS JOIN uris u ON u.record_id = batch.id' },
    {
      columns: [tagCode(boolean), 't.key', 't.value'],
      // Braid-DB has no index that leads from a record to its tags: those of the batch are picked out together, by an index of
      // the batch that SQLite makes for the query. It can, for ids of the batch are integers by their type.
      from: ours
        ? 'batch CROSS JOIN tags t ON t.record_id = batch.id'
        : 'tags t CROSS JOIN batch ON batch.id = t.record_id',
    },
  ];
  return columnsQuery(tables, BATCH_OF_RECORDS);
}

function versionsQuery(): ColumnsQuery {
  const tables = [
    {
      columns: [
        ...[nodeCode(VERSION_KIND, VERSION_INVALIDATION), `ifnull(r.name, '')`, VERSION_TIME],
        ...['v.model_id', 'v.attempt_id', 'v.number', 'v.step', 'v.rank', 'v.ordinal', ONLY_RANK],
      ],
      from: `batch CROSS JOIN versions v ON v.version_id = batch.id LEFT JOIN records r ON r.record_id = v.model_id`,
    },
    {
      columns: ['batch.place', 'u.uri'],
      from: 'batch CROSS JOIN version_uris u ON u.version_id = batch.id',
    },
    {
      columns: [tagCode('t.boolean'), 't.key', 't.value'],
      from: 'batch CROSS JOIN version_tags t ON t.version_id = batch.id',
    },
  ];
  return columnsQuery(tables, BATCH_OF_VERSIONS);
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

type Tagged = Pick<RecordRow, 'tags' | 'tagValues'>;

/** The tags of a version, from their JSON. */
export function toTags(json: string): Tagged {
  const tagged = { tags: {} };
  if (json !== '[]') for (const tag of JSON.parse(json) as RawTag[]) addTag(tagged, ...tag);
  return tagged;
}

function addTag(row: Tagged, ...[key, text, type, boolean]: RawTag): void {
  const { tags } = row;
  const value = tagValue(text, type, boolean);
  if (Object.hasOwn(tags, key) && tags[key] !== value) {
    row.tagValues ??= {};
    // Those before it were all the same, if there is no list of them yet.
    const values = Object.hasOwn(row.tagValues, key) ? row.tagValues[key] : [tags[key]];
    if (!values.includes(value)) values.push(value);
    setOwn(row.tagValues, key, values);
  }
  setOwn(tags, key, value);
}

/** An own property of whatever name. */
function setOwn<T>(object: Record<string, T>, key: string, value: T): void {
  if (key === '__proto__')
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}
