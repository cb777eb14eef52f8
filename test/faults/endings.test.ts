import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { BraidDB } from 'braid-mpi';
import { vendors } from '../support/mpiexec.js';
import { assertNothingLost, program, startJob, statuses, type Job } from './jobs.js';

/** "Within seconds", of a job of which a rank has failed. */
const END_MS = 10_000;

/** Of a process that has ended, and that nobody has asked about, the system still knows the pid. */
function runs(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== '';
  } catch {
    return false;
  }
}

for (const vendor of vendors) {
  describe(`a job of 2 ranks on ${vendor.name}`, function () {
    this.timeout(60_000);
    let directory: string;
    let path: string;
    let job: Job | undefined;
    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'braid-endings-'));
      path = join(directory, 'run.db');
    });
    afterEach(async () => {
      await job?.kill();
      job = undefined;
      rmSync(directory, { recursive: true });
    });

    const start = async (way: string) => {
      job = startJob([vendor.mpiexec, '-n', '2'], program('endings'), { args: [path, way] });
      const ready = await job.lines(/^ready (\d+) (\d+)$/m, 2);
      const pids = ready.sort().map(([, , pid]) => Number(pid));
      return { job, pids };
    };
    const enough = () => writeFileSync(`${path}.enough`, '');

    it('names a rank that was stopped, and lands all when it goes on', async () => {
      const { job, pids } = await start('none');
      process.kill(pids[1], 'SIGSTOP');
      const limit = performance.now() + END_MS;
      while (!job.stderr.includes('rank 0 has waited 300 ms in onRoot() for rank 1\n') && performance.now() < limit) {
        await pause(20);
      }
      assert.match(job.stderr, /rank 0 has waited 300 ms in onRoot\(\) for rank 1\n/);
      process.kill(pids[1], 'SIGCONT');
      enough();
      assert.deepEqual(await job.ended, { code: 0, signal: null }, job.stderr);
      assert.deepEqual(statuses(path), ['COMPLETED']);
      assertNothingLost(path, ['run.db.enough']);
    });

    for (const way of [
      'an exception that it handles',
      'an exit code that it takes back',
      'an exit code that its listener takes back',
    ]) {
      it(`goes on to its close where a rank has ${way}`, async () => {
        const { job } = await start(way);
        enough();
        assert.deepEqual(await job.ended, { code: 0, signal: null }, job.stderr);
        assert.doesNotMatch(job.stderr, /ending the whole job|ended/);
        assert.deepEqual(statuses(path), ['COMPLETED']);
        assertNothingLost(path, ['run.db.enough']);
      });
    }

    for (const way of ['process.exit(3)', 'an uncaught exception']) {
      it(`ends within seconds where a rank ends by ${way}, and loses nothing`, async () => {
        const { job, pids } = await start(way);
        const failed = performance.now();
        const { code } = await job.ended;
        // A launcher may be gone a moment before those that it has killed.
        while (pids.some(runs) && performance.now() - failed < END_MS) await pause(10);
        const tookMs = performance.now() - failed;
        assert.ok(tookMs < END_MS, `it took ${tookMs} ms`);
        assert.equal(code, way.includes('3') ? 3 : 1, job.stderr);
        await (await BraidDB.open(path, { mpi: 'off' })).close();
        assert.deepEqual(statuses(path), ['FAILED', 'COMPLETED']);
        assertNothingLost(path);
      });
    }
  });
}
