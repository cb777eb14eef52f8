/**
 * Records up to a stage and ends there: node exit.rank.js DB STAGE WAY. Where there are several ranks the last one takes
 * the way, and the others wait in the next collective. What is acknowledged goes to a file that a kill can't take back.
 */
import { appendFileSync } from 'node:fs';
import { BraidDB, BraidData } from 'braid-mpi';

const [path, stage, way] = process.argv.slice(2);
const db = await BraidDB.open(path);
const last = db.rank === db.size - 1;

const acknowledge = (name: string) => appendFileSync(`${path}.acknowledged`, `${name}\n`);
const record = (prefix: string) => {
  for (let i = 0; i < 5; i++) {
    const data = new BraidData(db, { name: `${prefix}-${db.rank}-${i}`, tags: { i } });
    acknowledge(data.name);
  }
};

const STAGES: [name: string, run: () => unknown][] = [
  ['open', () => undefined],
  ['record', () => record('before')],
  ['flush', () => db.flush()],
  ['record more', () => record('after')],
  ['start a flush', () => void db.flush().catch(() => undefined)],
  ['close', () => db.close()],
];
for (const [name, run] of STAGES) {
  await run();
  if (name === stage) break;
}

const WAYS: Record<string, () => void> = {
  'its last line': () => undefined,
  'process.exit(0)': () => process.exit(0),
  'process.exit(3)': () => process.exit(3),
  'an uncaught exception': () => {
    throw new Error('meant to be uncaught');
  },
  SIGTERM: () => {
    process.kill(process.pid, 'SIGTERM');
    // The signal comes with the event loop's next turn, which must still take place; a bound, not a wait.
    setTimeout(() => undefined, 30_000);
  },
  SIGKILL: () => process.kill(process.pid, 'SIGKILL'),
};
if (last || stage === 'close') {
  WAYS[way]();
} else {
  // A rank that leaves well is an error for the others, not a wait.
  const error = await db.flush().then(
    () => undefined,
    (error: Error & { code: string }) => error,
  );
  console.log(`rank ${db.rank}: ${error?.code} ${error?.message}`);
}
