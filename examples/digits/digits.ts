/**
 * Trains a small network on handwritten digits, on as many ranks as it is started with, and records what it does:
 *
 *   node dist-dev/examples/digits/digits.js
 *   mpiexec -n 4 node dist-dev/examples/digits/digits.js
 *
 * Every rank has its shard of the images and the same weights. In every step each learns from those images of the batch
 * that are in its shard; the ranks add up their gradients, and all take the same step.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BraidData, BraidDB, BraidFact, BraidModel, type BraidVersion } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';
import { DATASET_URI, DIGIT_COUNTS, loadShard, TOTAL, TRAINING } from './data.js';
import { Network } from './network.js';
import { readOptions } from './options.js';
import { shuffled } from '../common/random.js';

const SEED = 7;
const RATE = 0.3;

const options = readOptions();
const { steps, batch: batchSize, hidden, checkpointEvery } = options;
// The same program, and nothing recorded: the difference is what recording costs.
if (!options.record) process.env.BRAID = 'off';

const db = await BraidDB.open(options.db, { name: 'digits' });
const { rank, size, isRoot } = db;
/** Adds up over all ranks, in place. A single process never gets to MPI. */
const allSum = async (values: Float32Array | Int32Array) => {
  if (size > 1) await MPI.COMM_WORLD.iallreduce(MPI.IN_PLACE, values, MPI.SUM);
};
const say = (text: string) => {
  if (isRoot) process.stderr.write(`${text}\n`);
};

// What the job is given from outside: facts. The root states them once, and every rank gets a handle.
const dataset = await db.share(
  isRoot
    ? new BraidFact(db, {
        name: 'mnist',
        uris: [DATASET_URI],
        tags: { images: TOTAL, ...Object.fromEntries(DIGIT_COUNTS.map((count, digit) => [`images.${digit}`, count])) },
      })
    : null,
);
const settings = { steps, batch: batchSize, hidden, rate: RATE, seed: SEED };
const hyperparameters = isRoot ? new BraidFact(db, { name: 'hyperparameters', tags: settings }) : null;
const model = await db.share(
  isRoot ? new BraidModel(db, { name: 'digit-classifier', derivedFrom: hyperparameters! }) : null,
);

// Every rank's own part of the data, and that of the images it is judged by.
const images = loadShard(0, TRAINING, rank, size);
const shard = new BraidData(db, { name: `shard-${rank}`, derivedFrom: dataset, tags: { images: images.count } });
const unseen = loadShard(TRAINING, TOTAL, rank, size);
const heldOut = isRoot
  ? new BraidData(db, { name: 'held-out', derivedFrom: dataset, tags: { images: TOTAL - TRAINING } })
  : null;

const network = Network.random(hidden, SEED);
let recordingMs = 0;
let flushed: Promise<unknown> = Promise.resolve();
let accuracy = 0;
const started = performance.now();

for (let step = 1; step <= steps; step++) {
  const batch = nextBatch(step);
  let mine = 0;
  for (const index of batch) {
    if (index % size !== rank) continue;
    const local = (index / size) | 0;
    network.learn(images.image(local), images.labels[local]);
    mine++;
  }
  await allSum(network.sums);
  const loss = network.descend(RATE, batch.length);

  const isCheckpoint = step % checkpointEvery === 0 || step === steps;
  // One file for all, since all have the same weights: so one rank writes it, and names it.
  const uris = isCheckpoint && isRoot ? [writeCheckpoint(step)] : [];

  // All ranks update with the same step, and make one version of the model together.
  const before = performance.now();
  const part = new BraidData(db, { name: `batch-${step}-${rank}`, derivedFrom: shard, tags: { images: mine } });
  const version = model.update(part, { step, uris, tags: { loss } });
  recordingMs += performance.now() - before;

  if (!isCheckpoint) continue;
  accuracy = await evaluate(version);
  say(`step ${step} of ${steps}: loss ${loss.toFixed(3)}, ${(100 * accuracy).toFixed(1)} % of the held-out digits`);
  // The ranks go on training while the root writes to the database; only the flush before must be done by now.
  await timed(() => flushed);
  flushed = db.flush();
}

await timed(() => flushed);
await timed(() => db.close());
const seconds = (performance.now() - started) / 1000;

const result = {
  accuracy,
  steps,
  ranks: size,
  seconds,
  recordingSeconds: recordingMs / 1000,
  db: options.record ? db.path : null,
};
if (isRoot && options.json) console.log(JSON.stringify(result));
say(
  `${(100 * accuracy).toFixed(1)} % of the held-out digits after ${steps} steps on ${size} rank${size > 1 ? 's' : ''} in ` +
    `${seconds.toFixed(2)} s` +
    (options.record ? `; recording took ${result.recordingSeconds.toFixed(2)} s of this rank` : '; nothing recorded'),
);

/** The images of a step: the same whatever the number of ranks. Each epoch has an order of its own. */
function nextBatch(step: number): Uint32Array {
  const perEpoch = Math.floor(TRAINING / batchSize);
  const epoch = Math.floor((step - 1) / perEpoch);
  const from = ((step - 1) % perEpoch) * batchSize;
  return shuffled(TRAINING, SEED + epoch).subarray(from, from + batchSize);
}

function writeCheckpoint(step: number): string {
  mkdirSync(options.out, { recursive: true });
  const file = resolve(join(options.out, `weights-${step}.f32`));
  writeFileSync(file, network.weights);
  return pathToFileURL(file).href;
}

/** Collective. The share of the held-out digits that the network gets right. The root records it, of this version. */
async function evaluate(version: BraidVersion): Promise<number> {
  let right = 0;
  for (let i = 0; i < unseen.count; i++) if (network.classify(unseen.image(i)) === unseen.labels[i]) right++;
  const total = Int32Array.of(right, unseen.count);
  await allSum(total);
  const accuracy = total[0] / total[1];
  if (isRoot) {
    new BraidData(db, { name: `evaluation-${version.step}`, derivedFrom: [version, heldOut!], tags: { accuracy } });
  }
  return accuracy;
}

async function timed(wait: () => Promise<unknown>): Promise<void> {
  const before = performance.now();
  await wait();
  recordingMs += performance.now() - before;
}
