/**
 * What a job script runs that resumes: node train.mjs, in the directory of the database. The first attempt records until
 * somebody ends it, the next one closes. What is acknowledged goes to a file that a kill can't take back.
 */
import { appendFileSync, writeFileSync } from 'node:fs';
import { BraidData, BraidDB } from 'braid-mpi';

const db = await BraidDB.open('run.db');
if (db.isRoot) writeFileSync('run.id', db.runId);
const attempt = process.env.BRAID_RESUME ? 2 : 1;
let count = 0;
const record = () => {
  const data = new BraidData(db, { name: `${db.rank}-${attempt}-${count++}` });
  appendFileSync('run.db.acknowledged', `${data.name}\n`);
};
for (let i = 0; i < 5; i++) record();
while (attempt === 1) {
  await db.flush();
  if (count === 5) console.log(`ready ${db.rank}`);
  record();
}
await db.close();
