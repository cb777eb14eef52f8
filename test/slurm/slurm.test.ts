import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vendors, type Run } from '../support/mpiexec.js';
import { Slurm, type SlurmMpi } from '../support/slurm.js';

const program = (name: string) => fileURLToPath(new URL(`../${name}.rank.js`, import.meta.url));
const told = (run: Run) =>
  `${JSON.stringify({ code: run.code, signal: run.signal, timedOut: run.timedOut })}\n${run.stdout}\n${run.stderr}`;

const WAYS: readonly (readonly [vendor: string, mpi: SlurmMpi])[] = [
  ['openmpi', 'pmix'],
  ['mpich', 'pmi2'],
];

const whyNot = Slurm.whyNot();

describe('under srun', function () {
  this.timeout(120_000);
  let slurm: Slurm;
  let directory: string;

  if (whyNot) {
    it(`runs jobs, skipped: ${whyNot}`, function () {
      this.skip();
    });
    return;
  }

  before(async () => {
    slurm = await Slurm.start();
  });
  after(() => slurm?.stop());
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-slurm-job-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  for (const [vendor, mpi] of WAYS) {
    describe(`--mpi=${mpi} with ${vendor}`, () => {
      const missing = !vendors.some(({ name }) => name === vendor)
        ? `no ${vendor}`
        : !Slurm.has(mpi)
          ? `no ${mpi} plugin`
          : undefined;
      if (missing) {
        it(`runs jobs, skipped: ${missing}`, function () {
          this.skip();
        });
        return;
      }

      it('chooses the library by the launcher', async () => {
        const run = await slurm.srun(mpi, 3, program('mpi/hello'));
        assert.deepEqual([run.code, run.stdout], [0, `${vendor}: ranks 0 1 2\n`], told(run));
      });

      for (const name of ['collectives', 'errors', 'objects', 'progress']) {
        it(`passes the ${name} program with 2 ranks`, async () => {
          const run = await slurm.srun(mpi, 2, program(`mpi/${name}`));
          assert.equal(run.code, 0, told(run));
          assert.match(run.stdout, /^ran [1-9]\d* cases on each of 2 ranks\n$/, told(run));
        });
      }

      it('keeps the contract of the recorder on 2 ranks', async () => {
        const run = await slurm.srun(mpi, 2, program('recorder/contract'), { args: [directory], timeoutMs: 110_000 });
        assert.equal(run.code, 0, told(run));
        assert.match(run.stdout, /^ran \d+ cases on 2 ranks\n$/, told(run));
      });

      it('ends well where every rank does', async () => {
        const run = await slurm.srun(mpi, 2, program('mpi/exit'), { args: ['after init', 'its last line'] });
        assert.equal(run.code, 0, told(run));
      });

      it('ends the job within seconds where one rank fails, though srun was not told to', async () => {
        const options = { args: ['after init', 'process.exit(3)'], timeoutMs: 10_000 };
        const run = await slurm.srun(mpi, 2, program('mpi/exit'), options);
        assert.equal(run.timedOut, false, told(run));
        assert.notEqual(run.code, 0, told(run));
        assert.match(run.stderr, /braid-mpi: rank 1 of 2 exits with code 3: ending the whole job/, told(run));
      });

      // Of such a rank PMIx hears nothing: there the others end the job, by their patience.
      it(`ends the job where one rank fails before it has started MPI, ${mpi === 'pmix' ? 'after abortMs' : 'within seconds'}`, async () => {
        const env = { BRAID_ABORT_MS: mpi === 'pmix' ? '1000' : undefined };
        const options = { args: ['before the others have', 'process.exit(3)'], env, timeoutMs: 20_000 };
        const run = await slurm.srun(mpi, 2, program('mpi/exit'), options);
        assert.equal(run.timedOut, false, told(run));
        assert.notEqual(run.code, 0, told(run));
        const says =
          mpi === 'pmix'
            ? /rank 0 ends the job: not all 2 ranks have started MPI within 1000 ms/
            : /rank 1 of 2 exits with code 3 before it has started MPI: ending the whole job/;
        assert.match(run.stderr, says, told(run));
      });

      it('ends the job where one rank never starts MPI, after abortMs', async () => {
        const options = {
          args: ['before the others have', 'no end'],
          env: { BRAID_ABORT_MS: '1000' },
          timeoutMs: 20_000,
        };
        const run = await slurm.srun(mpi, 2, program('mpi/exit'), options);
        assert.equal(run.timedOut, false, told(run));
        assert.match(run.stderr, /rank 0 ends the job: not all 2 ranks have started MPI within 1000 ms/, told(run));
      });
    });
  }
});
