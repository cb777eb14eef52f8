import { crc32 } from 'node:zlib';
import {
  FORMAT_VERSION,
  FRAME_HEADER_BYTES,
  FRAME_MAGIC,
  FRAME_SEALED,
  FrameField,
  MAX_FRAME_BYTES,
} from './format.js';

/** Who writes frames: one rank of one attempt of a run. */
export interface FrameOwner {
  /** 32 hex digits. */
  readonly run: string;
  readonly attempt: number;
  readonly rank: number;
}

export interface FrameHeader extends FrameOwner {
  readonly sequence: number;
  /** Of the ops, the header not counted. */
  readonly bytes: number;
  readonly ops: number;
  readonly records: number;
  readonly sealed: boolean;
  readonly crc: number;
}

/**
 * Begins a frame at byte `at`: all fields, the zero word where its first op will go, and last, atomically, the magic that
 * makes it a frame.
 */
export function beginFrame(buffer: Buffer, at: number, owner: FrameOwner, sequence: number): void {
  buffer.fill(0, at, at + FRAME_HEADER_BYTES + 4);
  buffer.writeUInt16LE(FORMAT_VERSION, at + FrameField.version);
  nameFrame(buffer, at, owner, sequence);
  storeWord(buffer, at + FrameField.magic, FRAME_MAGIC);
}

/**
 * Writes what a frame's owner knows of it without reading: whose it is and its number, with the check that says so as long
 * as no CRC does. Over a header that says the same it changes nothing, so that it may be written at any time.
 */
export function nameFrame(buffer: Buffer, at: number, owner: FrameOwner, sequence: number): void {
  buffer.write(owner.run, at + FrameField.run, 16, 'hex');
  buffer.writeUInt32LE(owner.attempt, at + FrameField.attempt);
  buffer.writeUInt32LE(owner.rank, at + FrameField.rank);
  buffer.writeUInt32LE(sequence, at + FrameField.sequence);
  buffer.writeUInt32LE(frameCheck(buffer, at), at + FrameField.check);
}

/** Seals the frame at byte `at` whose ops take `bytes`; the flag that says so is stored last. */
export function sealFrame(buffer: Buffer, at: number, bytes: number, ops: number, records: number): void {
  buffer.writeUInt32LE(bytes, at + FrameField.bytes);
  buffer.writeUInt32LE(ops, at + FrameField.ops);
  buffer.writeUInt32LE(records, at + FrameField.records);
  storeWord(buffer, at + FrameField.crc, frameCrc(buffer, at, bytes));
  markSealed(buffer, at);
}

/** Writes what stands in the header of every sealed frame, and is in no CRC. */
export function markSealed(buffer: Buffer, at: number): void {
  buffer.fill(0, at + FrameField.zero, at + FRAME_HEADER_BYTES);
  storeWord(buffer, at + FrameField.magic, FRAME_MAGIC);
  storeWord(buffer, at + FrameField.version, FORMAT_VERSION | (FRAME_SEALED << 16));
}

/** The header at byte `at`, or undefined where no frame of this version begins or one of its fields can't be true. */
export function readFrameHeader(buffer: Buffer, at: number): FrameHeader | undefined {
  if (at + FRAME_HEADER_BYTES > buffer.length) return undefined;
  if (buffer.readUInt32LE(at) !== FRAME_MAGIC) return undefined;
  if (buffer.readUInt16LE(at + FrameField.version) !== FORMAT_VERSION) return undefined;
  const flags = buffer.readUInt16LE(at + FrameField.flags);
  const attempt = buffer.readUInt32LE(at + FrameField.attempt);
  const sequence = buffer.readUInt32LE(at + FrameField.sequence);
  if ((flags & ~FRAME_SEALED) !== 0 || attempt < 1 || sequence < 1) return undefined;
  const bytes = buffer.readUInt32LE(at + FrameField.bytes);
  const end = FRAME_HEADER_BYTES + bytes;
  if (bytes % 4 !== 0 || end > MAX_FRAME_BYTES || at + end > buffer.length) return undefined;
  for (let zero = FrameField.zero; zero < FRAME_HEADER_BYTES; zero++) if (buffer[at + zero] !== 0) return undefined;
  return {
    run: buffer.toString('hex', at + FrameField.run, at + FrameField.run + 16),
    attempt,
    rank: buffer.readUInt32LE(at + FrameField.rank),
    sequence,
    bytes,
    ops: buffer.readUInt32LE(at + FrameField.ops),
    records: buffer.readUInt32LE(at + FrameField.records),
    sealed: flags === FRAME_SEALED,
    crc: buffer.readUInt32LE(at + FrameField.crc),
  };
}

/** The CRC of a sealed frame's identity, counts and ops. */
export function frameCrc(buffer: Buffer, at: number, bytes: number): number {
  const ops = at + FRAME_HEADER_BYTES;
  return crcOf(buffer.subarray(at, ops), buffer.subarray(ops, ops + bytes));
}

/** The same of a header and ops that don't lie together. */
export function crcOf(header: Buffer, ops: Buffer): number {
  return crc32(ops, crc32(header.subarray(FrameField.run, FrameField.crc)));
}

/** The check of a frame's owner and number: of its header alone, and the same from its beginning on. */
export function frameCheck(buffer: Buffer, at: number): number {
  return crc32(buffer.subarray(at + FrameField.run, at + FrameField.bytes));
}

/** Stores all four bytes at once, after everything that was stored before it. */
export function storeWord(buffer: Buffer, at: number, value: number): void {
  Atomics.store(new Int32Array(buffer.buffer, buffer.byteOffset + at, 1), 0, value);
}
