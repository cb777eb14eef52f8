/**
 * A job whose disk becomes full, and is freed again: node disks.rank.js STEP DB DISK. In `spools` the last rank keeps its
 * spool there; in all others the database is there, and the spools beside it. Each rank tells what it was promised, as it is,
 * and in the end what it was told.
 */
import { appendFileSync, existsSync, openSync, readSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import Database from 'better-sqlite3';
import { BraidDB, BraidData, type BraidError } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';
import { fill, free } from './disk.js';

const [step, path, disk] = process.argv.slice(2);
const alone = process.env.BRAID_MPI === 'off';
const { rank, size } = alone ? { rank: 0, size: 1 } : MPI.COMM_WORLD;
const barrier = () => void (alone || MPI.COMM_WORLD.barrier());
const root = rank === 0;

const errors: { code: string; message: string }[] = [];
const noted: Record<string, unknown> = {};
const failed = (error: unknown) => {
  const { code, message } = error as BraidError;
  errors.push({ code, message });
};

/** To files: launchers mix the ranks' long lines, and what is in a file nobody takes back. */
const file = (what: string) => join(dirname(disk), `${what}-${rank}`);

let count = 0;
function record(bytes: number) {
  const name = `scan-${step}-${rank}-${count++}`;
  new BraidData(db, { name, uris: [`file:///${name}/`.padEnd(bytes, 'x')], tags: { rank, text: 'text' } });
  appendFileSync(file('promised'), `${name}\n`);
}

/** Records until the disk is full, and then what still fits. */
function recordUntilFull() {
  for (const bytes of [200_000, 200_000, 5000, 5000, 100, 100]) {
    try {
      for (;;) record(bytes);
    } catch (error) {
      failed(error);
    }
  }
}

const spools = join(dirname(disk), 'spools');
const last = rank === size - 1;
const onDisk = step === 'spools' && last;
const open = () => BraidDB.open(path, { roundBytes: 1, spoolDir: onDisk ? disk : spools });
let db: BraidDB;

/** Through which frame a verdict has covered what this rank has recorded, by the header of its spool. */
function trimmed(): number {
  const spool = readdirSync(spools).find((name) => name.endsWith(`.${rank}.spool`))!;
  const word = Buffer.alloc(4);
  readSync(openSync(join(spools, spool), 'r'), word, 0, 4, 24);
  return word.readUInt32LE();
}

/** Through which frame this rank is committed. */
function committed(): number {
  const reader = new Database(path, { readonly: true });
  try {
    return reader.prepare('SELECT frame FROM ledger WHERE rank = ?').pluck().get(rank) as number;
  } finally {
    reader.close();
  }
}

switch (step) {
  case 'spools':
    if (onDisk) fill(disk, 6 * 2 ** 20);
    db = await open();
    if (onDisk) recordUntilFull();
    else record(100);
    // Room by a commit; then by whoever frees some.
    await db.flush();
    if (onDisk) recordUntilFull();
    if (onDisk) free(disk);
    for (let i = 0; i < 10; i++) record(200_000);
    await db.close();
    break;
  case 'rounds':
    db = await open();
    if (root) fill(disk, 6 * 2 ** 20);
    for (let i = 0; i < 40 / size; i++) record(200_000);
    await db.flush().catch(failed);
    barrier();
    Object.assign(noted, { trimmed: trimmed(), committed: committed() });
    // It stays full, and nothing is lost by asking again.
    await db.flush().catch(failed);
    barrier();
    if (root) free(disk);
    await db.flush();
    await db.close();
    break;
  case 'open':
    if (root) fill(disk);
    barrier();
    await open().catch(failed);
    noted.spools = existsSync(spools) ? readdirSync(spools) : [];
    barrier();
    if (root) free(disk);
    barrier();
    db = await open();
    record(100);
    await db.close();
    break;
  case 'close':
    db = await open();
    record(200_000);
    await db.flush();
    for (let i = 0; i < 40 / size; i++) record(200_000);
    if (root) fill(disk);
    barrier();
    await db.close().catch(failed);
    barrier();
    if (root) free(disk);
    await db.close();
    break;
  case 'checkpoint':
    // All is committed, to the write-ahead log; what is left to be written is the end of the run, and the one file.
    db = await open();
    for (let i = 0; i < 40 / size; i++) record(200_000);
    await db.flush();
    if (root) fill(disk, 5 * 4096);
    barrier();
    await db.close();
    break;
  case 'leave':
    db = await open();
    for (let i = 0; i < 40 / size; i++) record(200_000);
    barrier();
    process.kill(process.pid, 'SIGKILL');
}
writeFileSync(file('told'), JSON.stringify({ errors, noted }));
