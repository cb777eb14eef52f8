import { jsonText } from '../json-text.js';
import { NodeRows } from '../query/rows.js';
import type { Exporter } from './exporter.js';
import type { TextFormat } from './flat.js';
import { isoTime } from './table.js';

/** A line of JSON for each record, as `RecordRow` has it; integers that a double can't hold are decimal strings. */
export const ndjson: Exporter = {
  *text(source, { run, onProgress }) {
    const total = source.countRecords(run);
    let done = 0;
    const rows = new NodeRows(source.connection, source.layout);
    for (const row of rows.complete(source.recordIds(run), (record) => record)) {
      yield line(row);
      onProgress?.({ done: ++done, total });
    }
  },
};

/** The same of the rows of a table, without what isn't there. */
export const ndjsonTable: TextFormat = {
  ending: 'ndjson',
  *text({ columns, rows }) {
    for (const row of rows()) {
      const entries = row.map((value, i) => {
        const { name, type } = columns[i];
        return [name, type === 'time' && value !== null ? isoTime(value as number) : value] as const;
      });
      yield line(Object.fromEntries(entries.filter(([, value]) => value !== null)));
    }
  },
};

function line(row: object): string {
  return `${jsonText(row)}\n`;
}
