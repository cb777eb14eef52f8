/**
 * A job to whose database, or spools, something happens between its flushes: node databases.rank.js DB STEP…. Before each
 * STEP the root says its name and waits until the file DB.STEP is there; then all ranks flush. What it was promised, and how
 * each flush and the close ended, rank R tells in DB.told.R: a launcher may tear what several ranks print at once.
 */
import { existsSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { BraidDB, BraidData, type BraidError } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';

const [path, ...steps] = process.argv.slice(2);
const { rank } = MPI.COMM_WORLD;
const barrier = () => MPI.COMM_WORLD.barrier();

const promised: string[] = [];
const ends: { step: string; code?: string; message?: string; ms: number }[] = [];

async function end(step: string, call: () => Promise<unknown>) {
  const started = performance.now();
  const error = await call().then(
    () => undefined,
    (error: BraidError) => error,
  );
  ends.push({ step, code: error?.code, message: error?.message, ms: performance.now() - started });
}

const db = await BraidDB.open(path, { busyMs: 1000 });
/** More than a segment: of several frames all but the last are sealed. */
function record() {
  for (let i = 0; i < 12; i++) {
    const name = `scan-${rank}-${promised.length}`;
    new BraidData(db, { name, uris: [`file:///${name}/`.padEnd(100_000, 'x')] });
    promised.push(name);
  }
}

record();
await db.flush();
for (const step of steps) {
  record();
  barrier();
  if (rank === 0) {
    console.log(step);
    while (!existsSync(`${path}.${step}`)) await pause(5);
  }
  barrier();
  await end(step, () => db.flush());
}
if (!steps.includes('left')) await end('close', () => db.close());
writeFileSync(`${path}.told.${rank}`, JSON.stringify({ rank, promised, ends }));
if (steps.includes('left')) {
  barrier();
  process.kill(process.pid, 'SIGKILL');
}
