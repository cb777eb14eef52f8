import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { BraidError } from '../errors.js';
import { walkOps } from '../frame/decoder.js';
import { FORMAT_VERSION, FRAME_HEADER_BYTES, FRAME_MAGIC, MAX_FRAME_BYTES } from '../frame/format.js';
import { frameCrc, readFrameHeader, sealFrame, storeWord, type FrameOwner } from '../frame/header.js';

/** The file's layout, as docs/wire-format.md has it. */
export const SPOOL_HEADER_BYTES = 4096;
export const SEGMENT_HEADER_BYTES = 64;
export const SEGMENT_ALIGN = 4096;
const SPOOL_MAGIC = 0x50535242; // 'BRSP'
const SEGMENT_MAGIC = 0x47535242; // 'BRSG'
const TEXT_AT = 64;

/** How a rank ended, as it told its spool; `alive` also of one that died without a word. */
export const SPOOL_ENDS = ['alive', 'signal', 'failed', 'unclosed'] as const;
export type SpoolEnd = (typeof SPOOL_ENDS)[number];

export interface SpoolOwner extends FrameOwner {
  /** UUID of the database, as 32 hex digits. */
  readonly database: string;
  readonly path: string;
  readonly size: number;
  readonly host: string;
  /** The kernel's boot id: a lock of another boot is nobody's. */
  readonly boot: string;
  readonly pid: number;
  /** Microseconds since 1970. */
  readonly created: number;
}

/** Writes a whole header into `buffer` (4096 bytes, zero); the magic goes last. */
export function writeSpoolHeader(buffer: Buffer, owner: SpoolOwner): void {
  const text = Buffer.from(JSON.stringify(owner));
  if (TEXT_AT + text.length > SPOOL_HEADER_BYTES) {
    throw new BraidError(
      'ERR_BRAID_PATH_TOO_LONG',
      `the database's path has ${owner.path.length} characters: too long`,
    );
  }
  text.copy(buffer, TEXT_AT);
  buffer.writeUInt32LE(FORMAT_VERSION, 4);
  buffer.writeUInt32LE(text.length, 8);
  buffer.writeUInt32LE(crc32(text), 12);
  buffer.writeUInt32LE(SPOOL_MAGIC, 0);
}

/** Notes in a header how its rank ended. */
export function writeSpoolEnd(buffer: Buffer, end: SpoolEnd, detail: number): void {
  buffer.writeUInt32LE(detail, 20);
  buffer.writeUInt32LE(SPOOL_ENDS.indexOf(end), 16);
}

export function writeSpoolTrimmed(buffer: Buffer, sequence: number): void {
  buffer.writeUInt32LE(sequence, 24);
}

/** Also over the header of a segment that was shorter: a reader finds the one length or the other. */
export function writeSegmentHeader(buffer: Buffer, bytes: number): void {
  buffer.writeUInt32LE(FORMAT_VERSION, 4);
  storeWord(buffer, 8, bytes);
  storeWord(buffer, 0, SEGMENT_MAGIC);
}

/** A piece of a spool that can't be given back, and why. `sequence` where its frame's header can still be read. */
export interface SpoolLoss {
  readonly sequence?: number;
  readonly offset: number;
  readonly reason: string;
}

export interface SpoolFrame {
  readonly sequence: number;
  readonly ops: number;
  readonly records: number;
  /** Header and ops. */
  readonly bytes: number;
  readonly offset: number;
  /** Found open, and sealed only in the copy that `read` returns. */
  readonly open: boolean;
}

/** A spool that its rank no longer writes to. Reads with pread and believes nothing. */
export class LeftoverSpool {
  private constructor(
    readonly file: string,
    readonly fd: number,
    readonly owner: SpoolOwner | undefined,
    readonly end: SpoolEnd,
    readonly detail: number,
  ) {}

  /** Opens a spool file; refuses links and what another user owns. The owner is undefined if its header was never written. */
  static open(file: string, readOnly = false): LeftoverSpool {
    // Nothing is written, but a file system that has flock by way of fcntl locks wants a writable file for it.
    const fd = openSync(file, (readOnly ? constants.O_RDONLY : constants.O_RDWR) | constants.O_NOFOLLOW);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile() || stat.uid !== process.geteuid!()) {
        throw new BraidError('ERR_BRAID_SPOOL_FOREIGN', `${file} is not a spool of this user's; left alone`);
      }
      const header = Buffer.alloc(SPOOL_HEADER_BYTES);
      readSync(fd, header, 0, SPOOL_HEADER_BYTES, 0);
      const magic = header.readUInt32LE(0);
      if (magic !== 0 && (magic !== SPOOL_MAGIC || header.readUInt32LE(4) !== FORMAT_VERSION)) {
        throw new BraidError(
          'ERR_BRAID_SPOOL_DAMAGED',
          `${file} is not a spool of format ${FORMAT_VERSION}; left alone`,
        );
      }
      const owner = magic === 0 ? undefined : readOwner(header, file);
      return new LeftoverSpool(
        file,
        fd,
        owner,
        SPOOL_ENDS[header.readUInt32LE(16)] ?? 'alive',
        header.readUInt32LE(20),
      );
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** All frames, in sequence order, and what can't be read. One segment is in memory at a time. */
  scan(): { frames: SpoolFrame[]; losses: SpoolLoss[] } {
    const frames: SpoolFrame[] = [];
    const losses: SpoolLoss[] = [];
    const { size } = fstatSync(this.fd);
    const head = Buffer.alloc(SEGMENT_HEADER_BYTES);
    for (let at = SPOOL_HEADER_BYTES; at + SEGMENT_HEADER_BYTES <= size;) {
      readSync(this.fd, head, 0, head.length, at);
      const magic = head.readUInt32LE(0);
      const bytes = head.readUInt32LE(8);
      // A segment whose header was never written is the last one, and empty.
      if (magic === 0) break;
      if (
        magic !== SEGMENT_MAGIC ||
        bytes % SEGMENT_ALIGN !== 0 ||
        bytes === 0 ||
        bytes > MAX_FRAME_BYTES ||
        at + bytes > size
      ) {
        losses.push({ offset: at, reason: 'a damaged segment header: nothing after it can be found' });
        break;
      }
      this.#scanSegment(at, bytes, frames, losses);
      at += bytes;
    }
    frames.sort((a, b) => a.sequence - b.sequence);
    return { frames, losses };
  }

  /** A frame's bytes, sealed. */
  read(frame: SpoolFrame): Buffer {
    const buffer = Buffer.alloc(frame.bytes);
    readSync(this.fd, buffer, 0, frame.bytes, frame.offset);
    if (frame.open) sealFrame(buffer, 0, frame.bytes - FRAME_HEADER_BYTES, frame.ops, frame.records);
    return buffer;
  }

  close(): void {
    closeSync(this.fd);
  }

  #scanSegment(offset: number, bytes: number, frames: SpoolFrame[], losses: SpoolLoss[]): void {
    const segment = Buffer.alloc(bytes);
    readSync(this.fd, segment, 0, bytes, offset);
    let at = SEGMENT_HEADER_BYTES;
    while (at + FRAME_HEADER_BYTES <= bytes && segment.readUInt32LE(at) !== 0) {
      const header = segment.readUInt32LE(at) === FRAME_MAGIC ? readFrameHeader(segment, at) : undefined;
      if (!header || !this.#owns(header)) {
        losses.push({ offset: offset + at, reason: 'a damaged frame header: the rest of its segment is lost' });
        return;
      }
      const { sequence } = header;
      if (header.sealed) {
        if (frameCrc(segment, at, header.bytes) === header.crc) {
          const total = FRAME_HEADER_BYTES + header.bytes;
          frames.push({
            sequence,
            ops: header.ops,
            records: header.records,
            bytes: total,
            offset: offset + at,
            open: false,
          });
        } else {
          losses.push({ sequence, offset: offset + at, reason: 'its CRC does not fit its bytes' });
        }
        at += FRAME_HEADER_BYTES + header.bytes;
        continue;
      }
      const ops = walkOps(segment, at + FRAME_HEADER_BYTES, bytes);
      if (ops.damaged) losses.push({ sequence, offset: offset + ops.end, reason: 'a damaged op in an open frame' });
      if (ops.ops > 0) {
        frames.push({
          sequence,
          ops: ops.ops,
          records: ops.records,
          bytes: ops.end - at,
          offset: offset + at,
          open: true,
        });
      }
      return;
    }
  }

  #owns(header: FrameOwner): boolean {
    const { owner } = this;
    return !!owner && owner.run === header.run && owner.attempt === header.attempt && owner.rank === header.rank;
  }
}

function readOwner(header: Buffer, file: string): SpoolOwner {
  const bytes = header.readUInt32LE(8);
  const text = header.subarray(TEXT_AT, TEXT_AT + bytes);
  if (TEXT_AT + bytes > SPOOL_HEADER_BYTES || crc32(text) !== header.readUInt32LE(12)) {
    throw new BraidError(
      'ERR_BRAID_SPOOL_DAMAGED',
      `the header of ${file} is damaged: whose it is can't be told; left alone`,
    );
  }
  return JSON.parse(text.toString()) as SpoolOwner;
}
