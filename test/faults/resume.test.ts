import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidData, BraidDB, BraidReader } from 'braid-mpi';
import { mpiexec, run, runAlone, vendors } from '../support/mpiexec.js';
import { program, startJob, type Job } from './jobs.js';

describe('a run that is resumed', function () {
  this.timeout(60_000);
  let directory: string;
  let path: string;
  const jobs: Job[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-resume-'));
    path = join(directory, 'run.db');
  });
  afterEach(async () => {
    for (const job of jobs.splice(0)) await job.kill();
    rmSync(directory, { recursive: true });
  });

  /** All that was acknowledged is there, once, and no more; and each attempt's versions are its own. */
  function check(status: string, attempts: number): void {
    const reader = BraidReader.open(path);
    try {
      const runs = reader.runs();
      assert.deepEqual(
        runs.map((run) => [run.status, run.attempts]),
        [[status, attempts]],
      );
      assert.equal(runs[0].recorded, runs[0].committed);
      const names = [...reader.records()].map(({ name }) => name).filter((name) => !name.includes('model'));
      assert.deepEqual(names.sort(), readFileSync(`${path}.acknowledged`, 'utf8').trim().split('\n').sort());
    } finally {
      reader.close();
    }
    assert.deepEqual(readdirSync(directory).sort(), ['run.db', 'run.db.acknowledged'], 'no spool is left');
  }

  const start = async (ranks: number, end: string, env = {}) => {
    const command = ranks === 1 ? [] : [vendors[0].mpiexec, '-n', String(ranks)];
    const job = startJob(command, program('resume'), { args: [path, 'first', end], env });
    jobs.push(job);
    const run = (await job.lines(/^run (\w{32}) rank \d+$/m, ranks))[0][1];
    return { job, run };
  };

  for (const [from, to] of vendors.length > 0
    ? [
        [1, 1],
        [3, 2],
        [2, 3],
      ]
    : [[1, 1]]) {
    for (const end of ['before a flush', 'after a flush']) {
      it(`has all of both attempts where ${from} ranks were killed ${end} and ${to} go on`, async () => {
        const { job, run } = await start(from, end);
        await job.killRanks();
        const options = { args: [path, 'second', 'close'], env: { BRAID_RESUME: run } };
        const ended =
          to === 1
            ? await runAlone(program('resume'), options)
            : await mpiexec(vendors[0], to, program('resume'), options);
        assert.deepEqual([ended.code, ended.stderr], [0, ''], ended.stdout);
        check('COMPLETED', 2);
      });
    }
  }

  it('is the last attempt in its status, and both in its attempts', async () => {
    const { job, run } = await start(1, 'after a flush');
    await job.killRanks();
    const options = { args: [path, 'second', 'close'], env: { BRAID_RESUME: run } };
    assert.equal((await runAlone(program('resume'), options)).code, 0);
    // One that is complete can be gone on with, too.
    const third = await BraidDB.open(path, { mpi: 'off', resume: run });
    const reader = () => third.reader.runs()[0];
    assert.deepEqual([reader().status, reader().attempts], ['RUNNING', 3]);
    await third.close();
    check('COMPLETED', 3);
  });

  for (const ranks of vendors.length > 0 ? [1, 2] : [1]) {
    it(`is refused on every rank while it lives, and is as it was: ${ranks} ranks`, async () => {
      const { job, run } = await start(1, 'after a flush');
      const options = { args: [path, 'second', 'close'], env: { BRAID_RESUME: run } };
      const refused =
        ranks === 1
          ? await runAlone(program('resume'), options)
          : await mpiexec(vendors[0], ranks, program('resume'), options);
      const line = `ERR_BRAID_RUN_ALIVE run ${run} can't be resumed: its attempt 1 still lives on HOST. Wait until it has ended, or end it\n`;
      assert.deepEqual([refused.code, refused.stdout, refused.stderr], [0, line.repeat(ranks), '']);
      const reader = BraidReader.open(path);
      assert.deepEqual(
        reader.runs().map((run) => [run.status, run.attempts]),
        [['RUNNING', 1]],
      );
      reader.close();
      await job.killRanks();
      assert.equal((await runAlone(program('resume'), options)).code, 0);
      check('COMPLETED', 2);
    });
  }

  const unshare = ['--pid', '--fork', '--mount-proc'];
  const hides = spawnSync('unshare', [...unshare, 'true']).status === 0;
  it(`is refused where the process that holds it is not to be seen${hides ? '' : ', skipped: no pid namespaces for this user'}`, async function () {
    if (!hides) this.skip();
    const { run: uuid } = await start(1, 'wait');
    const args = [...unshare, process.execPath, program('resume'), path, 'second', 'close'];
    const refused = await run('unshare', args, { env: { BRAID_MPI: 'off', BRAID_RESUME: uuid } });
    const line =
      `ERR_BRAID_RUN_ALIVE run ${uuid} can't be resumed: its attempt 1 lives, or is being recovered or examined, ` +
      'on HOST. Wait until it has ended, or end it\n';
    assert.deepEqual([refused.code, refused.stdout, refused.stderr], [0, line, '']);
  });

  it('is resumed by one of two that come at the same moment; the other is told, and opens when that has ended', async () => {
    const { job, run } = await start(1, 'after a flush');
    await job.killRanks();
    const both = ['second', 'third'].map((name) => {
      const each = startJob([], program('resume'), { args: [path, name, 'stay'], env: { BRAID_RESUME: run } });
      jobs.push(each);
      return each;
    });
    const answers = await Promise.all(
      both.map(async (each) => (await each.lines(/^(run \w{32} rank 0|ERR_.*)$/m, 1))[0][1]),
    );
    const refused = answers.filter((answer) => answer.startsWith('ERR_BRAID_RUN_ALIVE '));
    assert.equal(refused.length, 1, answers.join('\n'));
    for (const each of both) await each.killRanks();
    assert.equal(
      (await runAlone(program('resume'), { args: [path, 'fourth', 'close'], env: { BRAID_RESUME: run } })).code,
      0,
    );
    check('COMPLETED', 3);
  });

  it('is resumed by one of two that keep their spools in different places', async () => {
    const { job, run } = await start(1, 'after a flush');
    await job.killRanks();
    const both = ['second', 'third'].map((name) => {
      const env = {
        BRAID_RESUME: run,
        BRAID_SPOOL_DIR: join(directory, name),
        NODE_OPTIONS: `--import=${program('named')}`,
      };
      const each = startJob([], program('resume'), { args: [path, name, 'stay'], env });
      jobs.push(each);
      return each;
    });
    // Neither has found the other's spool, nor its attempt.
    await Promise.all(both.map((each) => each.lines(/^named$/m, 1)));
    writeFileSync(`${path}.begin`, '');
    const answers = await Promise.all(
      both.map(async (each) => (await each.lines(/^(run \w{32} rank 0|ERR_.*)$/m, 1))[0][1]),
    );
    const refused = answers.filter((answer) => answer.startsWith('ERR_BRAID_RUN_ALIVE another process has begun '));
    assert.equal(refused.length, 1, answers.join('\n'));
    for (const each of both) await each.killRanks();
    rmSync(`${path}.begin`);
    const next = { args: [path, 'fourth', 'close'], env: { BRAID_RESUME: run } };
    assert.equal((await runAlone(program('resume'), next)).code, 0);
    // Directories that were named stay; nothing is left in them.
    for (const name of ['second', 'third']) rmdirSync(join(directory, name));
    check('COMPLETED', 3);
  });

  it('goes on where a rank of the first attempt was on a host that cannot be asked, and leaves that alone', async () => {
    const { job, run } = await start(1, 'before a flush');
    await job.killRanks();
    const [spools] = readdirSync(directory).filter((name) => name.startsWith('run.db-'));
    assert.ok(spools);
    // The next attempt's node has another name, and sees the first one's spools.
    const elsewhere = { BRAID_RESUME: run, BRAID_SPOOL_DIR: join(directory, 'here') };
    const options = {
      args: [path, 'second', 'close'],
      env: { ...elsewhere, NODE_OPTIONS: `--import=${program('elsewhere')}` },
    };
    const ended = await runAlone(program('resume'), options);
    assert.equal(ended.code, 0, ended.stderr);
    let reader = BraidReader.open(path);
    assert.deepEqual(
      reader.runs().map((run) => [run.status, run.attempts]),
      [['COMPLETED', 2]],
    );
    assert.equal([...reader.records()].filter(({ name }) => name.startsWith('first')).length, 0);
    reader.close();
    // At home again they come in, and the run stays what its last attempt made it.
    await (await BraidDB.open(path, { mpi: 'off' })).close();
    reader = BraidReader.open(path);
    assert.equal(reader.runs()[0].status, 'COMPLETED');
    const names = [...reader.records()].map(({ name }) => name).filter((name) => !name.includes('model'));
    assert.deepEqual(names.sort(), readFileSync(`${path}.acknowledged`, 'utf8').trim().split('\n').sort());
    reader.close();
  });
});

describe('a getter that calls back while its record is written', () => {
  it('is told so, by whatever it calls, and leaves nothing half written', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'braid-reentered-'));
    const db = await BraidDB.open(join(directory, 'run.db'), { mpi: 'off' });
    const reader = db.reader;
    const before = new BraidData(db, { name: 'before' });
    const calls: Record<string, () => unknown> = {
      read: () => reader.record(before.id),
      'db.reader': () => db.reader.runs(),
      record: () => new BraidData(db, { name: 'inner' }),
    };
    const promises: Record<string, () => Promise<unknown>> = {
      flush: () => db.flush(),
      onRoot: () => db.onRoot(() => 1),
      close: () => db.close(),
    };
    const withTag = (name: string, call: () => unknown) => {
      let reads = 0;
      // Once it is checked, and once it is written.
      const tags = {
        a: 1,
        get b() {
          return (reads++ > 0 && call(), 2);
        },
      };
      return new BraidData(db, { name, tags });
    };
    for (const [name, call] of Object.entries(calls)) {
      assert.throws(() => withTag(name, call), { name: 'BraidError', code: 'ERR_BRAID_REENTERED' }, name);
    }
    for (const [name, call] of Object.entries(promises)) {
      let promise: Promise<unknown> | undefined;
      withTag(name, () => void (promise = call()).catch(() => undefined));
      await assert.rejects(promise!, { name: 'BraidError', code: 'ERR_BRAID_REENTERED' }, name);
    }
    await db.close();
    const closed = BraidReader.open(db.path);
    assert.deepEqual(
      [...closed.records()].map(({ name, tags }) => [name, tags]),
      [['before', {}], ...Object.keys(promises).map((name) => [name, { a: 1, b: 2 }])],
    );
    closed.close();
    rmSync(directory, { recursive: true });
  });
});
