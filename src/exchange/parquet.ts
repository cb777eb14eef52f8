import { setImmediate } from 'node:timers/promises';
import { ParquetWriter, fileWriter, type ColumnSource, type SchemaElement } from 'hyparquet-writer';
import { packageVersion } from '../package.js';
import type { FileFormat } from './flat.js';
import type { Column, ColumnType, Value } from './table.js';

/** A group of rows is held as it is written: so many, or fewer of long texts. */
const GROUP_ROWS = 50_000;
const GROUP_CHARS = 2 ** 24;

/** Apache Parquet: times with microseconds in UTC, lists as lists, anything may be missing. */
export const parquet: FileFormat = {
  ending: 'parquet',
  async write({ columns, rows }, file, signal) {
    const writer = new ParquetWriter({
      writer: fileWriter(file),
      schema: [{ name: 'root', num_children: columns.length }, ...columns.flatMap(schemaOf)],
      createdBy: `braid-mpi ${packageVersion()}`,
    });
    for (const group of groups(rows(), columns)) {
      await writer.write({ columnData: group, rowGroupSize: group[0].data.length });
      // Of a signal nobody hears before that.
      await setImmediate();
      signal?.throwIfAborted();
    }
    await writer.finish();
  },
};

function* groups(rows: Iterable<readonly Value[]>, columns: readonly Column[]): Iterable<ColumnSource[]> {
  const empty = () => columns.map(({ name }) => ({ name, data: [] as unknown[] }));
  let group = empty();
  let [count, chars] = [0, 0];
  for (const row of rows) {
    row.forEach((value, i) => {
      chars += typeof value === 'string' ? value.length : Array.isArray(value) ? JSON.stringify(value).length : 0;
      group[i].data.push(parquetValue(columns[i].type, value));
    });
    if (++count < GROUP_ROWS && chars < GROUP_CHARS) continue;
    yield group;
    group = empty();
    [count, chars] = [0, 0];
  }
  if (count > 0) yield group;
}

function parquetValue(type: ColumnType, value: Value): unknown {
  if (value === null) return null;
  if (type === 'integer' || type === 'time') return BigInt(value as number | bigint);
  return type === 'integers' ? (value as number[]).map(BigInt) : value;
}

const PRIMITIVES: Record<Exclude<ColumnType, 'integers' | 'texts'>, Omit<SchemaElement, 'name'>> = {
  integer: { type: 'INT64' },
  float: { type: 'DOUBLE' },
  boolean: { type: 'BOOLEAN' },
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
  time: {
    type: 'INT64',
    converted_type: 'TIMESTAMP_MICROS',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
  },
};

function schemaOf({ name, type }: Column): SchemaElement[] {
  const repetition_type = 'OPTIONAL';
  if (type !== 'integers' && type !== 'texts') return [{ name, repetition_type, ...PRIMITIVES[type] }];
  const element = PRIMITIVES[type === 'integers' ? 'integer' : 'text'];
  return [
    { name, repetition_type, num_children: 1, converted_type: 'LIST', logical_type: { type: 'LIST' } },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', repetition_type, ...element },
  ];
}
