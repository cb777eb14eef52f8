import assert from 'node:assert/strict';
import { EXPERIMENTS, STRUCTURES } from '../../examples/ssx/plan.js';
import { missingVendors } from '../support/mpiexec.js';
import {
  itExplainsItself,
  itsFolder,
  itsJobsWithoutRecording,
  jobsOf,
  names,
  programOf,
  Recorded,
  resultOf,
} from './jobs.js';

const program = programOf('ssx');
const jobs = jobsOf(program);
const IMAGES = 30;

interface Result {
  ranks: number;
  indexed: number;
  /** After each experiment of the structure. */
  rFactors: Record<string, number[]>;
  errors: Record<string, number>;
}

describe('ssx example', function () {
  this.timeout(100_000);

  const pathOf = itsFolder();
  const results: Result[] = [];

  for (const [index, job] of jobs.entries()) {
    describe(job.title, () => {
      let result: Result;
      let db: Recorded;

      before(async () => {
        const path = pathOf(`${index}.db`);
        result = await resultOf(job.run(['--db', path, '--images', String(IMAGES), '--json']));
        results.push(result);
        db = new Recorded(path);
      });
      after(() => db?.close());

      it('has committed all that was recorded, as one completed run', () => {
        assert.equal(result.ranks, job.ranks);
        // Four facts, two models and what is published of them; then experiments, images, integrations.
        db.assertComplete(job.ranks, 8 + EXPERIMENTS.length * (1 + IMAGES) + result.indexed);
        db.assertVersionsKnown();
      });

      it('derives integrations from their image and the way of processing, on the rank that made them', () => {
        for (const [e, { beamline, processing }] of EXPERIMENTS.entries()) {
          const experiment = `experiment-${e + 1}`;
          assert.deepEqual(db.sources(experiment), [beamline]);
          for (let i = 0; i < IMAGES; i++) {
            const image = db.record(`image-${e + 1}-${i}`);
            assert.equal(image.rank, i % job.ranks);
            assert.deepEqual(db.sources(image.name), [experiment]);
            const made = db.reader.derived(image.id);
            assert.deepEqual(names(made), image.tags.indexed ? [`integration-${e + 1}-${i}`] : []);
            for (const { name, rank } of made) {
              assert.equal(rank, image.rank);
              assert.deepEqual(db.sources(name), [image.name, processing].sort());
            }
          }
        }
        assert.equal(db.namesFrom('integration-').length, result.indexed);
        assert.ok(result.indexed > 0.4 * EXPERIMENTS.length * IMAGES, 'many images are indexed');
        assert.ok(result.indexed < 0.9 * EXPERIMENTS.length * IMAGES, 'and some are not');
      });

      it('makes of each experiment one version of the structures that rest on it, of all ranks together', () => {
        const everyRank = Array.from({ length: job.ranks }, (_, rank) => rank);
        for (const [structure, experiments] of Object.entries(STRUCTURES)) {
          const versions = [...db.reader.versions(db.id(structure))];
          assert.deepEqual(
            versions.map(({ step, ranks, tags }) => [step, ranks, tags.rFactor]),
            experiments.map((step, i) => [step, everyRank, result.rFactors[structure][i]]),
          );
          for (const step of experiments) {
            assert.deepEqual(db.exposures(structure, step), db.namesFrom(`integration-${step}-`));
          }
        }
      });

      it('derives what is published from the last version', () => {
        assert.deepEqual(db.sourceVersions('coordinates-a'), ['structure-a@step=3']);
        assert.deepEqual(db.sourceVersions('coordinates-b'), ['structure-b@step=4']);
        assert.equal(db.record('coordinates-b').tags.rFactor, result.rFactors['structure-b'][1]);
      });

      it('says which structures rest on an experiment, and what two have in common', () => {
        const restOn = (experiment: number) => [
          ...new Set(names(db.reader.descendants(db.id(`experiment-${experiment}`), { kind: 'model' }))),
        ];
        assert.deepEqual([1, 2, 3, 4].map(restOn), [
          ['structure-a'],
          ['structure-a'],
          ['structure-a', 'structure-b'],
          ['structure-b'],
        ]);

        const [a, b] = Object.keys(STRUCTURES).map((name) => names(db.reader.ancestors(db.id(name))));
        const integrations = db.namesFrom('integration-3-');
        const images = integrations.map((name) => name.replace('integration', 'image'));
        assert.deepEqual(
          a.filter((name) => b.includes(name)),
          ['beamline-wide', 'experiment-3', 'process-strict', 'process-tolerant', ...images, ...integrations].sort(),
        );
      });
    });
  }

  // In a suite of its own, or it would come before those of the jobs.
  describe('all together', () => {
    it('comes to the same structures on any number of ranks, but for the rounding of sums', () => {
      assert.equal(results.length, jobs.length);
      const numbers = ({ indexed, rFactors, errors }: Result) => [
        indexed,
        ...Object.values(rFactors).flat(),
        ...Object.values(errors),
      ];
      const [first, ...others] = results.map(numbers);
      for (const other of others) {
        assert.equal(other.length, first.length);
        for (const [i, value] of other.entries()) assert.ok(Math.abs(value - first[i]) < 1e-7, `${value} ${first[i]}`);
      }
    });

    it('gets a structure wrong that has half of its data from the wrong sample, and right without', async () => {
      const [{ rFactors, errors }] = results;
      assert.ok(rFactors['structure-a'][1] < 0.05, 'before experiment 3');
      assert.ok(rFactors['structure-a'][2] > rFactors['structure-a'][1]);
      assert.ok(rFactors['structure-b'].every((r) => r > 0.1));

      const path = pathOf('good.db');
      const good = await resultOf<Result>(jobs[0].run(['--db', path, '--bad', '0', '--json']));
      for (const structure of Object.keys(STRUCTURES)) {
        assert.ok(good.rFactors[structure].at(-1)! < 0.05);
        assert.ok(good.errors[structure] < 0.001);
      }
      assert.ok(good.errors['structure-b'] < errors['structure-b'] / 5);
    });
  });

  itsJobsWithoutRecording<Result>(
    jobs,
    () => ['--images', '10'],
    ({ rFactors }) => assert.equal(rFactors['structure-a'].length, 3),
  );

  itExplainsItself(program, [
    ['--images', '9'],
    ['--images', 'many'],
    ['--bad', '5'],
    ['--bad', ''],
    ['--crystals', '3'],
  ]);

  for (const why of missingVendors) it(`runs under ${why}`);
});
