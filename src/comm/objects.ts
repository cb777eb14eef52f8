import { DefaultDeserializer, serialize } from 'node:v8';
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
    const reader = new CopyingReader(bytes);
    reader.readHeader();
    return reader.readValue();
  } catch (error) {
    throw new MpiTypeError('this message is no object; receive it by recv, or send it by sendObject', { cause: error });
  }
}

/** Gives arrays memory of their own: Node's gives views of the message, which would all share it. */
class CopyingReader extends DefaultDeserializer {
  _readHostObject(): unknown {
    const view = (DefaultDeserializer.prototype as unknown as { _readHostObject(): unknown })._readHostObject.call(
      this,
    );
    if (view instanceof DataView) {
      return new DataView(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
    }
    return Uint8Array.prototype.slice.call(view);
  }
}
