/** Exchanges of braid-mpi/mpi, as C (mpi.c) and mpi4py (mpi.py) have them: mpi-side.js PATTERN. Rank 0 writes the figure. */
import { MPI } from 'braid-mpi/mpi';

const comm = MPI.COMM_WORLD;
const { rank } = comm;

/** Seconds of a message there and back. */
function pingPong(buffer: Uint8Array, rounds: number): number {
  const other = 1 - rank;
  comm.barrier();
  const started = MPI.wtime();
  for (let i = 0; i < rounds; i++) {
    if (rank === 0) comm.send(buffer, other);
    comm.recv(buffer, other);
    if (rank === 1) comm.send(buffer, other);
  }
  return (MPI.wtime() - started) / rounds;
}

/** Seconds of one. */
function allreduce(buffer: Float32Array, rounds: number): number {
  comm.barrier();
  const started = MPI.wtime();
  for (let i = 0; i < rounds; i++) comm.allreduce(MPI.IN_PLACE, buffer);
  return (MPI.wtime() - started) / rounds;
}

const PATTERNS: Record<string, () => number> = {
  latency: () => (pingPong(new Uint8Array(8), 20_000) / 2) * 1e6,
  bandwidth: () => (2 * 2 ** 20) / pingPong(new Uint8Array(2 ** 20), 5000) / 1e6,
  allreduce: () => allreduce(new Float32Array(2 ** 20), 200) * 1e3,
};
const pattern = PATTERNS[process.argv[2]];
let figure = 0;
// All but the last to warm up: it takes V8 a second or so until nothing is left to be compiled.
for (let pass = 0; pass < 4; pass++) figure = pattern();
if (rank === 0) process.stdout.write(`${figure}\n`);
