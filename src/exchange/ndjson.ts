import type { Exporter } from './exporter.js';
import { NodeRows } from '../query/rows.js';

/** A line of JSON for each record, as `RecordRow` has it; integers that a double can't hold are decimal strings. */
export const ndjson: Exporter = {
  *text(source, { run, onProgress }) {
    const total = source.countRecords(run);
    let done = 0;
    const rows = new NodeRows(source.connection, source.layout);
    for (const row of rows.complete(source.recordIds(run), (record) => record)) {
      yield `${JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}\n`;
      onProgress?.({ unit: 'records', done: ++done, total });
    }
  },
};
