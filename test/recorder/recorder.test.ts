import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BraidDB, BraidReader } from 'braid-mpi';
import { unlocked } from '../support/locks.js';
import { mpiexec, missingVendors, run, runAlone, vendors, type Run, type TestVendor } from '../support/mpiexec.js';

const program = (name: string) => fileURLToPath(new URL(`./${name}.rank.js`, import.meta.url));
const told = (run: Run) =>
  `${JSON.stringify({ code: run.code, signal: run.signal, timedOut: run.timedOut })}\n${run.stdout}\n${run.stderr}`;

for (const missing of missingVendors) {
  it(`records on MPI, skipped for ${missing}`, function () {
    this.skip();
  });
}

describe('the recorder', function () {
  this.timeout(120_000);
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-recorder-'));
    path = join(directory, 'run.db');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  for (const vendor of vendors) {
    for (const ranks of vendor.ranks) {
      it(`keeps the contract on ${ranks} ranks of ${vendor.name}`, async () => {
        const run = await mpiexec(vendor, ranks, program('contract'), { args: [directory], timeoutMs: 110_000 });
        assert.equal(run.code, 0, told(run));
        assert.match(run.stdout, new RegExp(`^ran \\d+ cases on ${ranks} ranks\\n$`), told(run));
      });
    }
  }

  const openMpi = vendors.find(({ name }) => name === 'openmpi');
  const unbindable = !openMpi
    ? ', skipped without Open MPI'
    : availableParallelism() === 1
      ? ', skipped where there is one processor only'
      : '';
  for (const [binding, more] of [
    // Not to a core, which may have two of them, and be the only one.
    ['hwthread', true],
    ['none', false],
  ] as const) {
    const where = more ? 'on other processors than the one that Open MPI has bound the rank to' : 'where the rank may run, if it is not bound'; // prettier-ignore
    it(`commits ${where}${unbindable}`, async function () {
      if (unbindable) this.skip();
      const args = ['--bind-to', binding, '-n', '1', process.execPath, program('bound'), path];
      const { code, stdout, stderr } = await run(openMpi!.mpiexec, args, {});
      assert.equal(code, 0, stderr);
      const { main, most } = JSON.parse(stdout) as { main: number; most: number };
      if (more) assert.ok(most > main, stdout);
      else assert.equal(most, main);
    });
  }

  /** A stage, a way to end there, the exit code, and what the run is called in the end. */
  const ENDS: [stage: string, way: string, code: number | undefined, status: string][] = [
    ['open', 'its last line', 0, 'INCOMPLETE'],
    ['open', 'an uncaught exception', 1, 'FAILED'],
    ['open', 'SIGTERM', 143, 'KILLED'],
    ['open', 'SIGKILL', undefined, 'INCOMPLETE'],
    ['record', 'its last line', 0, 'INCOMPLETE'],
    ['record', 'process.exit(0)', 0, 'INCOMPLETE'],
    ['record', 'process.exit(3)', 3, 'FAILED'],
    ['record', 'an uncaught exception', 1, 'FAILED'],
    ['record', 'SIGTERM', 143, 'KILLED'],
    ['record', 'SIGKILL', undefined, 'INCOMPLETE'],
    ['flush', 'process.exit(0)', 0, 'INCOMPLETE'],
    ['flush', 'SIGKILL', undefined, 'INCOMPLETE'],
    ['record more', 'process.exit(3)', 3, 'FAILED'],
    ['record more', 'SIGTERM', 143, 'KILLED'],
    ['record more', 'SIGKILL', undefined, 'INCOMPLETE'],
    ['start a flush', 'process.exit(0)', 0, 'INCOMPLETE'],
    ['start a flush', 'an uncaught exception', 1, 'FAILED'],
    ['start a flush', 'SIGKILL', undefined, 'INCOMPLETE'],
    ['close', 'its last line', 0, 'COMPLETED'],
    ['close', 'process.exit(3)', 3, 'COMPLETED'],
    ['close', 'SIGTERM', undefined, 'COMPLETED'],
  ];

  /** What a kill leaves is brought in by the next open; all that was acknowledged is there, once. */
  async function checkRecovered(...statuses: string[]): Promise<void> {
    await unlocked(directory);
    const next = await BraidDB.open(path, { mpi: 'off' });
    await next.close();
    const reader = BraidReader.open(path);
    try {
      const [run] = reader.runs();
      assert.ok(statuses.includes(run.status), run.status);
      assert.equal(run.recorded, run.committed);
      const names = [...reader.records()].map(({ name }) => name).sort();
      const acknowledged = existsSync(`${path}.acknowledged`)
        ? readFileSync(`${path}.acknowledged`, 'utf8').split('\n').filter(Boolean).sort()
        : [];
      // A rank that the launcher killed between storing and acknowledging has stored one more than it could say.
      const unsaid = names.filter((name) => !acknowledged.includes(name));
      const ranks = unsaid.map((name) => name.split('-')[1]);
      assert.equal(new Set(ranks).size, unsaid.length, String(unsaid));
      assert.ok(unsaid.length === 0 || statuses.includes('KILLED'), String(unsaid));
      assert.deepEqual(names, [...acknowledged, ...unsaid].sort());
      for (const { tags } of reader.records()) assert.equal(typeof tags.i, 'number');
    } finally {
      reader.close();
    }
    assert.deepEqual(
      readdirSync(directory).filter((name) => name.startsWith('run.db-')),
      [],
      'the database is one file, and no spool is left',
    );
  }

  for (const [stage, way, code, status] of ENDS) {
    it(`loses nothing of one process that ends by ${way} after ${stage}`, async () => {
      const run = await runAlone(program('exit'), { args: [path, stage, way], env: { BRAID_MPI: 'off' } });
      assert.equal(run.timedOut, false, told(run));
      if (code !== undefined && way !== 'SIGTERM') assert.equal(run.code, code, told(run));
      if (way === 'SIGKILL') assert.equal(run.signal, 'SIGKILL');
      if (way === 'SIGTERM' && stage !== 'close') assert.equal(run.code, 143, told(run));
      const silent = stage === 'close' || way === 'SIGKILL' || way === 'SIGTERM';
      assert.equal(/braid-mpi: this process .*Nothing is lost/.test(run.stderr), !silent, told(run));
      await checkRecovered(status);
    });
  }

  const launch = async (vendor: TestVendor, [stage, way, code, status]: (typeof ENDS)[number]) => {
    const run = await mpiexec(vendor, 3, program('exit'), { args: [path, stage, way] });
    assert.equal(run.timedOut, false, told(run));
    const well = code === 0;
    // A rank's failure is the job's; its launcher says with which code.
    assert.equal(run.code === 0, well, told(run));
    if (stage !== 'close' && well) {
      assert.match(run.stdout, /rank 0: ERR_BRAID_RANK_LEFT rank 2 ended without close/, told(run));
      assert.match(run.stdout, /rank 1: ERR_BRAID_RANK_LEFT rank 2 ended without close/, told(run));
      assert.equal(run.stderr.match(/Nothing is lost/g)?.length, 1, `one rank speaks for all: ${told(run)}`);
    }
    // A launcher ends the other ranks of a job by SIGTERM, so one of which a rank was killed may say so.
    await checkRecovered(status, ...(way === 'SIGKILL' ? ['KILLED'] : []));
  };

  const LEFT = 'ERR_BRAID_RANK_LEFT';
  /** A rank, where it leaves the others, and what these are told. What was under way may have been done before. */
  const LEAVERS: [rank: number, stage: string, told: string][] = [
    [0, 'in open', `open ${LEFT}`],
    [0, 'before a flush', `flush ${LEFT}, queued flush ${LEFT}, close ${LEFT}`],
    [0, 'in a flush', `flush (ok|${LEFT}), queued flush ${LEFT}, close ${LEFT}`],
    [2, 'in open', `(open|flush ${LEFT}, queued flush ${LEFT}, close) ${LEFT}`],
    [2, 'before a flush', `flush ${LEFT}, queued flush ${LEFT}, close ${LEFT}`],
    [2, 'in a flush', `flush ok, queued flush ${LEFT}, close ${LEFT}`],
  ];
  for (const vendor of vendors) {
    for (const [rank, stage, says] of LEAVERS) {
      it(`tells the others at each call that rank ${rank} has left ${stage}, on ${vendor.name}`, async () => {
        const run = await mpiexec(vendor, 3, program('left'), { args: [path, stage, String(rank)] });
        assert.equal(run.timedOut, false, told(run));
        assert.equal(run.code, 0, told(run));
        const others = [0, 1, 2].filter((other) => other !== rank);
        for (const other of others) assert.match(run.stdout, new RegExp(`^rank ${other}: ${says}$`, 'm'), told(run));
      });
    }
  }

  for (const vendor of vendors) {
    for (const before of ['closed', 'failed']) {
      for (const leaver of [0, 1]) {
        it(`tells those who open again that rank ${leaver} has ended after all had ${before}, on ${vendor.name}`, async () => {
          const run = await mpiexec(vendor, 3, program('reopened'), { args: [path, before, String(leaver)] });
          assert.deepEqual([run.code, run.timedOut, run.stderr], [0, false, ''], told(run));
          for (const rank of [0, 1, 2].filter((rank) => rank !== leaver)) {
            for (const attempt of ['one', 'two']) {
              const says = `^rank ${rank} ${attempt}: ${LEFT} rank ${leaver}(, which owns the database,)? ended[, ]`;
              assert.match(run.stdout, new RegExp(says, 'm'), told(run));
            }
          }
        });
      }
    }
  }

  const [openmpi] = vendors.filter(({ name }) => name === 'openmpi');
  const [mpich] = vendors.filter(({ name }) => name === 'mpich');
  if (openmpi) {
    for (const end of ENDS) {
      it(`loses nothing of an Open MPI job whose last rank ends by ${end[1]} after ${end[0]}`, () =>
        launch(openmpi, end));
    }
  }
  if (mpich) {
    for (const end of ENDS.filter(([stage, way]) => stage === 'record' || way === 'SIGKILL')) {
      it(`loses nothing of an MPICH job whose last rank ends by ${end[1]} after ${end[0]}`, () => launch(mpich, end));
    }
  }
});
