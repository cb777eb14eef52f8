/**
 * MPI for Node: what jobs need for their own communication, and what the recorder uses itself.
 *
 * ```ts
 * import { MPI } from 'braid-mpi/mpi';
 * const comm = MPI.COMM_WORLD;
 * await comm.iallreduce(MPI.IN_PLACE, gradients, MPI.SUM);
 * ```
 *
 * MPI is initialised when first something is asked of it that needs it, never by the import; and finalized, or the job
 * aborted, when the process ends.
 */
import { SELF, WORLD, type MpiVendor } from '../native.js';
import { IN_PLACE, type InPlace } from './arguments.js';
import { watchForFailure } from './failed-rank.js';
import { Communicator } from './mpi-communicator.js';
import { Op } from './mpi-op.js';
import { isMpiInitialized, mpiRuntime } from './mpi-runtime.js';
import { ANY_SOURCE, ANY_TAG } from './point-to-point.js';
import { waitAll, waitAny } from './request.js';

export type { MpiVendor, NumericArray } from '../native.js';
export type { InPlace } from './arguments.js';
export type { EachRequest } from './communicator.js';
export { Communicator } from './mpi-communicator.js';
export { MpiError, MpiRangeError, MpiTypeError } from './mpi-error.js';
export { Op } from './mpi-op.js';
export type { Status } from './mpi-requests.js';
export type { ProbeStatus, ReceivedObject } from './point-to-point.js';
export { Request } from './request.js';

export type ThreadLevel = 'single' | 'funneled' | 'serialized' | 'multiple';

const THREAD_LEVELS: readonly ThreadLevel[] = ['single', 'funneled', 'serialized', 'multiple'];

watchForFailure();

let world: Communicator | undefined;
let self: Communicator | undefined;

export const MPI = {
  SUM: Op.SUM,
  PROD: Op.PROD,
  MIN: Op.MIN,
  MAX: Op.MAX,
  LAND: Op.LAND,
  LOR: Op.LOR,
  LXOR: Op.LXOR,
  BAND: Op.BAND,
  BOR: Op.BOR,
  BXOR: Op.BXOR,
  /** Over pairs of neighbours, a value and an index: the smallest value, with the lowest index where several have it. */
  MINLOC: Op.MINLOC,
  MAXLOC: Op.MAXLOC,
  /** In the place of a send buffer. A getter, since the type of a plain property would widen to any symbol. */
  get IN_PLACE(): InPlace {
    return IN_PLACE;
  },
  ANY_SOURCE,
  ANY_TAG,
  /** As the color of a `split`: this rank stays out. */
  UNDEFINED: null,

  /** All ranks of the job. Initialises MPI, as everything below does. */
  get COMM_WORLD(): Communicator {
    world ??= new Communicator(mpiRuntime(), WORLD);
    return world;
  },

  /** This rank alone. */
  get COMM_SELF(): Communicator {
    self ??= new Communicator(mpiRuntime(), SELF);
    return self;
  },

  /** Whether something has initialised MPI through this module. Doesn't do so itself. */
  get isInitialized(): boolean {
    return isMpiInitialized();
  },

  /** Whose library is used. */
  get vendor(): MpiVendor {
    return mpiRuntime().vendor;
  },

  /** What the library says of itself. */
  get libraryVersion(): string {
    return mpiRuntime().addon.libraryVersion();
  },

  /** The version of the MPI standard that the library implements: '3.1'. */
  get version(): string {
    return mpiRuntime().addon.standardVersion();
  },

  get threadLevel(): ThreadLevel {
    return THREAD_LEVELS[mpiRuntime().addon.threadLevel()];
  },

  /** The name of the machine, as MPI knows it. */
  get processorName(): string {
    return mpiRuntime().addon.processorName();
  },

  /** Waits for all, without returning to the event loop. Returns their values; throws the error of the first that has one. */
  waitAll,

  /** Waits until one is done, without returning to the event loop. Returns the first such index; -1 if there are none. */
  waitAny,

  /** Ends the job: every rank's process, with `exitCode`. */
  abort(exitCode = 1): never {
    return MPI.COMM_WORLD.abort(exitCode);
  },

  /** Seconds since some moment in the past. */
  wtime(): number {
    return mpiRuntime().addon.wtime();
  },
};
