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

const NOTHING: ReadonlyMap<number, Buffer> = new Map();

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
 *
 * @param headers by rank.
 * @param patiently as `Come` has it.
 */
export function* takeEarly(
  comm: RecorderCommunicator,
  headers: readonly (Pick<Header, 'bytes'> | undefined)[],
  patiently: (request: Request) => Request,
): Steps<ReadonlyMap<number, Buffer>> {
  const ranks = earlyRanks(headers);
  if (ranks.length === 0) return NOTHING;
  const early = new Map<number, Buffer>();
  const messages = Buffer.allocUnsafe(ranks.length * EARLY_BYTES);
  yield patiently(comm.irecvEach(messages, EARLY_BYTES, Int32Array.from(ranks), EARLY_TAG));
  ranks.forEach((rank, i) => {
    const at = i * EARLY_BYTES;
    early.set(rank, messages.subarray(at, at + headers[rank]!.bytes));
  });
  return early;
}

function earlyRanks(headers: readonly (Pick<Header, 'bytes'> | undefined)[]): number[] {
  const ranks: number[] = [];
  headers.forEach((header, rank) => {
    if (rank !== ROOT && header && isEarly(header)) ranks.push(rank);
  });
  return ranks;
}
