/**
 * Finds Bragg peaks in detector frames, as BraggNN does: a network learns from fits where peaks are, and then does in
 * microseconds what a fit takes much longer for. Experiments drift, so each begins with a check against some fits; if
 * the network has become wrong, it is trained again. What it finds updates a second model, of the strain in the sample.
 *
 *   node dist-dev/examples/braggnn/braggnn.js
 *   mpiexec -n 4 node dist-dev/examples/braggnn/braggnn.js
 *
 * Frames are dealt to the ranks by their numbers: each takes, cuts, fits and learns from its own. All have the same
 * network: the gradients of each batch are added up over the ranks, and all take the same step.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BraidData, BraidDB, BraidFact, BraidModel, type BraidVersion } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';
import { shuffled } from '../common/random.js';
import { fitPeak, type Position } from './fit.js';
import { conditionsOf, cutPatches, PATCH, PEAKS, SIZE, takeFrame, type Patch } from './frames.js';
import { Network } from './network.js';
import { readOptions } from './options.js';
import { StrainModel } from './strain.js';

const SEED = 7;
const RATE = 0.004;
const BATCH = 64;

const options = readOptions();
const { experiments, frames, hidden, epochs, threshold } = options;
/** The first frames of an experiment: they are fitted to check the network, and it never learns from them. */
const checked = Math.ceil(frames / 6);
/** The frames after those, to learn from if it must. What is then left over is never fitted. */
const trained = Math.floor((2 * frames) / 3);
// The same program, and nothing recorded: the difference is what recording costs.
if (!options.record) process.env.BRAID = 'off';

const db = await BraidDB.open(options.db, { name: 'braggnn' });
const { rank, size, isRoot } = db;
/** Adds up over all ranks, in place. A single process never gets to MPI. */
const allSum = async (values: Float64Array) => {
  if (size > 1) await MPI.COMM_WORLD.iallreduce(MPI.IN_PLACE, values, MPI.SUM);
};
const say = (text: string) => {
  if (isRoot) process.stderr.write(`${text}\n`);
};

/** A frame of this rank, and what has become of it. */
interface Scan {
  readonly number: number;
  readonly patches: readonly Patch[];
  readonly patchesRecord: BraidData;
  /** Once it is fitted: of each patch, unless the fit came to nothing. */
  labels?: readonly (Position | null)[];
  labelsRecord?: BraidData;
}

// What the job is given from outside: facts. The root states them once, and every rank gets a handle.
const beamline = await db.share(
  isRoot ? new BraidFact(db, { name: 'beamline', tags: { detector: `${SIZE} × ${SIZE}`, simulated: true } }) : null,
);
const settings = { hidden, epochs, threshold, rate: RATE, batch: BATCH, patch: PATCH, seed: SEED };
const hyperparameters = isRoot ? new BraidFact(db, { name: 'hyperparameters', tags: settings }) : null;
const surrogate = await db.share(
  isRoot ? new BraidModel(db, { name: 'bragg-surrogate', derivedFrom: hyperparameters! }) : null,
);
const strainModel = await db.share(isRoot ? new BraidModel(db, { name: 'strain-model' }) : null);

const network = Network.random(hidden, SEED);
const strain = new StrainModel();
/** Of each experiment: how far the network was from the fits as it came, and as it was used. */
const outcomes: { errorBefore?: number; error: number; epoch: number; youngGPa: number }[] = [];
const spentMs = { fitting: 0, locating: 0 };
let [fitted, located] = [0, 0];
/** Of all trainings together: the step of the surrogate's versions. */
let epoch = 0;
let version: BraidVersion | undefined;
let flushed: Promise<unknown> = Promise.resolve();
const started = performance.now();

for (let experiment = 0; experiment < experiments; experiment++) {
  const conditions = conditionsOf(experiment);
  const fact = await db.share(
    isRoot ? new BraidFact(db, { name: `experiment-${experiment}`, tags: { ...conditions } }) : null,
  );
  const scans = takeScans(experiment, fact);
  const toCheck = scans.filter(({ number }) => number < checked);
  const toLearn = scans.filter(({ number }) => number >= checked && number < checked + trained);

  label(experiment, toCheck);
  const errorBefore = version && (await check(experiment, toCheck, version));
  let error = errorBefore ?? Infinity;
  if (!version || error > threshold) {
    label(experiment, toLearn);
    version = await train(experiment, toLearn, version ? Math.ceil(epochs / 2) : epochs);
    error = await check(experiment, toCheck, version);
  }

  const found = locate(experiment, scans, conditions.loadMPa, version);
  await allSum(strain.sums);
  strain.absorb();
  // A model that another model has influenced: by what that has found, and so by the version that found it.
  const strainVersion = strainModel.update([...found, version], { step: experiment });
  const { youngGPa, poisson } = strain;
  if (isRoot) {
    const tags = { youngGPa, poisson, strain: strain.strainAt(conditions.loadMPa) };
    new BraidData(db, { name: `strain-${experiment}`, derivedFrom: strainVersion, tags });
  }
  outcomes.push({ errorBefore, error, epoch, youngGPa });

  // The ranks go on while the root writes to the database; only the flush before must be done by now.
  await flushed;
  flushed = db.flush();
}

await flushed;
await db.close();

const result = {
  outcomes,
  youngGPa: strain.youngGPa,
  poisson: strain.poisson,
  ranks: size,
  seconds: (performance.now() - started) / 1000,
  fitMicroseconds: (1000 * spentMs.fitting) / fitted,
  locateMicroseconds: (1000 * spentMs.locating) / located,
  db: options.record ? db.path : null,
};
if (isRoot && options.json) console.log(JSON.stringify(result));
say(
  `Young's modulus ${result.youngGPa.toFixed(1)} GPa, Poisson's ratio ${result.poisson.toFixed(3)}; ` +
    `a fit took ${result.fitMicroseconds.toFixed(0)} µs, the network ${result.locateMicroseconds.toFixed(0)} µs; ` +
    `${result.seconds.toFixed(2)} s on ${size} rank${size > 1 ? 's' : ''}${options.record ? '' : '; nothing recorded'}`,
);

/** Takes this rank's frames of an experiment, and cuts the peaks out of them. */
function takeScans(experiment: number, fact: BraidFact): Scan[] {
  const scans: Scan[] = [];
  for (let number = rank; number < frames; number += size) {
    const patches = cutPatches(takeFrame(experiment, number));
    const frame = new BraidData(db, { name: `frame-${experiment}-${number}`, derivedFrom: [beamline, fact] });
    const patchesRecord = new BraidData(db, {
      name: `patches-${experiment}-${number}`,
      derivedFrom: frame,
      tags: { peaks: PEAKS },
    });
    scans.push({ number, patches, patchesRecord });
  }
  return scans;
}

/** Fits the peaks of frames. */
function label(experiment: number, scans: readonly Scan[]): void {
  for (const scan of scans) {
    const before = performance.now();
    scan.labels = scan.patches.map(fitPeak);
    spentMs.fitting += performance.now() - before;
    fitted += scan.patches.length;
    scan.labelsRecord = new BraidData(db, {
      name: `labels-${experiment}-${scan.number}`,
      derivedFrom: scan.patchesRecord,
      tags: { fitted: scan.labels.filter(Boolean).length },
    });
  }
}

/** Collective. The median distance of the network's positions from the fitted ones. The root records it, of a version. */
async function check(experiment: number, scans: readonly Scan[], version: BraidVersion): Promise<number> {
  // Each rank fills in its own peaks, so that the sum has all, in the same order on any number of ranks.
  const errors = new Float64Array(checked * PEAKS);
  for (const { number, patches, labels } of scans) {
    patches.forEach(({ pixels }, i) => {
      const [guess, label] = [network.locate(pixels), labels![i]];
      if (label) errors[number * PEAKS + i] = Math.hypot(guess.x - label.x, guess.y - label.y);
    });
  }
  await allSum(errors);
  const known = errors.filter((error) => error > 0).sort();
  const medianError = known[known.length >> 1];

  const record = await db.share(
    isRoot
      ? new BraidData(db, {
          name: `check-${experiment}-${version.step}`,
          derivedFrom: version,
          tags: { medianError, drifted: medianError > threshold },
        })
      : null,
  );
  for (const { labelsRecord } of scans) record.addDependency(labelsRecord!);
  say(
    `experiment ${experiment}: the network of epoch ${version.step} is ${medianError.toFixed(3)} px from the fits` +
      (medianError > threshold ? ', too far' : ''),
  );
  return medianError;
}

/** Collective. Goes on training the network, with what is labelled of one experiment. Each epoch makes a version of it. */
async function train(experiment: number, scans: readonly Scan[], epochs: number): Promise<BraidVersion> {
  const mine = new Map(scans.map((scan) => [scan.number, scan]));
  const labels = scans.map(({ labelsRecord }) => labelsRecord!);
  let made: BraidVersion | undefined;
  for (let i = 0; i < epochs; i++) {
    epoch++;
    // The peaks are numbered over all ranks: the batches don't depend on how many there are.
    const order = shuffled(trained * PEAKS, SEED + epoch);
    let loss = 0;
    for (let from = 0; from < order.length; from += BATCH) {
      for (const peak of order.subarray(from, from + BATCH)) {
        const scan = mine.get(checked + Math.floor(peak / PEAKS));
        const label = scan?.labels![peak % PEAKS];
        if (label) network.learn(scan.patches[peak % PEAKS].pixels, label);
      }
      await allSum(network.sums);
      loss += network.descend(RATE * (1 - (0.9 * i) / epochs)) * Math.min(BATCH, order.length - from);
    }
    // One file for all, since all have the same weights: so one rank writes it, and names it.
    const uris = i === epochs - 1 && isRoot ? [writeCheckpoint(epoch)] : [];
    // All ranks update with the same step, and make one version of the model together.
    made = surrogate.update(labels, { step: epoch, uris, tags: { experiment, loss: loss / order.length } });
  }
  return made!;
}

/** Finds the peaks of frames by the network, and tells the strain model. Returns the records of what was found. */
function locate(experiment: number, scans: readonly Scan[], loadMPa: number, version: BraidVersion): BraidData[] {
  return scans.map(({ number, patches, patchesRecord }) => {
    const before = performance.now();
    const positions = patches.map(({ pixels }) => network.locate(pixels));
    spentMs.locating += performance.now() - before;
    located += patches.length;
    patches.forEach(({ x, y, unloadedX, unloadedY }, i) => {
      strain.learn(loadMPa, x + positions[i].x, y + positions[i].y, unloadedX, unloadedY);
    });
    return new BraidData(db, { name: `peaks-${experiment}-${number}`, derivedFrom: [patchesRecord, version] });
  });
}

function writeCheckpoint(epoch: number): string {
  mkdirSync(options.out, { recursive: true });
  const file = resolve(join(options.out, `weights-${epoch}.f64`));
  writeFileSync(file, network.weights);
  return pathToFileURL(file).href;
}
