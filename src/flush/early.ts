import type { RecorderCommunicator } from '../comm/communicator.js';
import type { Request } from '../comm/request.js';
import { faultPoint } from '../fault.js';
import type { Steps } from './drive.js';
import { promised, type SendableFrame } from './gathering.js';
import { EARLY_BYTES, EARLY_TAG, ROOT, isEarly, type Header } from './messages.js';

/**
 * Frames that are few enough follow their header at once, unasked: an order and a gather would take longer than their
 * bytes do. Their message has a length of its own, which the root knows before it has seen the header.
 */

/** Sends what follows `header`, if anything does. */
export function sendEarly(
  comm: RecorderCommunicator,
  header: Pick<Header, 'bytes'>,
  frames: readonly SendableFrame[],
): Request | undefined {
  if (!isEarly(header)) return undefined;
  faultPoint('flush.send');
  const message = Buffer.alloc(EARLY_BYTES);
  promised(frames, 0, frames.length).copy(message);
  return comm.isendEach(message, EARLY_BYTES, Int32Array.of(ROOT), EARLY_TAG);
}

/**
 * Takes what has followed these headers, by rank. Also where there will be no gather: what nobody receives would be taken
 * for part of the next collective.
 */
export function* takeEarly(
  comm: RecorderCommunicator,
  headers: ReadonlyMap<number, Pick<Header, 'bytes'> | undefined>,
  patiently: (request: Request) => Steps<void>,
): Steps<ReadonlyMap<number, Buffer>> {
  const early = new Map<number, Buffer>();
  const come = [...headers].filter(([rank, header]) => rank !== ROOT && header !== undefined && isEarly(header));
  if (come.length === 0) return early;
  const messages = Buffer.allocUnsafe(come.length * EARLY_BYTES);
  const ranks = Int32Array.from(come, ([rank]) => rank);
  yield* patiently(comm.irecvEach(messages, EARLY_BYTES, ranks, EARLY_TAG));
  come.forEach(([rank, header], i) => {
    const at = i * EARLY_BYTES;
    early.set(rank, messages.subarray(at, at + header!.bytes));
  });
  return early;
}
