import type { NumericArray } from '../native.js';
import { checkApart, checkArray, checkEach, checkRank, checkTag } from './arguments.js';
import { CommunicatorBase } from './communicator-base.js';
import type { EachRequest } from './communicator.js';
import { statusOf, type Status } from './mpi-requests.js';
import { decode, encode } from './objects.js';
import { Request } from './request.js';

/** In the place of a source or a tag: whichever comes. */
export const ANY_SOURCE = -1;
export const ANY_TAG = -1;

/** A message that waits to be received. */
export interface ProbeStatus {
  readonly source: number;
  readonly tag: number;
  /** Its length in bytes. */
  readonly bytes: number;
}

/** An object that came as a message. */
export interface ReceivedObject<T = unknown> {
  readonly value: T;
  readonly source: number;
  readonly tag: number;
}

/** Messages from one rank to another. */
export abstract class PointToPoint extends CommunicatorBase {
  /**
   * Sends all elements of `buffer` to rank `dest`; returns when the buffer may be used again, which is not when they
   * arrived.
   *
   * @param tag from 0 to what the library allows, 32767 at least.
   * @throws MpiTypeError, MpiRangeError, MpiError
   */
  send(buffer: NumericArray, dest: number, tag = 0): void {
    const id = this.live();
    checkArray(buffer, 'buffer');
    this.#checkDestination(dest, tag);
    this.mpi.addon.send(id, buffer, dest, tag);
  }

  /** Starts a `send`. The buffer belongs to it until it is done. */
  isend(buffer: NumericArray, dest: number, tag = 0): Request {
    const id = this.live();
    checkArray(buffer, 'buffer');
    this.#checkDestination(dest, tag);
    return this.start('MPI_Isend', this.mpi.addon.isend(id, buffer, dest, tag), [buffer]);
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
    const id = this.live();
    checkArray(buffer, 'buffer');
    this.#checkOrigin(source, tag);
    this.mpi.addon.recv(id, buffer, source, tag);
    return this.#status();
  }

  /** Starts a `recv`. The buffer belongs to it until it is done. */
  irecv(buffer: NumericArray, source = ANY_SOURCE, tag = ANY_TAG): Request<Status> {
    const id = this.live();
    checkArray(buffer, 'buffer');
    this.#checkOrigin(source, tag);
    return this.start('MPI_Irecv', this.mpi.addon.irecv(id, buffer, source, tag), [buffer], statusOf);
  }

  /**
   * Sends `send` to rank `dest` and receives a message into `receive`, neither waiting for the other: what a ring of ranks
   * needs. The two may be of different types and lengths, and must not overlap.
   *
   * @returns of what was received, as `recv` does.
   * @throws MpiTypeError, MpiRangeError; MpiError with MPI_ERR_TRUNCATE if `receive` is too short
   */
  sendrecv(
    send: NumericArray,
    dest: number,
    sendTag: number,
    receive: NumericArray,
    source = ANY_SOURCE,
    receiveTag = ANY_TAG,
  ): Status {
    const id = this.live();
    checkApart(send, receive);
    this.#checkDestination(dest, sendTag);
    this.#checkOrigin(source, receiveTag);
    this.mpi.addon.sendrecv(id, send, dest, sendTag, receive, source, receiveTag);
    return this.#status();
  }

  /** Starts a `sendrecv`. Both buffers belong to it until it is done. */
  isendrecv(
    send: NumericArray,
    dest: number,
    sendTag: number,
    receive: NumericArray,
    source = ANY_SOURCE,
    receiveTag = ANY_TAG,
  ): Request<Status> {
    const id = this.live();
    checkApart(send, receive);
    this.#checkDestination(dest, sendTag);
    this.#checkOrigin(source, receiveTag);
    const request = this.mpi.addon.isendrecv(id, send, dest, sendTag, receive, source, receiveTag);
    return this.start('MPI_Isendrecv', request, [send, receive], statusOf);
  }

  /** Waits until a message is there to be received, and tells its source, tag and length without receiving it. */
  probe(source = ANY_SOURCE, tag = ANY_TAG): ProbeStatus {
    const id = this.live();
    this.#checkOrigin(source, tag);
    this.mpi.addon.probe(id, source, tag);
    return this.#probed();
  }

  /** What `probe` tells, or null if there is no such message yet. Never waits. */
  iprobe(source = ANY_SOURCE, tag = ANY_TAG): ProbeStatus | null {
    const id = this.live();
    this.#checkOrigin(source, tag);
    return this.mpi.addon.iprobe(id, source, tag) ? this.#probed() : null;
  }

  /**
   * Sends what structured cloning can copy: objects, Maps, typed arrays, Dates, but no functions. To be received by
   * `recvObject`.
   *
   * @throws MpiTypeError if it can't be copied; MpiRangeError, MpiError
   */
  sendObject(value: unknown, dest: number, tag = 0): void {
    this.send(encode(value), dest, tag);
  }

  /** Waits for what `sendObject` sends. */
  recvObject<T = unknown>(source = ANY_SOURCE, tag = ANY_TAG): ReceivedObject<T> {
    const message = this.probe(source, tag);
    const buffer = new Uint8Array(message.bytes);
    this.recv(buffer, message.source, message.tag);
    return { value: decode(buffer) as T, source: message.source, tag: message.tag };
  }

  /** Starts sending bytes [i · bytesEach, (i + 1) · bytesEach) of `buffer` to `dests[i]`, for every i. */
  isendEach(buffer: Uint8Array, bytesEach: number, dests: Int32Array, tag: number): Request {
    const id = this.live();
    checkEach(buffer, bytesEach, dests, 'dests', this.size);
    checkTag(tag, this.mpi.tagUpperBound);
    return this.start('MPI_Isend', this.mpi.addon.isendEach(id, buffer, bytesEach, dests, tag));
  }

  /** Starts receiving exactly `bytesEach` bytes from every one of `sources`, each into its own place of `buffer`. */
  irecvEach(buffer: Uint8Array, bytesEach: number, sources: Int32Array, tag: number): EachRequest {
    const id = this.live();
    checkEach(buffer, bytesEach, sources, 'sources', this.size);
    checkTag(tag, this.mpi.tagUpperBound);
    const request = this.mpi.addon.irecvEach(id, buffer, bytesEach, sources, tag);
    return this.mpi.requests.startEach('MPI_Irecv', request, sources.length);
  }

  #status(): Status {
    // By index: destructuring an array takes an iterator, and this is on the way of every message.
    const { status } = this.mpi;
    return { source: status[0], tag: status[1], count: status[2] };
  }

  #probed(): ProbeStatus {
    const { status } = this.mpi;
    return { source: status[0], tag: status[1], bytes: status[2] };
  }

  #checkDestination(dest: number, tag: number): void {
    checkRank(dest, 'dest', this.size);
    checkTag(tag, this.mpi.tagUpperBound);
  }

  #checkOrigin(source: number, tag: number): void {
    if (source !== ANY_SOURCE) checkRank(source, 'source', this.size);
    if (tag !== ANY_TAG) checkTag(tag, this.mpi.tagUpperBound);
  }
}
