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
  const ms = typeof text === 'string' ? msOfMinute(text) : NaN;
  if (Number.isNaN(ms)) {
    // SQLite keeps whatever somebody has written there.
    const other = String(text);
    return new Date(`${other.slice(0, 10)}T${other.slice(11, 23)}Z`);
  }
  if (minute.text === '' || !text.startsWith(minute.text)) {
    const at = text.slice(0, 16);
    minute = { text: at, ms: new Date(`${at.slice(0, 10)}T${at.slice(11)}Z`).getTime() };
  }
  return new Date(minute.ms + ms);
}

/** Of its seconds and their fraction; NaN if they aren't written as we do. */
function msOfMinute(text: string): number {
  const digit = (at: number) => {
    const value = text.charCodeAt(at) - 48;
    return value >= 0 && value <= 9 ? value : NaN;
  };
  if (text[19] !== '.' || digit(17) > 5) return NaN;
  return digit(17) * 10_000 + digit(18) * 1000 + digit(20) * 100 + digit(21) * 10 + digit(22);
}
