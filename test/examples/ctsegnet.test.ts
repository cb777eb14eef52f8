import assert from 'node:assert/strict';
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

const program = programOf('ctsegnet');
const jobs = jobsOf(program);
const MEMBERS = [0, 1, 2, 3, 4];
const SLICES = 5;
const ROUNDS = 2;

interface Result {
  ranks: number;
  /** Overlap of the votes with the truth, by round. */
  consensus: number[];
  /** That of each member alone. */
  members: number[][];
}

describe('ctsegnet example', function () {
  this.timeout(100_000);

  const pathOf = itsFolder();
  const results: Result[] = [];

  for (const [index, job] of jobs.entries()) {
    describe(job.title, () => {
      let result: Result;
      let db: Recorded;
      const votesOf = (round: number, slice: number) =>
        round === ROUNDS ? `segmentation-${slice}` : `votes-${round}-${slice}`;
      const everySlice = Array.from({ length: SLICES }, (_, slice) => slice);

      before(async () => {
        const path = pathOf(`${index}.db`);
        const args = ['--db', path, '--slices', String(SLICES), '--rounds', String(ROUNDS), '--json'];
        result = await resultOf(job.run(args));
        results.push(result);
        db = new Recorded(path);
      });
      after(() => db?.close());

      it('has committed all that was recorded, as one completed run', () => {
        assert.equal(result.ranks, job.ranks);
        // Two facts; models and what was labelled for them; slices; votes on each and a score, every round.
        db.assertComplete(job.ranks, 2 + 2 * MEMBERS.length + SLICES + (ROUNDS + 1) * (SLICES + 1));
        db.assertVersionsKnown();
      });

      it('derives votes from their slice and the version of each member that voted', () => {
        for (let round = 0; round <= ROUNDS; round++) {
          for (const slice of everySlice) {
            const votes = db.record(votesOf(round, slice));
            assert.equal(votes.rank, slice % job.ranks);
            assert.deepEqual(db.sources(votes.name), [...MEMBERS.map((m) => `member-${m}`), `slice-${slice}`]);
            assert.deepEqual(
              db.sourceVersions(votes.name),
              MEMBERS.map((m) => `member-${m}@step=${round}`),
            );
          }
          const score = db.record(`score-${round}`);
          assert.equal(score.tags.overlap, result.consensus[round]);
          assert.deepEqual(
            db.sources(score.name),
            everySlice.map((slice) => votesOf(round, slice)),
          );
        }
      });

      it('trains members on labels first and on the votes of all then, on the rank that has them', () => {
        for (const m of MEMBERS) {
          assert.deepEqual(db.sources(`labelled-${m}`), ['annotator', 'scanner']);
          const versions = [...db.reader.versions(db.id(`member-${m}`))];
          assert.deepEqual(
            versions.map(({ step, ranks }) => [step, ranks]),
            Array.from({ length: ROUNDS + 1 }, (_, step) => [step, [m % job.ranks]]),
          );
          assert.deepEqual(db.exposures(`member-${m}`, 0), [`labelled-${m}`]);
          for (let step = 1; step <= ROUNDS; step++) {
            const votes = everySlice.map((slice) => votesOf(step - 1, slice));
            assert.deepEqual(db.exposures(`member-${m}`, step), [`labelled-${m}`, ...votes]);
          }
        }
      });

      it('has a lineage that goes through the cycle, to all labels and slices, and ends', () => {
        const ancestors = [...db.reader.ancestors(db.id('segmentation-0'))];
        assert.equal(new Set(ancestors.map(({ id, key }) => key ?? id)).size, ancestors.length);
        const found = [...new Set(names(ancestors))];
        for (const start of ['member-', 'labelled-', 'slice-', 'votes-']) {
          assert.deepEqual(
            found.filter((name) => name.startsWith(start)),
            db.namesFrom(start),
          );
        }
        assert.deepEqual(names(db.reader.ancestors(db.id('segmentation-0'), { kind: 'fact' })), [
          'annotator',
          'scanner',
        ]);
        // A member comes of itself: it votes, and learns from the votes.
        const influences = [...new Set(names(db.reader.ancestors(db.id('member-0'), { kind: 'model' })))];
        const others = MEMBERS.slice(1).map((m) => `member-${m}`);
        assert.deepEqual(
          influences.filter((name) => name !== 'member-0'),
          others,
        );
      });
    });
  }

  // In a suite of its own, or it would come before those of the jobs.
  describe('all together', () => {
    it('comes to the same on any number of ranks, to the last bit', () => {
      assert.equal(results.length, jobs.length);
      const [first, ...others] = results.map(({ consensus, members }) => ({ consensus, members }));
      for (const other of others) assert.deepEqual(other, first);
    });

    for (const seed of ['1', '2', '3', '4', '5']) {
      it(`segments better together than any of the first models alone (seed ${seed})`, async () => {
        const args = ['--db', pathOf(`seed-${seed}.db`), '--json', '--seed', seed];
        const { consensus, members } = await resultOf<Result>(jobs[0].run(args));
        const final = consensus.at(-1)!;
        assert.ok(final > Math.max(...members[0]), `${final} ${members[0].join()}`);
        // Learning from the votes lifts the weakest, and costs the consensus little.
        assert.ok(Math.min(...members.at(-1)!) > Math.min(...members[0]), `${members.join(' | ')}`);
        assert.ok(final > consensus[0] - 0.03, consensus.join());
      });
    }
  });

  itsJobsWithoutRecording<Result>(
    jobs,
    () => ['--slices', '1', '--rounds', '1'],
    ({ consensus }) => assert.equal(consensus.length, 1 + 1),
  );

  itExplainsItself(program, [
    ['--rounds', '0'],
    ['--slices', 'many'],
    ['--seed', '1e9'],
    ['--images', '3'],
  ]);

  for (const why of missingVendors) it(`runs under ${why}`);
});
