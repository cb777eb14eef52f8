/** Braid-DB's text form of a time in microseconds since 1970: `YYYY-MM-DD HH:MM:SS.ffffff`, UTC, no zone. */
export function timeText(micros: number): string {
  const millis = Math.floor(micros / 1000);
  const iso = new Date(millis).toISOString();
  const rest = String(micros - millis * 1000).padStart(3, '0');
  return `${iso.slice(0, 10)} ${iso.slice(11, 23)}${rest}`;
}

/** The time that a text of that form means; an invalid Date for what isn't one. */
export function parseTime(text: string): Date {
  return new Date(`${text.slice(0, 10)}T${text.slice(11, 23)}Z`);
}

/** What a person writes as a time: a date, or one with hours; UTC where no zone is named. Undefined for anything else. */
export function parseUtc(text: string): Date | undefined {
  if (!/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/.test(text)) return undefined;
  // A date alone is UTC by itself; with hours it would be of the machine's zone.
  const zoned = text.length === 10 || /(Z|[+-]\d\d:?\d\d)$/.test(text.slice(10));
  const time = new Date(zoned ? text : `${text}Z`);
  return Number.isNaN(time.getTime()) ? undefined : time;
}
