import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BraidReader, verify } from 'braid-mpi';
import Database from 'better-sqlite3';
import type { VersionRow } from '#src/query/reader.js';
import { fitPeak } from '../../examples/braggnn/fit.js';
import { cutPatches, PATCH, PEAKS, POISSON, takeFrame, YOUNG_GPA } from '../../examples/braggnn/frames.js';
import { Network } from '../../examples/braggnn/network.js';
import { StrainModel } from '../../examples/braggnn/strain.js';
import { random } from '../../examples/common/random.js';
import { missingVendors, runAlone, type Run } from '../support/mpiexec.js';
import { idOf, jobsOf, outputOf } from './jobs.js';

const program = fileURLToPath(new URL('../../examples/braggnn/braggnn.js', import.meta.url));
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

const jobs = jobsOf(program, [2, 3]);

describe('braggnn example', function () {
  // Seconds each, but of two cores that the ranks may have to share with other tests.
  this.timeout(100_000);

  let directory: string;
  const results = new Map<string, Result>();

  before(() => (directory = mkdtempSync(join(tmpdir(), 'braid-braggnn-'))));
  after(() => rmSync(directory, { recursive: true }));

  for (const job of jobs) {
    describe(job.title, () => {
      const folder = job.title.replace(/\W+/g, '-');
      const everyRank = Array.from({ length: job.ranks }, (_, rank) => rank);
      let result: Result;
      let reader: BraidReader;
      let sql: Database.Database;
      let versions: VersionRow[];

      before(async () => {
        const db = join(directory, `${folder}.db`);
        result = await resultOf(job.run(argumentsFor(db, join(directory, folder))));
        results.set(job.title, result);
        reader = BraidReader.open(db);
        sql = new Database(db, { readonly: true });
        versions = [...reader.versions(idOf(reader, 'bragg-surrogate'))];
      });
      after(() => {
        reader?.close();
        sql?.close();
      });

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
        const checks = [...reader.records({ kind: 'data' })].filter(({ name }) => name.startsWith('check-'));
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
        const exposed = sql
          .prepare(
            `SELECT r.name FROM updates u JOIN exposures e USING (update_id) JOIN records r ON r.record_id = e.source_id
               JOIN versions v ON v.version_id = u.version_id WHERE v.model_id = ? AND v.step = ?`,
          )
          .pluck();
        for (const { model, step, tags } of versions) {
          const experiment = step! <= EPOCHS ? 0 : DRIFTED;
          assert.equal(tags.experiment, experiment);
          const learnt = Array.from({ length: TRAINED }, (_, i) => `labels-${experiment}-${CHECKED + i}`);
          assert.deepEqual(exposed.all(model, step).sort(), learnt.sort());
        }
      });

      it('derives each check from the version that was checked, and the fits that all ranks made for it', () => {
        for (const [experiment, step] of [
          [0, EPOCHS],
          [DRIFTED, EPOCHS],
          [DRIFTED, LAST_EPOCH],
        ]) {
          const id = idOf(reader, `check-${experiment}-${step}`);
          assert.deepEqual(steps(sql, id), [{ name: 'bragg-surrogate', step }]);
          const labels = Array.from({ length: CHECKED }, (_, i) => `labels-${experiment}-${i}`);
          assert.deepEqual(names(reader.sources(id)), ['bragg-surrogate', ...labels]);
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
          const [check] = reader.records({ name: `check-${experiment}-${step}` });
          assert.equal(check.tags.medianError, median(errors));
        }
      });

      it('derives what was found from the version that found it, on the rank that took the frame', () => {
        for (let experiment = 0; experiment < EXPERIMENTS; experiment++) {
          for (let number = 0; number < FRAMES; number++) {
            const [found] = reader.records({ name: `peaks-${experiment}-${number}` });
            assert.equal(found.rank, number % job.ranks);
            const patches = `patches-${experiment}-${number}`;
            assert.deepEqual(names(reader.sources(found.id)), ['bragg-surrogate', patches]);
            assert.deepEqual(steps(sql, found.id), [{ name: 'bragg-surrogate', step: USED[experiment] }]);
          }
          assert.deepEqual(names(reader.sources(idOf(reader, `patches-${experiment}-0`))), [`frame-${experiment}-0`]);
          const facts = ['beamline', `experiment-${experiment}`];
          assert.deepEqual(names(reader.sources(idOf(reader, `frame-${experiment}-0`))), facts);
        }
      });

      it('lets the surrogate influence the strain model, by a version and by what that has found', () => {
        const strainModel = idOf(reader, 'strain-model');
        const influence = sql.prepare(
          `SELECT DISTINCT v.step, by.step AS surrogate, u.rank FROM versions v JOIN updates u USING (version_id)
             JOIN exposures e USING (update_id) JOIN versions by ON by.version_id = e.version_id
           WHERE v.model_id = ? AND by.model_id = ? AND e.unversioned = 0 ORDER BY v.step, u.rank`,
        );
        assert.deepEqual(
          influence.all(strainModel, idOf(reader, 'bragg-surrogate')),
          USED.flatMap((surrogate, step) => everyRank.map((rank) => ({ step, surrogate, rank }))),
        );
        const found = Array.from(
          { length: EXPERIMENTS * FRAMES },
          (_, i) => `peaks-${Math.floor(i / FRAMES)}-${i % FRAMES}`,
        );
        assert.deepEqual(names(reader.sources(strainModel)), ['bragg-surrogate', ...found].sort());
        for (let step = 0; step < EXPERIMENTS; step++) {
          assert.deepEqual(steps(sql, idOf(reader, `strain-${step}`)), [{ name: 'strain-model', step }]);
        }
      });

      it('finds out the stiffness of the sample', () => {
        assert.ok(Math.abs(result.youngGPa / YOUNG_GPA - 1) < 0.03, `${result.youngGPa}`);
        assert.ok(Math.abs(result.poisson - POISSON) < 0.02, `${result.poisson}`);
        const [last] = reader.records({ name: `strain-${EXPERIMENTS - 1}` });
        assert.equal(last.tags.youngGPa, result.youngGPa);
      });

      it('has committed all that was recorded, as one completed run of a sound database', () => {
        const [run, ...others] = reader.runs();
        assert.deepEqual(others, []);
        assert.equal(run.status, 'COMPLETED');
        assert.equal(run.committed, run.recorded);
        // Beamline, settings, two models; an experiment's fact and strain, frames, patches and peaks; fits; checks.
        const fits = EXPERIMENTS * CHECKED + 2 * TRAINED;
        assert.equal(run.records, 4 + EXPERIMENTS * (2 + 3 * FRAMES) + fits + 5);
        assert.deepEqual(verify(reader.path).problems, []);
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
      const db = join(directory, 'few.db');
      // Of three frames one is for the check and two to learn from.
      const few = ['--experiments', '1', '--frames', '3', '--epochs', '2'];
      await resultOf(job.run([...argumentsFor(db, join(directory, 'few')), ...few]));
      const reader = BraidReader.open(db);
      try {
        const made = [...reader.versions(idOf(reader, 'bragg-surrogate'))];
        assert.deepEqual(
          made.map(({ step, ranks }) => [step, ranks.length]),
          [
            [1, job.ranks],
            [2, job.ranks],
          ],
        );
        assert.deepEqual(verify(db).problems, []);
      } finally {
        reader.close();
        rmSync(db);
      }
    });
  }

  for (const job of jobs.filter(({ ranks }) => ranks <= 2)) {
    for (const [how, args, env] of [
      ['--no-record', ['--no-record'], {}],
      ['BRAID=off', [], { BRAID: 'off' }],
    ] as const) {
      it(`leaves no database with ${how} (${job.title})`, async () => {
        const db = join(directory, 'off.db');
        const few = ['--experiments', '2', '--frames', '6', '--epochs', '2'];
        const run = job.run([...argumentsFor(db, join(directory, 'off')), ...few, ...args], env);
        assert.equal((await resultOf(run)).outcomes.length, 2);
        assert.ok(!existsSync(db));
      });
    }
  }

  it('explains itself, and what it does not understand', async () => {
    const help = await runAlone(program, { args: ['--help'] });
    assert.equal(help.code, 0);
    assert.match(help.stdout, /mpiexec -n 4/);
    for (const args of [
      ['--frames', '2'],
      ['--epochs', 'many'],
      ['--threshold', '0'],
      ['--steps', '3'],
    ]) {
      const wrong = await runAlone(program, { args });
      assert.equal(wrong.code, 2, wrong.stderr);
      assert.match(wrong.stderr, /Usage:/);
    }
  });

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

function argumentsFor(db: string, out: string): string[] {
  return ['--db', db, '--out', out, '--json'];
}

async function resultOf(running: Promise<Run>): Promise<Result> {
  return JSON.parse(await outputOf(running)) as Result;
}

/** Which versions of which models a record is derived from. */
function steps(sql: Database.Database, id: number): unknown[] {
  return sql
    .prepare(
      `SELECT r.name, v.step FROM derivation_versions d JOIN versions v USING (version_id)
         JOIN records r ON r.record_id = v.model_id WHERE d.derivation = ?`,
    )
    .all(id);
}

const names = (records: readonly { name: string }[]) => records.map(({ name }) => name).sort();
/** The upper one of the two in the middle. */
const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1];
