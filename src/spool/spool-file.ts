import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { BraidError } from '../errors.js';
import { decodeFrame, walkOps } from '../frame/decoder.js';
import { FORMAT_VERSION, FRAME_HEADER_BYTES, FRAME_MAGIC, MAX_FRAME_BYTES } from '../frame/format.js';
import { beginFrame, frameCrc, readFrameHeader, sealFrame, storeWord, type FrameOwner } from '../frame/header.js';
import { loadAddon } from '../load-addon.js';
import type { CoreAddon } from '../native.js';

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
  /** Whether its calls were brought to the disk before they returned. Then what isn't there was never acknowledged. */
  readonly durable?: boolean;
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

/** What became of asking for a spool's lock: ours, another's, or the file has gone meanwhile. */
export type SpoolLock = 'taken' | 'looked-at' | 'held' | 'gone';

/** How long a recovery waits for somebody who only looks. */
const LOOK_MS = 2000;

/** More zeros than an op, an unused header and what a call left that was not completed ever have in a row. */
const ZEROS = 128;

/** A spool that its rank no longer writes to. Reads with pread and believes nothing. */
export class LeftoverSpool {
  /** Undefined if the header was never written. */
  owner: SpoolOwner | undefined;
  end: SpoolEnd = 'alive';
  detail = 0;
  /** The newest frame that a verdict had covered. */
  trimmed = 0;
  #scanned: { frames: SpoolFrame[]; losses: SpoolLoss[] } | undefined;

  private constructor(
    readonly file: string,
    readonly fd: number,
    private readonly readOnly: boolean,
  ) {}

  /**
   * Opens a spool file; refuses links and what another user owns. What its header says is final only when its lock is
   * taken.
   */
  static open(file: string, readOnly = false): LeftoverSpool {
    // Nothing is written, but a file system that has flock by way of fcntl locks wants a writable file for it.
    const access = readOnly ? constants.O_RDONLY : constants.O_RDWR;
    // Not to wait for whom a pipe of that name is meant for.
    const fd = openSync(file, access | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY);
    const spool = new LeftoverSpool(file, fd, readOnly);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile() || stat.uid !== process.geteuid!()) {
        throw new BraidError('ERR_BRAID_SPOOL_FOREIGN', `${file} is not a spool of this user's; left alone`);
      }
      spool.#readHeader();
      return spool;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Takes the lock, shared if it was opened to be read only, waits for those who only look, and reads the header again. */
  lock(): SpoolLock {
    const core = loadAddon<CoreAddon>('braid_core');
    const take = () => (this.readOnly ? core.lockShared(this.fd) : core.lock(this.fd));
    const end = performance.now() + LOOK_MS;
    while (!take()) {
      if (!this.#isLookedAt(core)) return 'held';
      if (performance.now() > end) return 'looked-at';
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
    // Who deletes or renames a spool has its lock: from here on this is the file of that name, or it never will be.
    if (lstatSync(this.file, { throwIfNoEntry: false })?.ino !== fstatSync(this.fd).ino) return 'gone';
    this.#readHeader();
    return 'taken';
  }

  /** Whether it holds nothing, and never gave anything to a verdict: as of one that ended while it began. */
  get isEmpty(): boolean {
    const { frames, losses } = this.scan();
    return this.trimmed === 0 && frames.length === 0 && losses.length === 0;
  }

  /** All frames, in sequence order, and what can't be read. One segment is in memory at a time. */
  scan(): { frames: SpoolFrame[]; losses: SpoolLoss[] } {
    return (this.#scanned ??= this.#scan());
  }

  /**
   * A frame's bytes, sealed. Of one that can't be read any more, a frame without ops, which a commit refuses: its place in a
   * round is waited for.
   */
  read(frame: SpoolFrame, buffer: Buffer = Buffer.alloc(frame.bytes)): Buffer {
    let read = 0;
    try {
      read = readSync(this.fd, buffer, 0, frame.bytes, frame.offset);
    } catch {
      // As below.
    }
    if (read < frame.bytes) beginFrame(buffer.fill(0), 0, this.owner!, frame.sequence);
    if (read < frame.bytes || frame.open)
      sealFrame(buffer, 0, frame.bytes - FRAME_HEADER_BYTES, frame.ops, frame.records);
    return buffer;
  }

  close(): void {
    closeSync(this.fd);
  }

  /** Whether the lock is held by one who only looks. Asked by another opening, which gives back at once what it gets. */
  #isLookedAt(core: CoreAddon): boolean {
    if (this.readOnly) return false;
    const fd = openSync(`/proc/self/fd/${this.fd}`, constants.O_RDONLY);
    try {
      return core.lockShared(fd);
    } finally {
      closeSync(fd);
    }
  }

  #readHeader(): void {
    const { file, fd } = this;
    const header = Buffer.alloc(SPOOL_HEADER_BYTES);
    readSync(fd, header, 0, SPOOL_HEADER_BYTES, 0);
    const magic = header.readUInt32LE(0);
    if (magic !== 0 && (magic !== SPOOL_MAGIC || header.readUInt32LE(4) !== FORMAT_VERSION)) {
      throw new BraidError('ERR_BRAID_SPOOL_DAMAGED', `${file} is not a spool of format ${FORMAT_VERSION}; left alone`);
    }
    if (magic === 0 && this.#holdsMore(SPOOL_HEADER_BYTES)) {
      throw new BraidError(
        'ERR_BRAID_SPOOL_DAMAGED',
        `the header of ${file} is lost, and something is in it; left alone`,
      );
    }
    this.owner = magic === 0 ? undefined : readOwner(header, file);
    this.end = SPOOL_ENDS[header.readUInt32LE(16)] ?? 'alive';
    this.detail = header.readUInt32LE(20);
    this.trimmed = header.readUInt32LE(24);
    this.#scanned = undefined;
  }

  #scan(): { frames: SpoolFrame[]; losses: SpoolLoss[] } {
    const frames: SpoolFrame[] = [];
    const losses: SpoolLoss[] = [];
    const { size } = fstatSync(this.fd);
    const head = Buffer.alloc(SEGMENT_HEADER_BYTES);
    for (let at = SPOOL_HEADER_BYTES; at + SEGMENT_HEADER_BYTES <= size;) {
      readSync(this.fd, head, 0, head.length, at);
      const magic = head.readUInt32LE(0);
      const bytes = head.readUInt32LE(8);
      // A segment whose header was not completed, of which the magic comes last, is the last one, and empty.
      if (magic === 0 && !this.#holdsMore(at + SEGMENT_HEADER_BYTES)) break;
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

  /** Whether any byte from `at` on is not zero. */
  #holdsMore(at: number): boolean {
    const buffer = Buffer.alloc(2 ** 20);
    for (;;) {
      const bytes = readSync(this.fd, buffer, 0, buffer.length, at);
      if (bytes === 0) return false;
      if (zerosFrom(buffer.subarray(0, bytes), 0) < bytes) return true;
      at += bytes;
    }
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
      if (!header.sealed) {
        const found = soundOps(segment, at + FRAME_HEADER_BYTES, !this.owner!.durable);
        const { ops, records, end, damage } = found;
        if (damage)
          losses.push({ sequence, offset: offset + end, reason: `${damage}: the rest of its segment is lost` });
        if (ops > 0) frames.push({ sequence, ops, records, bytes: end - at, offset: offset + at, open: true });
        return;
      }
      const { ops, records } = header;
      const total = FRAME_HEADER_BYTES + header.bytes;
      if (frameCrc(segment, at, header.bytes) === header.crc) {
        frames.push({ sequence, ops, records, bytes: total, offset: offset + at, open: false });
      } else {
        losses.push({ sequence, offset: offset + at, reason: 'its CRC does not fit its bytes' });
      }
      at += total;
    }
    if (!this.owner!.durable && isHole(segment, at)) {
      losses.push({ offset: offset + at, reason: 'a piece of zeros before frames: the rest of its segment is lost' });
    }
  }

  #owns(header: FrameOwner): boolean {
    const { owner } = this;
    return !!owner && owner.run === header.run && owner.attempt === header.attempt && owner.rank === header.rank;
  }
}

/**
 * The ops of an open frame, each decoded in full, up to the first that isn't one: no CRC stands for them. A page that was
 * lost with the power is zeros, in the middle of an op or between two.
 *
 * @param mayHaveHoles unless every call was brought to the disk: pages of one that had not returned come in any order
 */
function soundOps(
  segment: Buffer,
  start: number,
  mayHaveHoles: boolean,
): { ops: number; records: number; end: number; damage: string | undefined } {
  const walked = walkOps(segment, start, segment.length);
  let ops = 0;
  let records = 0;
  let end = start;
  try {
    for (const op of decodeFrame(segment, start - FRAME_HEADER_BYTES, walked.end - start)) {
      if (Object.values(op).some((value) => typeof value === 'string' && value.includes('\0'))) {
        return { ops, records, end, damage: 'a text with zeros in it' };
      }
      ops++;
      if (op.op === 'record') records++;
      end += segment.readUInt32LE(end) & 0xffffff;
    }
  } catch (error) {
    return { ops, records, end, damage: (error as Error).message };
  }
  if (walked.damaged) return { ops, records, end, damage: 'a damaged op in an open frame' };
  const hole = mayHaveHoles && isHole(segment, end);
  return { ops, records, end, damage: hole ? 'a piece of zeros among its ops' : undefined };
}

/** Whether `at` is not where a segment's content ends, but where zeros have replaced it. */
function isHole(segment: Buffer, at: number): boolean {
  const zeros = zerosFrom(segment, at);
  return zeros >= ZEROS && at + zeros < segment.length;
}

function zerosFrom(buffer: Buffer, start: number): number {
  let at = start;
  while (at < buffer.length && buffer[at] === 0) at++;
  return at - start;
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
  // A CRC stands for what was written, not for who wrote it.
  let owner: Partial<SpoolOwner> | null = null;
  try {
    owner = JSON.parse(text.toString()) as Partial<SpoolOwner> | null;
  } catch {
    // As below.
  }
  if (!owner || !isOwner(owner)) {
    throw new BraidError('ERR_BRAID_SPOOL_DAMAGED', `the header of ${file} names no owner; left alone`);
  }
  return owner;
}

function isOwner(owner: Partial<SpoolOwner>): owner is SpoolOwner {
  const { run, database, path, host, boot, attempt, rank, size, pid, created } = owner;
  return (
    [run, database, path, host, boot].every((each) => typeof each === 'string') &&
    [attempt, rank, size, pid, created].every((each) => Number.isSafeInteger(each))
  );
}
