import type { Request } from './request.js';

/**
 * What the recorder needs of a communicator. The MPI one is `Communicator` of `braid-mpi/mpi`, the one of a single process
 * is `LocalCommunicator`; tests drive the recorder with a simulated one of many ranks in a process.
 *
 * A buffer that is handed over belongs to the operation until its request is done.
 */
export interface RecorderCommunicator {
  readonly rank: number;
  /** Ranks. */
  readonly size: number;

  /** Collective. A communicator of the same ranks whose messages never meet those of this one. */
  idup(): Request<RecorderCommunicator>;

  /** Starts sending bytes [i · bytesEach, (i + 1) · bytesEach) of `buffer` to `dests[i]`, for every i. */
  isendEach(buffer: Uint8Array, bytesEach: number, dests: Int32Array, tag: number): Request;

  /** Starts receiving exactly `bytesEach` bytes from every one of `sources`, each into its own place of `buffer`. */
  irecvEach(buffer: Uint8Array, bytesEach: number, sources: Int32Array, tag: number): EachRequest;

  /**
   * Collective. Starts gathering the ranks' bytes into `receive` of `root`; `counts[r]` bytes from rank r go to
   * `displs[r]`. Other ranks than `root` pass null for the last three.
   */
  igatherv(
    send: Uint8Array,
    root: number,
    receive: Uint8Array | null,
    counts: Int32Array | null,
    displs: Int32Array | null,
  ): Request;

  /** Collective. Starts giving the bytes of `root`'s `buffer` to all; it has the same length on every rank. */
  ibcast(buffer: Uint8Array, root: number): Request;

  /** Ends the job: every rank's process, with `exitCode`. */
  abort(exitCode: number): never;

  /** Collective. */
  free(): void;
}

/** A request over many messages of which it can be asked which are still to come. */
export interface EachRequest extends Request {
  /** Indices into `sources` that have not arrived. */
  pending(): number[];
}
