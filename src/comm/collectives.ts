import type { NumericArray } from '../native.js';
import {
  checkAlltoall,
  checkArray,
  checkEven,
  checkRank,
  checkReduction,
  checkUneven,
  type InPlace,
  type Names,
} from './arguments.js';
import { orNull } from './communicator-base.js';
import { Op } from './mpi-op.js';
import { PointToPoint } from './point-to-point.js';
import type { Request } from './request.js';

/** In a scatter it is the whole that is sent, and this rank's part that is received. */
const SCATTER: Names = { part: 'receive', whole: 'send' };

/**
 * Operations of all ranks together: every rank calls the same ones in the same order.
 *
 * All of them throw MpiTypeError or MpiRangeError for what is wrong with this rank's arguments, before MPI sees them, and
 * MpiError for what MPI finds.
 */
export abstract class Collectives extends PointToPoint {
  /** Collective. Returns when all ranks have come here. */
  barrier(): void {
    this.mpi.addon.barrier(this.live());
  }

  /** Collective. A `barrier` that is started: its request is done when all ranks have started it. */
  ibarrier(): Request {
    return this.start('MPI_Ibarrier', this.mpi.addon.ibarrier(this.live()));
  }

  /** Collective. The elements of the root's `buffer` come into that of every rank; all are as long. */
  bcast(buffer: NumericArray, root = 0): void {
    const id = this.#checkBcast(buffer, root);
    this.mpi.addon.bcast(id, buffer, root);
  }

  /** Collective. Starts a `bcast`. */
  ibcast(buffer: NumericArray, root = 0): Request {
    const id = this.#checkBcast(buffer, root);
    return this.start('MPI_Ibcast', this.mpi.addon.ibcast(id, buffer, root), [buffer]);
  }

  /**
   * Collective. Combines the ranks' `send`, element by element, into `receive` of the root. At the root `send` may be
   * IN_PLACE: `receive` is both.
   */
  reduce<T extends NumericArray>(send: T | InPlace, op: Op = Op.SUM, root = 0, receive: T | null = null): void {
    const id = this.#checkReduce(send, op, root, receive);
    this.mpi.addon.reduce(id, orNull(send), this.atRoot(root, receive), op.index, root);
  }

  /** Collective. Starts a `reduce`. */
  ireduce<T extends NumericArray>(send: T | InPlace, op: Op = Op.SUM, root = 0, receive: T | null = null): Request {
    const id = this.#checkReduce(send, op, root, receive);
    return this.start(
      'MPI_Ireduce',
      this.mpi.addon.ireduce(id, orNull(send), this.atRoot(root, receive), op.index, root),
      [send, receive],
    );
  }

  /** Collective. Combines the ranks' `send` (or `receive`, IN_PLACE), element by element, into `receive` of every rank. */
  allreduce<T extends NumericArray>(send: T | InPlace, receive: T, op: Op = Op.SUM): void {
    const id = this.live();
    checkReduction(send, receive, op, true);
    this.mpi.addon.allreduce(id, orNull(send), receive, op.index);
  }

  /** Collective. Starts an `allreduce`. */
  iallreduce<T extends NumericArray>(send: T | InPlace, receive: T, op: Op = Op.SUM): Request {
    const id = this.live();
    checkReduction(send, receive, op, true);
    return this.start('MPI_Iallreduce', this.mpi.addon.iallreduce(id, orNull(send), receive, op.index), [
      send,
      receive,
    ]);
  }

  /** Collective. Rank r gets the combination of ranks 0 to r. */
  scan<T extends NumericArray>(send: T | InPlace, receive: T, op: Op = Op.SUM): void {
    const id = this.live();
    checkReduction(send, receive, op, true);
    this.mpi.addon.scan(id, orNull(send), receive, op.index);
  }

  /** Collective. Starts a `scan`. */
  iscan<T extends NumericArray>(send: T | InPlace, receive: T, op: Op = Op.SUM): Request {
    const id = this.live();
    checkReduction(send, receive, op, true);
    return this.start('MPI_Iscan', this.mpi.addon.iscan(id, orNull(send), receive, op.index), [send, receive]);
  }

  /** Collective. Rank r gets the combination of ranks 0 to r − 1; `receive` of rank 0 is undefined, by the standard. */
  exscan<T extends NumericArray>(send: T | InPlace, receive: T, op: Op = Op.SUM): void {
    const id = this.live();
    checkReduction(send, receive, op, true);
    this.mpi.addon.exscan(id, orNull(send), receive, op.index);
  }

  /** Collective. Starts an `exscan`. */
  iexscan<T extends NumericArray>(send: T | InPlace, receive: T, op: Op = Op.SUM): Request {
    const id = this.live();
    checkReduction(send, receive, op, true);
    return this.start('MPI_Iexscan', this.mpi.addon.iexscan(id, orNull(send), receive, op.index), [send, receive]);
  }

  /** Collective. As many elements from each rank come into `receive` of the root, in the order of the ranks. */
  gather<T extends NumericArray>(send: T | InPlace, root = 0, receive: T | null = null): void {
    const id = this.#checkRooted(send, root, receive);
    this.mpi.addon.gather(id, orNull(send), root, this.atRoot(root, receive));
  }

  /** Collective. Starts a `gather`. */
  igather<T extends NumericArray>(send: T | InPlace, root = 0, receive: T | null = null): Request {
    const id = this.#checkRooted(send, root, receive);
    return this.start('MPI_Igather', this.mpi.addon.igather(id, orNull(send), root, this.atRoot(root, receive)), [
      send,
      receive,
    ]);
  }

  /** Collective. `counts[r]` elements from rank r come to `displs[r]` of the root's `receive`. */
  gatherv<T extends NumericArray>(
    send: T | InPlace,
    root = 0,
    receive: T | null = null,
    counts: Int32Array | null = null,
    displs: Int32Array | null = null,
  ): void {
    const id = this.#checkRootedUneven(send, root, receive, counts, displs);
    const [whole, of, at] = this.#wholeAtRoot(root, receive, counts, displs);
    this.mpi.addon.gatherv(id, orNull(send), root, whole, of, at);
  }

  /** Collective. Starts a `gatherv`. `counts` and `displs` may be used again at once. */
  igatherv<T extends NumericArray>(
    send: T | InPlace,
    root = 0,
    receive: T | null = null,
    counts: Int32Array | null = null,
    displs: Int32Array | null = null,
  ): Request {
    const id = this.#checkRootedUneven(send, root, receive, counts, displs);
    const [whole, of, at] = this.#wholeAtRoot(root, receive, counts, displs);
    return this.start('MPI_Igatherv', this.mpi.addon.igatherv(id, orNull(send), root, whole, of, at), [send, receive]);
  }

  /** Collective. As many elements from each rank come into `receive` of every rank, in the order of the ranks. */
  allgather<T extends NumericArray>(send: T | InPlace, receive: T): void {
    const id = this.live();
    checkEven(send, receive, this.size, true);
    this.mpi.addon.allgather(id, orNull(send), receive);
  }

  /** Collective. Starts an `allgather`. */
  iallgather<T extends NumericArray>(send: T | InPlace, receive: T): Request {
    const id = this.live();
    checkEven(send, receive, this.size, true);
    return this.start('MPI_Iallgather', this.mpi.addon.iallgather(id, orNull(send), receive), [send, receive]);
  }

  /** Collective. `counts[r]` elements from rank r come to `displs[r]` of every rank's `receive`. */
  allgatherv<T extends NumericArray>(send: T | InPlace, receive: T, counts: Int32Array, displs: Int32Array): void {
    const id = this.live();
    checkUneven(send, receive, counts, displs, this, true);
    this.mpi.addon.allgatherv(id, orNull(send), receive, counts, displs);
  }

  /** Collective. Starts an `allgatherv`. `counts` and `displs` may be used again at once. */
  iallgatherv<T extends NumericArray>(send: T | InPlace, receive: T, counts: Int32Array, displs: Int32Array): Request {
    const id = this.live();
    checkUneven(send, receive, counts, displs, this, true);
    return this.start('MPI_Iallgatherv', this.mpi.addon.iallgatherv(id, orNull(send), receive, counts, displs), [
      send,
      receive,
    ]);
  }

  /**
   * Collective. Each rank's `receive` gets its share of the root's `send`: as many elements each, in the order of the
   * ranks. At the root `receive` may be IN_PLACE: its share stays in `send`.
   */
  scatter<T extends NumericArray>(receive: T | InPlace, root = 0, send: T | null = null): void {
    const id = this.#checkRooted(receive, root, send, SCATTER);
    this.mpi.addon.scatter(id, orNull(receive), root, this.atRoot(root, send));
  }

  /** Collective. Starts a `scatter`. */
  iscatter<T extends NumericArray>(receive: T | InPlace, root = 0, send: T | null = null): Request {
    const id = this.#checkRooted(receive, root, send, SCATTER);
    return this.start('MPI_Iscatter', this.mpi.addon.iscatter(id, orNull(receive), root, this.atRoot(root, send)), [
      send,
      receive,
    ]);
  }

  /** Collective. Rank r's `receive` gets `counts[r]` elements from `displs[r]` of the root's `send`. */
  scatterv<T extends NumericArray>(
    receive: T | InPlace,
    root = 0,
    send: T | null = null,
    counts: Int32Array | null = null,
    displs: Int32Array | null = null,
  ): void {
    const id = this.#checkRootedUneven(receive, root, send, counts, displs, SCATTER);
    const [whole, of, at] = this.#wholeAtRoot(root, send, counts, displs);
    this.mpi.addon.scatterv(id, orNull(receive), root, whole, of, at);
  }

  /** Collective. Starts a `scatterv`. `counts` and `displs` may be used again at once. */
  iscatterv<T extends NumericArray>(
    receive: T | InPlace,
    root = 0,
    send: T | null = null,
    counts: Int32Array | null = null,
    displs: Int32Array | null = null,
  ): Request {
    const id = this.#checkRootedUneven(receive, root, send, counts, displs, SCATTER);
    const [whole, of, at] = this.#wholeAtRoot(root, send, counts, displs);
    return this.start('MPI_Iscatterv', this.mpi.addon.iscatterv(id, orNull(receive), root, whole, of, at), [
      send,
      receive,
    ]);
  }

  /** Collective. The r-th part of `send` goes to rank r, and the r-th part of `receive` comes from there; all are as long. */
  alltoall<T extends NumericArray>(send: T | InPlace, receive: T): void {
    const id = this.live();
    checkAlltoall(send, receive, this.size);
    this.mpi.addon.alltoall(id, orNull(send), receive);
  }

  /** Collective. Starts an `alltoall`. */
  ialltoall<T extends NumericArray>(send: T | InPlace, receive: T): Request {
    const id = this.live();
    checkAlltoall(send, receive, this.size);
    return this.start('MPI_Ialltoall', this.mpi.addon.ialltoall(id, orNull(send), receive), [send, receive]);
  }

  #checkBcast(buffer: NumericArray, root: number) {
    const id = this.live();
    checkArray(buffer, 'buffer');
    checkRank(root, 'root', this.size);
    return id;
  }

  #checkReduce<T extends NumericArray>(send: T | InPlace, op: Op, root: number, receive: T | null) {
    const id = this.live();
    checkRank(root, 'root', this.size);
    checkReduction(send, receive, op, this.rank === root);
    return id;
  }

  #checkRooted<T extends NumericArray>(part: T | InPlace, root: number, whole: T | null, names?: Names) {
    const id = this.live();
    checkRank(root, 'root', this.size);
    checkEven(part, whole, this.size, this.rank === root, names);
    return id;
  }

  #checkRootedUneven<T extends NumericArray>(
    part: T | InPlace,
    root: number,
    whole: T | null,
    counts: Int32Array | null,
    displs: Int32Array | null,
    names?: Names,
  ) {
    const id = this.live();
    checkRank(root, 'root', this.size);
    checkUneven(part, whole, counts, displs, this, this.rank === root, names);
    return id;
  }

  /** What only the root passes on. */
  #wholeAtRoot<T>(root: number, whole: T | null, counts: Int32Array | null, displs: Int32Array | null) {
    return this.rank === root ? ([whole, counts, displs] as const) : ([null, null, null] as const);
  }
}
