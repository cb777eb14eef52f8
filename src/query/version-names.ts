import { BraidError } from '../errors.js';
import { parseUtc } from '../time.js';

/** Which version of a model: by number, by step of an attempt of a run, or the newest at a time or when a record was made. */
export type VersionOf =
  number | { step: number; run?: string; attempt?: number } | { time: Date } | { when: number | string };

/**
 * What stands behind the @ of `MODEL@…`: `3`, `step=12`, `step=12,run=8861a738,attempt=2`, `time=2026-07-28T09:30:00Z` or
 * `when=RECORD`. Undefined for what is none of these.
 *
 * @throws BraidError ERR_BRAID_VERSION_INVALID
 */
export function parseVersionOf(text: string): VersionOf | undefined {
  if (/^\d{1,16}$/.test(text)) return Number(text);
  const step = /^step=(\d{1,16})(?:,run=([0-9a-f]{1,32}))?(?:,attempt=(\d{1,9}))?$/.exec(text);
  if (step) {
    return { step: Number(step[1]), run: step[2], attempt: step[3] === undefined ? undefined : Number(step[3]) };
  }
  const [, word, value] = /^(time|when)=(.+)$/s.exec(text) ?? [];
  if (word === 'when') return { when: value };
  if (word === undefined) return undefined;
  const time = parseUtc(value);
  if (time) return { time };
  throw new BraidError('ERR_BRAID_VERSION_INVALID', `'${value}' is not a time: write it as 2026-07-28T09:30:00Z`);
}
