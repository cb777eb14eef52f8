/**
 * Serial crystallography in small: integrates the images of many crystals on as many ranks as it is started with, and
 * refines two structures from them that share an experiment:
 *
 *   node dist-dev/examples/ssx/ssx.js
 *   mpiexec -n 4 node dist-dev/examples/ssx/ssx.js
 *
 * The images of an experiment are dealt to the ranks. Each rank records what it has integrated; all merge what they
 * have measured, and refine the same structures from it.
 */
import { BraidData, BraidDB, BraidFact, BraidModel } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';
import { shoot, STARTING_MODEL, TRUTH, WRONG_SAMPLE, type Structure } from './crystal.js';
import { readOptions } from './options.js';
import { BEAMLINES, EXPERIMENTS, PROCESSINGS, STRUCTURES } from './plan.js';
import { integrate, merge, type Measurement } from './processing.js';
import { refine } from './refine.js';

const options = readOptions();
// The same program, and nothing recorded.
if (!options.record) process.env.BRAID = 'off';

const db = await BraidDB.open(options.db, { name: 'ssx' });
const { rank, size, isRoot } = db;
/** Collective. Adds up over all ranks, in place. A single process never gets to MPI. */
const allSum = async (values: Float64Array) => {
  if (size > 1) await MPI.COMM_WORLD.iallreduce(MPI.IN_PLACE, values, MPI.SUM);
};
const say = (text: string) => {
  if (isRoot) process.stderr.write(`${text}\n`);
};

// What is given from outside, and the structures to be: stated by the root, and every rank gets a handle.
const facts = new Map<string, BraidFact>();
for (const [name, tags] of Object.entries({ ...BEAMLINES, ...PROCESSINGS })) {
  facts.set(name, await db.share(isRoot ? new BraidFact(db, { name, tags }) : null));
}
const models = new Map<string, BraidModel>();
for (const name of Object.keys(STRUCTURES)) {
  models.set(name, await db.share(isRoot ? new BraidModel(db, { name }) : null));
}

/** What this rank has measured, image by image, in each experiment. */
const measured = new Map<number, Measurement[][]>();
const refined = new Map<string, Structure>();
const rFactors: Record<string, number[]> = Object.fromEntries(Object.keys(STRUCTURES).map((name) => [name, []]));
let indexedInAll = 0;

for (const [index, { beamline, processing }] of EXPERIMENTS.entries()) {
  const number = index + 1;
  const experiment = await db.share(
    isRoot
      ? new BraidData(db, {
          name: `experiment-${number}`,
          derivedFrom: facts.get(beamline),
          tags: { images: options.images },
        })
      : null,
  );

  // This rank's images. What isn't indexed is recorded, too: it has an image, and nothing derived from it.
  const integrations: BraidData[] = [];
  const measurements: Measurement[][] = [];
  for (let i = rank; i < options.images; i += size) {
    const sample = number === options.bad ? WRONG_SAMPLE : TRUTH;
    const image = shoot(sample, BEAMLINES[beamline], 1_000_000 * number + i);
    const found = integrate(image, PROCESSINGS[processing]);
    const imageData = new BraidData(db, {
      name: `image-${number}-${i}`,
      derivedFrom: experiment,
      tags: { spots: image.spots.length, indexed: found !== null },
    });
    if (!found) continue;
    measurements.push(found);
    integrations.push(
      new BraidData(db, {
        name: `integration-${number}-${i}`,
        derivedFrom: [imageData, facts.get(processing)!],
        tags: { reflections: found.length },
      }),
    );
  }
  measured.set(number, measurements);
  const indexed = Float64Array.of(measurements.length);
  await allSum(indexed);
  indexedInAll += indexed[0];
  say(`experiment ${number}: ${indexed[0]} of ${options.images} images indexed`);

  // Each structure that waits for this experiment is refined from all that it has by now.
  for (const [name, experiments] of Object.entries(STRUCTURES)) {
    if (!experiments.includes(number)) continue;
    const images = experiments.flatMap((one) => measured.get(one) ?? []);
    const { structure, rFactor } = refine(await merge(images, STARTING_MODEL, allSum), STARTING_MODEL);
    refined.set(name, structure);
    rFactors[name].push(rFactor);

    // Every rank says what it has contributed, with the same step: together they make one version of the structure.
    const tags = isRoot ? { rFactor, experiments: rFactors[name].length } : undefined;
    models.get(name)!.update(integrations, { step: number, tags });
    say(`  ${name}: R ${rFactor.toFixed(3)}, atoms ${errorOf(structure).toFixed(4)} off`);
  }
}

// What is published of each, from the last version of its model.
if (isRoot) {
  for (const [name, { positions, fading }] of refined) {
    const atoms = Object.fromEntries(positions.map((x, atom) => [`x${atom + 1}`, x]));
    new BraidData(db, {
      name: `coordinates-${name.at(-1)}`,
      derivedFrom: models.get(name),
      tags: { ...atoms, fading, rFactor: rFactors[name].at(-1)! },
    });
  }
}
await db.close();

const errors = Object.fromEntries([...refined].map(([name, structure]) => [name, errorOf(structure)]));
const result = { ranks: size, indexed: indexedInAll, rFactors, errors, db: options.record ? db.path : null };
if (isRoot && options.json) console.log(JSON.stringify(result));

/** How far the atoms are from where they are in truth, in the mean: what a simulation can know. */
function errorOf({ positions }: Structure): number {
  return positions.reduce((sum, x, atom) => sum + Math.abs(x - TRUTH.positions[atom]), 0) / positions.length;
}
