/** On what was measured. */
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { arch, availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { fileSystemOf } from '#src/spool/file-system.js';
import { run, vendorEnvironment, type TestVendor } from '../test/support/mpiexec.js';
import { scratch } from './launch.js';
import type { Machine } from './results.js';

export async function machine(vendor: TestVendor | undefined): Promise<Machine> {
  const db = new Database(':memory:');
  const sqlite = db.prepare('SELECT sqlite_version()').pluck().get() as string;
  db.close();
  const { version } = createRequire(import.meta.url)('better-sqlite3/package.json') as { version: string };
  return {
    cpu: cpus()[0].model,
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()} ${arch()}`,
    mpi: vendor ? await libraryOf(vendor) : 'none',
    node: process.version,
    betterSqlite3: version,
    sqlite,
    fileSystem: fileSystemOf(scratch).name,
    loadAverage: loadavg()[0],
  };
}

/** The library's own word, as a job of one rank has it; else its launcher's. */
async function libraryOf({ mpiexec }: TestVendor): Promise<string> {
  const program = "import { MPI } from 'braid-mpi/mpi'; console.log(MPI.libraryVersion)";
  const args = ['-n', '1', process.execPath, '--input-type=module', '-e', program];
  const { code, stdout } = await run(mpiexec, args, { timeoutMs: 30_000 });
  const env = { ...process.env, ...vendorEnvironment };
  const text = code === 0 ? stdout : execFileSync(mpiexec, ['--version'], { encoding: 'utf8', env });
  // Both go on with how they were built.
  return text
    .trim()
    .split(/\n|, package/, 1)[0]
    .replace(/\s+/g, ' ');
}

/** The commit that is checked out, and whether files differ from it. */
export function gitCommit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { encoding: 'utf8', cwd: fileURLToPath(new URL('../../', import.meta.url)) }).trim();
  try {
    return git('rev-parse', 'HEAD') + (git('status', '--porcelain') === '' ? '' : ', with changes');
  } catch {
    return 'unknown';
  }
}
