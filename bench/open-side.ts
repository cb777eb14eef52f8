/**
 * open-side.js open|bare DIRECTORY RECORDS: opens a database and closes it, or has MPI start and end and no more. Each
 * imports what a program that does this imports; what the whole job takes is for the launcher to measure.
 */
import { join } from 'node:path';
import { print } from './side-figures.js';

const [side, directory] = process.argv.slice(2);
const started = performance.now();
if (side === 'open') {
  const { BraidDB } = await import('braid-mpi');
  const called = performance.now();
  const db = await BraidDB.open(join(directory, 'bench.db'));
  await db.close();
  if (db.isRoot) print({ ms: performance.now() - called });
} else {
  const { MPI } = await import('braid-mpi/mpi');
  const { rank } = MPI.COMM_WORLD;
  if (rank === 0) print({ ms: performance.now() - started });
}
