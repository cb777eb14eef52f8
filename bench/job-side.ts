/**
 * A job from a barrier after open until close() has returned, in which all ranks record as fast as they can:
 * job-side.js MODE DIRECTORY RECORDS. RECORDS is how many all ranks together make. Nothing is warmed up: jobs aren't.
 *
 * - flushing: a flush every 20,000 records of a rank
 * - closing: all is left to close()
 * - meeting: the same, and the ranks wait for each other before it, so that its time is nobody's recording
 * - capturing: the time without close()
 */
import { join } from 'node:path';
import { BraidDB } from 'braid-mpi';
import { configurations, contents, record, shareOf } from './records.js';
import { highest, print } from './side-figures.js';

const FLUSH_EVERY = 20_000;

const [mode, directory, total] = process.argv.slice(2);
const db = await BraidDB.open(join(directory, 'bench.db'));
const { rank, size } = db;
const count = shareOf(Number(total), rank, size);
const make = contents(await configurations(db), rank, size);
// Ranks that have one record less would flush once less: all flush as often as the one that has fewest.
const flushes = Math.floor(Math.floor(Number(total) / size) / FLUSH_EVERY);

/** Collective. */
const barrier = async () => {
  if (size > 1) (await import('braid-mpi/mpi')).MPI.COMM_WORLD.barrier();
};

await barrier();
const started = performance.now();
if (mode === 'flushing') {
  const flushed = flushes * FLUSH_EVERY;
  await record(db, make, flushed, FLUSH_EVERY);
  await record(db, make, count - flushed);
} else {
  await record(db, make, count);
}
if (mode === 'meeting') await barrier();
const captured = performance.now();
await db.close();
const ended = performance.now();

const slowest = await highest(
  {
    seconds: ((mode === 'capturing' ? captured : ended) - started) / 1000,
    closeSeconds: (ended - captured) / 1000,
  },
  size,
);
if (rank === 0) print({ ...slowest, rate: Number(total) / slowest.seconds });
