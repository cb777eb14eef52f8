/**
 * How long a search takes: search-side.js DIRECTORY RECORDS. Of a database with search indexes, made by the store's own
 * commit; the median of several searches, each read to its end. Tags are frames, another of each record, and energy, of all
 * the same.
 */
import { join } from 'node:path';
import { BraidReader } from 'braid-mpi';
import { parseOptions } from '#src/options.js';
import { Store } from '#src/store/store.js';
import { Ranks } from './rounds.js';
import { print, quantile } from './side-figures.js';

const RANKS = 4;
/** What is recorded before it is committed. */
const RECORDED = 500_000;
const TIMES = 15;

const SEARCHES = {
  range: 'frames<2800',
  combined: 'frames<2800 and energy=12.5 and kind=data',
  one: 'frames=2799',
  name: 'name=experiment-123*',
};

const [directory, total] = process.argv.slice(2);
const path = join(directory, 'searched.db');
const store = new Store({ path, busyMs: 1000 });
const ranks = Ranks.begin(store, directory, RANKS, true);
const { roundBytes } = parseOptions({}, {});
for (let left = Number(total); left > 0; left -= RECORDED) {
  for (const round of ranks.rounds(Math.min(left, RECORDED), roundBytes)) store.commit(round);
}
ranks.finish(store);
ranks.end();

const reader = BraidReader.open(path);
const median = (expression: string) => {
  const times = Float64Array.from({ length: TIMES }, () => {
    const started = performance.now();
    // Read and dropped, as who streams does.
    for (const record of reader.search(expression)) void record;
    return performance.now() - started;
  });
  return quantile(times, 0.5);
};
print(Object.fromEntries(Object.entries(SEARCHES).map(([name, expression]) => [name, median(expression)])));
reader.close();
