/*
 * Everything that crosses between JavaScript and native code, declared and documented once. Scalars and buffers cross,
 * never options: TypeScript checks and shapes, native code asserts. What native code throws has a `code`; its own
 * argument checks are a net under those in TypeScript, so that no caller of this file can reach memory that isn't theirs.
 */

// ---- braid_mpi.<vendor>.node: MPI --------------------------------------------------------------------------------------

/** Whose mpi.h the addon was compiled with. `mpiabi` is the standard ABI of MPI 5, whichever library implements it. */
export type MpiVendor = 'openmpi' | 'mpich' | 'mpiabi';

/** The typed arrays that MPI has a datatype for. The addon sees the type itself; views are respected. */
export type NumericArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** Of a communicator that is live. {@link WORLD} and {@link SELF} always are; ids are never used again. */
export type CommunicatorId = number;
export const WORLD: CommunicatorId = 0;
export const SELF: CommunicatorId = 1;

/** Of a request that `testSome` hasn't told as complete. */
export type RequestId = number;

/** The columns of a row that `testSome` writes, and how many they are. */
export const RequestColumn = {
  id: 0,
  /** An MPI error code; 0 is success. */
  error: 1,
  /** Of a receive: the sender and its tag, else -1. */
  source: 2,
  tag: 3,
  /** Of a receive: elements received, negative where they are no whole number. Of an idup: the new communicator's id. */
  value: 4,
  count: 5,
} as const;

/**
 * One process's MPI. Every call must come from the thread that called `initialize`: from another, or before it, the error's
 * code is ERR_BRAID_MPI_WRONG_THREAD or ERR_BRAID_MPI_DOWN. A call that MPI fails throws what `createError` made of it.
 *
 * A buffer given to a method whose name begins with `i` is held, and must be left alone, until its request is complete.
 */
export interface MpiAddon {
  /**
   * MPI_Init_thread, for FUNNELED, or the MPI that somebody else has initialised in this process. Not when loaded.
   *
   * It returns when all processes of the job have come to it. A thread says on stderr after `stallMs` that this one waits,
   * and ends it with exit code 1 after `abortMs`; negative is never.
   *
   * @param status room for 3 numbers, where blocking receives and probes write what they tell.
   * @param rank by the launcher, as `size`, for what is said; -1 where it doesn't tell.
   * @param pmiFd where the launcher listens, if it speaks PMI-1: to be told that the job shall end; else -1.
   */
  initialize(
    createError: (call: string, errorCode: number) => Error,
    status: Float64Array,
    rank: number,
    size: number,
    stallMs: number,
    abortMs: number,
    pmiFd: number,
  ): void;

  /**
   * What the end of the environment shall do. With an `exitCode` other than 0, and more than one rank, it is MPI_Abort;
   * else receives under way are called off, other requests get `waitMs` to complete, and MPI is finalized.
   */
  setExit(exitCode: number, waitMs: number): void;

  /** MPI_Abort on MPI_COMM_WORLD. */
  abort(exitCode: number): never;

  /** The name of an error code's class, as 'MPI_ERR_TRUNCATE'. */
  errorClass(errorCode: number): string;
  /** The library's own sentence on an error code. */
  errorString(errorCode: number): string;

  libraryVersion(): string;
  /** Of the MPI standard: '3.1'. */
  standardVersion(): string;
  processorName(): string;
  /** 0 SINGLE, 1 FUNNELED, 2 SERIALIZED, 3 MULTIPLE. */
  threadLevel(): number;
  tagUpperBound(): number;
  /** Seconds. */
  wtime(): number;

  rank(comm: CommunicatorId): number;
  size(comm: CommunicatorId): number;
  name(comm: CommunicatorId): string;
  /** Collective. */
  dup(comm: CommunicatorId): CommunicatorId;
  /** Collective. */
  idup(comm: CommunicatorId): RequestId;
  /** Collective. A negative `color` is MPI_UNDEFINED, for which -1 is returned. */
  split(comm: CommunicatorId, color: number, key: number): CommunicatorId;
  /** Collective. MPI_Comm_split_type, of the ranks that share memory. */
  splitShared(comm: CommunicatorId, key: number): CommunicatorId;
  /** Collective. */
  free(comm: CommunicatorId): void;

  send(comm: CommunicatorId, buffer: NumericArray, dest: number, tag: number): void;
  isend(comm: CommunicatorId, buffer: NumericArray, dest: number, tag: number): RequestId;
  /** `source` and `tag` may be -1, for any. Writes source, tag and the number of elements to the status. */
  recv(comm: CommunicatorId, buffer: NumericArray, source: number, tag: number): void;
  irecv(comm: CommunicatorId, buffer: NumericArray, source: number, tag: number): RequestId;
  sendrecv(
    comm: CommunicatorId,
    send: NumericArray,
    dest: number,
    sendTag: number,
    receive: NumericArray,
    source: number,
    receiveTag: number,
  ): void;
  isendrecv(
    comm: CommunicatorId,
    send: NumericArray,
    dest: number,
    sendTag: number,
    receive: NumericArray,
    source: number,
    receiveTag: number,
  ): RequestId;
  /** Waits for a message and leaves it. Writes source, tag and the number of bytes. */
  probe(comm: CommunicatorId, source: number, tag: number): void;
  /** The same without waiting; false, with the status as it was, if there is none. */
  iprobe(comm: CommunicatorId, source: number, tag: number): boolean;
  /** A message of `bytesEach` to every one of `dests`, from consecutive places of `buffer`. */
  isendEach(comm: CommunicatorId, buffer: NumericArray, bytesEach: number, dests: Int32Array, tag: number): RequestId;
  /** A message of exactly `bytesEach` from every one of `sources`; a shorter one fails with MPI_ERR_COUNT. */
  irecvEach(comm: CommunicatorId, buffer: NumericArray, bytesEach: number, sources: Int32Array, tag: number): RequestId;

  /*
   * Collective, all of the following. A null `send` is MPI_IN_PLACE, as is a null `receive` of a scatter's root. `operation`
   * is an index into SUM, PROD, MIN, MAX, LAND, LOR, LXOR, BAND, BOR, BXOR, MINLOC, MAXLOC. What only the root passes is
   * null on other ranks. `counts` and `displs` are in elements, one for each rank, and copied.
   */
  barrier(comm: CommunicatorId): void;
  ibarrier(comm: CommunicatorId): RequestId;
  bcast(comm: CommunicatorId, buffer: NumericArray, root: number): void;
  ibcast(comm: CommunicatorId, buffer: NumericArray, root: number): RequestId;
  reduce(
    comm: CommunicatorId,
    send: NumericArray | null,
    receive: NumericArray | null,
    operation: number,
    root: number,
  ): void;
  ireduce(
    comm: CommunicatorId,
    send: NumericArray | null,
    receive: NumericArray | null,
    operation: number,
    root: number,
  ): RequestId;
  allreduce(comm: CommunicatorId, send: NumericArray | null, receive: NumericArray, operation: number): void;
  iallreduce(comm: CommunicatorId, send: NumericArray | null, receive: NumericArray, operation: number): RequestId;
  scan(comm: CommunicatorId, send: NumericArray | null, receive: NumericArray, operation: number): void;
  iscan(comm: CommunicatorId, send: NumericArray | null, receive: NumericArray, operation: number): RequestId;
  exscan(comm: CommunicatorId, send: NumericArray | null, receive: NumericArray, operation: number): void;
  iexscan(comm: CommunicatorId, send: NumericArray | null, receive: NumericArray, operation: number): RequestId;
  gather(comm: CommunicatorId, send: NumericArray | null, root: number, receive: NumericArray | null): void;
  igather(comm: CommunicatorId, send: NumericArray | null, root: number, receive: NumericArray | null): RequestId;
  gatherv(
    comm: CommunicatorId,
    send: NumericArray | null,
    root: number,
    receive: NumericArray | null,
    counts: Int32Array | null,
    displs: Int32Array | null,
  ): void;
  igatherv(
    comm: CommunicatorId,
    send: NumericArray | null,
    root: number,
    receive: NumericArray | null,
    counts: Int32Array | null,
    displs: Int32Array | null,
  ): RequestId;
  allgather(comm: CommunicatorId, send: NumericArray | null, receive: NumericArray): void;
  iallgather(comm: CommunicatorId, send: NumericArray | null, receive: NumericArray): RequestId;
  allgatherv(
    comm: CommunicatorId,
    send: NumericArray | null,
    receive: NumericArray,
    counts: Int32Array,
    displs: Int32Array,
  ): void;
  iallgatherv(
    comm: CommunicatorId,
    send: NumericArray | null,
    receive: NumericArray,
    counts: Int32Array,
    displs: Int32Array,
  ): RequestId;
  scatter(comm: CommunicatorId, receive: NumericArray | null, root: number, send: NumericArray | null): void;
  iscatter(comm: CommunicatorId, receive: NumericArray | null, root: number, send: NumericArray | null): RequestId;
  scatterv(
    comm: CommunicatorId,
    receive: NumericArray | null,
    root: number,
    send: NumericArray | null,
    counts: Int32Array | null,
    displs: Int32Array | null,
  ): void;
  iscatterv(
    comm: CommunicatorId,
    receive: NumericArray | null,
    root: number,
    send: NumericArray | null,
    counts: Int32Array | null,
    displs: Int32Array | null,
  ): RequestId;
  alltoall(comm: CommunicatorId, send: NumericArray | null, receive: NumericArray): void;
  ialltoall(comm: CommunicatorId, send: NumericArray | null, receive: NumericArray): RequestId;

  /**
   * Tests all requests in flight by one MPI call, and again and again until one of them has completed, but no longer than
   * `withinMs`, which may be 0. Writes a row of {@link RequestColumn}s for each that has completed, as many as have room; the
   * rest comes with the next call. Returns the number of rows.
   */
  testSome(rows: Float64Array, withinMs: number): number;
  /** Writes the indices of a request's messages that have not completed, and returns how many they are. */
  pending(request: RequestId, indices: Int32Array): number;
}

// ---- braid_core.node: files, locks, mappings ---------------------------------------------------------------------------

/**
 * What a spool needs of the operating system and Node doesn't offer. Errors of a system call are like those of `node:fs`,
 * with `code`, `errno` and `syscall`; a wrong argument is a TypeError or RangeError. Each thread has mappings of its own.
 */
export interface CoreAddon {
  /** flock(2), exclusive; false when another open file holds it. Freed when the file is closed, or its process dies. */
  lock(fd: number): boolean;

  /** flock(2), shared: false when another open file holds the exclusive one. Whoever only looks doesn't keep out others who do. */
  lockShared(fd: number): boolean;

  /**
   * Reserves disk space, and makes the file at least that long, so that a store through a mapping can't be a SIGBUS for want
   * of space. A filesystem without fallocate(2) has zeros written instead: the range must hold nothing yet.
   */
  allocate(fd: number, offset: number, bytes: number): void;

  /**
   * mmap(2), shared, readable and writable, its pages brought in at once. `offset` and `bytes` are multiples of the page;
   * at most 1 GiB; all of it within the file, which must not be cut while it is mapped. The file may be closed.
   *
   * Not for files of others: if one were cut meanwhile, reading it would be a SIGBUS. Those are for `fs.readSync`.
   */
  map(fd: number, offset: number, bytes: number): ArrayBuffer;

  /**
   * Detaches a mapped ArrayBuffer, so that every view of it has length 0, and unmaps it at once. Once more is no error. No
   * asynchronous operation may be using it. A mapping that nobody unmaps goes with its ArrayBuffer.
   */
  unmap(buffer: ArrayBuffer): void;

  /** msync(2): returns when the pages that hold the range are on disk. */
  sync(buffer: ArrayBuffer, offset: number, bytes: number): void;

  /** memmove(3). Into memory that threads share, V8 copies a word after the other, which takes half as long again. */
  copy(target: Uint8Array, source: Uint8Array): void;

  /**
   * sched_setaffinity(2): the calling thread, and those that it starts, may from now on run on the processors that process
   * `pid` may run on, too. False where that are no more, or it isn't allowed.
   */
  widenAffinity(pid: number): boolean;
}
