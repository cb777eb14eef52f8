/** Runs the contract on the ranks of a job: node contract.rank.js DIRECTORY. The first failure ends the job. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BraidData, BraidDB, BraidReader } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';
import { CONTRACT } from '../contract/contract.js';

const [base] = process.argv.slice(2);
const { rank, size } = MPI.COMM_WORLD;
let ran = 0;
for (const [i, { title, run, atLeast = 1 }] of CONTRACT.entries()) {
  if (size < atLeast) continue;
  const directory = join(base, String(i));
  mkdirSync(directory, { recursive: true });
  try {
    await run({ rank, size, directory, options: { mpi: 'on' } });
  } catch (cause) {
    throw new Error(`rank ${rank} of ${size}: ${title}`, { cause });
  }
  ran++;
}
// In some part of the world, too: every rank by itself, and the odd and the even ones.
for (const [parts, color] of [
  ['alone', rank],
  ['odd-even', rank % 2],
] as const) {
  const comm = MPI.COMM_WORLD.split(color, rank);
  const directory = join(base, `${parts}-${color}`);
  mkdirSync(directory, { recursive: true });
  await CONTRACT[0].run({ rank: comm!.rank, size: comm!.size, directory, options: { comm: comm! } });
}
// A flush that has begun gets on while every rank records without returning to its event loop.
{
  const path = join(base, 'busy.db');
  const db = await BraidDB.open(path, { mpi: 'on' });
  new BraidData(db, { name: 'before' });
  const flush = db.flush();
  const reader = db.isRoot ? BraidReader.open(path) : undefined;
  const committed = () => [...reader!.records({ name: 'before' })].length === size;
  // Other ranks record long enough for the root to see it; the root's bound is far beyond what it takes.
  const most = db.isRoot ? 5_000_000 : 300_000;
  let seen = false;
  for (let i = 0; i < most && !seen; i++) {
    new BraidData(db, { name: 'meanwhile' });
    seen = i % 2048 === 0 && db.isRoot && committed();
  }
  reader?.close();
  assert.equal(seen, db.isRoot, 'the flush advanced during the loop');
  assert.equal((await flush).records, size);
  await db.close();
}
MPI.COMM_WORLD.barrier();
if (rank === 0) console.log(`ran ${ran} cases on ${size} ranks`);
