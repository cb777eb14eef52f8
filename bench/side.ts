/**
 * One side of a trial: node side.js TRIAL SIDE DIRECTORY RECORDS. Writes its figure to standard output. A record is 1
 * record, 1 URI, 2 tags and 1 derivation.
 */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { BraidData, BraidDB, BraidFact } from 'braid-mpi';

const [trial, side, directory, count] = process.argv.slice(2);
const records = Number(count);
const path = join(directory, 'bench.db');

const name = (i: number) => `experiment-${i}`;
const uri = (i: number) => `login.host.gov/home/user1/file${i}.txt`;

function record(db: BraidDB, source: BraidFact): void {
  for (let i = 0; i < records; i++) {
    new BraidData(db, { name: name(i), uris: [uri(i)], tags: { frames: 1800 + i, energy: 12.5 }, derivedFrom: source });
  }
}

async function capture(): Promise<number | undefined> {
  const db = await BraidDB.open(path, { mpi: 'off' });
  const source = new BraidFact(db, { name: 'configuration' });
  // Once to warm up, and to know the bytes.
  record(db, source);
  const { bytes } = await db.flush();
  const started = performance.now();
  if (side === 'record') {
    record(db, source);
  } else {
    const size = Math.round(bytes / records);
    const from = Buffer.alloc(size, 1);
    const to = Buffer.alloc(2 ** 20);
    for (let i = 0, at = 0; i < records; i++, at = at + 2 * size > to.length ? 0 : at + size) from.copy(to, at);
  }
  const figure = ((performance.now() - started) / records) * 1000;
  await db.close();
  return figure;
}

async function commit(): Promise<number | undefined> {
  const db = await BraidDB.open(path, { mpi: 'off' });
  const source = new BraidFact(db, { name: 'configuration' });
  await db.flush();
  if (side === 'flush') {
    record(db, source);
    const started = performance.now();
    await db.flush();
    const figure = (records / (performance.now() - started)) * 1000;
    await db.close();
    return figure;
  }
  await db.close();
  return byRows();
}

/** The same rows into the same tables, by better-sqlite3's prepared statements in one transaction. */
function byRows(): number {
  const db = new Database(path);
  for (const pragma of ['foreign_keys = OFF', 'journal_mode = WAL', 'synchronous = FULL', 'cache_size = -65536']) {
    db.pragma(pragma);
  }
  const time = '2026-01-01 00:00:00.000000';
  const addRecord = db.prepare('INSERT INTO records (record_id, name, time, kind) VALUES (?, ?, ?, 2)');
  const addUri = db.prepare('INSERT INTO uris (record_id, uri) VALUES (?, ?)');
  const addTag = db.prepare('INSERT INTO tags (record_id, key, value, tag_type) VALUES (?, ?, ?, ?)');
  const addDerivation = db.prepare('INSERT INTO derivations (record_id, derivation, time) VALUES (1, ?, ?)');
  const started = performance.now();
  db.transaction(() => {
    for (let i = 0; i < records; i++) {
      const id = i + 2;
      addRecord.run(id, name(i), time);
      addUri.run(id, uri(i));
      addTag.run(id, 'frames', String(1800 + i), 2);
      addTag.run(id, 'energy', '12.5', 3);
      addDerivation.run(id, time);
    }
  })();
  const figure = (records / (performance.now() - started)) * 1000;
  db.close();
  return figure;
}

async function idle(): Promise<number | undefined> {
  const { MPI } = await import('braid-mpi/mpi');
  const db = await BraidDB.open(path);
  const [send, receive] = [new Float64Array(1), new Float64Array(1)];
  const times: number[] = [];
  for (let i = 0; i < 2000; i++) {
    const started = performance.now();
    if (side === 'flush') await db.flush();
    else MPI.COMM_WORLD.allreduce(send, receive, MPI.SUM);
    times.push((performance.now() - started) * 1000);
  }
  await db.close();
  times.splice(0, 200);
  return db.isRoot ? times.sort((a, b) => a - b)[times.length >> 1] : undefined;
}

/** Each call by itself; of a spool in TMPDIR, which decides what disk is measured. */
async function durability(quantile: number): Promise<number | undefined> {
  const db = await BraidDB.open(path, { mpi: 'off', durability: side as 'process' | 'node' });
  const times = Array.from({ length: Math.min(records, 5000) }, (_, i) => {
    const started = performance.now();
    new BraidData(db, { name: name(i), uris: [uri(i)], tags: { frames: 1800 + i, energy: 12.5 } });
    return (performance.now() - started) * 1000;
  });
  await db.close();
  const steady = times.slice(times.length / 5).sort((a, b) => a - b);
  return steady[Math.floor(steady.length * quantile)];
}

const trials = new Map([
  ['durability-median', () => durability(0.5)],
  ['durability-p99', () => durability(0.99)],
  ['capture', capture],
  ['commit', commit],
  ['idle', idle],
]);
const figure = await trials.get(trial)!();
if (figure !== undefined) process.stdout.write(`${figure}\n`);
