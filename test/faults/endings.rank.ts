/**
 * Flushes until the database has a file .enough beside it, then ends: node endings.rank.js DB WAY. The last rank takes the
 * way after it has said so, and its first flush. What is acknowledged goes to a file that a kill can't take back.
 */
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { BraidData, BraidDB } from 'braid-mpi';

const [path, way] = process.argv.slice(2);
let count = 0;

const BEFORE: Record<string, () => void> = {
  'an exception that it handles': () => process.on('uncaughtException', () => void record()),
  'an exit code that its listener takes back': () => process.on('exit', () => (process.exitCode = 0)),
};
const WAYS: Record<string, () => void> = {
  'an exception that it handles': () => {
    setImmediate(() => {
      throw new Error('meant to be handled');
    });
  },
  'an exit code that it takes back': () => {
    process.exitCode = 3;
    setImmediate(() => (process.exitCode = 0));
  },
  'an exit code that its listener takes back': () => (process.exitCode = 3),
  'process.exit(3)': () => process.exit(3),
  'an uncaught exception': () => {
    throw new Error('meant to be uncaught');
  },
};

BEFORE[way]?.();
const db = await BraidDB.open(path, { stallMs: 300 });
const record = () => {
  const data = new BraidData(db, { name: `${db.rank}-${count++}` });
  appendFileSync(`${path}.acknowledged`, `${data.name}\n`);
};
record();
await db.flush();
console.log(`ready ${db.rank} ${process.pid}`);
if (db.rank === db.size - 1) WAYS[way]?.();
do {
  record();
  await pause(5);
} while (!(await db.onRoot(() => existsSync(`${path}.enough`))));
await db.close();
