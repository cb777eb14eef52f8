/** Every rank opens a database together, and starts a child that opens one by itself: node child.rank.js DIRECTORY. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BraidDB } from 'braid-mpi';

const [directory, child] = process.argv.slice(2);
if (child) {
  const db = await BraidDB.open(join(directory, `child-${child}.db`));
  process.stdout.write(`child of ${child}: ${db.rank} of ${db.size}\n`);
  await db.close();
} else {
  const db = await BraidDB.open(join(directory, 'run.db'));
  const { stdout, stderr } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), directory, String(db.rank)], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  process.stdout.write(stdout + stderr);
  await db.close();
}
