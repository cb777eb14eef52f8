/**
 * What it takes to record: node --expose-gc capture-side.js record|copy|loop DIRECTORY RECORDS. All ranks at once, by
 * themselves.
 *
 * Each record is timed by itself, by two readings of a clock of nanoseconds, which count as part of it: what reading
 * them takes is what `loop` tells. What a record is given (its strings, its object of tags) is made before.
 */
import { join } from 'node:path';
import { BraidData, BraidDB } from 'braid-mpi';
import { configurations, contents, shareOf } from './records.js';
import { highest, print, quantile } from './side-figures.js';

/** Not measured. */
const WARM_UP = 50_000;
/** By how many it is known what a record takes of bytes. */
const BYTES_OF = 1000;

const [side, directory, total] = process.argv.slice(2);
const db = await BraidDB.open(join(directory, 'bench.db'));
const { rank, size } = db;
const count = shareOf(Number(total), rank, size);
const make = contents(await configurations(db), rank, size);

/** A copy of so many bytes each time, through a buffer larger than the nearest cache. */
let from = Buffer.alloc(256, 1);
const to = Buffer.alloc(2 ** 20);
let at = 0;

/** Microseconds of each record. */
function timesOf(count: number): Float64Array {
  const times = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const made = make();
    const started = performance.now();
    if (side === 'record') {
      new BraidData(db, made);
    } else if (side === 'copy') {
      from.copy(to, at);
      at = at + 2 * from.length > to.length ? 0 : at + from.length;
    }
    times[i] = (performance.now() - started) * 1000;
  }
  return times;
}

// The same loop before: V8 has then compiled all there is, or the first records would hide that the last take longer.
timesOf(WARM_UP);
for (let i = 0; i < BYTES_OF; i++) new BraidData(db, make());
const before = await db.flush();
from = Buffer.alloc(Math.round(before.bytes / before.records), 1);

const heapBefore = heapBytes();
// A full collection drops compiled code whose objects are gone, and the flush has freed the spool's pages.
timesOf(WARM_UP);
const times = timesOf(count);
// The figures themselves lie outside of V8's heap.
const heapGrowth = heapBytes() - heapBefore;

const tenth = Math.ceil(count / 10);
const figures = {
  median: quantile(times, 0.5),
  p99: quantile(times, 0.99),
  mean: times.reduce((sum, each) => sum + each, 0) / count,
  first: quantile(times.subarray(0, tenth), 0.5),
  last: quantile(times.subarray(-tenth), 0.5),
  heapBytes: Math.max(0, heapGrowth) / (WARM_UP + count),
};
await db.close();
const slowest = await highest(figures, size);
if (rank === 0) print(slowest);

function heapBytes(): number {
  globalThis.gc!();
  return process.memoryUsage().heapUsed;
}
