import { dirname } from 'node:path';
import { BraidError } from '../errors.js';
import { faultPoint } from '../fault.js';
import { MAX_FRAME_BYTES } from '../frame/format.js';
import { storeWord } from '../frame/header.js';
import { loadAddon } from '../load-addon.js';
import type { CoreAddon } from '../native.js';
import { SEGMENT_ALIGN, SEGMENT_HEADER_BYTES, writeSegmentHeader } from './segment-header.js';
import { SPOOL_HEADER_BYTES } from './spool-header.js';

const SEGMENT_BYTES = 2 ** 20;

export interface SegmentsOptions {
  /** A ceiling of the file's size. */
  readonly limitBytes: number;
  /** Whether what is written is to be on the disk, and not only in the kernel. */
  readonly durable: boolean;
}

export interface Segment {
  /** In the file. */
  readonly offset: number;
  readonly memory: ArrayBuffer;
  readonly buffer: Buffer;
  /** The newest sealed frame in it; 0 if it holds none. */
  newest: number;
}

/**
 * The space of a spool's file, mapped: a header, then segments that tile the rest. Empty ones are used again, as they are
 * or parted anew; at every moment the file reads as one tiling or the other.
 */
export class Segments {
  readonly header: ArrayBuffer;
  fileBytes = SPOOL_HEADER_BYTES;
  /** What making segments took: rare, and too long to be sampled. */
  growthMs = 0;

  readonly #core = loadAddon<CoreAddon>('braid_core');
  readonly #fd: number;
  readonly #file: string;
  readonly #options: SegmentsOptions;
  /** In the order of the file. */
  readonly #segments: Segment[] = [];

  /**
   * @param fd a file that has its header
   * @throws BraidError ERR_BRAID_SPOOL_IO
   */
  constructor(fd: number, file: string, options: SegmentsOptions) {
    this.#fd = fd;
    this.#file = file;
    this.#options = options;
    this.header = this.#system(0, () => this.#core.map(fd, 0, SPOOL_HEADER_BYTES));
  }

  /**
   * An empty segment of `bytes` or more. No frame may be open.
   *
   * @throws BraidError ERR_BRAID_SPOOL_FULL, ERR_BRAID_SPOOL_IO
   */
  take(bytes: number): Segment {
    const empty = this.#segments.find(({ newest, buffer }) => newest === 0 && buffer.length >= bytes);
    if (empty) return empty;
    const started = performance.now();
    const size = Math.max(SEGMENT_BYTES, Math.ceil(bytes / SEGMENT_ALIGN) * SEGMENT_ALIGN);
    if (size > MAX_FRAME_BYTES) throw new RangeError(`a segment of ${size} bytes is more than a reader takes`);
    const made = this.#make(this.#place(size), size);
    this.growthMs += performance.now() - started;
    return made;
  }

  /** Empties the segments whose frames are all at or before `sequence`; but for the one that has an open frame. */
  reclaim(sequence: number, open: Segment | undefined): void {
    for (const segment of this.#segments) {
      if (segment === open || segment.newest === 0 || segment.newest > sequence) continue;
      // A reader that comes after must not find what stood here.
      storeWord(segment.buffer, SEGMENT_HEADER_BYTES, 0);
      segment.newest = 0;
    }
  }

  release(): void {
    for (const { memory } of this.#segments) this.#core.unmap(memory);
    this.#core.unmap(this.header);
  }

  /** Empty neighbours that have `bytes` together, or the empty ones at the file's end, which can be let grow. */
  #place(bytes: number): { first: number; count: number; bytes: number } {
    let place = { first: 0, count: 0, bytes: 0 };
    for (const [i, { newest, buffer }] of this.#segments.entries()) {
      if (newest === 0) place = { ...place, count: place.count + 1, bytes: place.bytes + buffer.length };
      else place = { first: i + 1, count: 0, bytes: 0 };
      if (place.bytes >= bytes) break;
    }
    return place;
  }

  /** Makes one segment of `size` bytes of those at `place`; the file grows by what they lack, or keeps the rest as another. */
  #make({ first, count, bytes }: { first: number; count: number; bytes: number }, size: number): Segment {
    const replaced = this.#segments.slice(first, first + count);
    const offset = replaced[0]?.offset ?? this.fileBytes;
    const growth = Math.max(0, size - bytes);
    this.#checkLimit(growth, size);
    const [made, rest] = this.#system(growth, () => {
      if (growth > 0) {
        this.#core.allocate(this.#fd, this.fileBytes, growth);
        faultPoint('capture.grown');
      }
      return [this.#map(offset, size), bytes > size ? this.#map(offset + size, bytes - size) : undefined];
    });
    // A reader finds the segments that were there until the first one's header says otherwise: the rest is one by then.
    if (rest) {
      storeWord(rest.buffer, SEGMENT_HEADER_BYTES, 0);
      this.#writeHeader(rest);
    }
    this.#writeHeader(made);
    this.#segments.splice(first, count, made, ...(rest ? [rest] : []));
    this.fileBytes += growth;
    for (const { memory } of replaced) this.#core.unmap(memory);
    return made;
  }

  #map(offset: number, bytes: number): Segment {
    const memory = this.#core.map(this.#fd, offset, bytes);
    return { offset, memory, buffer: Buffer.from(memory), newest: 0 };
  }

  #writeHeader({ buffer, memory }: Segment): void {
    writeSegmentHeader(buffer, buffer.length);
    // Before anything is laid over a header that stood inside: what comes after it could not be found any more.
    if (this.#options.durable) this.#system(0, () => this.#core.sync(memory, 0, SEGMENT_HEADER_BYTES + 4));
  }

  #checkLimit(growth: number, size: number): void {
    const { limitBytes } = this.#options;
    if (growth === 0 || this.fileBytes + growth <= limitBytes) return;
    const advice =
      SPOOL_HEADER_BYTES + size > limitBytes
        ? `no call of ${size} bytes fits it`
        : 'flush more often, and await it, so that what is committed makes room';
    throw new BraidError(
      'ERR_BRAID_SPOOL_FULL',
      `the spool ${this.#file} has reached its limit of ${limitBytes} bytes: ${advice}; ` +
        'or raise spoolLimitBytes (BRAID_SPOOL_LIMIT_BYTES)',
    );
  }

  /** Asks the system for something, of which `growth` bytes of disk are a part. */
  #system<T>(growth: number, call: () => T): T {
    try {
      return call();
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'ENOSPC' && code !== 'EDQUOT' && code !== 'EFBIG') {
        throw new BraidError(
          'ERR_BRAID_SPOOL_IO',
          `the spool ${this.#file} cannot make room: ${message}. Nothing recorded before is lost`,
          { cause: error },
        );
      }
      throw new BraidError(
        'ERR_BRAID_SPOOL_FULL',
        `no room for ${growth} more bytes in ${dirname(this.#file)} (${code}): free some, or set spoolDir (BRAID_SPOOL_DIR) ` +
          'to a larger disk; nothing recorded before is lost',
        { cause: error },
      );
    }
  }
}
