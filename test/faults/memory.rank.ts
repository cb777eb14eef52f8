/**
 * Fills spools, and says what a call then takes of memory: node memory.rank.js DB MIB ROUND_MIB STEP KIND. STEP is `leave`
 * (without close), `close`, or `open`, which brings in what was left, and closes. KIND is `records` of about a kibibyte,
 * `small` ones, or `updates` of one model by each rank.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { BraidData, BraidDB, BraidFact, BraidModel } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';

const [path, mib, roundMib, step, kind] = process.argv.slice(2);
const { rank, size } = MPI.COMM_WORLD;

interface Kind {
  /** Of the ops of one call. */
  readonly bytes: number;
  readonly record: (i: number) => unknown;
}

const KINDS: Record<string, (db: BraidDB) => Kind> = {
  records: (db) => ({
    bytes: 1024,
    record: (i) =>
      new BraidData(db, { name: `record-${i}`, uris: [`file:///scratch/${rank}/${i}/`.padEnd(880, 'x')], tags: { i } }),
  }),
  small: (db) => {
    const source = new BraidFact(db, { name: 'source' });
    return {
      bytes: 140,
      record: (i) =>
        new BraidData(db, { name: 'd', uris: [`file:///${i}`], tags: { a: i, b: 'x' }, derivedFrom: source }),
    };
  },
  updates: (db) => {
    const source = new BraidFact(db, { name: 'source' });
    const model = new BraidModel(db, { name: 'model' });
    return { bytes: 52, record: () => model.update(source) };
  },
};

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
  const { bytes, record } = KINDS[kind](db);
  for (let i = 0; i < (Number(mib) * 2 ** 20) / size / bytes; i++) record(i);
}
MPI.COMM_WORLD.barrier();
if (step === 'leave') process.kill(process.pid, 'SIGKILL');
const closed = await growth(() => db.close());
if (rank === 0) console.log(JSON.stringify({ opened, closed }));
