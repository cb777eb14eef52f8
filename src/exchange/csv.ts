import type { TextFormat } from './flat.js';
import { isoTime, type ColumnType, type Value } from './table.js';

/** As RFC 4180 has it, in UTF-8, with names first. What isn't there is nothing at all, and an empty text is "". */
export const csv: TextFormat = {
  ending: 'csv',
  *text({ columns, rows }) {
    yield line(columns.map(({ name }) => text(name)));
    for (const row of rows()) yield line(row.map((value, i) => cell(columns[i].type, value)));
  },
};

function line(cells: readonly string[]): string {
  return `${cells.join(',')}\r\n`;
}

function cell(type: ColumnType, value: Value): string {
  if (value === null) return '';
  if (type === 'time') return isoTime(value as number);
  if (typeof value === 'string') return text(value);
  return typeof value === 'object' ? text(JSON.stringify(value)) : String(value);
}

function text(value: string): string {
  return value === '' || /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}
