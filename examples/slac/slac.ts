/**
 * Tunes a small accelerator with a model that learns from simulation first and from the machine then:
 *
 *   node dist-dev/examples/slac/slac.js
 *   mpiexec -n 4 node dist-dev/examples/slac/slac.js
 *
 * Simulations and shots are dealt to the ranks. All ranks learn from all of them, and so have the same model, whose
 * versions choose the settings of the next experiment.
 */
import { BraidData, BraidDB, BraidFact, BraidModel, type BraidVersion } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';
import { random } from '../common/random.js';
import { beamSize, DESIGN, MEASUREMENT_ERROR, shoot, type Settings } from './optics.js';
import { readOptions } from './options.js';
import { Surrogate } from './surrogate.js';

/** How far a simulation is trusted, relative: it is exact, but of a machine that isn't quite the one that there is. */
const SIMULATION_ERROR = 0.2;
const SIMULATION_BATCHES = 2;
const HELD_OUT = 40;

const options = readOptions();
// The same program, and nothing recorded.
if (!options.record) process.env.BRAID = 'off';

const db = await BraidDB.open(options.db, { name: 'slac' });
const { rank, size, isRoot } = db;
const say = (text: string) => {
  if (isRoot) process.stderr.write(`${text}\n`);
};
/** A stream of random numbers for each thing that is done, whatever rank does it. */
const randomFor = (what: number, batch: number, index: number) =>
  random(((options.seed * 10 + what) * 1000 + batch) * 10_000 + index);
const [SIMULATE, CHOOSE, SHOOT, VALIDATE] = [0, 1, 2, 3];
const anywhere = (next: () => number): Settings => [2 * next() - 1, 2 * next() - 1];

// What is given from outside. What the magnets really do is in no record, for nobody knows.
const share = (name: string, tags: Record<string, number>) =>
  db.share(isRoot ? new BraidFact(db, { name, tags }) : null);
const [q1, q2] = DESIGN.strengths;
const simulationConfiguration = await share('simulation-configuration', { q1, q2, trust: SIMULATION_ERROR });
const machineConfiguration = await share('machine-configuration', { measurementError: MEASUREMENT_ERROR });
const model = await db.share(isRoot ? new BraidModel(db, { name: 'beam-size-model' }) : null);

const surrogate = new Surrogate();
/** Of each version, on shots that it never learns from: the first has step 1. */
const errors: number[] = [];
/** Of each experiment, by the version that chose its settings. */
const surprises: number[] = [];
const heldOut = measureHeldOut();

for (let batch = 1; batch <= SIMULATION_BATCHES; batch++) {
  const made: BraidData[] = [];
  const found = dealt(options.simulations, (i) => {
    const settings = anywhere(randomFor(SIMULATE, batch, i));
    const simulated = beamSize(settings, DESIGN);
    made.push(
      new BraidData(db, {
        name: `simulation-${batch}-${i}`,
        derivedFrom: simulationConfiguration,
        tags: { q1: settings[0], q2: settings[1], size: simulated },
      }),
    );
    return [...settings, simulated];
  });
  for (const [q1, q2, simulated] of found) surrogate.learn([q1, q2], simulated, SIMULATION_ERROR);
  validate(model.update(made, { step: batch }));
}

for (let experiment = 1; experiment <= options.experiments; experiment++) {
  const made: BraidData[] = [];
  const found = dealt(options.shots, (i) => {
    const settings = surrogate.propose(randomFor(CHOOSE, experiment, i));
    const predicted = surrogate.predict(settings);
    // Derived from the version that this rank has seen last, which is the one that has made the choice.
    const choice = new BraidData(db, {
      name: `settings-${experiment}-${i}`,
      derivedFrom: model,
      tags: { q1: settings[0], q2: settings[1], predicted },
    });
    const measured = shoot(settings, randomFor(SHOOT, experiment, i));
    made.push(
      new BraidData(db, {
        name: `shot-${experiment}-${i}`,
        derivedFrom: [choice, machineConfiguration],
        tags: { size: measured },
      }),
    );
    return [...settings, measured, predicted];
  });
  surprises.push(rms(found.map(([, , measured, predicted]) => predicted / measured)));
  say(`experiment ${experiment}: ${options.shots} shots, other than predicted by ${percent(surprises.at(-1)!)}`);
  for (const [q1, q2, measured] of found) surrogate.learn([q1, q2], measured, MEASUREMENT_ERROR);
  validate(model.update(made, { step: SIMULATION_BATCHES + experiment }));
}

// Where the last version would have the machine work, and what the machine says.
const best = surrogate.best();
const workingPoint = { q1: best[0], q2: best[1], predicted: surrogate.predict(best) };
const measured = shoot(best, randomFor(SHOOT, 0, 0));
if (isRoot) {
  const choice = new BraidData(db, { name: 'working-point', derivedFrom: model, tags: workingPoint });
  new BraidData(db, { name: 'check', derivedFrom: [choice, machineConfiguration], tags: { size: measured } });
}
await db.close();

const result = { ranks: size, errors, surprises, workingPoint, measured, db: options.record ? db.path : null };
if (isRoot && options.json) console.log(JSON.stringify(result));
say(
  `working point ${best.map(twoPlaces).join(', ')}: ${workingPoint.predicted.toFixed(3)} mm, measured ${measured.toFixed(3)} mm`,
);

/** Collective. What `work` gives for 0 … count − 1, of which each rank does its part: in that order, on every rank. */
function dealt(count: number, work: (index: number) => number[]): number[][] {
  const mine = new Map<number, number[]>();
  for (let i = rank; i < count; i += size) mine.set(i, work(i));
  const parts = size > 1 ? MPI.COMM_WORLD.allgatherObjects(mine) : [mine];
  return Array.from({ length: count }, (_, i) => parts[i % size].get(i)!);
}

/** Shots all over the settings, to judge by. */
function measureHeldOut() {
  const shots = Array.from({ length: HELD_OUT }, (_, i) => {
    const next = randomFor(VALIDATE, 0, i);
    const settings = anywhere(next);
    return { settings, measured: shoot(settings, next) };
  });
  const tags = { shots: HELD_OUT };
  const data = isRoot ? new BraidData(db, { name: 'held-out', derivedFrom: machineConfiguration, tags }) : null;
  return { shots, data };
}

/** Judges the model as it is now. The root records it, of this version. */
function validate(version: BraidVersion): void {
  const error = rms(heldOut.shots.map(({ settings, measured }) => surrogate.predict(settings) / measured));
  errors.push(error);
  if (isRoot) {
    new BraidData(db, { name: `validation-${version.step}`, derivedFrom: [version, heldOut.data!], tags: { error } });
  }
  const smallest = surrogate.best().map(twoPlaces).join(', ');
  say(`version ${version.step}: wrong by ${percent(error)} on held-out shots; smallest beam at ${smallest}`);
}

function rms(ratios: readonly number[]): number {
  return Math.sqrt(ratios.reduce((sum, ratio) => sum + Math.log(ratio) ** 2, 0) / ratios.length);
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`;
}

function twoPlaces(value: number): string {
  return value.toFixed(2);
}
