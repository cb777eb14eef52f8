/**
 * A flush that has nothing to say, and MPI_Allreduce of 8 bytes, in turn in the same job: idle-side.js CALLS DIRECTORY
 * RECORDS. In turns of several, since the first call after one of the other kind is another one; each call by itself, on
 * the root, which is where a flush ends last.
 */
import { join } from 'node:path';
import { BraidDB } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';
import { print, quantile } from './side-figures.js';

const TURN = 10;

const [calls, directory] = process.argv.slice(2);
const db = await BraidDB.open(join(directory, 'bench.db'));
const [send, receive] = [new Float64Array(1), new Float64Array(1)];
const allreduce = () => MPI.COMM_WORLD.allreduce(send, receive, MPI.SUM);
const flush = () => db.flush();

/** Microseconds of each call, but for the first of the turn. */
async function turn(call: () => unknown, times: number[]): Promise<void> {
  for (let i = 0; i < TURN; i++) {
    const started = performance.now();
    await call();
    if (i > 0) times.push((performance.now() - started) * 1000);
  }
}

const [flushes, allreduces]: number[][] = [[], []];
for (let done = 0; done < Number(calls); done += TURN) {
  await turn(flush, flushes);
  await turn(allreduce, allreduces);
}
await db.close();

const steady = (times: number[]) => quantile(Float64Array.from(times.slice(times.length / 10)), 0.5);
if (db.isRoot) print({ flush: steady(flushes), allreduce: steady(allreduces) });
