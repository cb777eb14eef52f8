import assert from 'node:assert/strict';
import { missingVendors } from '../support/mpiexec.js';
import { itExplainsItself, itsFolder, itsJobsWithoutRecording, jobsOf, programOf, Recorded, resultOf } from './jobs.js';

const program = programOf('slac');
const jobs = jobsOf(program);
const SIMULATION_BATCHES = 2;
const SIMULATIONS = 60;
const EXPERIMENTS = 5;
/** Not to be dealt evenly to two or three ranks. */
const SHOTS = 7;
const VERSIONS = SIMULATION_BATCHES + EXPERIMENTS;

interface Result {
  ranks: number;
  /** Of each version, on held-out shots. */
  errors: number[];
  /** Of each experiment, by the version that chose it. */
  surprises: number[];
  workingPoint: { q1: number; q2: number; predicted: number };
  measured: number;
}

describe('slac example', function () {
  this.timeout(100_000);

  const pathOf = itsFolder();
  const results: Result[] = [];
  const argumentsFor = (path: string) => ['--db', path, '--shots', String(SHOTS), '--json'];

  for (const [index, job] of jobs.entries()) {
    describe(job.title, () => {
      let result: Result;
      let db: Recorded;

      before(async () => {
        const path = pathOf(`${index}.db`);
        result = await resultOf(job.run(argumentsFor(path)));
        results.push(result);
        db = new Recorded(path);
      });
      after(() => db?.close());

      it('has committed all that was recorded, as one completed run', () => {
        assert.equal(result.ranks, job.ranks);
        // Two facts, the model, the held-out shots, the working point and its check; then what there is many of.
        const many = SIMULATION_BATCHES * SIMULATIONS + 2 * EXPERIMENTS * SHOTS + VERSIONS;
        db.assertComplete(job.ranks, 6 + many);
        db.assertVersionsKnown();
      });

      it('derives settings from the version that chose them, and shots from settings and machine', () => {
        for (let experiment = 1; experiment <= EXPERIMENTS; experiment++) {
          const version = `beam-size-model@step=${SIMULATION_BATCHES + experiment - 1}`;
          for (let i = 0; i < SHOTS; i++) {
            const settings = db.record(`settings-${experiment}-${i}`);
            const shot = db.record(`shot-${experiment}-${i}`);
            assert.deepEqual([settings.rank, shot.rank], [i % job.ranks, i % job.ranks]);
            assert.deepEqual(db.sources(settings.name), ['beam-size-model']);
            assert.deepEqual(db.sourceVersions(settings.name), [version]);
            assert.deepEqual(db.sources(shot.name), ['machine-configuration', settings.name]);
          }
        }
      });

      it('makes one version a batch, of the simulations or shots of all ranks', () => {
        const versions = [...db.reader.versions(db.id('beam-size-model'))];
        const everyRank = Array.from({ length: job.ranks }, (_, rank) => rank);
        assert.deepEqual(
          versions.map(({ step, ranks }) => [step, ranks]),
          Array.from({ length: VERSIONS }, (_, i) => [i + 1, everyRank]),
        );
        for (let step = 1; step <= VERSIONS; step++) {
          const experiment = step - SIMULATION_BATCHES;
          const made = experiment < 1 ? `simulation-${step}-` : `shot-${experiment}-`;
          const count = experiment < 1 ? SIMULATIONS : SHOTS;
          assert.deepEqual(db.exposures('beam-size-model', step), db.namesFrom(made));
          assert.equal(db.namesFrom(made).length, count);
        }
        for (const name of db.namesFrom('simulation-1-')) {
          assert.deepEqual(db.sources(name), ['simulation-configuration']);
          assert.equal(db.record(name).rank, Number(name.split('-')[2]) % job.ranks);
        }
      });

      it('derives judgements and the working point from the versions they are of', () => {
        for (let step = 1; step <= VERSIONS; step++) {
          const name = `validation-${step}`;
          assert.deepEqual(db.sourceVersions(name), [`beam-size-model@step=${step}`]);
          assert.deepEqual(db.sources(name), ['beam-size-model', 'held-out']);
          assert.equal(db.record(name).tags.error, result.errors[step - 1]);
        }
        assert.deepEqual(db.sourceVersions('working-point'), [`beam-size-model@step=${VERSIONS}`]);
        assert.deepEqual(db.sources('check'), ['machine-configuration', 'working-point']);
      });

      it('says that only the settings of the first experiment were chosen without experimental data', () => {
        for (const name of db.namesFrom('settings-')) {
          const [version] = db.sourceVersions(name);
          const chosenBy = Number(version.split('=')[1]);
          const steps = Array.from({ length: chosenBy }, (_, i) => i + 1);
          const hadSeen = steps.flatMap((step) => db.exposures('beam-size-model', step));
          const shots = hadSeen.filter((source) => source.startsWith('shot-'));
          const experiment = Number(name.split('-')[1]);
          assert.equal(shots.length, (experiment - 1) * SHOTS, name);
        }
      });
    });
  }

  // In a suite of its own, or it would come before those of the jobs.
  describe('all together', () => {
    it('comes to the same on any number of ranks, to the last bit', () => {
      assert.equal(results.length, jobs.length);
      const [first, ...others] = results.map((result) => ({ ...result, ranks: 0, db: '' }));
      for (const other of others) assert.deepEqual(other, first);
    });

    for (const seed of ['1', '2', '3', '4']) {
      it(`predicts better for having seen the machine (seed ${seed})`, async () => {
        const args = ['--db', pathOf(`${seed}.db`), '--json', '--seed', seed];
        const { errors, surprises, workingPoint, measured } = await resultOf<Result>(jobs[0].run(args));
        const simulated = errors[SIMULATION_BATCHES - 1];
        // More simulations of the wrong machine don't help.
        assert.ok(Math.abs(errors[0] - simulated) < 0.1 * errors[0], `${errors.join()}`);
        assert.ok(errors.at(-1)! < 0.9 * simulated, `${errors.join()}`);
        assert.ok(surprises.at(-1)! < 0.5 * surprises[0], `${surprises.join()}`);
        assert.ok(Math.abs(Math.log(measured / workingPoint.predicted)) < 0.1, `${measured}`);
      });
    }
  });

  itsJobsWithoutRecording<Result>(
    jobs,
    () => ['--experiments', '2', '--shots', '1'],
    ({ surprises }) => assert.equal(surprises.length, 2),
  );

  itExplainsItself(program, [
    ['--experiments', '0'],
    ['--shots', 'many'],
    ['--seed', '1e9'],
    ['--images', '3'],
  ]);

  for (const why of missingVendors) it(`runs under ${why}`);
});
