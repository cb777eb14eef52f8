import { styleText } from 'node:util';
import { BraidError } from '../errors.js';
import { jsonText } from '../json-text.js';
import { escaped, printable } from '../printable.js';

export { printable } from '../printable.js';

/** Nobody reads our output any more, as after `| head -1`: not an error, and no reason to go on. */
export class ClosedPipe extends Error {}

const CHUNK_CHARS = 2 ** 16;

/** Writes lines to stdout as fast as they are taken, holding a chunk of them at most. Each stays one, whatever is in it. */
export async function writeLines(lines: Iterable<string>): Promise<void> {
  let chunk = '';
  for (const line of lines) {
    chunk += `${printableStyled(line)}\n`;
    if (chunk.length < CHUNK_CHARS) continue;
    await write(chunk);
    chunk = '';
  }
  if (chunk !== '') await write(chunk);
}

/** One JSON document. */
export function writeJson(value: unknown): Promise<void> {
  return writeLines(toJson(value, 2).split('\n'));
}

/** Integers that a double can't hold become decimal strings. What a terminal would take for an order is escaped. */
export function toJson(value: unknown, indent?: number): string {
  const text = jsonText(value, indent);
  return text.replace(/[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, escaped);
}

/** What to tell of an error in writing to stdout. */
export function outputError(error: NodeJS.ErrnoException): Error {
  if (error.code === 'EPIPE') return new ClosedPipe();
  if (error.syscall !== 'write') return error;
  return new BraidError('ERR_BRAID_OUTPUT', `standard output can't be written: ${error.message}`, { cause: error });
}

function write(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (error) reject(outputError(error));
      else resolve();
    });
  });
}

/** What is printed in a style: what is wrong, what is in order, what wants a look, what is less important. */
const STYLES = { bad: 'red', good: 'green', note: 'yellow', faint: 'dim' } as const;
export type Style = keyof typeof STYLES;

/** On a terminal that shows colours, unless NO_COLOR forbids them. */
const coloured = process.stdout.isTTY && process.stdout.hasColors();

/** Text in a style, where output is coloured. What is somebody else's in it must be printable already. */
export function styled(style: Style, text: string): string {
  return coloured ? styleText(STYLES[style], text) : text;
}

/** What `styled` puts around a text, and no other order to a terminal. */
const STYLING = /(\x1b\[(?:2|22|31|32|33|39)m)/;

function printableStyled(line: string): string {
  if (!coloured) return printable(line);
  return line.split(STYLING).map((part, i) => (i % 2 === 1 ? part : printable(part))).join(''); // prettier-ignore
}

/** "2026-07-28 09:30:00.123", UTC. */
export function dateText(date: Date): string {
  return Number.isNaN(date.getTime()) ? '(not a time)' : date.toISOString().slice(0, 23).replace('T', ' ');
}

/** "1,234,567". */
export function countText(count: number): string {
  return count.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** "1 rank", "1,200 ranks". */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

/** "850 ms", "12.3 s", "2 h 05 min". */
export function durationText(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** Columns under their titles; those of numbers are aligned to the right. */
export async function tableLines(titles: readonly string[], rows: readonly (string | number)[][]): Promise<string[]> {
  const { table, getBorderCharacters } = await import('table');
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? countText(cell) : printable(cell))));
  const columns = titles.map((_, column) => ({
    alignment: rows.some((row) => typeof row[column] === 'number') ? ('right' as const) : ('left' as const),
  }));
  const text = table([titles.map(printable), ...cells], {
    border: getBorderCharacters('void'),
    columnDefault: { paddingLeft: 0, paddingRight: 2 },
    drawHorizontalLine: () => false,
    columns,
  });
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.trimEnd());
}
