import type { NumericArray } from '../native.js';
import { MpiRangeError, MpiTypeError } from './mpi-error.js';
import { Op } from './mpi-op.js';

/*
 * The argument checks of every communicator, so that a program that is wrong in a job is wrong, with the same error, in
 * one process. Each names the argument as the caller knows it.
 */

const INT_MAX = 2 ** 31 - 1;

/** In the place of the send buffer: what is to be sent is in the receive buffer already. */
export const IN_PLACE: unique symbol = Symbol('MPI_IN_PLACE');
export type InPlace = typeof IN_PLACE;

/** By their tags and not their classes: arrays of another realm are as good. */
const NUMERIC_ARRAYS = new Set([
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
]);

export function checkInteger(value: number, name: string, low: number, high: number): void {
  if (typeof value !== 'number') throw new MpiTypeError(`${name} must be a number, got ${describe(value)}`);
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new MpiRangeError(`${name} must be an integer from ${low} to ${high}, got ${value}`);
  }
}

export function checkRank(value: number, name: string, size: number): void {
  checkInteger(value, name, 0, size - 1);
}

export function checkTag(value: number, tagUpperBound: number): void {
  checkInteger(value, 'tag', 0, tagUpperBound);
}

/** Any typed array that MPI can send from or receive into. */
export function checkArray(value: NumericArray, name: string): void {
  if (!ArrayBuffer.isView(value) || !NUMERIC_ARRAYS.has(kindOf(value))) {
    throw new MpiTypeError(`${name} must be a typed array of numbers, got ${describe(value)}`);
  }
  // MPI keeps the address while it works, and shrinking such a buffer takes the memory from under it.
  if ((value.buffer as ArrayBuffer & { resizable?: boolean }).resizable) {
    throw new MpiTypeError(`${name} is a view of a resizable ArrayBuffer; copy it into one of a fixed length`);
  }
  if (value.length > INT_MAX) {
    throw new MpiRangeError(`${name} has ${value.length} elements; one MPI call takes at most ${INT_MAX}`);
  }
}

export function checkBytes(value: Uint8Array, name: string): void {
  checkArray(value, name);
  if (kindOf(value) !== 'Uint8Array') throw new MpiTypeError(`${name} must be a Uint8Array, got ${describe(value)}`);
}

export function checkReduction(
  send: NumericArray | InPlace,
  receive: NumericArray | null,
  op: Op,
  receives: boolean,
): void {
  if (!(op instanceof Op)) throw new MpiTypeError(`op must be one of MPI's operations, got ${describe(op)}`);
  checkPair(send, receive, receives);
  if (send !== IN_PLACE && receives && receive!.length !== send.length) {
    throw new MpiRangeError(`send has ${send.length} elements and receive ${receive!.length}; they must be as many`);
  }
  const sample = send === IN_PLACE ? receive! : send;
  if (op.needsIntegers && kindOf(sample).startsWith('Float')) {
    throw new MpiTypeError(`${op.name} is for integers, got ${describe(sample)}`);
  }
}

/** `receive` must take the same number of elements from each rank. */
export function checkGather(
  send: NumericArray | InPlace,
  receive: NumericArray | null,
  size: number,
  receives: boolean,
): void {
  checkPair(send, receive, receives);
  if (!receives) return;
  const { length } = receive!;
  if (send === IN_PLACE ? length % size !== 0 : length !== send.length * size) {
    const wanted = send === IN_PLACE ? `a multiple of ${size}` : `${send.length} for each of ${size} ranks`;
    throw new MpiRangeError(`receive has ${length} elements; it must have ${wanted}`);
  }
}

export function checkGatherv(
  send: NumericArray | InPlace,
  root: number,
  receive: NumericArray | null,
  counts: Int32Array | null,
  displs: Int32Array | null,
  size: number,
  receives: boolean,
): void {
  checkPair(send, receive, receives);
  if (!receives) return;
  checkInt32Array(counts, 'counts');
  checkInt32Array(displs, 'displs');
  for (const [name, array] of [['counts', counts!] as const, ['displs', displs!] as const]) {
    if (array.length !== size)
      throw new MpiRangeError(`${name} has ${array.length} elements; it needs one for each of ${size} ranks`);
  }
  for (let rank = 0; rank < size; rank++) {
    const count = counts![rank];
    const displ = displs![rank];
    if (count < 0 || displ < 0 || displ + count > receive!.length) {
      throw new MpiRangeError(
        `elements ${displ} to ${displ + count} of rank ${rank} are not all within receive, which has ${receive!.length}`,
      );
    }
  }
  if (send !== IN_PLACE && send.length !== counts![root]) {
    throw new MpiRangeError(`counts says ${counts![root]} for the root, whose send has ${send.length} elements`);
  }
}

/** One message of `bytesEach` bytes for each of `peers`, in consecutive places of `buffer`. */
export function checkEach(buffer: Uint8Array, bytesEach: number, peers: Int32Array, name: string, size: number): void {
  checkBytes(buffer, 'buffer');
  checkInteger(bytesEach, 'bytesEach', 0, INT_MAX);
  checkInt32Array(peers, name);
  for (const [i, rank] of peers.entries()) checkRank(rank, `${name}[${i}]`, size);
  if (bytesEach * peers.length > buffer.length) {
    throw new MpiRangeError(`buffer has ${buffer.length} bytes; ${peers.length} messages of ${bytesEach} don't fit`);
  }
}

function checkPair(send: NumericArray | InPlace, receive: NumericArray | null, receives: boolean): void {
  if (send !== IN_PLACE) checkArray(send, 'send');
  else if (!receives) throw new MpiTypeError('send can be IN_PLACE only where something is received');
  if (!receives) return;
  if (receive === null || receive === undefined) throw new MpiTypeError('receive is needed on the ranks that receive');
  checkArray(receive, 'receive');
  if (send === IN_PLACE) return;
  if (kindOf(send) !== kindOf(receive)) {
    throw new MpiTypeError(`send and receive must be of one type, got ${describe(send)} and ${describe(receive)}`);
  }
  if (overlap(send, receive)) throw new MpiRangeError('send and receive overlap; use IN_PLACE to work in one buffer');
}

function overlap(a: NumericArray, b: NumericArray): boolean {
  if (a.buffer !== b.buffer || a.length === 0 || b.length === 0) return false;
  return a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength;
}

function checkInt32Array(value: Int32Array | null, name: string): void {
  if (!ArrayBuffer.isView(value) || kindOf(value) !== 'Int32Array') {
    throw new MpiTypeError(`${name} must be an Int32Array, got ${describe(value)}`);
  }
}

function kindOf(array: NumericArray): string {
  return array[Symbol.toStringTag];
}

function describe(value: unknown): string {
  if (typeof value === 'object' && value !== null) return value.constructor?.name ?? 'an object';
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
