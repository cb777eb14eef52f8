import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { verify } from 'braid-mpi';
import type { VersionRow } from '#src/query/reader.js';
import { fitPeak } from '../../examples/braggnn/fit.js';
import { cutPatches, PATCH, PEAKS, POISSON, takeFrame, YOUNG_GPA } from '../../examples/braggnn/frames.js';
import { Network } from '../../examples/braggnn/network.js';
import { StrainModel } from '../../examples/braggnn/strain.js';
import { random } from '../../examples/common/random.js';
import { missingVendors } from '../support/mpiexec.js';
import { itExplainsItself, itsFolder, itsJobsWithoutRecording, jobsOf, programOf, Recorded, resultOf } from './jobs.js';

const program = programOf('braggnn');
const jobs = jobsOf(program);
/** What the options are by default. */
const EXPERIMENTS = 4;
const FRAMES = 24;
const CHECKED = 4;
const TRAINED = 16;
const EPOCHS = 30;
const THRESHOLD = 0.05;
/** The optics were exchanged before this one. */
const DRIFTED = 2;
const LAST_EPOCH = EPOCHS + EPOCHS / 2;
/** The epoch of the network that was used in each experiment. */
const USED = [EPOCHS, EPOCHS, LAST_EPOCH, LAST_EPOCH];

interface Result {
  outcomes: { errorBefore?: number; error: number; epoch: number; youngGPa: number }[];
  youngGPa: number;
  poisson: number;
  ranks: number;
  db: string | null;
}

describe('braggnn example', function () {
  // Seconds each, but of two cores that the ranks may have to share with other tests.
  this.timeout(100_000);

  const pathOf = itsFolder();
  const results = new Map<string, Result>();

  for (const job of jobs) {
    describe(job.title, () => {
      const folder = job.title.replace(/\W+/g, '-');
      const everyRank = Array.from({ length: job.ranks }, (_, rank) => rank);
      let result: Result;
      let db: Recorded;
      let versions: VersionRow[];

      before(async () => {
        const path = pathOf(`${folder}.db`);
        result = await resultOf(job.run(['--db', path, '--out', pathOf(folder), '--json']));
        results.set(job.title, result);
        db = new Recorded(path);
        versions = [...db.reader.versions(db.id('bragg-surrogate'))];
      });
      after(() => db?.close());

      it('finds the peaks of every experiment where the fit finds them', () => {
        assert.equal(result.ranks, job.ranks);
        assert.equal(result.outcomes.length, EXPERIMENTS);
        for (const { error } of result.outcomes) assert.ok(error > 0 && error < THRESHOLD, `${error}`);
      });

      it('is trained again when the optics are exchanged, and only then, and is better for it', () => {
        assert.deepEqual(
          result.outcomes.map(({ epoch }) => epoch),
          USED,
        );
        const { errorBefore, error } = result.outcomes[DRIFTED];
        assert.ok(errorBefore! > THRESHOLD && error < errorBefore! / 2, `${errorBefore} → ${error}`);
        const checks = db.namesFrom('check-').map((name) => db.record(name));
        assert.deepEqual(
          checks.map(({ name, tags }) => [name, tags.drifted]).sort(),
          [
            [`check-0-${EPOCHS}`, false],
            [`check-1-${EPOCHS}`, false],
            [`check-${DRIFTED}-${EPOCHS}`, true],
            [`check-${DRIFTED}-${LAST_EPOCH}`, false],
            [`check-3-${LAST_EPOCH}`, false],
          ].sort(),
        );
      });

      it('records one version an epoch, of all ranks together, with its loss', () => {
        assert.deepEqual(
          versions.map(({ step }) => step),
          Array.from({ length: LAST_EPOCH }, (_, i) => i + 1),
        );
        for (const { ranks } of versions) assert.deepEqual(ranks, everyRank);
        const losses = versions.map(({ tags }) => tags.loss as number);
        assert.ok(losses.every((loss) => loss > 0));
        assert.ok(losses[EPOCHS - 1] < losses[0] / 10);
        assert.ok(losses[LAST_EPOCH - 1] < losses[EPOCHS] / 2);
      });

      it('says of every version which fits it has learnt from: of its experiment, and none that it is checked by', () => {
        for (const { step, tags } of versions) {
          const experiment = step! <= EPOCHS ? 0 : DRIFTED;
          assert.equal(tags.experiment, experiment);
          const learnt = Array.from({ length: TRAINED }, (_, i) => `labels-${experiment}-${CHECKED + i}`);
          assert.deepEqual(db.exposures('bragg-surrogate', step!), learnt.sort());
        }
      });

      it('derives each check from the version that was checked, and the fits that all ranks made for it', () => {
        for (const [experiment, step] of [
          [0, EPOCHS],
          [DRIFTED, EPOCHS],
          [DRIFTED, LAST_EPOCH],
        ]) {
          const check = `check-${experiment}-${step}`;
          assert.deepEqual(db.sourceVersions(check), [`bragg-surrogate@step=${step}`]);
          const labels = Array.from({ length: CHECKED }, (_, i) => `labels-${experiment}-${i}`);
          assert.deepEqual(db.sources(check), ['bragg-surrogate', ...labels]);
        }
      });

      it('keeps checkpoints that are as far from the fits as the checks say', () => {
        const kept = versions.filter(({ uris }) => uris.length > 0);
        assert.deepEqual(
          kept.map(({ step }) => step),
          [EPOCHS, LAST_EPOCH],
        );
        for (const { step, uris } of kept) {
          const network = new Network(new Float64Array(new Uint8Array(readFileSync(fileURLToPath(uris[0]))).buffer));
          const experiment = step === EPOCHS ? 0 : DRIFTED;
          const errors: number[] = [];
          for (let number = 0; number < CHECKED; number++) {
            for (const patch of cutPatches(takeFrame(experiment, number))) {
              const [found, label] = [network.locate(patch.pixels), fitPeak(patch)];
              if (label) errors.push(Math.hypot(found.x - label.x, found.y - label.y));
            }
          }
          assert.equal(db.record(`check-${experiment}-${step}`).tags.medianError, median(errors));
        }
      });

      it('derives what was found from the version that found it, on the rank that took the frame', () => {
        for (let experiment = 0; experiment < EXPERIMENTS; experiment++) {
          for (let number = 0; number < FRAMES; number++) {
            const found = db.record(`peaks-${experiment}-${number}`);
            assert.equal(found.rank, number % job.ranks);
            assert.deepEqual(db.sources(found.name), ['bragg-surrogate', `patches-${experiment}-${number}`]);
            assert.deepEqual(db.sourceVersions(found.name), [`bragg-surrogate@step=${USED[experiment]}`]);
          }
          assert.deepEqual(db.sources(`patches-${experiment}-0`), [`frame-${experiment}-0`]);
          assert.deepEqual(db.sources(`frame-${experiment}-0`), ['beamline', `experiment-${experiment}`]);
        }
      });

      it('lets the surrogate influence the strain model, by a version and by what that has found', () => {
        const influences = db.column(
          `SELECT DISTINCT v.step || ' by ' || by.step || ' on rank ' || u.rank
           FROM versions v JOIN updates u USING (version_id)
             JOIN exposures e USING (update_id) JOIN versions by ON by.version_id = e.version_id
           WHERE v.model_id = ? AND by.model_id = ? AND e.unversioned = 0`,
          db.id('strain-model'),
          db.id('bragg-surrogate'),
        );
        assert.deepEqual(
          influences,
          USED.flatMap((surrogate, step) => everyRank.map((rank) => `${step} by ${surrogate} on rank ${rank}`)),
        );
        const found = Array.from(
          { length: EXPERIMENTS * FRAMES },
          (_, i) => `peaks-${Math.floor(i / FRAMES)}-${i % FRAMES}`,
        );
        assert.deepEqual(db.sources('strain-model'), ['bragg-surrogate', ...found].sort());
        for (let step = 0; step < EXPERIMENTS; step++) {
          assert.deepEqual(db.sourceVersions(`strain-${step}`), [`strain-model@step=${step}`]);
        }
      });

      it('finds out the stiffness of the sample', () => {
        assert.ok(Math.abs(result.youngGPa / YOUNG_GPA - 1) < 0.03, `${result.youngGPa}`);
        assert.ok(Math.abs(result.poisson - POISSON) < 0.02, `${result.poisson}`);
        assert.equal(db.record(`strain-${EXPERIMENTS - 1}`).tags.youngGPa, result.youngGPa);
      });

      it('has committed all that was recorded, as one completed run of a sound database', () => {
        // Beamline, settings, two models; an experiment's fact and strain, frames, patches and peaks; fits; checks.
        const fits = EXPERIMENTS * CHECKED + 2 * TRAINED;
        db.assertComplete(job.ranks, 4 + EXPERIMENTS * (2 + 3 * FRAMES) + fits + 5);
      });
    });
  }

  // In a suite of its own, or it would come before those of the jobs.
  describe('all together', () => {
    it('comes to the same on any number of ranks', () => {
      assert.equal(results.size, jobs.length);
      const [first, ...others] = results.values();
      for (const { outcomes, poisson } of others) {
        outcomes.forEach(({ error, youngGPa }, i) => {
          assert.ok(Math.abs(error - first.outcomes[i].error) < 1e-6);
          assert.ok(Math.abs(youngGPa - first.outcomes[i].youngGPa) < 1e-6);
        });
        assert.ok(Math.abs(poisson - first.poisson) < 1e-6);
      }
    });
  });

  for (const job of jobs.filter(({ ranks }) => ranks === 3)) {
    it(`makes versions of all ranks where one has nothing to learn from (${job.title})`, async () => {
      // Of three frames one is for the check and two to learn from.
      const few = ['--experiments', '1', '--frames', '3', '--epochs', '2'];
      const path = pathOf('few.db');
      await resultOf(job.run(['--db', path, '--out', pathOf('few'), '--json', ...few]));
      const db = new Recorded(path);
      try {
        const made = [...db.reader.versions(db.id('bragg-surrogate'))];
        assert.deepEqual(
          made.map(({ step, ranks }) => [step, ranks.length]),
          [
            [1, job.ranks],
            [2, job.ranks],
          ],
        );
        assert.deepEqual(verify(path).problems, []);
      } finally {
        db.close();
        rmSync(path);
      }
    });
  }

  itsJobsWithoutRecording<Result>(
    jobs,
    (pathOf) => ['--out', pathOf('off'), '--experiments', '2', '--frames', '6', '--epochs', '2'],
    ({ outcomes }) => assert.equal(outcomes.length, 2),
  );

  itExplainsItself(program, [
    ['--frames', '2'],
    ['--epochs', 'many'],
    ['--threshold', '0'],
    ['--steps', '3'],
  ]);

  describe('its parts', () => {
    it('fits peaks to hundredths of a pixel, through the noise', () => {
      const { peaks, ...frame } = takeFrame(0, 0);
      const patches = cutPatches({ ...frame, peaks });
      const errors = patches.map((patch, i) => {
        const { x, y } = fitPeak(patch)!;
        return Math.hypot(patch.x + x - peaks[i].x, patch.y + y - peaks[i].y);
      });
      assert.equal(errors.length, PEAKS);
      assert.ok(median(errors) < 0.04, `${median(errors)}`);
    });

    it('has no position of a patch without a peak', () => {
      const [patch] = cutPatches(takeFrame(0, 0));
      assert.equal(fitPeak({ ...patch, pixels: new Float64Array(PATCH * PATCH) }), null);
      const ramp = Float64Array.from({ length: PATCH * PATCH }, (_, i) => (i % PATCH) / (PATCH - 1));
      assert.equal(fitPeak({ ...patch, pixels: ramp }), null);
    });

    it('learns by the gradient of its loss', () => {
      const next = random(3);
      const patch = Float64Array.from({ length: PATCH * PATCH }, next);
      const label = { x: 0.3, y: -0.2 };
      const network = Network.random(4, 5);
      network.learn(patch, label);
      const loss = () => {
        const { x, y } = network.locate(patch);
        return (x - label.x) ** 2 + (y - label.y) ** 2;
      };
      const { weights, sums } = network;
      for (let i = 0; i < weights.length; i++) {
        const weight = weights[i];
        weights[i] = weight + 1e-6;
        const above = loss();
        weights[i] = weight - 1e-6;
        // `learn` leaves out the factor of 2.
        assert.ok(Math.abs((above - loss()) / 4e-6 - sums[i]) < 1e-6, `weight ${i}`);
        weights[i] = weight;
      }
    });

    it('finds the strain of peaks that are known exactly', () => {
      const model = new StrainModel();
      for (let experiment = 0; experiment < 2; experiment++) {
        const loadMPa = [80, 120][experiment];
        for (const { x, y, unloadedX, unloadedY } of takeFrame(experiment, 0).peaks) {
          model.learn(loadMPa, x, y, unloadedX, unloadedY);
        }
        model.absorb();
      }
      assert.ok(Math.abs(model.youngGPa / YOUNG_GPA - 1) < 0.005, `${model.youngGPa}`);
      assert.ok(Math.abs(model.poisson - POISSON) < 0.005, `${model.poisson}`);
    });
  });

  for (const why of missingVendors) it(`runs under ${why}`);
});

/** The upper one of the two in the middle. */
const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1];
