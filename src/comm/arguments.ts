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
  if (value.length === 0 && isDetached(value.buffer)) {
    throw new MpiTypeError(`${name} has been transferred to another thread, or its memory given back`);
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
  if (op.pairs && sample.length % 2 !== 0) {
    throw new MpiRangeError(`${op.name} is for pairs of a value and an index, got ${sample.length} elements`);
  }
}

/** The names that a caller knows the two buffers of a call by: this rank's, and that of all ranks. */
export interface Names {
  readonly part: 'send' | 'receive';
  readonly whole: 'send' | 'receive';
}

/** `whole`, where this rank has it, must hold the same number of elements of each rank. */
export function checkEven(
  part: NumericArray | InPlace,
  whole: NumericArray | null,
  size: number,
  hasWhole: boolean,
  names: Names = { part: 'send', whole: 'receive' },
): void {
  checkPair(part, whole, hasWhole, names);
  if (!hasWhole) return;
  const { length } = whole!;
  if (part === IN_PLACE ? length % size !== 0 : length !== part.length * size) {
    const wanted = part === IN_PLACE ? `a multiple of ${size}` : `${part.length} for each of ${size} ranks`;
    throw new MpiRangeError(`${names.whole} has ${length} elements; it must have ${wanted}`);
  }
}

/** `whole`, where this rank has it, holds `counts[r]` elements of rank r from `displs[r]`. */
export function checkUneven(
  part: NumericArray | InPlace,
  whole: NumericArray | null,
  counts: Int32Array | null,
  displs: Int32Array | null,
  { rank, size }: { rank: number; size: number },
  hasWhole: boolean,
  names: Names = { part: 'send', whole: 'receive' },
): void {
  checkPair(part, whole, hasWhole, names);
  if (part !== IN_PLACE && part.length > INT_MAX) {
    throw new MpiRangeError(
      `${names.part} has ${part.length} elements; where counts differ MPI takes at most ${INT_MAX}: use a wider type, or several calls`,
    );
  }
  if (!hasWhole) return;
  checkInt32Array(counts, 'counts');
  checkInt32Array(displs, 'displs');
  for (const [name, array] of [['counts', counts!] as const, ['displs', displs!] as const]) {
    if (array.length !== size)
      throw new MpiRangeError(`${name} has ${array.length} elements; it needs one for each of ${size} ranks`);
  }
  for (let rank = 0; rank < size; rank++) {
    const count = counts![rank];
    const displ = displs![rank];
    if (count < 0 || displ < 0 || displ + count > whole!.length) {
      throw new MpiRangeError(
        `elements ${displ} to ${displ + count} of rank ${rank} are not all within ${names.whole}, which has ${whole!.length}`,
      );
    }
  }
  if (part !== IN_PLACE && part.length !== counts![rank]) {
    throw new MpiRangeError(
      `counts says ${counts![rank]} for this rank, whose ${names.part} has ${part.length} elements`,
    );
  }
}

/** Both hold the same number of elements for every rank. */
export function checkAlltoall(send: NumericArray | InPlace, receive: NumericArray, size: number): void {
  checkPair(send, receive, true);
  if (send !== IN_PLACE && send.length !== receive.length) {
    throw new MpiRangeError(`send has ${send.length} elements and receive ${receive.length}; they must be as many`);
  }
  if (receive.length % size !== 0) {
    throw new MpiRangeError(`receive has ${receive.length} elements; it must have a multiple of ${size}`);
  }
}

/** Two buffers of one call, neither of which is the other's. */
export function checkApart(send: NumericArray, receive: NumericArray): void {
  checkArray(send, 'send');
  checkArray(receive, 'receive');
  if (overlap(send, receive)) throw new MpiRangeError('send and receive overlap; what is sent must stay as it is');
}

/** One message of `bytesEach` bytes for each of `peers`, in consecutive places of `buffer`. */
export function checkEach(buffer: Uint8Array, bytesEach: number, peers: Int32Array, name: string, size: number): void {
  checkBytes(buffer, 'buffer');
  checkInteger(bytesEach, 'bytesEach', 0, INT_MAX);
  checkInt32Array(peers, name);
  for (let i = 0; i < peers.length; i++) {
    // The name is put together only where it is needed: this is on the way of every message.
    if (peers[i] < 0 || peers[i] >= size) checkRank(peers[i], `${name}[${i}]`, size);
  }
  if (bytesEach * peers.length > buffer.length) {
    throw new MpiRangeError(`buffer has ${buffer.length} bytes; ${peers.length} messages of ${bytesEach} don't fit`);
  }
}

function checkPair(
  part: NumericArray | InPlace,
  whole: NumericArray | null,
  hasWhole: boolean,
  names: Names = { part: 'send', whole: 'receive' },
): void {
  if (part !== IN_PLACE) checkArray(part, names.part);
  else if (!hasWhole) throw new MpiTypeError(`${names.part} can be IN_PLACE only where ${names.whole} is`);
  if (!hasWhole) return;
  if (whole === null || whole === undefined) throw new MpiTypeError(`${names.whole} is needed on this rank`);
  checkArray(whole, names.whole);
  if (part === IN_PLACE) return;
  if (kindOf(part) !== kindOf(whole)) {
    throw new MpiTypeError(
      `${names.part} and ${names.whole} must be of one type, got ${describe(part)} and ${describe(whole)}`,
    );
  }
  if (overlap(part, whole)) {
    throw new MpiRangeError(`${names.part} and ${names.whole} overlap; use IN_PLACE to work in one buffer`);
  }
}

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    return buffer.byteLength === 0 && !new Uint8Array(buffer);
  } catch {
    // What has no memory takes no view.
    return true;
  }
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
