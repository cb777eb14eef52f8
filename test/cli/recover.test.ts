import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { BraidDB, recover, verify, type RecoverReport } from '#src/index.js';
import { braid, makeDirectory, query, runJob, sql, startJob, type Job } from './support.js';

const spoolsOf = (path: string) => `${path}-spool-${process.geteuid!()}`;
const namesIn = (path: string) => query<{ name: string }>(path, 'SELECT name FROM records').map(({ name }) => name);
const statusIn = (path: string) => query<{ status: string }>(path, 'SELECT status FROM runs ORDER BY run_id').map(({ status }) => status); // prettier-ignore

/** Waits until so many records are acknowledged, then kills. Returns the highest number that was. */
async function killAfter(job: Job, count: number, signal: NodeJS.Signals = 'SIGKILL'): Promise<number> {
  for (let i = 0; i < count; i++) await job.line('recorded');
  job.child.kill(signal);
  const { stdout } = await job.ended;
  const whole = stdout.slice(0, stdout.lastIndexOf('\n'));
  return Number(/\d+$/.exec(whole)![0]);
}

/** All records from 0 through `last`, each once; one more may have been recorded and not told. */
function holdsAll(path: string, last: number): void {
  const numbers = namesIn(path)
    .map((name) => Number(name.slice('record-'.length)))
    .sort((a, b) => a - b);
  assert.deepEqual(
    numbers,
    Array.from(numbers, (_, i) => i),
  );
  assert.ok(numbers.length === last + 1 || numbers.length === last + 2, `${numbers.length} of ${last + 1}`);
  assert.equal(query(path, 'SELECT * FROM tags').length, numbers.length);
}

describe('recover', function () {
  this.timeout(120_000);
  const directory = makeDirectory();
  let next = 0;
  const newPath = () => join(directory.path, `${++next}.db`);
  const report = async (...args: string[]) => {
    const { code, stdout, stderr } = await braid(['recover', '--json', ...args]);
    assert.equal(stderr, '');
    return { code, ...(JSON.parse(stdout) as RecoverReport) };
  };
  after(() => directory.remove());

  for (const [title, flushEvery, count] of [
    ['before its first flush', 0, 500],
    ['in the middle of flushes', 7, 300],
    ['with a spool of several segments', 0, 30_000],
  ] as const) {
    it(`brings in all that a killed process has acknowledged, each once: ${title}`, async () => {
      const path = newPath();
      const last = await killAfter(startJob(path, 'endless', flushEvery), count);
      if (flushEvery === 0) {
        const [problem] = verify(path).problems;
        assert.equal(problem.check, 'spools');
        assert.ok(problem.count >= 2 * (last + 1), problem.message);
      }
      const found = await report(path);
      assert.equal(found.code, 0);
      assert.deepEqual(found.attempts.map(({ status }) => status), ['INCOMPLETE']); // prettier-ignore
      holdsAll(path, last);
      assert.equal(found.ops, found.records * 2);
      assert.deepEqual(found.left, []);
      assert.deepEqual(statusIn(path), ['INCOMPLETE']);
      assert.deepEqual(verify(path).problems, []);
      assert.equal(existsSync(spoolsOf(path)), false);

      const again = await report(path);
      assert.deepEqual([again.code, again.attempts, again.ops], [0, [], 0]);
      holdsAll(path, last);
    });
  }

  it('calls a process KILLED that a signal has ended', async () => {
    const path = newPath();
    const last = await killAfter(startJob(path, 'endless'), 100, 'SIGTERM');
    assert.equal((await braid(['recover', path])).code, 0);
    holdsAll(path, last);
    assert.deepEqual(statusIn(path), ['KILLED']);
    assert.deepEqual(verify(path).problems, []);
  });

  it('happens by itself when the database is opened again', async () => {
    const path = newPath();
    const last = await killAfter(startJob(path, 'endless'), 100);
    const db = await BraidDB.open(path, { mpi: 'off' });
    await db.close();
    holdsAll(path, last);
    assert.deepEqual(statusIn(path), ['INCOMPLETE', 'COMPLETED']);
    assert.deepEqual(verify(path).problems, []);
  });

  it('gives back the ids that a recovered run has not used', async () => {
    const path = newPath();
    await runJob(path, 'unclosed', 5);
    await braid(['recover', path]);
    await runJob(path, 'many', 2);
    assert.deepEqual(query<{ id: number }>(path, 'SELECT record_id AS id FROM records').map(({ id }) => id), [1, 2, 3, 4, 5, 6, 7]); // prettier-ignore
    assert.deepEqual(verify(path).problems, []);
  });

  it('only says what it would do in a dry run, and changes no byte', async () => {
    const path = newPath();
    await runJob(path, 'unclosed', 50);
    const [spool] = readdirSync(spoolsOf(path)).map((name) => join(spoolsOf(path), name));
    const before = [readFileSync(path), readFileSync(spool)];
    const found = await report(path, '--dry-run');
    assert.deepEqual([found.code, found.dryRun, found.records], [0, true, 50]);
    assert.deepEqual(found.attempts[0].files, [spool]);
    assert.deepEqual([readFileSync(path), readFileSync(spool)], before);
    assert.match(
      (await braid(['recover', path, '--dry-run'])).stdout,
      /would bring 50 ops \(50 records\) of 1 dead run into/,
    );
    assert.deepEqual([readFileSync(path), readFileSync(spool)], before);
    assert.equal((await braid(['stats', path])).code, 1);
    assert.match(
      (await braid(['stats', path])).stdout,
      /no rank of it is alive \(50 ops wait in spools\): braid recover/,
    );
    assert.match((await braid(['recover', path])).stdout, /brought 50 ops \(50 records\) of 1 dead run into/);
    assert.equal((await braid(['stats', path])).code, 0);
  });

  it('leaves a run alone that lives', async () => {
    const path = newPath();
    const job = startJob(path, 'waiting', 20);
    const run = await job.line('run');
    await job.line('waiting');
    const found = await report(path, '--assume-dead', run);
    assert.deepEqual([found.code, found.attempts], [0, []]);
    assert.deepEqual(found.left.map(({ reason, run: of }) => [reason, of]), [['alive', run]]); // prettier-ignore
    assert.match((await braid(['recover', path])).stdout, /left alone: .*: its rank lives\n/);
    const [{ liveness }] = (
      JSON.parse((await braid(['stats', path, '--json'])).stdout) as { runs: { liveness: string }[] }
    ).runs;
    assert.equal(liveness, 'alive');
    job.child.stdin!.end();
    assert.equal((await job.ended).code, 0);
    assert.deepEqual(statusIn(path), ['COMPLETED']);
    assert.equal(namesIn(path).length, 20);
  });

  it('recovers a dead run beside one that lives', async () => {
    const path = newPath();
    const job = startJob(path, 'waiting', 20);
    await job.line('waiting');
    const dead = startJob(path, 'endless', 5);
    const last = await killAfter(dead, 50);
    assert.equal((await report(path)).code, 0);
    holdsAll(path, last);
    job.child.stdin!.end();
    assert.equal((await job.ended).code, 0);
    assert.deepEqual(statusIn(path), ['COMPLETED', 'INCOMPLETE']);
    assert.deepEqual(verify(path).problems, []);
  });

  it('reports the spool of another database, and brings it into none', async () => {
    const path = newPath();
    const other = newPath();
    const spools = join(directory.path, 'shared-spools');
    await runJob(path, 'many', 3);
    await runJob(other, 'unclosed', 7, { BRAID_SPOOL_DIR: spools });
    const found = await report(path, '--spool', spools);
    assert.deepEqual([found.code, found.attempts], [0, []]);
    assert.equal(found.left[0].reason, 'other-database');
    assert.ok(found.left[0].why.includes(other));
    assert.equal(namesIn(path).length, 3);
    // Its own database knows where it was.
    assert.equal((await report(other)).records, 7);
    assert.equal(existsSync(spools), false);
  });

  it('looks where a relative spool directory was, from wherever it is called', async () => {
    const path = newPath();
    const spools = join(directory.path, 'relative-spools');
    mkdirSync(spools);
    const before = process.cwd();
    process.chdir(directory.path);
    try {
      await runJob(path, 'unclosed', 4, { BRAID_SPOOL_DIR: 'relative-spools' });
    } finally {
      process.chdir(before);
    }
    assert.equal((await report(path)).records, 4);
  });

  it('leaves alone what the database knows no run of', async () => {
    const path = newPath();
    await runJob(path, 'many', 1);
    const copy = newPath();
    copyFileSync(path, copy);
    await runJob(path, 'unclosed', 7);
    const found = await report(copy, '--spool', spoolsOf(path));
    assert.deepEqual([found.code, found.attempts], [1, []]);
    assert.equal(found.left[0].reason, 'unknown-run');
    assert.equal((await report(path)).records, 7);
  });

  it('leaves a run of another host alone, until it is told that it is dead', async () => {
    const path = newPath();
    await runJob(path, 'many', 1);
    sql(
      path,
      `UPDATE runs SET status = 'RUNNING'; UPDATE attempts SET status = 'RUNNING'; UPDATE ledger SET host = 'node-7'`,
    );
    const found = await report(path);
    assert.deepEqual([found.code, found.left.map(({ reason, host }) => [reason, host])], [1, [['other-host', 'node-7']]]); // prettier-ignore
    assert.deepEqual(statusIn(path), ['RUNNING']);
    assert.match((await braid(['stats', path])).stdout, /runs on another host, or died there/);
    const run = found.left[0].run!;
    assert.equal((await report(path, '--assume-dead', run.slice(0, 6))).code, 0);
    assert.deepEqual(statusIn(path), ['INCOMPLETE']);
  });

  it('lists what is lost of a damaged spool, and says so', async () => {
    const path = newPath();
    const job = startJob(path, 'endless');
    await killAfter(job, 30_000);
    const [spool] = readdirSync(spoolsOf(path)).map((name) => join(spoolsOf(path), name));
    // In the ops of the first frame, which is sealed: there is more than one segment.
    writeSync(openSync(spool, 'r+'), 'damage', 8192);
    const found = await report(path);
    assert.equal(found.code, 1);
    assert.deepEqual(found.attempts[0].lost.map(({ rank, frame }) => [rank, frame]), [[0, 1]]); // prettier-ignore
    assert.ok(found.records > 0);
    assert.deepEqual(verify(path).problems.map(({ check }) => check), ['gaps']); // prettier-ignore
  });

  it('reports a file that is no spool, and goes on', async () => {
    const path = newPath();
    await runJob(path, 'unclosed', 3);
    writeSync(openSync(join(spoolsOf(path), 'junk.spool'), 'w'), 'x'.repeat(5000));
    const found = await report(path);
    assert.equal(found.code, 1);
    assert.deepEqual(found.left.map(({ reason }) => reason), ['damaged']); // prettier-ignore
    assert.equal(namesIn(path).length, 3);
  });

  it('refuses a spool directory that is not there, and a run that is none', async () => {
    const path = newPath();
    await runJob(path, 'many', 1);
    const spool = await braid(['recover', path, '--spool', join(directory.path, 'nowhere')]);
    assert.equal(spool.code, 2);
    assert.match(spool.stderr, /ERR_BRAID_OPTION_INVALID/);
    const run = await braid(['recover', path, '--assume-dead', 'ffff']);
    assert.equal(run.code, 1);
    assert.match(run.stderr, /ERR_BRAID_NO_SUCH_RUN/);
    await assert.rejects(recover(path, { assumeDead: 'f'.repeat(32) }), { code: 'ERR_BRAID_NO_SUCH_RUN' });
    await assert.rejects(recover(newPath()), { code: 'ERR_BRAID_DB_NOT_FOUND' });
  });

  it('may be done by two at once', async () => {
    const path = newPath();
    const last = await killAfter(startJob(path, 'endless', 11), 2000);
    const both = await Promise.all([braid(['recover', path]), braid(['recover', path])]);
    assert.deepEqual(both.map(({ code }) => code), [0, 0]); // prettier-ignore
    // Whoever came second found it done, or under way.
    await braid(['recover', path]);
    holdsAll(path, last);
    assert.deepEqual(verify(path).problems, []);
  });

  it('tells a library user how far it is', async () => {
    const path = newPath();
    const job = startJob(path, 'endless');
    await killAfter(job, 100);
    const phases: string[] = [];
    await recover(path, { roundBytes: 1, onProgress: ({ phase }) => phases.push(phase) });
    assert.deepEqual([...new Set(phases)], ['scan', 'commit']);
  });
});
