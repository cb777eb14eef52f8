import { fstatSync, readSync } from 'node:fs';

const WINDOW_BYTES = 2 ** 20;

/** The bytes of a file, a window at a time. */
export class FileWindow {
  readonly size: number;
  readonly #fd: number;
  #window = Buffer.alloc(0);
  #at = 0;

  constructor(fd: number) {
    this.#fd = fd;
    this.size = fstatSync(fd).size;
  }

  /** So many bytes from `at` on, or those that there are; in memory that the next call uses again. */
  view(at: number, bytes: number): Buffer {
    const count = Math.max(0, Math.min(bytes, this.size - at));
    if (at < this.#at || at + count > this.#at + this.#window.length) {
      const window = Buffer.alloc(Math.min(Math.max(count, WINDOW_BYTES), this.size - at));
      readSync(this.#fd, window, 0, window.length, at);
      this.#window = window;
      this.#at = at;
    }
    return this.#window.subarray(at - this.#at, at - this.#at + count);
  }

  /** Where `bytes` stand next, from `at` on and before `end`. */
  find(bytes: Buffer, at: number, end: number): number | undefined {
    while (at + bytes.length <= end) {
      const piece = this.#piece(at, end, bytes.length);
      const index = piece.indexOf(bytes);
      if (index >= 0) return at + index;
      if (piece.length < bytes.length) return undefined;
      at += piece.length - bytes.length + 1;
    }
    return undefined;
  }

  /** Where the zeros end that begin at `at`; at `end`, at the latest. */
  zerosEnd(at: number, end: number): number {
    while (at < end) {
      const piece = this.#piece(at, end, 1);
      const zeros = zerosFrom(piece);
      at += zeros;
      if (zeros < piece.length || zeros === 0) return at;
    }
    return at;
  }

  /** What of `at` up to `end` is at hand, if that is `least` bytes or more; else a window of it. */
  #piece(at: number, end: number, least: number): Buffer {
    const atHand = at >= this.#at ? this.#at + this.#window.length - at : 0;
    return this.view(at, Math.min(end - at, atHand >= least ? atHand : WINDOW_BYTES));
  }
}

/** How many zeros the bytes begin with. */
function zerosFrom(bytes: Buffer): number {
  let at = 0;
  while (at < bytes.length && bytes[at] === 0) at++;
  return at;
}
