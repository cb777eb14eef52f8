/**
 * A large database to ask: generate.js FILE RECORDS [--search-indexes].
 *
 * Of 5 rows a record, by the store's own commit of rounds of 4 ranks. In it: a model `chain` of 50,000 steps, each exposed to a
 * scan of its own, and `from-chain`, which comes from the last of them; and `wide`, which comes from 100 summaries of 999
 * records each. Both have 100,000 ancestors and a few facts. The rest is derived from the facts.
 */
import { dirname } from 'node:path';
import process from 'node:process';
import { parseOptions } from '#src/options.js';
import { Store } from '#src/store/store.js';
import { Ranks } from './rounds.js';
import { chain, wide } from './shapes.js';

const RANKS = 4;
/** What is recorded before it is committed. */
const RECORDED = 250_000;
const STEPS = 50_000;
const WIDE = 100_000;

const [file, total, ...flags] = process.argv.slice(2);
const { roundBytes } = parseOptions({}, {});
const store = new Store({ path: file, busyMs: 1000 });
const ranks = Ranks.begin(store, dirname(file), RANKS, flags.includes('--search-indexes'));

const shaped = STEPS + WIDE;
for (let left = Number(total) - shaped; left > 0; left -= RECORDED) {
  ranks.record(Math.min(left, RECORDED));
  commit();
}
chain(ranks, STEPS);
wide(ranks, WIDE);
commit();
ranks.finish(store);
ranks.end();

function commit(): void {
  for (const round of ranks.gather(roundBytes)) store.commit(round);
}
