/**
 * Mascot, the synthetic load of Braid-DB, on as many ranks as it is started with:
 *
 *   node dist-dev/examples/mascot/mascot.js
 *   mpiexec -n 4 node dist-dev/examples/mascot/mascot.js --cycles 10000
 *
 * Configurations are facts. Models are derived from one each. In every cycle there are experiments, derived from some of
 * the configurations, and every model learns from each of them. The experiments are dealt to the ranks in turn, and what
 * they are derived from depends on the seed alone: the load is the same whatever the number of ranks.
 */
import { existsSync } from 'node:fs';
import { BraidData, BraidDB, BraidFact, BraidModel, databaseStats, type BraidRecord } from 'braid-mpi';
import { random } from '../common/random.js';
import { readOptions } from './options.js';

/** Experiments between flushes: far less than a spool can hold, and enough that a flush's own cost doesn't show. */
const FLUSH_EVERY = 20_000;

const options = readOptions();
const { configurations, experiments, cycles, uris, deps, models, seed } = options;

const db = await BraidDB.open(options.db, { name: 'mascot' });
const { rank, size, isRoot } = db;
const rowsBefore = isRoot ? countRows() : 0;
const started = performance.now();

const cfgs: BraidFact[] = [];
for (let i = 0; i < configurations; i++) {
  cfgs.push(await db.share(isRoot ? tell(new BraidFact(db, { name: `cfg-${i}`, uris: urisOf('cfg', i) })) : null));
}
const trained: BraidModel[] = [];
for (let i = 0; i < models; i++) {
  trained.push(await db.share(isRoot ? tell(new BraidModel(db, { name: `model-${i}`, derivedFrom: cfgs[i] })) : null));
}
const prepared = performance.now();

let flushed: Promise<unknown> = Promise.resolve();
for (let number = 0; number < cycles * experiments; number++) {
  if (number % size === rank) experiment(number);
  if ((number + 1) % FLUSH_EVERY > 0) continue;
  // The ranks go on while the root writes to the database; only the flush before must be done by now.
  await flushed;
  flushed = db.flush();
}
await flushed;
const recorded = performance.now();
await db.close();
const ended = performance.now();

if (isRoot) {
  const rows = countRows() - rowsBefore;
  const seconds = (ended - started) / 1000;
  const line = (what: string, value: string) => console.log(`mascot ${what}: ${value}`);
  line('time', seconds.toFixed(4));
  line('size', String(rows));
  line('rate', (rows / seconds).toFixed(4));
  if (options.time) {
    line('time of configurations and models', ((prepared - started) / 1000).toFixed(4));
    line('time of cycles', ((recorded - prepared) / 1000).toFixed(4));
    line('time of the last flush and close', ((ended - recorded) / 1000).toFixed(4));
  }
}

/** One experiment, and every model's exposure to it. Those of a cycle make one version of a model, whatever their ranks. */
function experiment(number: number): void {
  const cycle = Math.floor(number / experiments);
  const name = `expt-${cycle}-${number % experiments}`;
  const data = new BraidData(db, { name, uris: urisOf('expt', number), derivedFrom: sample(number) });
  tell(data);
  for (const model of trained) model.update(data, { step: cycle });
}

/** `deps` of the configurations, by a Fisher–Yates shuffle that stops when it has enough. */
function sample(number: number): BraidFact[] {
  const next = random(seed * 1_000_003 + number);
  const places = cfgs.map((_, i) => i);
  for (let i = 0; i < deps; i++) {
    const j = i + Math.floor(next() * (configurations - i));
    [places[i], places[j]] = [places[j], places[i]];
  }
  return places.slice(0, deps).map((place) => cfgs[place]);
}

function urisOf(what: string, number: number): string[] {
  return Array.from({ length: uris }, (_, i) => `file:///home/user1/${what}-${number}-${i}`);
}

function tell<T extends BraidRecord>(record: T): T {
  if (options.verbose) console.log(`rank ${rank}: [${record.id}] ${record.name}`);
  return record;
}

/** What Braid-DB calls the size of a database. There is none with BRAID=off. */
function countRows(): number {
  if (!existsSync(db.path)) return 0;
  const { records, derivations, uris, tags } = databaseStats(db.path).tables;
  return records + derivations + uris + tags;
}
