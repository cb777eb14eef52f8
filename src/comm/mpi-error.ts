import { BraidError, type BraidErrorCode } from '../errors.js';

/** An MPI call failed. The job goes on: on every communicator that we use MPI returns its errors. */
export class MpiError extends BraidError {
  /** The name of MPI's call: 'MPI_Recv'. */
  readonly call: string;
  /** 'MPI_ERR_TRUNCATE': the same for every library. */
  readonly errorClass: string;
  /** The library's own number, which says more than the class to its makers; 0 where no library was involved. */
  readonly errorCode: number;

  constructor(call: string, errorClass: string, errorCode: number, text: string) {
    // Open MPI's sentences begin with the class, MPICH's don't.
    const what = text.includes(errorClass) ? text : `${errorClass}: ${text}`;
    super('ERR_BRAID_MPI', `${call}: ${what}`);
    this.name = 'MpiError';
    this.call = call;
    this.errorClass = errorClass;
    this.errorCode = errorCode;
  }
}

/** An argument isn't of the type that an MPI call wants. Found before MPI saw it. */
export class MpiTypeError extends TypeError {
  readonly code: BraidErrorCode = 'ERR_BRAID_MPI_ARGUMENT_TYPE';
}
MpiTypeError.prototype.name = 'MpiTypeError';

/** An argument is out of range: a rank that isn't in the communicator, a buffer too short. Found before MPI saw it. */
export class MpiRangeError extends RangeError {
  readonly code: BraidErrorCode = 'ERR_BRAID_MPI_ARGUMENT_RANGE';
}
MpiRangeError.prototype.name = 'MpiRangeError';
