import { BraidError } from '../errors.js';
import { momentsOf } from './time-span.js';

/** Which version of a model: by number, by step of an attempt of a run, or the newest at a time or when a record was made. */
export type VersionOf =
  number | { step: number; run?: string; attempt?: number } | { time: Date } | { when: number | string };

/**
 * What stands behind the @ of `MODEL@…`: `3`, `step=12`, `step=12,run=8861a738,attempt=2` in any order,
 * `time=2026-07-28T09:30:00Z` (to the end of what is written) or `when=RECORD`. Undefined for what is none of these.
 *
 * @throws BraidError ERR_BRAID_VERSION_INVALID
 */
export function parseVersionOf(text: string): VersionOf | undefined {
  if (/^\d+$/.test(text)) return checkVersionOf(Number(text));
  const [, word, value] = /^(time|when|step|run|attempt)=(.*)$/s.exec(text) ?? [];
  if (word === undefined) return undefined;
  if (word === 'when') return { when: value };
  if (word === 'time') {
    const time = momentsOf(value)?.last;
    if (time) return { time };
    throw invalid(`'${value}' is not a time: write it as 2026-07-28T09:30:00Z`);
  }
  return checkVersionOf(ofStep(text));
}

function ofStep(text: string): { step: number; run?: string; attempt?: number } {
  const parts = new Map<string, string>();
  for (const part of text.split(',')) {
    const [, word, value] = /^(step|run|attempt)=(\w+)$/.exec(part) ?? [];
    if (word === undefined) throw invalid(`'${part}' of '${text}' is none of step=12, run=8861a738 and attempt=2`);
    if (parts.has(word)) throw invalid(`'${text}' has ${word} twice`);
    parts.set(word, value);
  }
  const number = (word: string) => (/^\d+$/.test(parts.get(word)!) ? Number(parts.get(word)) : NaN);
  if (!parts.has('step')) throw invalid(`'${text}' says no step: step=12,run=8861a738,attempt=2`);
  const attempt = parts.has('attempt') ? number('attempt') : undefined;
  return { step: number('step'), run: parts.get('run'), attempt };
}

/**
 * That something can name a version.
 *
 * @throws BraidError ERR_BRAID_VERSION_INVALID
 */
export function checkVersionOf(which: VersionOf): VersionOf {
  if (typeof which === 'number') {
    if (Number.isSafeInteger(which) && which >= 1) return which;
    throw invalid(`${which} is not the number of a version: they are counted from 1`);
  }
  const given: object = typeof which === 'object' && which !== null ? which : {};
  if ('step' in given) {
    const { step, run, attempt } = given as { step: unknown; run?: unknown; attempt?: unknown };
    if (!Number.isSafeInteger(step) || (step as number) < 0) throw invalid('a step is a whole number, at least 0');
    if (run !== undefined && !(typeof run === 'string' && /^[0-9a-f]{1,32}$/.test(run))) {
      throw invalid('run is the id of a run, or its first digits: hex digits, in lower case');
    }
    if (attempt === undefined || (Number.isSafeInteger(attempt) && (attempt as number) >= 1)) return which;
    throw invalid('an attempt is a whole number, counted from 1');
  }
  if ('time' in given) {
    if (given.time instanceof Date && !Number.isNaN(given.time.getTime())) return which;
    throw invalid('the time of a version must be a valid Date');
  }
  if ('when' in given) return which;
  throw invalid('a version is named by its number, { step, run, attempt }, { time } or { when }');
}

function invalid(message: string): BraidError {
  return new BraidError('ERR_BRAID_VERSION_INVALID', message);
}
