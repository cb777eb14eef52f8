/**
 * One attempt of a run: node resume.rank.js DB NAME END, and the run in BRAID_RESUME. What is acknowledged goes to a file
 * that a kill can't take back. Says the run's id, or why it could not be opened, by rank.
 */
import { appendFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { BraidData, BraidDB, BraidModel } from 'braid-mpi';

const [path, name, end] = process.argv.slice(2);
const db = await BraidDB.open(path).catch((error: Error & { code: string }) => {
  console.log(`${error.code} ${error.message.replaceAll(hostname(), 'HOST')}`);
  return undefined;
});
if (db) {
  const model = new BraidModel(db, { name: `${name}-model-${db.rank}` });
  for (let i = 0; i < 5; i++) {
    model.update([], { step: i });
    const data = new BraidData(db, { name: `${name}-${db.rank}-${i}`, derivedFrom: model });
    appendFileSync(`${path}.acknowledged`, `${data.name}\n`);
    if (i === 2 && end !== 'before a flush') await db.flush();
  }
  if (end === 'close') {
    await db.close();
  } else {
    console.log(`run ${db.runId} rank ${db.rank}`);
    // Until somebody kills it.
    setInterval(() => undefined, 30_000);
  }
}
