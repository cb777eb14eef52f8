/** Braid-DB's text form of a time in microseconds since 1970: `YYYY-MM-DD HH:MM:SS.ffffff`, UTC, no zone. */
export function timeText(micros: number): string {
  const millis = Math.floor(micros / 1000);
  const iso = new Date(millis).toISOString();
  const rest = String(micros - millis * 1000).padStart(3, '0');
  return `${iso.slice(0, 10)} ${iso.slice(11, 23)}${rest}`;
}

/** The last minute that was read, as text and in milliseconds: times that are read together mostly share it. */
let minute = { text: '', ms: NaN };

/** The time that a text of that form means; an invalid Date for what isn't one. */
export function parseTime(text: string): Date {
  const whole = /^.{17}[0-5]\d\.\d{3}/.test(text);
  if (!whole) {
    // SQLite keeps whatever somebody has written there.
    const other = String(text);
    return new Date(`${other.slice(0, 10)}T${other.slice(11, 23)}Z`);
  }
  const at = text.slice(0, 16);
  if (at !== minute.text) minute = { text: at, ms: new Date(`${at.slice(0, 10)}T${at.slice(11)}Z`).getTime() };
  return new Date(minute.ms + Number(text.slice(17, 19)) * 1000 + Number(text.slice(20, 23)));
}
