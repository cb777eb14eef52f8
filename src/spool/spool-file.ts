import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { BraidError } from '../errors.js';
import { FRAME_HEADER_BYTES } from '../frame/format.js';
import { beginFrame, markSealed, nameFrame, sealFrame } from '../frame/header.js';
import { loadAddon } from '../load-addon.js';
import type { CoreAddon } from '../native.js';
import { FileWindow } from './file-window.js';
import { scanSpool, type SpoolContent, type SpoolFrame } from './scan.js';
import {
  SPOOL_HEADER_BYTES,
  readSpoolHeader,
  type SpoolEnd,
  type SpoolHeader,
  type SpoolOwner,
} from './spool-header.js';

export type { SpoolEnd, SpoolOwner } from './spool-header.js';
export type { SpoolFrame, SpoolLoss } from './scan.js';

/** What became of asking for a spool's lock: ours, another's, or the file has gone meanwhile. */
export type SpoolLock = 'taken' | 'looked-at' | 'held' | 'gone';

/** How long a recovery waits for somebody who only looks. */
const LOOK_MS = 2000;

/** A spool that its rank no longer writes to. Reads with pread and believes nothing. */
export class LeftoverSpool {
  /** Undefined if it was never written. */
  #header: SpoolHeader | undefined;
  #scanned: SpoolContent | undefined;

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

  /** Undefined if the header was never written. */
  get owner(): SpoolOwner | undefined {
    return this.#header?.owner;
  }

  get end(): SpoolEnd {
    return this.#header?.end ?? 'alive';
  }

  get detail(): number {
    return this.#header?.detail ?? 0;
  }

  /** The newest frame that a verdict had covered. */
  get trimmed(): number {
    return this.#header?.trimmed ?? 0;
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

  /** All frames, and what can't be read. */
  scan(): SpoolContent {
    return (this.#scanned ??= this.#header ? scanSpool(this.fd, this.#header) : { frames: [], losses: [] });
  }

  /**
   * A frame's bytes, sealed. Of one that can't be read any more, a frame without ops, which a commit refuses: its place in a
   * round is waited for.
   */
  read(frame: SpoolFrame, buffer: Buffer = Buffer.alloc(frame.bytes)): Buffer {
    const { owner } = this.#header!;
    const { sequence, ops, records, bytes } = frame;
    let read = 0;
    try {
      read = readSync(this.fd, buffer, 0, bytes, frame.offset);
    } catch {
      // As below.
    }
    if (read < bytes) beginFrame(buffer.fill(0), 0, owner, sequence);
    // What the scan did without.
    nameFrame(buffer, 0, owner, sequence);
    if (read < bytes || frame.open) sealFrame(buffer, 0, bytes - FRAME_HEADER_BYTES, ops, records);
    else markSealed(buffer, 0);
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
    this.#header = readSpoolHeader(header, file);
    this.#scanned = undefined;
    if (this.#header) return;
    const content = new FileWindow(fd);
    if (content.zerosEnd(SPOOL_HEADER_BYTES, content.size) >= content.size) return;
    throw new BraidError(
      'ERR_BRAID_SPOOL_DAMAGED',
      `the header of ${file} is lost, and something is in it; left alone`,
    );
  }
}
