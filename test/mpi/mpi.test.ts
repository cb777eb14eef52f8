import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { freemem, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { mpiexec, missingVendors, runAlone, vendors, type Run } from '../support/mpiexec.js';

const program = (name: string) => fileURLToPath(new URL(`./${name}.rank.js`, import.meta.url));

/** Any difference is shown with all that the job said. */
function expectRun(run: Run, expected: Partial<Run>, stdout?: RegExp): void {
  const told = `${JSON.stringify({ code: run.code, signal: run.signal, timedOut: run.timedOut })}\n${run.stdout}\n${run.stderr}`;
  for (const key of Object.keys(expected) as (keyof Run)[]) assert.equal(run[key], expected[key], told);
  if (stdout) assert.match(run.stdout, stdout, told);
}

/** A library that does at every start what V8 does at one in a hundred: it takes the memory next to the heap. */
function buildWall(dir: string): string {
  const source = path.join(dir, 'wall.c');
  writeFileSync(
    source,
    `#include <stdint.h>
     #include <stdlib.h>
     #include <sys/mman.h>
     #include <unistd.h>
     __attribute__((constructor)) static void wall(void) {
       free(malloc(1));
       uintptr_t end = ((uintptr_t)sbrk(0) + 4095) & ~(uintptr_t)4095;
       mmap((void *)end, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
     }`,
  );
  const library = path.join(dir, 'wall.so');
  execFileSync('cc', ['-D_GNU_SOURCE', '-shared', '-fPIC', '-o', library, source]);
  return library;
}

/** As users have it: Open MPI asks UCX, too. */
const ALL_TRANSPORTS = { OMPI_MCA_pml: undefined };

const done = { code: 0, timedOut: false } as const;

for (const missing of missingVendors) {
  it(`runs on MPI, skipped for ${missing}`, function () {
    this.skip();
  });
}

for (const vendor of vendors) {
  describe(`braid-mpi/mpi on ${vendor.name}`, function () {
    this.timeout(70_000);

    for (const ranks of vendor.ranks) {
      for (const name of ['collectives', 'errors', 'flush', 'objects', 'progress']) {
        it(`passes the ${name} program with ${ranks} ranks`, async () => {
          const run = await mpiexec(vendor, ranks, program(name));
          expectRun(run, done, new RegExp(`^ran [1-9]\\d* cases on each of ${ranks} ranks\\n$`));
        });
      }
    }

    const needed = 12 * 2 ** 30;
    const title = 'passes messages of more elements than an int counts, with 2 ranks';
    if (freemem() < needed) {
      it(`${title}, skipped: needs 12 GiB of free memory`, function () {
        this.skip();
      });
    } else {
      it(title, async function () {
        this.timeout(200_000);
        // In huge pages the kernel gives GiB twice as fast.
        const env = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };
        const run = await mpiexec(vendor, 2, program('large'), { env, timeoutMs: 190_000 });
        expectRun(run, done, /^ran [1-9]\d* cases on each of 2 ranks\n$/);
      });
    }

    it('runs a process without a launcher as a job of one rank', async () => {
      const run = await runAlone(program('hello'), { env: { BRAID_MPI: vendor.name } });
      expectRun(run, done, new RegExp(`^${vendor.name}: ranks 0\\n$`));
    });

    it('chooses the library by the launcher', async () => {
      const run = await mpiexec(vendor, 2, program('hello'), { env: ALL_TRANSPORTS });
      expectRun(run, done, new RegExp(`^${vendor.name}: ranks 0 1\\n$`));
    });

    it('runs a child process of a rank alone', async () => {
      const run = await mpiexec(vendor, 2, program('child'));
      expectRun(run, { ...done, stdout: 'child: launched false, size 1\n'.repeat(2) });
    });

    it('refuses MPI where BRAID_MPI is off', async () => {
      const run = await mpiexec(vendor, 1, program('hello'), { env: { BRAID_MPI: 'off' } });
      expectRun(run, { code: 1, timedOut: false });
      assert.match(run.stderr, /ERR_BRAID_MPI_UNAVAILABLE/);
    });

    it('keeps its heap where something is mapped right above it', async () => {
      const dir = mkdtempSync(path.join(tmpdir(), 'braid-wall-'));
      try {
        const run = await mpiexec(vendor, 2, program('collectives'), {
          env: { ...ALL_TRANSPORTS, LD_PRELOAD: buildWall(dir) },
        });
        expectRun(run, done);
      } finally {
        rmSync(dir, { recursive: true });
      }
    });

    const other = vendors.find(({ name }) => name !== vendor.name);
    it(`explains ${other ? other.name : 'another vendor'}'s library under this launcher${other ? '' : ', skipped: only one is built'}`, async function () {
      if (!other) this.skip();
      const run = await mpiexec(vendor, 2, program('hello'), { env: { BRAID_MPI: other.name } });
      expectRun(run, { code: 1, timedOut: false, stdout: '' });
      assert.match(run.stderr, /ERR_BRAID_MPI_LAUNCHER/);
      assert.match(run.stderr, /started 2 ranks, but the MPI library of this one believes that it is alone/);
    });
  });

  describe(`the end of a rank on ${vendor.name}`, function () {
    this.timeout(70_000);

    /** A healthy end, of all ranks. */
    const GOOD: readonly (readonly [stage: string, way: string])[] = [
      ['before init', 'process.exit(0)'],
      ['after init', 'process.exit(0)'],
      ['after init', 'its last line'],
      ['with a receive in flight', 'process.exit(0)'],
      ['with a collective in flight', 'process.exit(0)'],
      ['with a collective in flight', 'its last line'],
      ['after free', 'its last line'],
      ['after init', 'an exception that its own handler recovers from'],
    ];
    for (const [stage, way] of GOOD) {
      it(`is good by ${way} ${stage}`, async () => {
        const run = await mpiexec(vendor, 2, program('exit'), { args: [stage, way] });
        expectRun(run, done);
        assert.doesNotMatch(run.stderr, /braid-mpi:/);
        if (way.includes('recovers')) assert.equal(run.stdout, 'recovered\n'.repeat(2));
      });
    }

    /** A failure of the last rank, which the job ends with: its exit code, or any but 0 where a signal is the end. */
    const WAYS: readonly (readonly [way: string, code: number | undefined])[] = [
      ['process.exit(3)', 3],
      ['an uncaught exception', 1],
      ['SIGTERM', undefined],
    ];
    const STAGES = ['before init', 'before the others have', 'after init', 'with a receive in flight', 'after free'];
    const BAD = [
      ...STAGES.flatMap((stage) => WAYS.map(([way, code]) => [stage, way, code] as const)),
      ['after init', 'an exit code of 3', 3] as const,
      ['with a collective in flight', 'an uncaught exception', 1] as const,
      ['with a receive in flight', 'an unhandled rejection', 1] as const,
    ];
    for (const [stage, way, code] of BAD) {
      it(`ends the job by ${way} ${stage}`, async () => {
        const run = await mpiexec(vendor, 2, program('exit'), { args: [stage, way] });
        expectRun(run, { timedOut: false, ...(code === undefined ? {} : { code }) });
        assert.notEqual(run.code, 0);
        const says = !stage.startsWith('before') && code !== undefined;
        const line = `braid-mpi: rank 1 of 2 exits with code ${code}: ending the whole job`;
        assert.equal(run.stderr.split(line).length - 1, says ? 1 : 0, run.stderr);
      });
    }

    it("ends the job where a rank exits with a collective in flight that others don't join", async () => {
      const run = await mpiexec(vendor, 2, program('exit'), {
        args: ['with a collective in flight that not all join', 'process.exit(0)'],
        env: { BRAID_MPI_EXIT_WAIT_MS: '200' },
      });
      expectRun(run, { code: 1, timedOut: false });
      assert.match(run.stderr, /rank 0 of 2 exits with operations under way that others did not join/);
    });
  });
}
