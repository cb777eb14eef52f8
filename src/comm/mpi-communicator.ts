import { BraidError } from '../errors.js';
import { RequestColumn, SELF, WORLD } from '../native.js';
import { checkInteger, checkRank } from './arguments.js';
import { Collectives } from './collectives.js';
import type { RecorderCommunicator } from './communicator.js';
import { MpiRangeError, MpiTypeError } from './mpi-error.js';
import { decode, encode } from './objects.js';
import type { Request } from './request.js';

const INT_MIN = -(2 ** 31);
const INT_MAX = 2 ** 31 - 1;

/**
 * A group of ranks and its messages, which never meet those of another communicator.
 *
 * Methods have MPI's names and argument order; what only the root passes comes after `root` and is left out elsewhere.
 * Buffers are typed arrays of one element type, sent and received without a copy, `subarray` views as much of them as
 * they show. A buffer given to a method whose name begins with `i` belongs to the operation until its request is done.
 *
 * The blocking forms keep the event loop waiting; nothing else of this process runs meanwhile.
 */
export class Communicator extends Collectives implements RecorderCommunicator {
  get name(): string {
    return this.mpi.addon.name(this.live());
  }

  /** Collective. A communicator of the same ranks, whose messages never meet those of this one. */
  dup(): Communicator {
    return new Communicator(this.mpi, this.mpi.addon.dup(this.live()));
  }

  /** Collective. Starts a `dup`. */
  idup(): Request<Communicator> {
    return this.start(
      'MPI_Comm_idup',
      this.mpi.addon.idup(this.live()),
      [],
      (row) => new Communicator(this.mpi, row[RequestColumn.value]),
    );
  }

  /**
   * Collective. The ranks that pass the same `color`, ordered by `key`; null for those that pass null (MPI.UNDEFINED).
   *
   * @param color 0 or more
   */
  split(color: number | null, key = this.rank): Communicator | null {
    const id = this.live();
    if (color !== null) checkInteger(color, 'color', 0, INT_MAX);
    checkInteger(key, 'key', INT_MIN, INT_MAX);
    const made = this.mpi.addon.split(id, color ?? -1, key);
    return made < 0 ? null : new Communicator(this.mpi, made);
  }

  /** Collective. The ranks that can share memory with this one, which is to say those of its node, ordered by `key`. */
  splitType(type: 'shared', key = this.rank): Communicator {
    const id = this.live();
    if (type !== 'shared') throw new MpiTypeError(`type must be 'shared', got ${JSON.stringify(type)}`);
    checkInteger(key, 'key', INT_MIN, INT_MAX);
    return new Communicator(this.mpi, this.mpi.addon.splitShared(id, key));
  }

  /** Collective. Operations under way on it complete. */
  free(): void {
    const id = this.live();
    if (id === WORLD || id === SELF) {
      throw new BraidError(
        'ERR_BRAID_MPI_PREDEFINED',
        `${this.name} belongs to MPI and can't be freed; free a dup() of it`,
      );
    }
    this.forget();
    this.mpi.addon.free(id);
  }

  /** Ends the job: every rank's process, of this communicator or not. */
  abort(exitCode = 1): never {
    checkInteger(exitCode, 'exitCode', 0, 255);
    return this.mpi.addon.abort(exitCode);
  }

  /**
   * Collective. The root's `value` on every rank: a copy, as structured cloning makes it. Other ranks' `value` isn't
   * looked at.
   *
   * @throws MpiTypeError on every rank if it can't be copied
   */
  bcastObject<T = unknown>(value: T, root = 0): T {
    checkRank(root, 'root', this.size);
    const own = this.rank === root ? encoded(value) : undefined;
    const length = Float64Array.of(own?.length ?? FAILED);
    this.bcast(length, root);
    if (own?.failure) throw own.failure;
    if (length[0] === FAILED) throw new MpiTypeError(`rank ${root}, the root, has a value that can't be sent`);
    const bytes = own?.bytes ?? new Uint8Array(length[0]);
    this.bcast(bytes, root);
    return decode(bytes) as T;
  }

  /**
   * Collective. The values of all ranks, in the order of the ranks, at the root; null elsewhere.
   *
   * @throws MpiTypeError on every rank if some rank's can't be copied; MpiRangeError on every rank if they come to more
   *   than 2 GiB
   */
  gatherObjects<T = unknown>(value: T, root = 0): T[] | null {
    checkRank(root, 'root', this.size);
    const { bytes, counts, displs, total } = this.#encodeAll(value);
    const received = this.rank === root ? new Uint8Array(total) : null;
    this.gatherv(bytes, root, received, counts, displs);
    return received && decodeAll<T>(received, counts, displs);
  }

  /** Collective. What `gatherObjects` gives the root, on every rank. */
  allgatherObjects<T = unknown>(value: T): T[] {
    const { bytes, counts, displs, total } = this.#encodeAll(value);
    const received = new Uint8Array(total);
    this.allgatherv(bytes, received, counts, displs);
    return decodeAll<T>(received, counts, displs);
  }

  /** Every rank learns all lengths, so that all agree on whether the values can travel. */
  #encodeAll(value: unknown) {
    const { bytes, length, failure } = encoded(value);
    const lengths = new Float64Array(this.size);
    this.allgather(Float64Array.of(length), lengths);
    if (failure) throw failure;
    const failed = lengths.indexOf(FAILED);
    if (failed >= 0) throw new MpiTypeError(`rank ${failed} has a value that can't be sent`);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    if (total > INT_MAX)
      throw new MpiRangeError(`the values are ${total} bytes together; at most ${INT_MAX} can travel`);
    const counts = Int32Array.from(lengths);
    const displs = new Int32Array(this.size);
    for (let rank = 1; rank < this.size; rank++) displs[rank] = displs[rank - 1] + counts[rank - 1];
    return { bytes, counts, displs, total };
  }
}

/** In the place of a length: there is nothing to come. */
const FAILED = -1;

/** An object's bytes, and the length that the others are told; of one that can't be sent, why. */
function encoded(value: unknown): { bytes: Uint8Array; length: number; failure?: MpiTypeError } {
  try {
    const bytes = encode(value);
    return { bytes, length: bytes.length };
  } catch (error) {
    return { bytes: new Uint8Array(0), length: FAILED, failure: error as MpiTypeError };
  }
}

function decodeAll<T>(received: Uint8Array, counts: Int32Array, displs: Int32Array): T[] {
  return Array.from(counts, (count, rank) => decode(received.subarray(displs[rank], displs[rank] + count)) as T);
}
