import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BraidReader, verify } from 'braid-mpi';
import Database from 'better-sqlite3';
import { mpiexec, runAlone, vendors, type Run } from '../support/mpiexec.js';

/** An example, started in one of the ways that its tests go through. */
export interface Job {
  title: string;
  ranks: number;
  run: (args: readonly string[], env?: Readonly<Record<string, string>>) => Promise<Run>;
}

/** The compiled program of an example. */
export const programOf = (example: string): string =>
  fileURLToPath(new URL(`../../examples/${example}/${example}.js`, import.meta.url));

/** Alone, and on several ranks of each MPI that is here: those of Open MPI are given, the ranks of others spin. */
export function jobsOf(program: string, ranksOfOpenMpi: readonly number[] = [2, 3]): Job[] {
  return [
    { title: 'alone', ranks: 1, run: (args, env) => runAlone(program, { args, env, timeoutMs: 60_000 }) },
    ...vendors.flatMap((vendor) =>
      (vendor.name === 'openmpi' ? ranksOfOpenMpi : [2]).map((ranks): Job => ({
        title: `${vendor.name}, np ${ranks}`,
        ranks,
        run: (args, env) => mpiexec(vendor, ranks, program, { args, env, timeoutMs: 90_000 }),
      })),
    ),
  ];
}

/** What a job that ended well has printed. */
export async function outputOf(running: Promise<Run>): Promise<string> {
  const { code, timedOut, stdout, stderr } = await running;
  assert.equal(timedOut, false, stderr);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** What a job has printed with --json. */
export async function resultOf<Result>(running: Promise<Run>): Promise<Result> {
  return JSON.parse(await outputOf(running)) as Result;
}

/** A folder for what the jobs of a suite write, which is gone after it. Returns paths in it. */
export function itsFolder(): (name: string) => string {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'braid-example-'))));
  after(() => rmSync(folder, { recursive: true }));
  return (name) => join(folder, name);
}

/** Cases in a suite of their own, after those of other suites: the same jobs, and nothing recorded. */
export function itsJobsWithoutRecording<Result>(
  jobs: readonly Job[],
  argumentsFor: (pathOf: (name: string) => string) => readonly string[],
  check: (result: Result, job: Job) => void,
): void {
  describe('without recording', () => {
    const pathOf = itsFolder();
    for (const job of jobs.filter(({ ranks }) => ranks <= 2)) {
      for (const [how, args, env] of [
        ['--no-record', ['--no-record'], {}],
        ['BRAID=off', [], { BRAID: 'off' }],
      ] as const) {
        it(`leaves no database with ${how} (${job.title})`, async () => {
          const db = pathOf('off.db');
          check(await resultOf(job.run(['--db', db, '--json', ...argumentsFor(pathOf), ...args], env)), job);
          assert.ok(!existsSync(db));
        });
      }
    }
  });
}

/** A case that all examples have. */
export function itExplainsItself(program: string, wrong: readonly (readonly string[])[]): void {
  it('explains itself, and what it does not understand', async () => {
    const help = await runAlone(program, { args: ['--help'] });
    assert.equal(help.code, 0);
    assert.match(help.stdout, /mpiexec -n 4/);
    for (const args of wrong) {
      const run = await runAlone(program, { args });
      assert.equal(run.code, 2, `${args.join(' ')}: ${run.stderr}`);
      assert.equal(run.stdout, '');
      const [complaint, ...rest] = run.stderr.split('\n\n');
      assert.match(complaint, new RegExp(args[0]));
      assert.equal(rest.join('\n\n'), help.stdout);
    }
  });
}

/** A job's record, to be asked. */
export class Recorded {
  readonly reader: BraidReader;
  readonly #db: Database.Database;

  constructor(path: string) {
    this.reader = BraidReader.open(path);
    this.#db = new Database(path, { readonly: true });
  }

  close(): void {
    this.reader.close();
    this.#db.close();
  }

  /** The id of the one record of that name. */
  id(name: string): number {
    const found = [...this.reader.records({ name })];
    assert.equal(found.length, 1, name);
    return found[0].id;
  }

  record(name: string) {
    return this.reader.record(this.id(name))!;
  }

  /** Names of the records whose name begins so. */
  namesFrom(start: string): string[] {
    return names([...this.reader.records()].filter(({ name }) => name.startsWith(start)));
  }

  sources(name: string): string[] {
    return names(this.reader.sources(this.id(name)));
  }

  /** The versions that a record is derived from, as `model@step=N`. Of models whose version isn't known there is none. */
  sourceVersions(name: string): string[] {
    return this.column(
      `SELECT r.name || '@step=' || v.step FROM derivation_versions d JOIN versions v USING (version_id)
         JOIN records r ON r.record_id = v.model_id WHERE d.derivation = ?`,
      this.id(name),
    );
  }

  /** What the ranks exposed a model to when they made the version of a step. */
  exposures(model: string, step: number): string[] {
    return this.column(
      `SELECT r.name FROM versions v JOIN updates u USING (version_id) JOIN exposures e USING (update_id)
         JOIN records r ON r.record_id = e.source_id WHERE v.model_id = ? AND v.step = ?`,
      this.id(model),
      step,
    );
  }

  /** That all is there, and that it is one completed run with so many ranks and records. */
  assertComplete(ranks: number, records: number): void {
    assert.deepEqual(verify(this.reader.path).problems, []);
    const [run, ...others] = this.reader.runs();
    assert.deepEqual(others, []);
    assert.deepEqual([run.status, run.size, run.records], ['COMPLETED', ranks, records]);
    assert.equal(run.committed, run.recorded);
  }

  /** That no derivation from a model leaves open which version it was. */
  assertVersionsKnown(): void {
    const unknown = this.column(
      `SELECT s.name || ' -> ' || r.name FROM derivations d JOIN records s USING (record_id)
         JOIN records r ON r.record_id = d.derivation WHERE s.kind = 3 AND d.unversioned`,
    );
    assert.deepEqual(unknown, []);
  }

  /** Of a query with one column, its strings in their order. */
  column(sql: string, ...values: (string | number)[]): string[] {
    return (this.#db.prepare(sql).pluck().all(values) as string[]).toSorted();
  }
}

/** In their order. */
export const names = (records: Iterable<{ name: string }>): string[] => [...records].map(({ name }) => name).sort();
