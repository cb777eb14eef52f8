/**
 * What a root does with gathered rounds: commit-side.js MODE DIRECTORY RECORDS.
 *
 * - rounds: commits rounds of the frames of 4 ranks, by the store's own code
 * - rounds-search: the same with the search indexes
 * - statements: the same without our SQLite extension
 * - rows, rows-search: better-sqlite3's prepared statements, a row each, into the tables that commit.c makes
 *
 * The clock runs while something is committed, and until the database is closed, and all is in one file.
 */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { parseOptions } from '#src/options.js';
import { Store } from '#src/store/store.js';
import { contents, CONFIGURATIONS, type Made } from './records.js';
import { Ranks } from './rounds.js';

const RANKS = 4;
/** What is recorded before it is committed: more than a round, and little enough for a machine's memory. */
const RECORDED = 500_000;

const [mode, directory, total] = process.argv.slice(2);
const records = Number(total);
const rate = mode.startsWith('rows') ? byRows() : byRounds();
process.stdout.write(`${rate}\n`);

function byRounds(): number {
  const { roundBytes } = parseOptions({}, {});
  const store = new Store({
    path: join(directory, 'rounds.db'),
    busyMs: 1000,
    commit: mode === 'statements' ? 'statements' : 'extension',
  });
  const ranks = Ranks.begin(store, directory, RANKS);
  let ms = 0;
  const time = (call: () => void) => {
    const started = performance.now();
    call();
    ms += performance.now() - started;
  };
  for (let left = records; left > 0; left -= RECORDED) {
    for (const round of ranks.rounds(Math.min(left, RECORDED), roundBytes)) time(() => store.commit(round));
  }
  const { run, attempt } = ranks.run;
  time(() => {
    store.endAttempt(run, attempt, 'COMPLETED');
    store.close();
  });
  ranks.end();
  return (records / ms) * 1000;
}

function byRows(): number {
  throw new Error('todo');
}
void Database; void contents; void CONFIGURATIONS; void (0 as unknown as Made);
