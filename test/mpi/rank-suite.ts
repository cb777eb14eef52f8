import process from 'node:process';

import { MPI, type Communicator } from 'braid-mpi/mpi';

export type Case = readonly [title: string, body: (comm: Communicator) => void | Promise<void>];

/**
 * Runs every case of every suite on each of the suite's communicators, on every rank in the same order. The first that fails on some rank ends the job: the exception leaves
 * the process with a code other than 0, and the other ranks with it. The last line of a good run says how many ran.
 */
export async function runRankSuite(
  suites: readonly (readonly [readonly Case[], readonly Communicator[]])[],
): Promise<void> {
  let count = 0;
  for (const [cases, comms] of suites) {
    for (const comm of comms) {
      for (const [title, body] of cases) {
        try {
          await body(comm);
        } catch (error) {
          throw new Error(`rank ${comm.rank} of ${comm.size} (${comm.name}): ${title}`, { cause: error });
        }
        count++;
      }
    }
  }
  const counts = new Int32Array(MPI.COMM_WORLD.size);
  MPI.COMM_WORLD.allgather(Int32Array.of(count), counts);
  if (MPI.COMM_WORLD.rank === 0)
    process.stdout.write(`ran ${Math.min(...counts)} cases on each of ${counts.length} ranks\n`);
}
