import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidReader, verify } from 'braid-mpi';
import Database from 'better-sqlite3';
import { mpiexec, runAlone, vendors, type Run } from '../support/mpiexec.js';

/** An example, started in one of the ways that its tests go through. */
export interface Job {
  title: string;
  ranks: number;
  run: (args: readonly string[]) => Promise<Run>;
}

const RANKS = { openmpi: [2, 3], mpich: [2], mpiabi: [2] } as const;

/** Alone, and by every MPI that is here. */
export function jobsOf(program: string): Job[] {
  return [
    { title: 'alone', ranks: 1, run: (args) => runAlone(program, { args, timeoutMs: 60_000 }) },
    ...vendors.flatMap((vendor) =>
      RANKS[vendor.name].map((ranks) => ({
        title: `${vendor.name}, np ${ranks}`,
        ranks,
        run: (args: readonly string[]) => mpiexec(vendor, ranks, program, { args, timeoutMs: 90_000 }),
      })),
    ),
  ];
}

/** What a job printed with --json. */
export async function resultOf<Result>(running: Promise<Run>): Promise<Result> {
  const { code, timedOut, stdout, stderr } = await running;
  assert.equal(timedOut, false, stderr);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Result;
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
    return this.#column(
      `SELECT r.name || '@step=' || v.step FROM derivation_versions d JOIN versions v USING (version_id)
         JOIN records r ON r.record_id = v.model_id WHERE d.derivation = ?`,
      this.id(name),
    );
  }

  /** What the ranks exposed a model to when they made the version of a step. */
  exposures(model: string, step: number): string[] {
    return this.#column(
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
    const unknown = this.#column(
      `SELECT s.name || ' -> ' || r.name FROM derivations d JOIN records s USING (record_id)
         JOIN records r ON r.record_id = d.derivation WHERE s.kind = 3 AND d.unversioned`,
    );
    assert.deepEqual(unknown, []);
  }

  #column(sql: string, ...values: (string | number)[]): string[] {
    return (this.#db.prepare(sql).pluck().all(values) as string[]).toSorted();
  }
}

export const names = (records: Iterable<{ name: string }>): string[] => [...records].map(({ name }) => name).sort();

/** Cases that all examples have: recording nothing, and explaining themselves. */
export function itsCommandLine(program: string, small: readonly string[], wrong: readonly string[][]): void {
  let directory: string;
  before(() => (directory = mkdtempSync(join(tmpdir(), 'braid-example-'))));
  after(() => rmSync(directory, { recursive: true }));

  for (const job of jobsOf(program).filter(({ ranks }) => ranks <= 2)) {
    it(`leaves no database with --no-record (${job.title})`, async () => {
      const db = join(directory, 'off.db');
      await resultOf(job.run(['--db', db, '--json', '--no-record', ...small]));
      assert.ok(!existsSync(db));
    });
  }

  it('explains itself, and what it does not understand', async () => {
    const help = await runAlone(program, { args: ['--help'] });
    assert.equal(help.code, 0);
    assert.match(help.stdout, /mpiexec -n 4/);
    for (const args of wrong) {
      const run = await runAlone(program, { args });
      assert.equal(run.code, 2, `${args.join(' ')}: ${run.stderr}`);
      assert.match(run.stderr, /Usage:/);
    }
  });
}
