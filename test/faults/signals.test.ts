import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { BraidDB } from 'braid-mpi';
import { unlocked } from '../support/locks.js';
import { vendors } from '../support/mpiexec.js';
import { assertNothingLost, program, startJob, statuses, type Job } from './jobs.js';

describe('a signal', function () {
  this.timeout(60_000);
  let directory: string;
  let path: string;
  let job: Job | undefined;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-signals-'));
    path = join(directory, 'run.db');
  });
  afterEach(async () => {
    await job?.kill();
    job = undefined;
    rmSync(directory, { recursive: true });
  });

  const start = async (launcher: readonly string[], ranks: number, stage: string) => {
    job = startJob(launcher, program('signals'), { args: [path, stage] });
    const ready = await job.lines(/^ready (\d+) (\d+)$/m, ranks);
    return { job, pids: ready.map(([, , pid]) => Number(pid)) };
  };

  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGUSR1', 138],
  ] as const) {
    for (const stage of signal === 'SIGTERM' ? ['waiting', 'flushing', 'computing'] : ['flushing']) {
      it(`${signal} ends one process while ${stage}, with all it has recorded in the database`, async () => {
        const { job } = await start([], 1, stage);
        process.kill(job.pid, signal);
        // Whoever is impatient sends another.
        process.kill(job.pid, signal);
        assert.deepEqual(await job.ended, { code, signal: null }, job.stderr);
        assert.equal(job.stderr, '');
        assert.deepEqual(statuses(path), ['KILLED']);
        assertNothingLost(path);
      });
    }
  }

  for (const delayMs of [0, 3, 7, 12, 20]) {
    it(`leaves one process that opens and closes nothing to recover, ${delayMs} ms on`, async () => {
      const { job } = await start([], 1, 'opening and closing');
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      process.kill(job.pid, 'SIGTERM');
      const { code, signal } = await job.ended;
      // Between two openings nobody handles it.
      assert.ok(code === 143 || signal === 'SIGTERM', `${code} ${signal}`);
      const found = statuses(path);
      assert.deepEqual(new Set(found.slice(0, -1)), new Set(['COMPLETED']));
      assert.match(found.at(-1)!, /^(COMPLETED|KILLED)$/);
      assertNothingLost(path);
    });
  }

  it('is not lost where it comes as the last database is closed', async () => {
    job = startJob([], program('signals'), { args: [path, 'being closed'] });
    assert.deepEqual(await job.ended, { code: null, signal: 'SIGTERM' }, job.stderr);
  });

  for (const word of ['on', 'once', 'prependListener', 'prependOnceListener']) {
    for (const when of ['before', 'after']) {
      it(`is the program's own where it handles it by ${word} ${when} open`, async () => {
        const { job } = await start([], 1, `handling it by ${word} ${when}`);
        process.kill(job.pid, 'SIGUSR1');
        assert.deepEqual(await job.ended, { code: 7, signal: null }, job.stderr);
        assert.deepEqual(statuses(path), ['COMPLETED']);
        assertNothingLost(path);
      });
    }
  }

  describe('while somebody else has the lock of the database', () => {
    let other: Database.Database;
    const lock = () => {
      other = new Database(path);
      other.exec('BEGIN IMMEDIATE');
    };
    afterEach(() => other.close());
    /** The lock was not waited for, of which `busyMs` would be a minute. */
    const endsSoon = async (job: Job) => {
      const from = performance.now();
      const end = await job.ended;
      assert.ok(performance.now() - from < 4_000, `${performance.now() - from} ms`);
      assert.doesNotMatch(job.stderr, /FATAL/);
      return end;
    };
    const checkRecovered = async (before: string[]) => {
      other.close();
      await unlocked(directory);
      await (await BraidDB.open(path, { mpi: 'off' })).close();
      assert.deepEqual(statuses(path), [...before, 'COMPLETED']);
      if (existsSync(`${path}.acknowledged`)) assertNothingLost(path, ['run.db.word']);
    };

    /** A job that gets SIGTERM when all its ranks flush, and wait for the lock. */
    const endWhileFlushing = async (launcher: string[], ranks: number) => {
      const { job } = await start(launcher, ranks, 'flushing at a word');
      lock();
      writeFileSync(`${path}.word`, '');
      await job.lines(new RegExp(`^flushing [0-${ranks - 1}]$`, 'm'), ranks);
      process.kill(job.pid, 'SIGTERM');
      return job;
    };

    it('ends one process that opens it', async () => {
      await (await BraidDB.open(path, { mpi: 'off' })).close();
      lock();
      const { job } = await start([], 1, 'opening');
      process.kill(job.pid, 'SIGTERM');
      assert.deepEqual(await endsSoon(job), { code: 143, signal: null }, job.stderr);
      await checkRecovered(['COMPLETED']);
    });

    it('ends one process that flushes, and leaves what it has recorded in its spool', async () => {
      const job = await endWhileFlushing([], 1);
      assert.deepEqual(await endsSoon(job), { code: 143, signal: null }, job.stderr);
      assert.match(job.stderr, /ended by SIGTERM before close\(\)\. Nothing is lost/);
      await checkRecovered(['KILLED']);
    });

    it('lets one process that flushes end its run where the other is done in a moment', async () => {
      const job = await endWhileFlushing([], 1);
      other.close();
      assert.deepEqual(await endsSoon(job), { code: 143, signal: null }, job.stderr);
      assert.deepEqual([job.stderr, statuses(path)], ['', ['KILLED']]);
      assertNothingLost(path, ['run.db.word']);
    });

    it('and an exit, too, ends one process that flushes', async () => {
      const { job } = await start([], 1, 'exiting at a word');
      lock();
      writeFileSync(`${path}.word`, '');
      assert.deepEqual(await endsSoon(job), { code: 3, signal: null }, job.stderr);
      await checkRecovered(['FAILED']);
    });

    for (const vendor of vendors) {
      it(`ends a job that flushes, on ${vendor.name}`, async () => {
        const job = await endWhileFlushing([vendor.mpiexec, '-n', '2'], 2);
        await endsSoon(job);
        // Of MPICH, the first rank that ends ends the others before they can say anything.
        if (vendor.name === 'openmpi')
          assert.match(job.stderr, /rank 0 ended by SIGTERM before close\(\)\. Nothing is lost/);
        await checkRecovered(['KILLED']);
      });
    }
  });

  for (const vendor of vendors) {
    const ranks = vendor.name === 'mpich' ? 2 : 3;
    const launcher = [vendor.mpiexec, '-n', String(ranks)];
    const WAYS: Record<string, (job: Job, pids: number[]) => void> = {
      'SIGTERM to its launcher': ({ pid }) => process.kill(pid, 'SIGTERM'),
      'SIGINT to its launcher': ({ pid }) => process.kill(pid, 'SIGINT'),
      'Ctrl-C': ({ pid }) => process.kill(-pid, 'SIGINT'),
      'SIGUSR1 to its ranks, as Slurm warns them': (_, pids) => pids.forEach((pid) => process.kill(pid, 'SIGUSR1')),
      'SIGTERM to one rank': (_, pids) => process.kill(pids[1], 'SIGTERM'),
    };
    for (const [way, send] of Object.entries(WAYS)) {
      for (const stage of way === 'SIGTERM to its launcher' ? ['waiting', 'flushing'] : ['flushing']) {
        it(`${way} loses nothing of a job that is ${stage}, on ${vendor.name}`, async () => {
          const { job, pids } = await start(launcher, ranks, stage);
          send(job, pids);
          assert.notEqual((await job.ended).code, 0);
          await unlocked(directory);
          await (await BraidDB.open(path, { mpi: 'off' })).close();
          assert.deepEqual(statuses(path), ['KILLED', 'COMPLETED'], job.stderr);
          assertNothingLost(path);
        });
      }
    }

    it(`is the program's own where it handles it: the job closes, on ${vendor.name}`, async () => {
      const { job, pids } = await start(launcher, ranks, 'handling it');
      for (const pid of pids) process.kill(pid, 'SIGUSR1');
      assert.deepEqual(await job.ended, { code: 0, signal: null }, job.stderr);
      assert.deepEqual(statuses(path), ['COMPLETED']);
      assertNothingLost(path);
    });
  }
});
