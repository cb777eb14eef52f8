/** The last rank never comes to a collective: node stall.rank.js DB open|flush. It waits for its own end. */
import { BraidDB } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';

const [path, stage] = process.argv.slice(2);
const last = MPI.COMM_WORLD.rank === MPI.COMM_WORLD.size - 1;
const stay = () => setInterval(() => undefined, 30_000);

if (stage === 'open' && last) {
  stay();
} else {
  const db = await BraidDB.open(path, { stallMs: 100, abortMs: 500 });
  if (last) stay();
  else await db.flush();
}
