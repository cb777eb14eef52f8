import { FORMAT_VERSION, MAX_FRAME_BYTES } from '../frame/format.js';
import { storeWord } from '../frame/header.js';

export const SEGMENT_HEADER_BYTES = 64;
/** Segments begin and end at multiples of this. */
export const SEGMENT_ALIGN = 4096;
const SEGMENT_MAGIC = 0x47535242; // 'BRSG'

/**
 * Also over the header of a segment that was shorter: the length and its complement are stored at once, so that a reader
 * finds the one length or the other.
 */
export function writeSegmentHeader(buffer: Buffer, bytes: number): void {
  buffer.writeUInt32LE(FORMAT_VERSION, 4);
  const length = new BigUint64Array(buffer.buffer, buffer.byteOffset + 8, 1);
  Atomics.store(length, 0, (BigInt(~bytes >>> 0) << 32n) | BigInt(bytes));
  storeWord(buffer, 0, SEGMENT_MAGIC);
}

/** The length of the segment that begins with these bytes; undefined if none does. */
export function readSegmentHeader(header: Buffer): number | undefined {
  if (header.length < SEGMENT_HEADER_BYTES) return undefined;
  if (header.readUInt32LE(0) !== SEGMENT_MAGIC || header.readUInt32LE(4) !== FORMAT_VERSION) return undefined;
  const bytes = header.readUInt32LE(8);
  if (header.readUInt32LE(12) !== ~bytes >>> 0) return undefined;
  return bytes % SEGMENT_ALIGN === 0 && bytes > 0 && bytes <= MAX_FRAME_BYTES ? bytes : undefined;
}
