/**
 * The last rank never comes to a collective, or comes and then computes without a pause, or exits; or the root
 * never comes: node stall.rank.js DB start|open|flush|gather|exit|root. Who waits, waits for the end of the job.
 */
import { BraidData, BraidDB } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';

const [path, stage] = process.argv.slice(2);
const stay = () => setInterval(() => undefined, 30_000);

const { env } = process;
const isLast = () =>
  stage === 'start'
    ? // Asking MPI would start it.
      (env.OMPI_COMM_WORLD_RANK ?? env.PMI_RANK) === '1'
    : MPI.COMM_WORLD.rank === MPI.COMM_WORLD.size - 1;
const last = isLast();

if ((stage === 'start' || stage === 'open') && last) {
  stay();
} else {
  // Who of them starts late is not to be what an earlier stage than the one that is tested waits for.
  if (stage !== 'start' && stage !== 'open') MPI.COMM_WORLD.barrier();
  const db = await BraidDB.open(path, { stallMs: 100, abortMs: 500 });
  // More than follows a header at once: what has been sent nobody waits for.
  for (let i = 0; i < 100; i++) new BraidData(db, { name: `d-${db.rank}-${i}` });
  if (stage === 'exit') {
    if (last) {
      void db.flush();
      process.exit(0);
    }
    stay();
  } else if (stage === 'root' ? !db.isRoot : !last) {
    await db.flush();
  } else if (stage === 'gather') {
    void db.flush();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30_000);
  } else {
    stay();
  }
}
