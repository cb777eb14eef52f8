import { MPI } from 'braid-mpi/mpi';

const { rank, size } = MPI.COMM_WORLD;
const ranks = new Int32Array(size);
MPI.COMM_WORLD.allgather(Int32Array.of(rank), ranks);
if (rank === 0) console.log(`${MPI.vendor}: ranks ${ranks.join(' ')}`);
