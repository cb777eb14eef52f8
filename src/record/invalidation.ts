import { randomUUID } from 'node:crypto';
import { BraidError } from '../errors.js';
import { OP_BOUND, textBound } from '../frame/encoder.js';
import type { VersionName } from '../frame/format.js';
import { now } from './clock.js';
import type { Recorder } from './recorder.js';

export interface InvalidateInit {
  /** Why it is wrong. Not empty. */
  cause: string;
  /** Whether all that derives from it is, too. Default true. */
  cascade?: boolean;
}

/** Checks what is said of why. */
export function checkCause(
  cause: unknown,
  what = 'cause',
  example = 'detector was misaligned',
): asserts cause is string {
  if (typeof cause === 'string' && cause !== '') return;
  throw new BraidError('ERR_BRAID_CAUSE_INVALID', `a ${what} is needed, in words: { ${what}: "${example}" }`);
}

/** The recording call of an invalidation: of a record, or of a version of it. */
export function recordInvalidation(
  recorder: Recorder,
  record: number,
  version: VersionName | 'none',
  options: InvalidateInit,
): void {
  const { cause, cascade = true } = options ?? {};
  checkCause(cause);
  const uuid = randomUUID().replaceAll('-', '');
  recorder.write(OP_BOUND + textBound(cause), (encoder) => {
    encoder.invalidation(uuid, record, cascade, now(), cause, version);
  });
}
