/**
 * Records and flushes, and tells, as root, on how many processors its main thread may run, and on how many the thread that
 * commits: node bound.rank.js DB.
 */
import { readFileSync, readdirSync } from 'node:fs';
import process from 'node:process';
import { BraidData, BraidDB } from 'braid-mpi';

const db = await BraidDB.open(process.argv[2]);
new BraidData(db, { name: 'record' });
await db.flush();
if (db.isRoot) {
  const processors = (task: string) => {
    const mask = /^Cpus_allowed:\s*(.*)$/m.exec(readFileSync(`/proc/self/task/${task}/status`, 'utf8'))![1];
    return Array.from(BigInt(`0x${mask.replaceAll(',', '')}`).toString(2)).filter((bit) => bit === '1').length;
  };
  const others = readdirSync('/proc/self/task').filter((task) => Number(task) !== process.pid);
  const main = processors(String(process.pid));
  process.stdout.write(`${JSON.stringify({ main, most: Math.max(...others.map(processors)) })}\n`);
}
await db.close();
