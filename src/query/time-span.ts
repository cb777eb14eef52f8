import { parseTime, timeText } from '../time.js';

/** From the first moment that a written time means to the first one after it: of a day 24 hours, of a second one second. */
export interface TimeSpan {
  /** As the database has it; included. */
  readonly from: string;
  /** Not included. */
  readonly to: string;
}

/** Of years whose microseconds a double counts exactly. */
const WRITTEN =
  /^(1[7-9]\d\d|2[01]\d\d)-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?\s*(Z|[+-]\d\d:?\d\d)?)?)?$/i;

const SECOND = 1e6;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;

/**
 * What `2026-07`, `2026-07-28`, `2026-07-28 09:30`, or a time with seconds, up to six digits of a fraction of them, and `Z`
 * or `+02:00` means. Without a zone it is UTC, as all of ours. Undefined for what is no time.
 */
export function timeSpan(text: string): TimeSpan | undefined {
  const match = WRITTEN.exec(text);
  if (!match) return undefined;
  const [, year, month, day = '01', hour = '00', minute = '00', second = '00', fraction = '', zone = 'Z'] = match;
  const millis = Date.UTC(+year, +month - 1, +day, +hour, +minute, +second);
  // The 31st of February would become a day of March.
  if (new Date(millis).toISOString().slice(0, 19) !== `${year}-${month}-${day}T${hour}:${minute}:${second}`) {
    return undefined;
  }
  const from = millis * 1000 + Number(fraction.padEnd(6, '0')) - offsetMicros(zone);
  return { from: timeText(from), to: timeText(from + micros(match, new Date(millis))) };
}

/** The first moment of a written time, and the last one, as a Date can tell them: a day ends with 23:59:59.999. */
export function momentsOf(text: string): { first: Date; last: Date } | undefined {
  const span = timeSpan(text);
  if (!span) return undefined;
  const end = parseTime(span.to);
  // What is shorter than a millisecond is in one.
  const last = span.to.endsWith('000') ? new Date(end.getTime() - 1) : end;
  return { first: parseTime(span.from), last };
}

/** How long that is, by the last part that was written. */
function micros([, , , day, , minute, second, fraction]: RegExpExecArray, date: Date): number {
  if (fraction !== undefined) return 10 ** (6 - fraction.length);
  if (second !== undefined) return SECOND;
  if (minute !== undefined) return MINUTE;
  if (day !== undefined) return DAY;
  return (Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1) - date.getTime()) * 1000;
}

function offsetMicros(zone: string): number {
  if (zone.toUpperCase() === 'Z') return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return (zone.startsWith('-') ? -1 : 1) * minutes * MINUTE;
}
