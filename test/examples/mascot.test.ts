import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { missingVendors } from '../support/mpiexec.js';
import { itExplainsItself, itsFolder, jobsOf, names, outputOf, programOf, Recorded } from './jobs.js';

const program = programOf('mascot');
const jobs = jobsOf(program, [2, 4]);
const [alone] = jobs;

// No two of them the same, so that one can't be taken for another.
const LOAD = { configurations: 7, experiments: 5, cycles: 6, uris: 2, deps: 4, models: 3 };
const EXPERIMENTS = LOAD.cycles * LOAD.experiments;
const LOAD_ARGS = Object.entries(LOAD).flatMap(([flag, count]) => [`--${flag}`, String(count)]);

/** The rows that a load makes, by Braid-DB's definition of it. */
const rowsOf = ({ configurations: c, experiments: e, cycles, uris: u, deps: d, models: m }: typeof LOAD): number => {
  const records = c + m + cycles * e;
  const derivations = m + cycles * e * (d + m);
  return records + derivations + u * (c + cycles * e);
};

describe('mascot example', function () {
  // Seconds each, but of two cores that four ranks may have to share with other tests.
  this.timeout(100_000);

  const pathOf = itsFolder();
  const graphs = new Map<string, Record<string, string[]>>();

  for (const job of jobs) {
    describe(job.title, () => {
      let path: string;
      let stdout: string;
      let db: Recorded;

      before(async () => {
        path = pathOf(`${job.title.replace(/\W+/g, '-')}.db`);
        stdout = await outputOf(job.run(['--db', path, ...LOAD_ARGS]));
        db = new Recorded(path);
        graphs.set(job.title, graphOf(db));
      });
      after(() => db?.close());

      it('prints as its size the rows that SQL counts', () => {
        const printed = figures(stdout);
        assert.deepEqual(Object.keys(printed), ['time', 'size', 'rate']);
        assert.equal(printed.size, countRows(db));
        assert.equal(printed.size, rowsOf(LOAD));
        assert.ok(printed.time > 0);
        // Of the time before it was rounded to four digits.
        assert.ok(Math.abs(printed.rate * printed.time - printed.size) <= printed.rate * 0.00005 + 0.01);
      });

      it('derives experiments from configurations, and models from a configuration and all experiments', () => {
        const graph = graphs.get(job.title)!;
        const named = (pattern: RegExp) => Object.keys(graph).filter((name) => pattern.test(name));
        assert.equal(named(/^cfg-\d+$/).length, LOAD.configurations);
        for (const cfg of named(/^cfg-/)) assert.deepEqual(graph[cfg], []);
        const experiments = named(/^expt-\d+-\d+$/);
        assert.equal(experiments.length, EXPERIMENTS);
        for (const experiment of experiments) {
          assert.equal(new Set(graph[experiment]).size, LOAD.deps);
          assert.ok(graph[experiment].every((source) => source.startsWith('cfg-')));
        }
        for (let i = 0; i < LOAD.models; i++) {
          assert.deepEqual(graph[`model-${i}`], [`cfg-${i}`, ...experiments].sort());
        }
      });

      it('knows each record by its kind and URIs', () => {
        for (const { kind, name, uris } of db.reader.records()) {
          assert.equal(kind, name.startsWith('cfg') ? 'fact' : name.startsWith('expt') ? 'data' : 'model');
          assert.equal(new Set(uris).size, kind === 'model' ? 0 : LOAD.uris, name);
        }
      });

      it('makes one version of a model a cycle', () => {
        for (const { id } of db.reader.records({ kind: 'model' })) {
          assert.deepEqual(
            [...db.reader.versions(id)].map(({ step }) => step),
            Array.from({ length: LOAD.cycles }, (_, cycle) => cycle),
          );
        }
      });

      it('deals the experiments to the ranks in turn', () => {
        for (const { name, rank } of db.reader.records({ kind: 'data' })) {
          const [, cycle, place] = name.split('-').map(Number);
          assert.equal(rank, (cycle * LOAD.experiments + place) % job.ranks, name);
        }
      });

      it('leaves a sound database of one completed run', () => {
        db.assertComplete(job.ranks, LOAD.configurations + LOAD.models + EXPERIMENTS);
      });

      it('prints the size of its own load in a database that has one already', async () => {
        const { size } = figures(await outputOf(job.run(['--db', path, '--cycles', '0', '--models', '0'])));
        assert.equal(size, 5 + 5 * 3);
        assert.equal(countRows(db), rowsOf(LOAD) + size);
      });

      it('prints each record, and what the parts took, when asked to', async () => {
        const file = pathOf('verbose.db');
        const text = await outputOf(job.run(['--db', file, '--verbose', '--time']));
        const verbose = new Recorded(file);
        try {
          const records = [...verbose.reader.records()].map(({ id, name, rank }) => `rank ${rank}: [${id}] ${name}`);
          assert.equal(records.length, 5 + 3 + 5 * 3);
          assert.deepEqual(text.match(/^rank .*$/gm)?.sort(), records.sort());
        } finally {
          verbose.close();
          rmSync(file);
        }
        const { time, size, ...rest } = figures(text);
        const { rate, ...parts } = rest;
        assert.equal(size, rowsOf({ configurations: 5, experiments: 3, cycles: 5, uris: 3, deps: 3, models: 3 }));
        assert.ok(rate > 0);
        assert.equal(Object.keys(parts).length, 3);
        const sum = Object.values(parts).reduce((total, seconds) => total + seconds);
        assert.ok(Math.abs(sum - time) < 0.001, text);
      });
    });
  }

  // In a suite of its own, or it would come before those of the jobs.
  describe('all together', () => {
    it('records the same on any number of ranks', () => {
      assert.equal(graphs.size, jobs.length);
      const [first, ...others] = graphs.values();
      for (const other of others) assert.deepEqual(other, first);
    });
  });

  it('chooses other configurations for another seed', async () => {
    const graphOfSeed = async (seed: string) => {
      const path = pathOf(`seed-${seed}.db`);
      await outputOf(alone.run(['--db', path, ...LOAD_ARGS, '--seed', seed]));
      const db = new Recorded(path);
      try {
        return graphOf(db);
      } finally {
        db.close();
      }
    };
    assert.notDeepEqual(await graphOfSeed('2'), await graphOfSeed('3'));
  });

  it('records nothing with BRAID=off', async () => {
    const path = pathOf('off.db');
    const text = await outputOf(alone.run(['--db', path], { BRAID: 'off' }));
    assert.equal(figures(text).size, 0);
    assert.ok(!existsSync(path));
  });

  itExplainsItself(program, [
    ['--cycles', '-1'],
    ['--cycles', 'many'],
    ['--uris', '1e3'],
    ['--epochs', '3'],
    ['--deps', '6'],
    ['--models', '4', '--configurations', '3'],
  ]);

  for (const why of missingVendors) it(`runs under ${why}`);
});

/** The lines `mascot WHAT: NUMBER`. */
function figures(stdout: string): Record<string, number> {
  const lines = stdout.matchAll(/^mascot ([^:]+): ([\d.]+)$/gm);
  return Object.fromEntries(Array.from(lines, ([, what, value]): [string, number] => [what, Number(value)]));
}

/** The names of what each record is derived from, by its name. */
function graphOf({ reader }: Recorded): Record<string, string[]> {
  return Object.fromEntries([...reader.records()].map(({ id, name }) => [name, names(reader.sources(id))]));
}

/** Of the tables that Braid-DB has, too. */
function countRows(db: Recorded): number {
  const counts = ['records', 'derivations', 'uris', 'tags'].map((table) => `(SELECT count(*) FROM ${table})`);
  return Number(db.column(`SELECT ${counts.join(' + ')}`)[0]);
}
