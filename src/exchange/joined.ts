import { BraidError } from '../errors.js';
import { KINDS, TagType } from '../frame/format.js';
import { Attempts } from '../query/attempts.js';
import { tagValue, type Tag } from '../record/tags.js';
import { Grouped } from './grouped.js';
import type { Source } from './source.js';
import { numberOf, valueOf, type Column, type ColumnType, type Table, type Value } from './table.js';

/** Of each record, beside its tags. */
const COLUMNS: readonly Column[] = [
  { name: 'id', type: 'integer' },
  { name: 'kind', type: 'text' },
  { name: 'name', type: 'text' },
  { name: 'time', type: 'time' },
  { name: 'valid', type: 'boolean' },
  { name: 'cause', type: 'text' },
  { name: 'run', type: 'text' },
  { name: 'rank', type: 'integer' },
  { name: 'uris', type: 'texts' },
  { name: 'sources', type: 'integers' },
];

/** More are rows that somebody meant to be read as rows: no reader of flat files takes hundreds of thousands of columns. */
const MOST_KEYS = 1000;

type RawRecord = readonly [id: number, kind: number, name: string, time: string, valid: number, cause: string | null]; // prettier-ignore
type RawTag = readonly [record: number, key: string, value: string, type: number, boolean: number];

/**
 * A row for each record, with a column for each key of a tag, of the type that its values have. Records, URIs, tags and
 * derivations are read beside each other, all in the order of the records: in one pass, whatever indexes there are.
 */
export function joinedTable(source: Source, run?: string): Table {
  const tags = tagColumns(source, run);
  const columns = [...COLUMNS, ...tags.values()];
  const place = new Map([...tags.keys()].map((key, i) => [key, COLUMNS.length + i]));
  return {
    name: 'joined',
    columns,
    rowCount: source.countRecords(run),
    rows: () => joinedRows(source, run, columns, place),
  };
}

function* joinedRows(
  source: Source,
  run: string | undefined,
  columns: readonly Column[],
  place: ReadonlyMap<string, number>,
): Iterable<readonly Value[]> {
  const { connection, layout } = source;
  const [where, values] = source.runCondition(run);
  const sorted = <Row extends readonly [record: number, ...more: unknown[]]>(sql: string) =>
    new Grouped<Row>(connection.stream(sql, [], (row: Row) => row));
  const uris = sorted<readonly [number, string]>('SELECT record_id, uri FROM uris ORDER BY record_id, id');
  const tags = sorted<RawTag>(`SELECT t.record_id, t.key, t.value, t.tag_type, ${layout.boolean} FROM tags t
    ORDER BY t.record_id, t.id`);
  const derivations = sorted<readonly [number, number]>(
    'SELECT derivation, record_id FROM derivations ORDER BY derivation',
  );
  const cause = source.has('invalidations')
    ? '(SELECT i.cause FROM invalidations i WHERE i.id = r.invalidation_id)'
    : 'NULL';
  const records = connection.stream(
    `SELECT r.record_id, ${layout.kind}, r.name, r.time, r.invalidation_id IS NULL, ${cause}
     FROM records r WHERE ${where} ORDER BY r.record_id`,
    values,
    (row: RawRecord) => row,
  );
  const attempts = layout.ours ? new Attempts(connection) : undefined;
  try {
    for (const [id, kind, ...fields] of records) {
      const maker = attempts?.of(id);
      const raw = [id, KINDS[kind] ?? 'record', ...fields, maker?.run, maker?.rank];
      const row: Value[] = raw.map((value, i) => valueOf(columns[i].type, value));
      row.push(
        Array.from(uris.of(id), ([, uri]) => uri),
        Array.from(derivations.of(id), ([, source]) => source).sort((a, b) => a - b), // prettier-ignore
      );
      for (let i = row.length; i < columns.length; i++) row.push(null);
      for (const [, key, value, type, boolean] of tags.of(id)) {
        const at = place.get(key)!;
        row[at] = tagOf(columns[at].type, value, tagValue(value, type, boolean));
      }
      yield row;
    }
  } finally {
    for (const each of [uris, tags, derivations]) each.close();
  }
}

/** The columns of tags, by key. */
function tagColumns(source: Source, run: string | undefined): Map<string, Column> {
  const [where, values] = source.runCondition(run);
  const of = run === undefined ? '' : `JOIN records r USING (record_id) WHERE ${where}`;
  const types = new Map<string, Set<ColumnType>>();
  // Of a text it needn't be known which.
  const rows = source.connection.stream(
    `SELECT t.key, iif(t.tag_type IN (2, 3), t.value, ''), t.tag_type, ${source.layout.boolean} FROM tags t ${of}`,
    values,
    (row: readonly [key: string, value: string, type: number, boolean: number]) => row,
  );
  for (const [key, value, type, boolean] of rows) {
    let found = types.get(key);
    if (!found) types.set(key, (found = new Set()));
    found.add(columnType(type, tagValue(value, type, boolean), value));
    if (types.size > MOST_KEYS) throw tooWide(source.path);
  }
  const keys = [...types.keys()].toSorted();
  const taken = new Set(COLUMNS.map(({ name }) => name));
  const free = (name: string) => !taken.has(name.toLowerCase());
  const columns = new Map<string, Column>();
  // Readers such as DuckDB don't tell `Loss` from `loss`. Who has a name as it is has it before those that get another.
  for (const clash of [false, true]) {
    for (const key of keys) {
      if (columns.has(key) || (!clash && (key === '' || !free(key)))) continue;
      let name = key;
      while (name === '' || !free(name)) name = `tag.${name}`;
      taken.add(name.toLowerCase());
      columns.set(key, { name, type: commonType(types.get(key)!) });
    }
  }
  return new Map(keys.map((key) => [key, columns.get(key)!]));
}

function columnType(type: number, value: Tag, text: string): ColumnType {
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'number') return type === TagType.integer ? 'integer' : 'float';
  if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value ? 'integer' : 'text';
  return type === TagType.float && numberOf(text) !== undefined ? 'float' : 'text';
}

function commonType(types: ReadonlySet<ColumnType>): ColumnType {
  if (types.size === 1) return [...types][0];
  return [...types].every((type) => type === 'integer' || type === 'float') ? 'float' : 'text';
}

function tagOf(type: ColumnType, text: string, value: Tag): Value {
  if (type === 'text') return typeof value === 'boolean' ? String(value) : text;
  return valueOf(type, value);
}

function tooWide(path: string): BraidError {
  return new BraidError(
    'ERR_BRAID_TABLE_TOO_WIDE',
    `${path} has tags of more than ${MOST_KEYS} keys, too many for a column each: --table tags has them as rows`,
  );
}
