import { closeSync, lstatSync, mkdirSync, rmSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BraidError } from '../errors.js';
import { Encoder } from '../frame/encoder.js';
import { FRAME_HEADER_BYTES } from '../frame/format.js';
import { beginFrame, sealFrame } from '../frame/header.js';
import { loadAddon } from '../load-addon.js';
import type { CoreAddon } from '../native.js';
import { createSpool } from './create-spool.js';
import {
  SEGMENT_ALIGN,
  SEGMENT_HEADER_BYTES,
  SPOOL_HEADER_BYTES,
  writeSegmentHeader,
  writeSpoolEnd,
  writeSpoolHeader,
  writeSpoolTrimmed,
  type SpoolEnd,
  type SpoolOwner,
} from './spool-file.js';

const SEGMENT_BYTES = 2 ** 20;

export interface SpoolOptions {
  /** A ceiling of the file's size. */
  limitBytes: number;
  /** Whether an op is on the disk, and not only in the kernel, when its call returns. */
  durable: boolean;
}

/** A sealed frame that no verdict has covered yet. */
export interface PendingFrame {
  readonly sequence: number;
  readonly ops: number;
  readonly records: number;
  /** Header and ops, in the spool's own memory. */
  readonly bytes: Buffer;
  readonly size: number;
}

interface Segment {
  readonly memory: ArrayBuffer;
  readonly buffer: Buffer;
  /** The newest frame in it. */
  newest: number;
  free: boolean;
}

/**
 * The journal of one rank: a memory-mapped file in which recording calls lay down their ops, so that what a call has
 * returned for survives the death of the process without a system call for each.
 */
export class Spool {
  readonly file: string;
  readonly encoder: Encoder;
  /** Ops and bytes ever sealed or published, for the report. */
  recordedOps = 0;
  peakBytes = SPOOL_HEADER_BYTES;
  /** What taking new segments took: rare, and too long to be sampled. */
  growthMs = 0;

  readonly #core = loadAddon<CoreAddon>('braid_core');
  readonly #owner: SpoolOwner;
  readonly #options: SpoolOptions;
  readonly #fd: number;
  readonly #header: Buffer;
  readonly #headerMemory: ArrayBuffer;
  readonly #segments: Segment[] = [];
  #fileBytes = SPOOL_HEADER_BYTES;
  #current: Segment;
  /** Where the open frame begins in the current segment; -1 when none is open. */
  #frameAt = -1;
  #sequence = 0;
  #pending: PendingFrame[] = [];
  #closed = false;

  /**
   * Creates the file, locks it and takes its first segment, so that a directory that can't be written or a full disk is
   * an error of `open`.
   *
   * @throws BraidError ERR_BRAID_SPOOL_UNWRITABLE, ERR_BRAID_SPOOL_FULL, ERR_BRAID_SPOOL_FOREIGN
   */
  constructor(directory: string, owner: SpoolOwner, options: SpoolOptions) {
    this.#owner = owner;
    this.#options = options;
    this.file = join(directory, `${owner.run}.${owner.attempt}.${owner.rank}.spool`);
    const header = Buffer.alloc(SPOOL_HEADER_BYTES);
    writeSpoolHeader(header, owner);
    try {
      this.#fd = createSpool(this.file, header, () => makeDirectory(directory));
    } catch (error) {
      removeDirectory(directory);
      throw error instanceof BraidError ? error : unwritable(directory, error);
    }
    try {
      this.#headerMemory = this.#core.map(this.#fd, 0, SPOOL_HEADER_BYTES);
      this.#header = Buffer.from(this.#headerMemory);
      this.encoder = new Encoder((bytes) => this.#more(bytes));
      this.#current = this.#nextSegment(SEGMENT_BYTES);
      this.encoder.bind(this.#current.buffer, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES);
      if (options.durable) this.#core.sync(this.#headerMemory, 0, SPOOL_HEADER_BYTES);
    } catch (error) {
      closeSync(this.#fd);
      rmSync(this.file, { force: true });
      removeDirectory(directory);
      throw error instanceof BraidError ? error : unwritable(directory, error);
    }
  }

  /** Publishes the call that the encoder holds. */
  publish(): void {
    const at = this.encoder.position;
    const bytes = this.encoder.publish();
    if (this.#options.durable) this.#core.sync(this.#current.memory, at, bytes + 4);
  }

  /** Seals the open frame, if it holds anything. Returns the newest sealed frame's sequence number. */
  seal(): number {
    const { encoder } = this;
    if (this.#frameAt >= 0 && encoder.ops > 0) {
      const { buffer, memory } = this.#current;
      const start = this.#frameAt;
      const end = encoder.position;
      sealFrame(buffer, start, end - start - FRAME_HEADER_BYTES, encoder.ops, encoder.records);
      if (this.#options.durable) this.#core.sync(memory, start, FRAME_HEADER_BYTES);
      this.#pending.push({
        sequence: this.#sequence,
        ops: encoder.ops,
        records: encoder.records,
        bytes: buffer.subarray(start, end),
        size: end - start,
      });
      this.recordedOps += encoder.ops;
      this.#frameAt = -1;
      encoder.bind(buffer, end, end);
    }
    return this.#frameAt >= 0 ? this.#sequence - 1 : this.#sequence;
  }

  /** Ops recorded so far, sealed or not. */
  get recorded(): number {
    return this.recordedOps + this.encoder.ops;
  }

  /** Whether anything waits for a verdict. */
  get dirty(): boolean {
    return this.#pending.length > 0 || this.encoder.ops > 0;
  }

  /** The sealed frames up to `sequence` that no verdict has covered. Their bytes stay in place until `trim`. */
  pending(sequence: number): PendingFrame[] {
    return this.#pending.filter((frame) => frame.sequence <= sequence);
  }

  /** A verdict has covered all frames up to `sequence`: their space is free. */
  trim(sequence: number): void {
    this.#pending = this.#pending.filter((frame) => frame.sequence > sequence);
    writeSpoolTrimmed(this.#header, sequence);
    for (const segment of this.#segments) {
      if (!segment.free && segment !== this.#current && segment.newest <= sequence) {
        // A reader that comes after must not find what stood here.
        segment.buffer.writeUInt32LE(0, SEGMENT_HEADER_BYTES);
        segment.free = true;
      }
    }
  }

  /** Notes how this rank ended, for whoever recovers. */
  mark(end: SpoolEnd, detail: number): void {
    if (this.#closed) return;
    writeSpoolEnd(this.#header, end, detail);
  }

  /** Gives the file up; nothing in it is needed any more. */
  remove(): void {
    if (this.#closed) return;
    rmSync(this.file, { force: true });
    removeDirectory(dirname(this.file));
    this.#release();
  }

  /** Closes the file and leaves it for recovery. */
  abandon(): void {
    if (this.#closed) return;
    this.seal();
    this.#release();
  }

  #release(): void {
    this.#closed = true;
    this.#pending = [];
    this.encoder.bind(Buffer.alloc(0), 0, 0);
    for (const { memory } of this.#segments) this.#core.unmap(memory);
    this.#core.unmap(this.#headerMemory);
    closeSync(this.#fd);
  }

  /** Finds room for `bytes` of ops in a new frame: behind the last one, in a free segment, or in a new segment. */
  #more(bytes: number): void {
    this.seal();
    this.#dropEmptyFrame();
    const needed = FRAME_HEADER_BYTES + bytes;
    let at = this.encoder.position;
    if (at + needed > this.#current.buffer.length) {
      this.#current = this.#nextSegment(SEGMENT_HEADER_BYTES + needed);
      at = SEGMENT_HEADER_BYTES;
    }
    const { buffer } = this.#current;
    this.#sequence++;
    this.#current.newest = this.#sequence;
    this.#frameAt = at;
    beginFrame(buffer, at, this.#owner, this.#sequence);
    this.encoder.bind(buffer, at + FRAME_HEADER_BYTES, buffer.length);
  }

  /** A frame that was begun for a call that then failed, or that proved too small, was never there. */
  #dropEmptyFrame(): void {
    if (this.#frameAt < 0) return;
    const { buffer } = this.#current;
    buffer.writeUInt32LE(0, this.#frameAt);
    this.encoder.bind(buffer, this.#frameAt, this.#frameAt);
    this.#frameAt = -1;
    this.#sequence--;
  }

  #nextSegment(bytes: number): Segment {
    const free = this.#segments.find((segment) => segment.free && segment.buffer.length >= bytes);
    if (free) {
      free.free = false;
      return free;
    }
    const size = Math.max(SEGMENT_BYTES, Math.ceil(bytes / SEGMENT_ALIGN) * SEGMENT_ALIGN);
    const offset = this.#fileBytes;
    if (offset + size > this.#options.limitBytes) {
      throw new BraidError(
        'ERR_BRAID_SPOOL_FULL',
        `the spool ${this.file} has reached its limit of ${this.#options.limitBytes} bytes: ` +
          'flush more often, or raise spoolLimitBytes (BRAID_SPOOL_LIMIT_BYTES)',
      );
    }
    const started = performance.now();
    const memory = this.#take(offset, size);
    this.growthMs += performance.now() - started;
    const segment: Segment = { memory, buffer: Buffer.from(memory), newest: 0, free: false };
    writeSegmentHeader(segment.buffer, size);
    this.#segments.push(segment);
    this.#fileBytes = offset + size;
    this.peakBytes = Math.max(this.peakBytes, this.#fileBytes);
    return segment;
  }

  /** Reserves space on the disk, and maps it. */
  #take(offset: number, bytes: number): ArrayBuffer {
    try {
      this.#core.allocate(this.#fd, offset, bytes);
      return this.#core.map(this.#fd, offset, bytes);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'ENOSPC' && code !== 'EDQUOT' && code !== 'EFBIG') {
        throw new BraidError(
          'ERR_BRAID_SPOOL_IO',
          `the spool ${this.file} cannot grow by ${bytes} bytes: ${message}. Nothing recorded before is lost`,
          { cause: error },
        );
      }
      throw new BraidError(
        'ERR_BRAID_SPOOL_FULL',
        `no room for ${bytes} more bytes in ${dirname(this.file)} (${code}): free some, or set spoolDir (BRAID_SPOOL_DIR) ` +
          'to a larger disk; nothing recorded before is lost',
        { cause: error },
      );
    }
  }
}

/** Makes a directory of this user's own, and refuses one that somebody else could have prepared. */
function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unwritable(directory, error);
  }
  const stat = lstatSync(directory);
  if (!stat.isDirectory() || stat.uid !== process.geteuid!()) {
    throw new BraidError(
      'ERR_BRAID_SPOOL_FOREIGN',
      `${directory} is not a directory of this user's: name another with spoolDir (BRAID_SPOOL_DIR)`,
    );
  }
}

/** Tidies up behind the last spool; another rank's, or another run's, keeps the directory. */
function removeDirectory(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Not empty, or gone already.
  }
}

function unwritable(directory: string, cause: unknown): BraidError {
  const { message } = cause as Error;
  return new BraidError(
    'ERR_BRAID_SPOOL_UNWRITABLE',
    `cannot keep a spool in ${directory}: ${message}. Name a directory on a local disk with spoolDir (BRAID_SPOOL_DIR)`,
    { cause },
  );
}
