/**
 * One rank ends well and without close(), and the others go on as they would: node left.rank.js DB STAGE RANK. Each says
 * what its calls came to.
 */
import { existsSync, readdirSync } from 'node:fs';
import { BraidData, BraidDB } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';

const [path, stage, leaver] = process.argv.slice(2);
const { rank } = MPI.COMM_WORLD;
const leaves = rank === Number(leaver);
if (leaves && stage === 'in open') {
  // The root makes the database when all have come to open(); others make their spool just before a collective.
  const spools = `${path}-spool-${process.geteuid!()}`;
  const look = () => {
    if (rank === 0 && existsSync(path)) process.exit(0);
    if (existsSync(spools) && readdirSync(spools).some((name) => name.endsWith(`.${rank}.spool`))) process.exit(0);
    setImmediate(look);
  };
  look();
}

const said: string[] = [];
const tell = (call: string, promise: Promise<unknown>) =>
  promise.then(
    () => said.push(`${call} ok`),
    ({ code }: { code: string }) => said.push(`${call} ${code}`),
  );

try {
  const db = await BraidDB.open(path);
  for (let i = 0; i < 5000; i++) new BraidData(db, { name: `d-${db.rank}` });
  if (leaves) {
    if (stage === 'in a flush') void db.flush();
    process.exit(0);
  }
  // As a program does it: try { … } finally { await db.close() }.
  await Promise.all([tell('flush', db.flush()), tell('queued flush', db.flush())]);
  await tell('close', db.close());
} catch (error) {
  said.push(`open ${(error as { code: string }).code}`);
}
console.log(`rank ${rank}: ${said.join(', ')}`);
