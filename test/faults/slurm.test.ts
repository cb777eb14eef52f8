import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { BraidDB, BraidReader } from 'braid-mpi';
import { vendors } from '../support/mpiexec.js';
import { Slurm, type SlurmMpi } from '../support/slurm.js';
import { assertNothingLost, program, statuses } from './jobs.js';

const WAYS: readonly (readonly [vendor: string, mpi: SlurmMpi])[] = [
  ['openmpi', 'pmix'],
  ['mpich', 'pmi2'],
];

/** Longer than ranks take that end by themselves; Slurm's own patience with them is 30 s. */
const END_MS = 15_000;

/** What there is beside the database. */
const FILES = ['job.sh', 'out'];
const DOCS = new URL('../../../docs/api.md', import.meta.url);

const whyNot = Slurm.whyNot();

describe('a job of Slurm', function () {
  this.timeout(60_000);
  let slurm: Slurm;
  const directories: string[] = [];

  if (whyNot) {
    it(`loses nothing, skipped: ${whyNot}`, function () {
      this.skip();
    });
    return;
  }

  before(async () => {
    slurm = await Slurm.start();
  });
  after(() => slurm?.stop());
  afterEach(() => {
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
  });

  const newDirectory = () => {
    const directory = mkdtempSync(join(tmpdir(), 'braid-slurm-job-'));
    directories.push(directory);
    return directory;
  };

  /** Waits until the job's output has so many lines of a form. */
  async function lines(directory: string, form: RegExp, count: number): Promise<string[]> {
    const out = join(directory, 'out');
    const limit = performance.now() + END_MS;
    for (;;) {
      const text = existsSync(out) ? readFileSync(out, 'utf8') : '';
      const found = text.match(form) ?? [];
      if (found.length === count) return found;
      if (performance.now() > limit) throw new Error(`no ${String(form)} ${count} times:\n${text}`);
      await pause(50);
    }
  }

  /** Submits a job of two ranks that flush again and again, and waits until they do. */
  async function start(mpi: SlurmMpi, env: Readonly<Record<string, string>> = {}) {
    const directory = newDirectory();
    const path = join(directory, 'run.db');
    const script = join(directory, 'job.sh');
    const command = `srun --mpi=${mpi} ${process.execPath} ${program('signals')} ${path} flushing`;
    writeFileSync(script, `#!/bin/bash\n${command}\necho "srun ended with $?"\n`);
    const variables = Object.entries(env).map(([name, value]) => `,${name}=${value}`);
    const job = await slurm.submit(directory, script, ['-n', '2', `--export=ALL${variables.join('')}`]);
    // By rank.
    const pids = (await lines(directory, /^ready.*$/gm, 2)).sort().map((line) => Number(line.split(' ')[2]));
    return { job, directory, path, pids };
  }

  const recover = async (path: string) => (await BraidDB.open(path, { mpi: 'off' })).close();
  const said = (directory: string) => readFileSync(join(directory, 'out'), 'utf8');

  for (const [vendor, mpi] of WAYS) {
    const missing = !vendors.some(({ name }) => name === vendor)
      ? `no ${vendor}`
      : !Slurm.has(mpi)
        ? `no ${mpi} plugin`
        : undefined;
    if (missing) {
      it(`loses nothing with --mpi=${mpi}, skipped: ${missing}`, function () {
        this.skip();
      });
      continue;
    }

    it(`ends by scancel within seconds, loses nothing, and is KILLED, with --mpi=${mpi}`, async () => {
      const ended = [
        ['CANCELLED', []],
        ['COMPLETED', ['--signal=TERM']],
      ] as const;
      await Promise.all(
        ended.map(async ([state, args]) => {
          const { job, directory, path } = await start(mpi);
          await slurm.command('scancel', [...args, job]);
          await slurm.until(job, state, END_MS);
          // 128 + SIGTERM; or Slurm's own SIGKILL to the ranks of a job that one of them has ended.
          if (state === 'COMPLETED') assert.match(said(directory), /^srun ended with (143|137)$/m);
          await recover(path);
          assert.deepEqual(statuses(path), ['KILLED', 'COMPLETED'], said(directory));
          assertNothingLost(path, FILES);
        }),
      );
    });

    // By PMI2 nobody tells the others: the root does, where it may. Its patience is also with ranks that start late.
    const env: Record<string, string> = mpi === 'pmi2' ? { BRAID_ABORT_MS: '3000' } : {};
    const told = mpi === 'pmi2' ? ' and abortMs' : '';
    it(`ends by the SIGKILL of a rank, loses nothing, and is INCOMPLETE, with --mpi=${mpi}${told}`, async () => {
      const { directory, path, pids } = await start(mpi, env);
      process.kill(pids[1], 'SIGKILL');
      await lines(directory, /^srun ended with 137$/gm, 1);
      await recover(path);
      assert.deepEqual(statuses(path), ['INCOMPLETE', 'COMPLETED'], said(directory));
      assertNothingLost(path, FILES);
    });

    if (mpi !== 'pmix') continue;
    it('goes on with its run when it is requeued, by the script that docs/api.md has', async () => {
      const directory = newDirectory();
      const path = join(directory, 'run.db');
      const [, script] = /^```sh\n(#!\/bin\/bash\n[^`]*)^```/m.exec(readFileSync(DOCS, 'utf8'))!;
      writeFileSync(join(directory, 'job.sh'), script);
      writeFileSync(join(directory, 'train.mjs'), `import ${JSON.stringify(pathToFileURL(program('requeue')))};\n`);
      const job = await slurm.submit(directory, join(directory, 'job.sh'), ['-n', '2']);
      await lines(directory, /^ready.*$/gm, 2);
      await slurm.command('scontrol', ['requeue', job]);
      await slurm.until(job, 'PENDING', END_MS);
      // Slurm lets two minutes pass before it starts such a job again.
      await slurm.command('scontrol', ['update', `jobid=${job}`, 'starttime=now']);
      await slurm.until(job, 'COMPLETED', END_MS);
      const reader = BraidReader.open(path);
      assert.deepEqual(
        reader.runs().map(({ status, attempts }) => [status, attempts]),
        [['COMPLETED', 2]],
        said(directory),
      );
      const attempts = new Set([...reader.records()].map(({ name }) => name.split('-')[1]));
      assert.deepEqual(attempts, new Set(['1', '2']));
      reader.close();
      assertNothingLost(path, [...FILES, 'train.mjs']);
    });
  }
});
