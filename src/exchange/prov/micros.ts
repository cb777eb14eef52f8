/** Microseconds since 1970 of an xsd:dateTime, in UTC where it names no zone; undefined for what isn't one, or is out of range. */
export function parseMicros(text: string): number | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?$/.exec(text);
  if (!match) return undefined;
  // JavaScript takes the 31st of February for the 3rd of March.
  const day = Number(text.slice(8, 10));
  if (new Date(`${text.slice(0, 10)}T00:00:00Z`).getUTCDate() !== day) return undefined;
  const [, whole, fraction = '', zone = 'Z'] = match;
  const micros = Date.parse(`${whole}${zone}`) * 1000 + Number(fraction.padEnd(6, '0').slice(0, 6));
  return Number.isSafeInteger(micros) ? micros : undefined;
}
