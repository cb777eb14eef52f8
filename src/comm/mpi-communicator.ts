import { BraidError } from '../errors.js';
import { SELF, WORLD, RequestColumn, type CommunicatorId, type NumericArray, type RequestId } from '../native.js';
import {
  checkArray,
  checkEach,
  checkGather,
  checkGatherv,
  checkInteger,
  checkRank,
  checkReduction,
  checkTag,
  IN_PLACE,
  type InPlace,
} from './arguments.js';
import type { EachRequest, RecorderCommunicator } from './communicator.js';
import { Op } from './mpi-op.js';
import { statusOf, type Status } from './mpi-requests.js';
import type { MpiRuntime } from './mpi-runtime.js';
import { Request } from './request.js';

/** In the place of a source or a tag: whichever comes. */
export const ANY_SOURCE = -1;
export const ANY_TAG = -1;

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
export class Communicator implements RecorderCommunicator {
  readonly rank: number;
  /** Ranks. */
  readonly size: number;
  readonly #mpi: MpiRuntime;
  #id: CommunicatorId | undefined;

  /** Not for users: communicators come from {@link MPI}, or from another one. */
  constructor(mpi: MpiRuntime, id: CommunicatorId) {
    this.#mpi = mpi;
    this.#id = id;
    this.rank = mpi.addon.rank(id);
    this.size = mpi.addon.size(id);
  }

  get name(): string {
    return this.#mpi.addon.name(this.#live());
  }

  /** Collective. */
  dup(): Communicator {
    return new Communicator(this.#mpi, this.#mpi.addon.dup(this.#live()));
  }

  /** Collective. */
  idup(): Request<Communicator> {
    return this.#start(
      'MPI_Comm_idup',
      this.#mpi.addon.idup(this.#live()),
      (row) => new Communicator(this.#mpi, row[RequestColumn.value]),
    );
  }

  /** Collective. The ranks that pass the same `color`, ordered by `key`; null for those that pass null. */
  split(color: number | null, key = this.rank): Communicator | null {
    const id = this.#live();
    if (color !== null) checkInteger(color, 'color', 0, INT_MAX);
    checkInteger(key, 'key', INT_MIN, INT_MAX);
    const made = this.#mpi.addon.split(id, color ?? -1, key);
    return made < 0 ? null : new Communicator(this.#mpi, made);
  }

  /** Collective. Operations under way on it complete. */
  free(): void {
    const id = this.#live();
    if (id === WORLD || id === SELF) {
      throw new BraidError(
        'ERR_BRAID_MPI_PREDEFINED',
        `${this.name} belongs to MPI and can't be freed; free a dup() of it`,
      );
    }
    this.#id = undefined;
    this.#mpi.addon.free(id);
  }

  /** Ends the job: every rank's process, of this communicator or not. */
  abort(exitCode = 1): never {
    checkInteger(exitCode, 'exitCode', 0, 255);
    return this.#mpi.addon.abort(exitCode);
  }

  /**
   * Sends all elements of `buffer` to rank `dest`; returns when the buffer may be used again, which is not when they arrived.
   *
   * @param tag from 0 to what the library allows, 32767 at least.
   * @throws MpiTypeError, MpiRangeError, MpiError
   */
  send(buffer: NumericArray, dest: number, tag = 0): void {
    const id = this.#live();
    this.#checkOutgoing(buffer, dest, tag);
    this.#mpi.addon.send(id, buffer, dest, tag);
  }

  /** Starts a `send`. The buffer belongs to it until it is done. */
  isend(buffer: NumericArray, dest: number, tag = 0): Request {
    const id = this.#live();
    this.#checkOutgoing(buffer, dest, tag);
    return this.#start('MPI_Isend', this.#mpi.addon.isend(id, buffer, dest, tag));
  }

  /**
   * Waits for a message and writes it to the front of `buffer`.
   *
   * @param source a rank, or ANY_SOURCE.
   * @param tag or ANY_TAG.
   * @returns whose message it was, its tag and its number of elements.
   * @throws MpiTypeError, MpiRangeError; MpiError with MPI_ERR_TRUNCATE if the buffer is too short
   */
  recv(buffer: NumericArray, source = ANY_SOURCE, tag = ANY_TAG): Status {
    const id = this.#live();
    this.#checkIncoming(buffer, source, tag);
    const status = new Int32Array(3);
    this.#mpi.addon.recv(id, buffer, source, tag, status);
    return { source: status[0], tag: status[1], count: status[2] };
  }

  /** Starts a `recv`. The buffer belongs to it until it is done. */
  irecv(buffer: NumericArray, source = ANY_SOURCE, tag = ANY_TAG): Request<Status> {
    const id = this.#live();
    this.#checkIncoming(buffer, source, tag);
    return this.#start('MPI_Irecv', this.#mpi.addon.irecv(id, buffer, source, tag), statusOf);
  }

  isendEach(buffer: Uint8Array, bytesEach: number, dests: Int32Array, tag: number): Request {
    const id = this.#live();
    checkEach(buffer, bytesEach, dests, 'dests', this.size);
    checkTag(tag, this.#mpi.tagUpperBound);
    return this.#start('MPI_Isend', this.#mpi.addon.isendEach(id, buffer, bytesEach, dests, tag));
  }

  irecvEach(buffer: Uint8Array, bytesEach: number, sources: Int32Array, tag: number): EachRequest {
    const id = this.#live();
    checkEach(buffer, bytesEach, sources, 'sources', this.size);
    checkTag(tag, this.#mpi.tagUpperBound);
    const request = this.#mpi.addon.irecvEach(id, buffer, bytesEach, sources, tag);
    return this.#mpi.requests.startEach('MPI_Irecv', request, sources.length);
  }

  /** Collective. */
  barrier(): void {
    this.#mpi.addon.barrier(this.#live());
  }

  /** Collective. */
  ibarrier(): Request {
    return this.#start('MPI_Ibarrier', this.#mpi.addon.ibarrier(this.#live()));
  }

  /** Collective. */
  bcast(buffer: NumericArray, root = 0): void {
    const id = this.#live();
    checkArray(buffer, 'buffer');
    checkRank(root, 'root', this.size);
    this.#mpi.addon.bcast(id, buffer, root);
  }

  /** Collective. */
  ibcast(buffer: NumericArray, root = 0): Request {
    const id = this.#live();
    checkArray(buffer, 'buffer');
    checkRank(root, 'root', this.size);
    return this.#start('MPI_Ibcast', this.#mpi.addon.ibcast(id, buffer, root));
  }

  /** Collective. */
  reduce<T extends NumericArray>(send: T | InPlace, op: Op = Op.SUM, root = 0, receive: T | null = null): void {
    const id = this.#live();
    checkRank(root, 'root', this.size);
    checkReduction(send, receive, op, this.rank === root);
    this.#mpi.addon.reduce(id, orNull(send), this.#atRoot(root, receive), op.index, root);
  }

  /** Collective. */
  ireduce<T extends NumericArray>(send: T | InPlace, op: Op = Op.SUM, root = 0, receive: T | null = null): Request {
    const id = this.#live();
    checkRank(root, 'root', this.size);
    checkReduction(send, receive, op, this.rank === root);
    const request = this.#mpi.addon.ireduce(id, orNull(send), this.#atRoot(root, receive), op.index, root);
    return this.#start('MPI_Ireduce', request);
  }

  /** Collective. */
  allreduce<T extends NumericArray>(send: T | InPlace, receive: T, op: Op = Op.SUM): void {
    const id = this.#live();
    checkReduction(send, receive, op, true);
    this.#mpi.addon.allreduce(id, orNull(send), receive, op.index);
  }

  /** Collective. */
  iallreduce<T extends NumericArray>(send: T | InPlace, receive: T, op: Op = Op.SUM): Request {
    const id = this.#live();
    checkReduction(send, receive, op, true);
    return this.#start('MPI_Iallreduce', this.#mpi.addon.iallreduce(id, orNull(send), receive, op.index));
  }

  /** Collective. As many elements from each rank, in the order of the ranks. */
  gather<T extends NumericArray>(send: T | InPlace, root = 0, receive: T | null = null): void {
    const id = this.#live();
    checkRank(root, 'root', this.size);
    checkGather(send, receive, this.size, this.rank === root);
    this.#mpi.addon.gather(id, orNull(send), root, this.#atRoot(root, receive));
  }

  /** Collective. */
  igather<T extends NumericArray>(send: T | InPlace, root = 0, receive: T | null = null): Request {
    const id = this.#live();
    checkRank(root, 'root', this.size);
    checkGather(send, receive, this.size, this.rank === root);
    return this.#start('MPI_Igather', this.#mpi.addon.igather(id, orNull(send), root, this.#atRoot(root, receive)));
  }

  /** Collective. `counts[r]` elements from rank r go to `displs[r]`. */
  gatherv<T extends NumericArray>(
    send: T | InPlace,
    root = 0,
    receive: T | null = null,
    counts: Int32Array | null = null,
    displs: Int32Array | null = null,
  ): void {
    const id = this.#live();
    checkRank(root, 'root', this.size);
    const isRoot = this.rank === root;
    checkGatherv(send, root, receive, counts, displs, this.size, isRoot);
    if (isRoot) this.#mpi.addon.gatherv(id, orNull(send), root, receive, counts, displs);
    else this.#mpi.addon.gatherv(id, orNull(send), root, null, null, null);
  }

  /** Collective. `counts[r]` elements from rank r go to `displs[r]`. */
  igatherv<T extends NumericArray>(
    send: T | InPlace,
    root = 0,
    receive: T | null = null,
    counts: Int32Array | null = null,
    displs: Int32Array | null = null,
  ): Request {
    const id = this.#live();
    checkRank(root, 'root', this.size);
    const isRoot = this.rank === root;
    checkGatherv(send, root, receive, counts, displs, this.size, isRoot);
    const request = isRoot
      ? this.#mpi.addon.igatherv(id, orNull(send), root, receive, counts, displs)
      : this.#mpi.addon.igatherv(id, orNull(send), root, null, null, null);
    return this.#start('MPI_Igatherv', request);
  }

  /** Collective. */
  allgather<T extends NumericArray>(send: T | InPlace, receive: T): void {
    const id = this.#live();
    checkGather(send, receive, this.size, true);
    this.#mpi.addon.allgather(id, orNull(send), receive);
  }

  /** Collective. */
  iallgather<T extends NumericArray>(send: T | InPlace, receive: T): Request {
    const id = this.#live();
    checkGather(send, receive, this.size, true);
    return this.#start('MPI_Iallgather', this.#mpi.addon.iallgather(id, orNull(send), receive));
  }

  #live(): CommunicatorId {
    if (this.#id === undefined) throw new BraidError('ERR_BRAID_MPI_FREED', 'this communicator has been freed');
    return this.#id;
  }

  #checkOutgoing(buffer: NumericArray, dest: number, tag: number): void {
    checkArray(buffer, 'buffer');
    checkRank(dest, 'dest', this.size);
    checkTag(tag, this.#mpi.tagUpperBound);
  }

  #checkIncoming(buffer: NumericArray, source: number, tag: number): void {
    checkArray(buffer, 'buffer');
    if (source !== ANY_SOURCE) checkRank(source, 'source', this.size);
    if (tag !== ANY_TAG) checkTag(tag, this.#mpi.tagUpperBound);
  }

  /** Elsewhere the buffer isn't looked at, as in MPI, and native code needn't hold it. */
  #atRoot<T>(root: number, receive: T | null): T | null {
    return this.rank === root ? receive : null;
  }

  #start(call: string, id: RequestId): Request;
  #start<T>(call: string, id: RequestId, valueOf: (row: Int32Array) => T): Request<T>;
  #start<T>(call: string, id: RequestId, valueOf?: (row: Int32Array) => T): Request<T | void> {
    return this.#mpi.requests.start(call, id, valueOf ?? (() => undefined));
  }
}

function orNull<T>(send: T | InPlace): T | null {
  return send === IN_PLACE ? null : send;
}
