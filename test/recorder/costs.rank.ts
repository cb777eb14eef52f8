/**
 * Records and flushes, awaiting each flush one later, and waits on purpose: node costs.rank.js DB END.
 */
import process from 'node:process';
import { BraidData, BraidDB } from 'braid-mpi';

const [path, end] = process.argv.slice(2);
const db = await BraidDB.open(path, { searchIndexes: end === 'indexes' });
const record = () => {
  for (let i = 0; i < 10_000; i++) new BraidData(db, { name: `record-${i}`.padEnd(200, '.') });
};
const busy = (ms: number) => {
  for (const until = performance.now() + ms; performance.now() < until;);
};
record();
const late = db.flush();
// The flush is in flight meanwhile, and nobody waits for it.
busy(100);
await late;
record();
await db.flush();
await db.flush();
if (end === 'SIGTERM' || end === 'SIGKILL') {
  if (db.isRoot) process.kill(process.pid, end);
  await new Promise((resolve) => setTimeout(resolve, 60_000));
}
record();
await db.close();
