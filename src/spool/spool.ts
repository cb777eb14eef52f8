import { closeSync, fsyncSync, lstatSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BraidError } from '../errors.js';
import { faultPoint } from '../fault.js';
import { Encoder } from '../frame/encoder.js';
import { FRAME_HEADER_BYTES } from '../frame/format.js';
import { beginFrame, nameFrame, sealFrame, storeWord } from '../frame/header.js';
import { loadAddon } from '../load-addon.js';
import type { CoreAddon } from '../native.js';
import { createSpool, removeDirectory, removeSpool } from './create-spool.js';
import { removeFile } from './remove-file.js';
import { Segments, type Segment, type SegmentsOptions } from './segments.js';
import { SEGMENT_HEADER_BYTES } from './segment-header.js';
import {
  SPOOL_HEADER_BYTES,
  writeSpoolEnd,
  writeSpoolHeader,
  writeSpoolTrimmed,
  type SpoolEnd,
  type SpoolOwner,
} from './spool-header.js';

/**
 * What a frame grows to, if no call is larger: little, so that sealing one holds nobody up, and that the root can take those
 * of many ranks in turn.
 */
export const FRAME_BYTES = 128 * 2 ** 10;

export type SpoolOptions = SegmentsOptions;

/** A sealed frame that no verdict has covered yet. */
export interface PendingFrame {
  readonly sequence: number;
  readonly ops: number;
  readonly records: number;
  /** Header and ops, in the spool's own memory. */
  readonly bytes: Buffer;
  readonly size: number;
  /** A copy of its header. */
  readonly header: Buffer;
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
  /** What sealing frames took: rare, and too long to be sampled. */
  sealMs = 0;

  readonly #core = loadAddon<CoreAddon>('braid_core');
  readonly #owner: SpoolOwner;
  readonly #durable: boolean;
  readonly #fd: number;
  readonly #header: Buffer;
  readonly #segments: Segments;
  #current: Segment;
  /** Where the open frame begins in the current segment; -1 when none is open. */
  #frameAt = -1;
  /** The first header of a frame in the current segment that isn't on the disk yet. */
  #unsynced = Infinity;
  #sequence = 0;
  /** The newest frame that a verdict has covered. */
  #trimmed = 0;
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
    this.#durable = options.durable;
    this.file = join(directory, `${owner.run}.${owner.attempt}.${owner.rank}.spool`);
    const header = Buffer.alloc(SPOOL_HEADER_BYTES);
    writeSpoolHeader(header, { ...owner, durable: options.durable });
    let made: string | undefined;
    try {
      this.#fd = createSpool(this.file, header, () => (made = makeDirectory(directory) ?? made));
    } catch (error) {
      if (made !== undefined) removeDirectory(directory);
      throw error instanceof BraidError ? error : unwritable(directory, error);
    }
    try {
      this.#segments = new Segments(this.#fd, this.file, options);
      this.#header = Buffer.from(this.#segments.header);
      this.encoder = new Encoder((bytes) => this.#more(bytes));
      this.#current = this.#segments.take(SEGMENT_HEADER_BYTES);
      this.encoder.bind(this.#current.buffer, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES);
      if (options.durable) {
        this.#core.sync(this.#segments.header, 0, SPOOL_HEADER_BYTES);
        syncNames(directory, dirname(made ?? directory));
      }
    } catch (error) {
      removeFile(this.file);
      closeSync(this.#fd);
      if (made !== undefined) removeDirectory(directory);
      throw error instanceof BraidError ? error : unwritable(directory, error);
    }
  }

  get growthMs(): number {
    return this.#segments.growthMs;
  }

  /** Of its file, which never becomes shorter. */
  get fileBytes(): number {
    return this.#segments.fileBytes;
  }

  /**
   * Publishes the call that the encoder holds: as a whole, or, if it can't be brought to the disk where it has to be,
   * nothing of it.
   *
   * @throws BraidError ERR_BRAID_TOO_LARGE, ERR_BRAID_SPOOL_IO
   */
  publish(): void {
    const { encoder } = this;
    const at = encoder.position;
    const bytes = encoder.publish();
    if (!this.#durable || bytes === 0) return;
    try {
      this.#sync(Math.min(at, this.#unsynced), at + bytes + 4);
    } catch (error) {
      encoder.retract(bytes);
      throw error;
    }
  }

  /** Seals the open frame, if it holds anything. Returns the newest sealed frame's sequence number. */
  seal(): number {
    const { encoder } = this;
    if (this.#frameAt >= 0 && encoder.ops > 0) {
      const started = performance.now();
      const { buffer } = this.#current;
      const start = this.#frameAt;
      const end = encoder.position;
      // The CRC stands for what is there: what a bit that has flipped has made of the header must not be.
      nameFrame(buffer, start, this.#owner, this.#sequence);
      sealFrame(buffer, start, end - start - FRAME_HEADER_BYTES, encoder.ops, encoder.records);
      this.#unsynced = Math.min(this.#unsynced, start);
      this.#current.newest = this.#sequence;
      this.#pending.push({
        sequence: this.#sequence,
        ops: encoder.ops,
        records: encoder.records,
        bytes: buffer.subarray(start, end),
        size: end - start,
        header: Buffer.from(buffer.subarray(start, start + FRAME_HEADER_BYTES)),
      });
      this.recordedOps += encoder.ops;
      this.#frameAt = -1;
      encoder.bind(buffer, end, end);
      this.sealMs += performance.now() - started;
      faultPoint('capture.sealed');
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

  /**
   * The sealed frames up to `sequence` that no verdict has covered. Their bytes stay in place until `trim`. Their headers are
   * written again: with a damaged one, the root couldn't tell where the others begin.
   */
  pending(sequence: number): PendingFrame[] {
    const frames = this.#pending.filter((frame) => frame.sequence <= sequence);
    for (const { header, bytes } of frames) if (header.compare(bytes, 0, header.length) !== 0) header.copy(bytes);
    return frames;
  }

  /** A verdict has covered all frames up to `sequence`: their space is free. */
  trim(sequence: number): void {
    this.#pending = this.#pending.filter((frame) => frame.sequence > sequence);
    writeSpoolTrimmed(this.#header, sequence);
    this.#trimmed = sequence;
    this.#reclaim();
  }

  /** Notes how this rank ended, for whoever recovers. */
  mark(end: SpoolEnd, detail: number): void {
    if (this.#closed) return;
    writeSpoolEnd(this.#header, end, detail);
  }

  /** Gives the file up; nothing in it is needed any more. */
  remove(): void {
    if (this.#closed) return;
    removeSpool(this.file);
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
    this.#segments.release();
    closeSync(this.#fd);
  }

  /** Finds room for `bytes` of ops in a new frame: behind the last one, or in another segment. */
  #more(bytes: number): void {
    this.seal();
    this.#dropEmptyFrame();
    const needed = FRAME_HEADER_BYTES + bytes;
    let at = this.encoder.position;
    if (at + needed > this.#current.buffer.length) {
      this.#current = this.#segments.take(SEGMENT_HEADER_BYTES + needed);
      this.#unsynced = Infinity;
      at = SEGMENT_HEADER_BYTES;
    } else if (this.#durable && this.#unsynced < at) {
      // The ops of the last frame are found without its seal; another frame is found only behind it.
      this.#sync(this.#unsynced, at);
    }
    const { buffer } = this.#current;
    this.#sequence++;
    this.#frameAt = at;
    this.#unsynced = Math.min(this.#unsynced, at);
    beginFrame(buffer, at, this.#owner, this.#sequence);
    this.encoder.bind(buffer, at + FRAME_HEADER_BYTES, Math.min(buffer.length, at + Math.max(needed, FRAME_BYTES)));
  }

  /** A frame that was begun for a call that then failed, or that proved too small, was never there. */
  #dropEmptyFrame(): void {
    if (this.#frameAt < 0) return;
    const { buffer } = this.#current;
    storeWord(buffer, this.#frameAt, 0);
    this.encoder.bind(buffer, this.#frameAt, this.#frameAt);
    this.#frameAt = -1;
    this.#sequence--;
    // It may have been all that kept the segment from being empty when the last verdict came.
    this.#reclaim();
  }

  /** Brings these bytes of the current segment to the disk. */
  #sync(from: number, end: number): void {
    try {
      this.#core.sync(this.#current.memory, from, end - from);
    } catch (cause) {
      const { message } = cause as Error;
      throw new BraidError(
        'ERR_BRAID_SPOOL_IO',
        `the spool ${this.file} cannot be brought to the disk: ${message}. This call has stored nothing`,
        { cause },
      );
    }
    this.#unsynced = Infinity;
  }

  /** Frees what verdicts have covered: also the current segment, which then begins anew. */
  #reclaim(): void {
    const current = this.#current;
    this.#segments.reclaim(this.#trimmed, this.#frameAt >= 0 ? current : undefined);
    if (current.newest > 0 || this.#frameAt >= 0) return;
    this.encoder.bind(current.buffer, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES);
    this.#unsynced = Infinity;
  }
}

/**
 * Makes a directory of this user's own, and refuses one that somebody else could have prepared.
 *
 * @returns the first directory on the way to it that had to be made, if any
 */
function makeDirectory(directory: string): string | undefined {
  let made: string | undefined;
  try {
    made = mkdirSync(directory, { recursive: true, mode: 0o700 });
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
  // Who may write there can put another file in a spool's place.
  if (stat.mode & 0o022) {
    throw new BraidError(
      'ERR_BRAID_SPOOL_FOREIGN',
      `${directory} can be written to by others: chmod go-w it, or name with spoolDir (BRAID_SPOOL_DIR) a directory in it that ` +
        'need not be there yet',
    );
  }
  return made;
}

/** Brings to the disk what names a spool: bytes that nobody finds are lost. Up to where the directories were before. */
function syncNames(directory: string, top: string): void {
  for (let each = directory; ; each = dirname(each)) {
    const fd = openSync(each, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (each === top || each === dirname(each)) return;
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
