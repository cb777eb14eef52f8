import { Encoder } from '../frame/encoder.js';
import { FRAME_HEADER_BYTES, align4 } from '../frame/format.js';
import { beginFrame, sealFrame, type FrameOwner } from '../frame/header.js';
import type { OpSink } from '../record/recorder.js';

const FRAME_BYTES = 2 ** 20;

/** Frames in memory: what is recorded goes into the database with whoever records it, and needs no journal. */
export class Frames implements OpSink {
  readonly growthMs = 0;
  readonly sealMs = 0;
  readonly encoder = new Encoder((bytes) => this.#more(bytes));
  readonly #owner: FrameOwner;
  #sequence = 0;
  #current: Buffer | undefined;
  #sealed: Buffer[] = [];
  #sealedBytes = 0;

  constructor(owner: FrameOwner) {
    this.#owner = owner;
  }

  publish(): void {
    this.encoder.publish();
  }

  /** Of the frames that are full. */
  get sealedBytes(): number {
    return this.#sealedBytes;
  }

  /** All that was recorded since the last time, as a round. */
  take(): Buffer {
    this.#seal();
    const round = Buffer.concat(this.#sealed);
    this.#sealed = [];
    this.#sealedBytes = 0;
    return round;
  }

  #more(bytes: number): void {
    this.#seal();
    const buffer = Buffer.from(new ArrayBuffer(align4(Math.max(FRAME_BYTES, FRAME_HEADER_BYTES + bytes))));
    beginFrame(buffer, 0, this.#owner, ++this.#sequence);
    this.encoder.bind(buffer, FRAME_HEADER_BYTES, buffer.length);
    this.#current = buffer;
  }

  #seal(): void {
    const buffer = this.#current;
    if (!buffer) return;
    const { encoder } = this;
    const bytes = encoder.position - FRAME_HEADER_BYTES;
    if (bytes === 0) {
      this.#sequence--;
    } else {
      sealFrame(buffer, 0, bytes, encoder.ops, encoder.records);
      this.#sealed.push(buffer.subarray(0, FRAME_HEADER_BYTES + bytes));
      this.#sealedBytes += FRAME_HEADER_BYTES + bytes;
    }
    this.#current = undefined;
    encoder.bind(Buffer.alloc(0), 0, 0);
  }
}
