import assert from 'node:assert/strict';
import { verify, type RecordRow } from 'braid-mpi';
import {
  analyse,
  drawLoads,
  outagesOf,
  withLoads,
  type Outage,
  type Result,
} from '../../examples/powergrid/contingency.js';
import { IEEE14 } from '../../examples/powergrid/grid.js';
import type { Row } from '../../examples/powergrid/report.js';
import { missingVendors } from '../support/mpiexec.js';
import {
  itExplainsItself,
  itsFolder,
  itsJobsWithoutRecording,
  jobsOf,
  outputOf,
  programOf,
  Recorded,
  resultOf,
} from './jobs.js';

const program = programOf('powergrid');
const jobs = jobsOf(program, [2, 4]);
const DAYS = 2;
const SEED = 3;
const ARGS = ['--days', String(DAYS), '--seed', String(SEED), '--flush-every', '20', '--json'];

interface Output {
  cases: number;
  ranks: number;
  perRank: number[];
  rows: Row[];
  db: string | null;
}

describe('powergrid example', function () {
  // Seconds each, but of two cores that four ranks may have to share with other tests.
  this.timeout(100_000);

  const pathOf = itsFolder();
  /** By the names of their records. */
  const expected = new Map<string, { day: number; outage: Outage; result: Result }>();
  const rows = new Map<string, Row[]>();

  before(() => {
    for (let day = 0; day < DAYS; day++) {
      const factors = drawLoads(IEEE14, day, SEED);
      const grid = withLoads(IEEE14, (place) => factors[place]);
      for (const outage of outagesOf(IEEE14, false)) {
        expected.set(`loads-${day}/${outage.name}`, { day, outage, result: analyse(grid, outage) });
      }
    }
  });

  for (const job of jobs) {
    describe(job.title, () => {
      let output: Output;
      let db: Recorded;
      let records: Map<string, RecordRow>;

      before(async () => {
        const path = pathOf(`${job.title.replace(/\W+/g, '-')}.db`);
        output = await resultOf(job.run(['--db', path, ...ARGS]));
        rows.set(job.title, output.rows);
        db = new Recorded(path);
        const all = [...db.reader.records()];
        records = new Map(all.map((record) => [record.name, record]));
        assert.equal(records.size, all.length, 'no name is there twice');
      });
      after(() => db?.close());

      it('records every case once, with its outcome, by a rank that works', () => {
        const perRank = Array<number>(job.ranks).fill(0);
        for (const [name, { outage, result }] of expected) {
          const { kind, tags, rank } = records.get(name)!;
          assert.equal(kind, 'data');
          perRank[rank!]++;
          const { outcome, margin, iterations, lossesMw, violations, cut, lostMw } = result;
          assert.deepEqual(tags, {
            outage: outage.name,
            outcome,
            margin,
            iterations,
            losses_mw: lossesMw,
            violations: violations.length,
            ...(cut.length > 0 ? { cut: cut.join(' '), lost_mw: lostMw } : {}),
          });
        }
        assert.equal(output.cases, expected.size);
        assert.equal(output.ranks, job.ranks);
        assert.deepEqual(perRank, output.perRank);
        if (job.ranks > 1) assert.equal(perRank[0], 0, 'rank 0 only gives out');
      });

      it('derives every case from the grid, the limits and its loads', () => {
        for (const [name, { day }] of expected) {
          assert.deepEqual(db.sources(name), ['ieee14', 'limits', `loads-${day}`], name);
        }
        assert.equal(records.get('ieee14')!.kind, 'fact');
        assert.equal(records.get('limits')!.kind, 'fact');
        for (let day = 0; day < DAYS; day++) {
          const { name, rank, tags } = records.get(`loads-${day}`)!;
          assert.equal(rank, 0);
          assert.deepEqual(db.sources(name), ['ieee14', 'settings']);
          const factors = drawLoads(IEEE14, day, SEED);
          for (const [i, bus] of IEEE14.buses.entries())
            if (bus.p) assert.equal(tags[`mw.${bus.id}`], bus.p * factors[i]);
        }
      });

      it('records every violated limit, derived from its case', () => {
        let count = 0;
        for (const [name, { result }] of expected) {
          for (const { of, value, limit } of result.violations) {
            count++;
            const violation = records.get(`${name}/${of}`)!;
            assert.deepEqual(violation.tags, { value, limit });
            assert.deepEqual(db.sources(violation.name), [name]);
            assert.equal(violation.rank, records.get(name)!.rank);
            const limits = Object.values(records.get('limits')!.tags);
            assert.ok(limits.includes(limit), `${limit}`);
          }
        }
        assert.ok(count > 0);
        // The summary, three facts, loads, cases, violations; and nothing else.
        assert.equal(records.size, 1 + 3 + DAYS + expected.size + count);
      });

      it('explains a violation', () => {
        const id = db.id('loads-0/1-5/branch-1-2');
        const ancestors = [...db.reader.ancestors(id)].map(({ depth, kind, name }) => `${depth} ${kind} ${name}`);
        assert.deepEqual(ancestors.sort(), [
          '1 data loads-0/1-5',
          '2 data loads-0',
          '2 fact ieee14',
          '2 fact limits',
          '3 fact settings',
        ]);
      });

      it('derives the summary from all cases', () => {
        const { name, tags } = records.get('summary')!;
        assert.deepEqual(db.sources(name), [...expected.keys()].sort());
        const outcomes = [...expected.values()].map(({ result }) => result.outcome);
        const counted = (of: string) => outcomes.filter((outcome) => outcome === of).length;
        assert.deepEqual(tags, {
          cases: expected.size,
          secure: counted('secure'),
          violated: counted('violated'),
          islanded: counted('islanded'),
          diverged: counted('diverged'),
        });
      });

      it('leaves a sound database of one completed run', () => {
        db.assertComplete(job.ranks, records.size);
      });
    });
  }

  // In a suite of its own, or it would come before those of the jobs.
  describe('all together', () => {
    it('comes to the same on any number of ranks', () => {
      assert.equal(rows.size, jobs.length);
      const [first, ...others] = rows.values();
      for (const other of others) assert.deepEqual(other, first);
    });
  });

  // They come to the same, too.
  itsJobsWithoutRecording<Output>(
    jobs,
    () => ARGS,
    (output, job) => assert.deepEqual(output.rows, rows.get(job.title)),
  );

  it('ends also where each case is flushed by itself', async () => {
    const job = jobs.findLast(({ ranks }) => ranks > 1) ?? jobs[0];
    const path = pathOf('flushes.db');
    const output = await resultOf<Output>(job.run(['--db', path, '--days', '1', '--flush-every', '1', '--json']));
    assert.equal(output.cases, 25);
    assert.deepEqual(verify(path).problems, []);
  });

  it('prints the worst outages as a table', async () => {
    const text = await outputOf(jobs[0].run(['--db', pathOf('table.db'), '--days', '1', '--top', '3']));
    const [head, ...lines] = text.trimEnd().split('\n');
    assert.match(head, /^OUTAGE +UNSAFE DAYS +NO STATE +LEAST MARGIN +WORST VIOLATION$/);
    assert.equal(lines.length, 3);
    assert.match(lines[0], /^1-2 +1 of 1 +1 +0\.979 +-$/);
  });

  itExplainsItself(program, [
    ['--days', '0'],
    ['--days', 'many'],
    ['--epochs', '3'],
    ['--flush-every', '1e9'],
  ]);

  for (const why of missingVendors) it(`runs under ${why}`);
});
