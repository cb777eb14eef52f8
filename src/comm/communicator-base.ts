import { BraidError } from '../errors.js';
import type { CommunicatorId, NumericArray, RequestId } from '../native.js';
import { IN_PLACE, type InPlace } from './arguments.js';
import type { MpiRuntime } from './mpi-runtime.js';
import { progress } from './progress.js';
import type { Request } from './request.js';

type Buffers = readonly (NumericArray | InPlace | null)[];

/** What MPI moves in many pieces. */
const LARGE_BYTES = 2 ** 20;

/** What every operation stands on: which communicator of which library it is, and that it is still there. */
export abstract class CommunicatorBase {
  readonly rank: number;
  /** Ranks. */
  readonly size: number;
  protected readonly mpi: MpiRuntime;
  #id: CommunicatorId | undefined;

  /** Not for users: communicators come from `MPI`, or from another one. */
  constructor(mpi: MpiRuntime, id: CommunicatorId) {
    this.mpi = mpi;
    this.#id = id;
    this.rank = mpi.addon.rank(id);
    this.size = mpi.addon.size(id);
  }

  protected live(): CommunicatorId {
    if (this.#id === undefined) throw new BraidError('ERR_BRAID_MPI_FREED', 'this communicator has been freed');
    return this.#id;
  }

  /** From now on every use is an error. */
  protected forget(): void {
    this.#id = undefined;
  }

  /** Elsewhere than at the root its buffer isn't looked at, as in MPI, and native code needn't hold it. */
  protected atRoot<T>(root: number, value: T | null): T | null {
    return this.rank === root ? value : null;
  }

  /**
   * A request that is complete when `id` is.
   *
   * @param buffers what it moves, as far as this rank has it.
   */
  protected start(call: string, id: RequestId, buffers?: Buffers): Request;
  protected start<T>(call: string, id: RequestId, buffers: Buffers, valueOf: (row: Float64Array) => T): Request<T>;
  protected start<T>(
    call: string,
    id: RequestId,
    buffers: Buffers = [],
    valueOf?: (row: Float64Array) => T,
  ): Request<T | void> {
    const request = this.mpi.requests.start<T | void>(call, id, valueOf ?? (() => undefined));
    for (const buffer of buffers) {
      // Whoever is at its other end may not be there yet, and yet the pauses would be most of the time that it takes.
      if (ArrayBuffer.isView(buffer) && buffer.byteLength >= LARGE_BYTES) progress.attend(request, buffer.byteLength);
    }
    return request;
  }
}

/** As native code has it. */
export function orNull<T extends NumericArray>(buffer: T | InPlace): T | null {
  return buffer === IN_PLACE ? null : buffer;
}
