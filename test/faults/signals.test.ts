import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidDB, BraidReader } from 'braid-mpi';
import { vendors } from '../support/mpiexec.js';
import { program, startJob, type Job } from './jobs.js';

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

  const statuses = () => {
    const reader = BraidReader.open(path);
    const found = reader.runs().map(({ status }) => status);
    reader.close();
    return found;
  };

  /** All that was acknowledged is there, once. A rank that was killed before it could say so has one more. */
  function check(): void {
    const reader = BraidReader.open(path);
    try {
      for (const run of reader.runs()) assert.equal(run.recorded, run.committed);
      const names = [...reader.records()].map(({ name }) => name);
      const acknowledged = readFileSync(`${path}.acknowledged`, 'utf8').trim().split('\n');
      const said = new Set(acknowledged);
      const unsaid = names.filter((name) => !said.has(name));
      assert.equal(new Set(unsaid.map((name) => name.split('-')[0])).size, unsaid.length, String(unsaid));
      assert.deepEqual(names.sort(), [...acknowledged, ...unsaid].sort());
    } finally {
      reader.close();
    }
    assert.deepEqual(readdirSync(directory).sort(), ['run.db', 'run.db.acknowledged'], 'no spool is left');
  }

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
        assert.deepEqual(statuses(), ['KILLED']);
        check();
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
      const found = statuses();
      assert.deepEqual(new Set(found.slice(0, -1)), new Set(['COMPLETED']));
      assert.match(found.at(-1)!, /^(COMPLETED|KILLED)$/);
      check();
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
          assert.deepEqual(statuses(), ['KILLED', 'COMPLETED'], job.stderr);
          check();
        });
      }
    }

    it(`is the program's own where it handles it: the job closes, on ${vendor.name}`, async () => {
      const { job, pids } = await start(launcher, ranks, 'handling it');
      for (const pid of pids) process.kill(pid, 'SIGUSR1');
      assert.deepEqual(await job.ended, { code: 0, signal: null }, job.stderr);
      assert.deepEqual(statuses(), ['COMPLETED']);
      check();
    });
  }
});
