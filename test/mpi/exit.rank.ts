/**
 * Brings a rank to a stage of its life and ends it there: node exit.rank.js STAGE WAY. Where the way is a failure it is that
 * of the last rank, and the others wait for a message that never comes: only the end of the job can end them.
 */
import process from 'node:process';

import { MPI } from 'braid-mpi/mpi';

const [stage, way] = process.argv.slice(2);
const big = () => new Uint8Array(1 << 22);

const STAGES: Record<string, () => void> = {
  'before init': () => undefined,
  'before the others have': () => undefined,
  'after init': () => void MPI.COMM_WORLD,
  'with a receive in flight': () => {
    const comm = MPI.COMM_WORLD;
    void comm.irecv(big(), (comm.rank + 1) % comm.size, 3);
  },
  'with a collective in flight': () => void MPI.COMM_WORLD.iallreduce(big(), big()),
  'with a collective in flight that not all join': () => {
    if (MPI.COMM_WORLD.rank === 0) void MPI.COMM_WORLD.iallreduce(big(), big());
  },
  'after free': () => MPI.COMM_WORLD.dup().free(),
};

const WAYS: Record<string, () => void> = {
  'process.exit(0)': () => process.exit(0),
  'process.exit(3)': () => process.exit(3),
  'an exit code of 3': () => (process.exitCode = 3),
  'an uncaught exception': () => {
    throw new Error('meant to be uncaught');
  },
  'an unhandled rejection': () => void Promise.reject(new Error('meant to be unhandled')),
  SIGTERM: () => process.kill(process.pid, 'SIGTERM'),
  'its last line': () => undefined,
  'no end': () => void setInterval(() => undefined, 30_000),
  'an exception that its own handler recovers from': () => {
    process.on('uncaughtException', () => {
      MPI.COMM_WORLD.barrier();
      console.log('recovered');
    });
    setImmediate(() => {
      throw new Error('meant to be recovered from');
    });
  },
};

/** Ways that every rank takes. */
const TOGETHER = ['process.exit(0)', 'its last line', 'an exception that its own handler recovers from'];

/** By the launcher, as MPI isn't up in the first stages. */
const { env } = process;
const rank = Number(env.OMPI_COMM_WORLD_RANK ?? env.SLURM_PROCID ?? env.PMI_RANK);
const size = Number(env.OMPI_COMM_WORLD_SIZE ?? env.SLURM_STEP_NUM_TASKS ?? env.PMI_SIZE);
if (stage === 'before the others have' && rank !== size - 1) void MPI.COMM_WORLD;

STAGES[stage]();
if (stage.startsWith('before') || TOGETHER.includes(way) || MPI.COMM_WORLD.rank === MPI.COMM_WORLD.size - 1) {
  WAYS[way]();
} else {
  await MPI.COMM_WORLD.irecv(new Uint8Array(1), MPI.ANY_SOURCE, 4);
}
