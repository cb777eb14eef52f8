/**
 * Fills spools, and says what a call then takes of memory: node memory.rank.js DB MIB ROUND_MIB STEP. STEP is `leave`
 * (without close), `close`, or `open`, which brings in what was left, and closes. A record is about a kibibyte.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { BraidData, BraidDB } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';

const [path, mib, roundMib, step] = process.argv.slice(2);
const { rank, size } = MPI.COMM_WORLD;

const status = (field: string) =>
  Number(new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;

/** How far the resident memory of this process rises over what it was, in MiB. The kernel keeps the peak. */
async function growth(run: () => Promise<void>): Promise<number> {
  writeFileSync('/proc/self/clear_refs', '5');
  const before = status('VmRSS');
  await run();
  return status('VmHWM') - before;
}

const options = { roundBytes: Number(roundMib) * 2 ** 20 };
let db!: BraidDB;
const opened = await growth(async () => {
  db = await BraidDB.open(path, options);
});
if (step !== 'open') {
  const records = (Number(mib) * 1024) / size;
  for (let i = 0; i < records; i++) {
    new BraidData(db, { name: `record-${i}`, uris: [`file:///scratch/${rank}/${i}/`.padEnd(880, 'x')], tags: { i } });
  }
}
MPI.COMM_WORLD.barrier();
if (step === 'leave') process.kill(process.pid, 'SIGKILL');
const closed = await growth(() => db.close());
if (rank === 0) console.log(JSON.stringify({ opened, closed }));
