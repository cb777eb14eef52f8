import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { mpiexec, runAlone, vendors } from '../support/mpiexec.js';

const checkout = fileURLToPath(new URL('../../../', import.meta.url));
/** Node's own prefix, where it has come with its headers. */
const prefix = dirname(dirname(process.execPath));
const hasHeaders = existsSync(join(prefix, 'include', 'node', 'node_api.h'));

/** Nothing of what this machine knows of registries, caches and compilers; compiled fast and not to be fast. */
const environment = (home: string): NodeJS.ProcessEnv => ({
  HOME: home,
  PATH: process.env.PATH,
  CFLAGS: '-O0',
  CXXFLAGS: '-O0',
  npm_config_nodedir: prefix,
  npm_config_cache: join(home, 'cache'),
  // Nobody listens there: to ask is to fail.
  npm_config_registry: 'http://127.0.0.1:9/',
});

function run(command: string, args: readonly string[], options: { cwd: string; env?: NodeJS.ProcessEnv }): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    ...options,
    encoding: 'utf8',
    timeout: 600_000,
    killSignal: 'SIGKILL',
    maxBuffer: 64 * 2 ** 20,
  });
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${String(error ?? '')}${stdout}${stderr}`);
  return stdout;
}

/** Where root may, without any network at all. */
const alone = spawnSync('unshare', ['--net', 'true']).status === 0 ? ['unshare', '--net'] : [];

const JOB = `import { BraidDB, BraidData } from 'braid-mpi';
  const db = await BraidDB.open(process.argv[2]);
  new BraidData(db, { name: \`part-\${db.rank}\` });
  await db.close();
  if (db.isRoot) process.stdout.write(\`recorded \${db.size}\\n\`);`;

describe('installing', function () {
  this.timeout(700_000);
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'braid-install-'))));
  afterEach(() => rmSync(directory, { recursive: true }));

  const title = 'from one file, with no registry in reach, gives what records by MPI';
  if (!hasHeaders) {
    it(`${title}, skipped: this Node has come without its headers`, function () {
      this.skip();
    });
  } else {
    it(title, async () => {
      const packed = run('scripts/pack', [directory], { cwd: checkout }).trim();
      const project = join(directory, 'project');
      mkdirSync(project);
      writeFileSync(join(project, 'package.json'), '{ "name": "job", "private": true }');
      const [command, ...args] = [...alone, 'npm', 'install', packed];
      run(command, args, { cwd: project, env: environment(directory) });

      const job = join(project, 'job.mjs');
      writeFileSync(job, JOB);
      for (const vendor of vendors) {
        const { code, stdout, stderr } = await mpiexec(vendor, 2, job, { args: [join(project, `${vendor.name}.db`)] });
        assert.deepEqual([code, stdout], [0, 'recorded 2\n'], stderr);
      }
      const { code, stdout, stderr } = await runAlone(job, { args: [join(project, 'alone.db')] });
      assert.deepEqual([code, stdout], [0, 'recorded 1\n'], stderr);
      const printed = run(join(project, 'node_modules', '.bin', 'braid'), ['print', 'alone.db'], { cwd: project });
      assert.match(printed, /part-0/);
    });
  }

  for (const vendor of vendors) {
    const byCmake = `by CMake's FindMPI gives the addon of ${vendor.name}, and says which it is`;
    const compiler = `mpicc.${vendor.name}`;
    const missing = ['cmake', compiler].find((name) => spawnSync(name, ['--version']).error);
    if (missing) {
      it(`${byCmake}, skipped: no ${missing}`, function () {
        this.skip();
      });
      continue;
    }
    it(byCmake, async () => {
      for (const part of ['package.json', 'CMakeLists.txt', 'native', 'dist', 'scripts']) {
        cpSync(join(checkout, part), join(directory, part), { recursive: true });
      }
      symlinkSync(join(checkout, 'node_modules'), join(directory, 'node_modules'));
      // Compiled fast and not to be fast, here too.
      const args = ['run', 'build:cmake', '--', `--CDMPI_C_COMPILER=${compiler}`, '--CDCMAKE_CXX_FLAGS_RELEASE=-O0'];
      run('npm', args, { cwd: directory, env: { ...process.env, npm_config_nodedir: undefined } });

      const notes = JSON.parse(readFileSync(join(directory, 'build', 'mpi-reasons.json'), 'utf8')) as {
        found: { vendor: string; version: string; built: boolean }[];
      };
      assert.equal(notes.found.length, 1);
      assert.deepEqual([notes.found[0].vendor, notes.found[0].built], [vendor.name, true]);
      assert.match(notes.found[0].version, vendor.name === 'openmpi' ? /^Open MPI v?\d/ : /^MPICH \d/);

      const job = join(directory, 'job.mjs');
      writeFileSync(job, JOB);
      const { code, stdout, stderr } = await mpiexec(vendor, 2, job, { args: [join(directory, 'run.db')] });
      assert.deepEqual([code, stdout], [0, 'recorded 2\n'], stderr);
    });
  }
});
