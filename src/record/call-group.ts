import { BraidError } from '../errors.js';
import { Encoder, type EncodedCall } from '../frame/encoder.js';
import { MAX_OP_BYTES } from '../frame/format.js';
import type { OpSink } from './recorder.js';

const CHUNK_BYTES = 2 ** 16;

/** The ops of recording calls that are to become one, in memory of their own. */
export class CallGroup implements OpSink {
  readonly growthMs = 0;
  readonly sealMs = 0;
  readonly encoder = new Encoder((bytes) => this.#more(bytes));
  readonly #chunks: Buffer[] = [];
  #chunk = Buffer.alloc(0);
  #ops = 0;
  #records = 0;

  publish(): void {
    this.encoder.publish();
  }

  /**
   * All of them, as one call.
   *
   * @throws BraidError ERR_BRAID_TOO_LARGE
   */
  whole(): EncodedCall {
    this.#keep();
    const bytes = Buffer.concat(this.#chunks);
    if (bytes.length > MAX_OP_BYTES) {
      throw new BraidError(
        'ERR_BRAID_TOO_LARGE',
        `what is kept as a whole or not at all can take ${MAX_OP_BYTES} bytes, and this takes ${bytes.length}: give it in several calls`,
      );
    }
    return { bytes, ops: this.#ops, records: this.#records };
  }

  #more(bytes: number): void {
    this.#keep();
    this.#chunk = Buffer.from(new ArrayBuffer(Math.max(CHUNK_BYTES, bytes)));
    this.encoder.bind(this.#chunk, 0, this.#chunk.length);
  }

  /** Before another chunk is bound, where the encoder counts anew. */
  #keep(): void {
    const { position, ops, records } = this.encoder;
    this.#chunks.push(this.#chunk.subarray(0, position));
    this.#ops += ops;
    this.#records += records;
  }
}
