/** A round by its frames, and the pieces of it that are committed one after another. */
import { BraidError } from '../errors.js';
import { FRAME_HEADER_BYTES } from '../frame/format.js';
import { frameCrc, readFrameHeader, type FrameHeader } from '../frame/header.js';
import type { IdBlock } from './round-tables.js';

/**
 * What is decoded at once, of which SQLite and the extension take a copy each: little enough for a processor's cache to keep
 * what is decoded, and the pages it goes to, until it is there.
 */
const PIECE_BYTES = 2 ** 20;

export interface PlacedFrame {
  readonly at: number;
  readonly header: FrameHeader;
  /** Why it can't be brought in. */
  readonly damage?: string;
}

/** A frame that isn't committed yet, and the ids of its rank. */
export interface FreshFrame extends PlacedFrame {
  readonly block: IdBlock;
}

/** Frames, one after another, and the ids of the rank of each. Its bytes are good until the next one is asked for. */
export interface Piece {
  readonly bytes: Buffer;
  readonly blocks: readonly IdBlock[];
}

/**
 * The frames' bytes, in pieces of at most `PIECE_BYTES` (or one frame): one frame of each rank in turn, so that the ids of a
 * piece lie close together, and most rows come to stand behind all that are there.
 */
export function* piecesOf(round: Buffer, frames: readonly FreshFrame[]): Generator<Piece> {
  // Of all pieces: each is copied by whoever takes it, and what is left to a collector of garbage it leaves for long.
  const memory = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, round.length));
  let blocks: IdBlock[] = [];
  let bytes = 0;
  for (const { at, header, block } of inTurn(frames)) {
    const frame = round.subarray(at, at + FRAME_HEADER_BYTES + header.bytes);
    if (bytes > 0 && bytes + frame.length > PIECE_BYTES) {
      yield { bytes: memory.subarray(0, bytes), blocks };
      blocks = [];
      bytes = 0;
    }
    if (frame.length > PIECE_BYTES) {
      yield { bytes: frame, blocks: [block] };
      continue;
    }
    frame.copy(memory, bytes);
    blocks.push(block);
    bytes += frame.length;
  }
  if (bytes > 0) yield { bytes: memory.subarray(0, bytes), blocks };
}

/** The first frame of each rank, the second of each, and so on. */
function inTurn(frames: readonly FreshFrame[]): readonly FreshFrame[] {
  const turns: FreshFrame[][] = [];
  let turn = 0;
  frames.forEach((frame, i) => {
    turn = i > 0 && sameOwner(frames[i - 1].header, frame.header) ? turn + 1 : 0;
    (turns[turn] ??= []).push(frame);
  });
  return turns.flat();
}

export function sameOwner(a: FrameHeader, b: FrameHeader): boolean {
  return a.run === b.run && a.attempt === b.attempt && a.rank === b.rank;
}

/** The frames of a round, by their headers. */
export function placeFrames(round: Buffer): PlacedFrame[] {
  const frames: PlacedFrame[] = [];
  for (let at = 0; at < round.length;) {
    const header = readFrameHeader(round, at);
    if (!header?.sealed) throw new BraidError('ERR_BRAID_FRAME_DAMAGED', `no sealed frame at byte ${at} of a round`);
    frames.push({ at, header });
    at += FRAME_HEADER_BYTES + header.bytes;
  }
  return frames;
}

export function withDamage(frame: PlacedFrame, damage: string | undefined): PlacedFrame {
  return damage === undefined ? frame : { ...frame, damage };
}

export function crcDamage(round: Buffer, { at, header }: PlacedFrame): string | undefined {
  return frameCrc(round, at, header.bytes) === header.crc ? undefined : 'its CRC does not fit its bytes';
}
