import { isMainThread } from 'node:worker_threads';
import { BraidError } from '../errors.js';
import type { Patience } from '../options.js';
import type { RecorderCommunicator } from './communicator.js';
import { isNoRank } from './failed-rank.js';
import { LocalCommunicator } from './local-communicator.js';
import { launchOfThisProcess, mpiRuntime } from './mpi-runtime.js';

/** The ranks that record together, and what is worth knowing of how they talk; nothing for one that is alone. */
export interface Selected {
  readonly comm: RecorderCommunicator;
  readonly description?: { vendor: string; library: string; standard: string; threadLevel: string; launcher?: string };
}

/**
 * The communicator for a database: the given one, all ranks of the job, or this process alone.
 *
 * @param patience with ranks that have yet to start MPI.
 * @throws BraidError ERR_BRAID_WRONG_THREAD, ERR_BRAID_MPI_UNAVAILABLE, ERR_BRAID_MPI_LAUNCHER
 */
export async function selectCommunicator(
  mpi: 'auto' | 'on' | 'off',
  patience: Patience,
  given?: RecorderCommunicator,
): Promise<Selected> {
  if (!isMainThread) {
    throw new BraidError(
      'ERR_BRAID_WRONG_THREAD',
      'BraidDB is for the main thread: send what a worker finds to the main thread and record it there',
    );
  }
  const launch = mpi === 'auto' && !given ? launchOfThisProcess() : undefined;
  if (!given && (mpi === 'off' || (mpi === 'auto' && !launch))) {
    isNoRank();
    return { comm: new LocalCommunicator() };
  }
  if (given instanceof LocalCommunicator) return { comm: given };
  // Only now: a single process never loads the binding.
  const { MPI, Communicator } = await import('./mpi.js');
  if (given && !(given instanceof Communicator)) return { comm: given };
  mpiRuntime(patience);
  return {
    comm: given ?? MPI.COMM_WORLD,
    description: {
      vendor: MPI.vendor,
      library: MPI.libraryVersion.split('\n', 1)[0].trim(),
      standard: MPI.version,
      threadLevel: MPI.threadLevel,
      launcher: launch?.launcher,
    },
  };
}
