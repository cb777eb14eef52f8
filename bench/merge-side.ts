/**
 * How fast databases are merged: merge-side.js MODE DIRECTORY RECORDS.
 *
 * - new: one database of 4 ranks, with a chain of versions, into one that isn't there
 * - existing: into one that has as many records of another
 *
 * The clock runs from the call until the database is one file. Making what is merged isn't in it.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { merge } from 'braid-mpi';
import { parseOptions } from '#src/options.js';
import { Store } from '#src/store/store.js';
import { Ranks } from './rounds.js';
import { chain } from './shapes.js';

const RANKS = 4;
/** What is recorded before it is committed. */
const RECORDED = 250_000;

const [mode, directory, total] = process.argv.slice(2);
const records = Number(total);
const out = join(directory, 'merged.db');
if (mode === 'existing') await merge(out, make('first'));
const input = make('second');
const started = performance.now();
await merge(out, input);
process.stdout.write(`${(records / (performance.now() - started)) * 1000}\n`);

function make(name: string): string {
  const place = join(directory, name);
  mkdirSync(place);
  const path = join(place, 'run.db');
  const store = new Store({ path, busyMs: 1000 });
  const ranks = Ranks.begin(store, place, RANKS, false);
  const { roundBytes } = parseOptions({}, {});
  const commit = () => {
    for (const round of ranks.gather(roundBytes)) store.commit(round);
  };
  const steps = Math.floor(records / 20);
  for (let left = records - steps; left > 0; left -= RECORDED) {
    ranks.record(Math.min(left, RECORDED));
    commit();
  }
  chain(ranks, steps);
  commit();
  ranks.finish(store);
  ranks.end();
  return path;
}
