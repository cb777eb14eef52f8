import { parseTime, timeText } from '../time.js';

/** What a column of a table holds. A time is microseconds since 1970; a list of integers or texts is an array. */
export type ColumnType = 'integer' | 'float' | 'boolean' | 'text' | 'time' | 'integers' | 'texts';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}

/** Rows of some columns, in an order of their own. */
export interface Table {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly rowCount: number;
  /** Reads them, piece by piece. */
  readonly rows: () => Iterable<readonly Value[]>;
}

export type Value = number | bigint | boolean | string | readonly (number | string)[] | null;

/** What SQLite has, as a value of a column: null where it is no such thing, which `braid verify` names. */
export function valueOf(type: ColumnType, raw: unknown): Value {
  if (raw === null || raw === undefined) return null;
  switch (type) {
    case 'integer':
      return Number.isSafeInteger(raw) || typeof raw === 'bigint' ? (raw as number | bigint) : null;
    case 'float':
      if (typeof raw === 'string') return numberOf(raw) ?? null;
      return typeof raw === 'number' || typeof raw === 'bigint' ? Number(raw) : null;
    case 'boolean':
      return typeof raw === 'boolean' ? raw : raw === 1 ? true : raw === 0 ? false : null;
    case 'text':
      return typeof raw === 'string' ? raw : Buffer.isBuffer(raw) ? raw.toString() : JSON.stringify(raw);
    case 'time':
      return typeof raw === 'string' ? microsOf(raw) : null;
    case 'integers':
    case 'texts':
      return Array.isArray(raw) ? (raw as (number | string)[]) : null;
  }
}

/** The number that a text of a tag is, also where Python wrote `nan` or `inf`; undefined if it is none. */
export function numberOf(text: string): number | undefined {
  const number = Number(text);
  if (text.trim() !== '' && !Number.isNaN(number)) return number;
  const [, sign, word] = /^([+-]?)(nan|inf)(?:inity)?$/i.exec(text) ?? [];
  if (word === undefined) return undefined;
  return word.toLowerCase() === 'nan' ? NaN : sign === '-' ? -Infinity : Infinity;
}

/** Of a time as Braid-DB writes it. */
function microsOf(text: string): number | null {
  const millis = parseTime(text).getTime();
  if (Number.isNaN(millis)) return null;
  return millis * 1000 + Number(/^.{23}(\d{3})$/.exec(text)?.[1] ?? 0);
}

/** `2026-07-28T09:30:00.123456Z`. */
export function isoTime(micros: number): string {
  return `${timeText(micros).replace(' ', 'T')}Z`;
}
