/**
 * What a root does with gathered rounds: commit-side.js MODE DIRECTORY RECORDS.
 *
 * - rounds: commits rounds of the frames of 4 ranks, by the store's own code
 * - rounds-search: the same, and builds the search indexes
 * - statements: the same as rounds, without our SQLite extension
 * - rows: better-sqlite3's prepared statements, a row each, into the tables that commit.c has
 *
 * The clock runs while something is committed, and until the database is closed, and all is in one file.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { parseOptions } from '#src/options.js';
import { Store } from '#src/store/store.js';
import { source } from './compile.js';
import { contents, CONFIGURATIONS } from './records.js';
import { Ranks } from './rounds.js';

const RANKS = 4;
/** What is recorded before it is committed: more than a round, and little enough for a machine's memory. */
const RECORDED = 500_000;
/** As commit.c has it. */
const BATCH = 100_000;

const [mode, directory, total] = process.argv.slice(2);
const records = Number(total);
let ms = 0;
if (mode === 'rows') byRows();
else byRounds();
process.stdout.write(`${(records / ms) * 1000}\n`);

function time<T>(call: () => T): T {
  const started = performance.now();
  const result = call();
  ms += performance.now() - started;
  return result;
}

function byRounds(): void {
  const { roundBytes } = parseOptions({}, {});
  const store = new Store({
    path: join(directory, 'rounds.db'),
    busyMs: 1000,
    commit: mode === 'statements' ? 'statements' : 'extension',
  });
  const ranks = Ranks.begin(store, directory, RANKS, mode === 'rounds-search');
  for (let left = records; left > 0; left -= RECORDED) {
    for (const round of ranks.rounds(Math.min(left, RECORDED), roundBytes)) time(() => store.commit(round));
  }
  time(() => ranks.finish(store));
  ranks.end();
}

function byRows(): void {
  const db = new Database(join(directory, 'rows.db'));
  const pragmas = ['foreign_keys = OFF', 'journal_mode = WAL', 'synchronous = FULL', 'temp_store = MEMORY'];
  for (const pragma of [...pragmas, 'cache_size = -65536']) db.pragma(pragma);
  db.exec(readFileSync(source('braid-db.sql'), 'utf8'));
  const addRecord = db.prepare('INSERT INTO records (record_id, name, time) VALUES (?, ?, ?)');
  const addUri = db.prepare('INSERT INTO uris (record_id, uri) VALUES (?, ?)');
  const addTag = db.prepare('INSERT INTO tags (record_id, key, value, tag_type) VALUES (?, ?, ?, ?)');
  const addDerivation = db.prepare('INSERT INTO derivations (record_id, derivation, time) VALUES (?, ?, ?)');
  const now = '2026-01-01 00:00:00.000000';
  const make = contents(Array.from({ length: CONFIGURATIONS }, (_, i) => i + 1));
  let id = CONFIGURATIONS;
  const batch = db.transaction((count: number) => {
    for (let i = 0; i < count; i++) {
      const { name, uris, tags, derivedFrom } = made[i];
      addRecord.run(++id, name, now);
      addUri.run(id, uris[0]);
      addTag.run(id, 'frames', String(tags.frames), 2);
      addTag.run(id, 'energy', String(tags.energy), 3);
      addDerivation.run(derivedFrom, id, now);
    }
  });
  let made: ReturnType<typeof make>[] = [];
  for (let left = records; left > 0; left -= BATCH) {
    // Before the clock starts, as the ranks' texts are made.
    made = Array.from({ length: Math.min(left, BATCH) }, make);
    time(() => batch(made.length));
  }
  time(() => db.close());
}
