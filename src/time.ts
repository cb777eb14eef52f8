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
