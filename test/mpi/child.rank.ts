/** A rank that runs itself once more as an ordinary child process, which must find itself alone. */
import { execFileSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { MPI } from 'braid-mpi/mpi';
import { launchOfThisProcess } from '#src/comm/mpi-runtime.js';

const comm = MPI.COMM_WORLD;
if (process.argv[2] === 'child') {
  console.log(`child: launched ${launchOfThisProcess() !== null}, size ${comm.size}`);
} else {
  const answer = execFileSync(process.execPath, [fileURLToPath(import.meta.url), 'child'], { encoding: 'utf8' });
  // That the job is unharmed takes all of it to say.
  const answers = new Uint8Array(answer.length * comm.size);
  comm.allgather(new TextEncoder().encode(answer), answers);
  if (comm.rank === 0) process.stdout.write(answers);
}
