/** The commit of records that one process has captured: node side.js flush|rows DIRECTORY RECORDS. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { BraidDB } from 'braid-mpi';
import { configurations, contents, record } from './records.js';

const [side, directory, total] = process.argv.slice(2);
const records = Number(total);
const path = join(directory, 'bench.db');

const db = await BraidDB.open(path);
const facts = await configurations(db);
const make = contents(facts);
await db.flush();
if (side === 'flush') {
  await record(db, make, records);
  const started = performance.now();
  await db.flush();
  process.stdout.write(`${(records / (performance.now() - started)) * 1000}\n`);
  await db.close();
} else {
  await db.close();
  process.stdout.write(`${byRows()}\n`);
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
  const addDerivation = db.prepare('INSERT INTO derivations (record_id, derivation, time) VALUES (?, ?, ?)');
  const started = performance.now();
  db.transaction(() => {
    for (let i = 0; i < records; i++) {
      const { name, uris, tags, derivedFrom } = make();
      const { lastInsertRowid: id } = addRecord.run(undefined, name, time);
      addUri.run(id, uris[0]);
      addTag.run(id, 'frames', String(tags.frames), 2);
      addTag.run(id, 'energy', String(tags.energy), 3);
      addDerivation.run(derivedFrom.id, id, time);
    }
  })();
  const figure = (records / (performance.now() - started)) * 1000;
  db.close();
  return figure;
}
