/**
 * What a recording call takes that survives its process, or its node: durability-side.js process|node DIRECTORY RECORDS.
 * Each call by itself. The disk is that of DIRECTORY.
 */
import { join } from 'node:path';
import { BraidData, BraidDB } from 'braid-mpi';
import { configurations, contents } from './records.js';
import { print, quantile } from './side-figures.js';

const [durability, directory, records] = process.argv.slice(2);
const db = await BraidDB.open(join(directory, 'bench.db'), { durability: durability as 'process' | 'node' });
const make = contents(await configurations(db));
const times = Float64Array.from({ length: Math.min(Number(records), 5000) }, () => {
  const made = make();
  const started = performance.now();
  new BraidData(db, made);
  return (performance.now() - started) * 1000;
});
await db.close();
const steady = times.subarray(times.length / 5);
print({ median: quantile(steady, 0.5), p99: quantile(steady, 0.99) });
