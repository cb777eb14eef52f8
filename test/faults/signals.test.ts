import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidDB } from 'braid-mpi';
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
