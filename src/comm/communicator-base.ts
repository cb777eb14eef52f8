import { BraidError } from '../errors.js';
import type { CommunicatorId, NumericArray, RequestId } from '../native.js';
import { IN_PLACE, type InPlace } from './arguments.js';
import type { MpiRuntime } from './mpi-runtime.js';
import { Request } from './request.js';

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

  protected start(call: string, id: RequestId): Request;
  protected start<T>(call: string, id: RequestId, valueOf: (row: Float64Array) => T): Request<T>;
  protected start<T>(call: string, id: RequestId, valueOf?: (row: Float64Array) => T): Request<T | void> {
    return this.mpi.requests.start(call, id, valueOf ?? (() => undefined));
  }
}

/** As native code has it. */
export function orNull<T extends NumericArray>(buffer: T | InPlace): T | null {
  return buffer === IN_PLACE ? null : buffer;
}
