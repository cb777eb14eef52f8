import { deserialize, serialize } from 'node:v8';
import { MpiTypeError } from './mpi-error.js';

/** The bytes that an object travels as: V8's structured cloning. Within a job all ranks run the same Node. */
export function encode(value: unknown): Uint8Array {
  try {
    return serialize(value);
  } catch (error) {
    throw new MpiTypeError(`this value can't be sent: ${(error as Error).message}`, { cause: error });
  }
}

export function decode(bytes: Uint8Array): unknown {
  try {
    return deserialize(bytes);
  } catch (error) {
    throw new MpiTypeError('this message is no object; receive it by recv, or send it by sendObject', { cause: error });
  }
}
