import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import process from 'node:process';

import { addonPath } from '#src/load-addon.js';
import type { MpiVendor } from '#src/native.js';
import { endWithTest, killTree } from './children.js';

/** An MPI that tests can be run with: the addon is built and its launcher is there. */
export interface TestVendor {
  name: MpiVendor;
  mpiexec: string;
  /** The numbers of ranks that a suite is run with. */
  ranks: readonly number[];
}

export interface Run {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  timedOut: boolean;
}

interface VendorData {
  name: MpiVendor;
  /** Names of the launcher; the plain one is some vendor's, and says so itself. */
  launchers: readonly string[];
  says: RegExp;
  /** MPICH's ranks spin while they wait, and starve each other where they outnumber the cores. */
  ranks: readonly number[];
  /** What a small machine, with root as its user, needs. */
  env: Readonly<Record<string, string>>;
}

const VENDORS: readonly VendorData[] = [
  {
    name: 'openmpi',
    launchers: ['mpiexec.openmpi', 'mpiexec'],
    says: /Open MPI|OpenRTE|PRRTE/,
    ranks: [1, 2, 3, 5],
    env: {
      OMPI_ALLOW_RUN_AS_ROOT: '1',
      OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
      OMPI_MCA_rmaps_base_oversubscribe: 'true',
      OMPI_MCA_mpi_yield_when_idle: 'true',
      OMPI_MCA_btl: 'self,vader',
      // Of what could take messages over a network it asks none, which takes it a quarter of a second at every start.
      OMPI_MCA_pml: 'ob1',
    },
  },
  {
    name: 'mpich',
    launchers: ['mpiexec.mpich', 'mpiexec.hydra', 'mpiexec'],
    says: /HYDRA|MPICH/,
    ranks: [1, 2, 3],
    env: { HYDRA_LAUNCHER: 'fork' },
  },
];

/** What a small machine needs of any vendor. */
export const vendorEnvironment: Readonly<Record<string, string>> = Object.fromEntries(
  VENDORS.flatMap((vendor) => Object.entries(vendor.env)),
);

/** The vendors that can be tested here. */
export const vendors: TestVendor[] = [];
/** Why the others can't: the title of the test that is skipped for each. */
export const missingVendors: string[] = [];

for (const { name, launchers, says, ranks, env } of VENDORS) {
  const mpiexec = launchers.find((launcher) => {
    const { stdout } = spawnSync(launcher, ['--version'], { env: { ...process.env, ...env }, encoding: 'utf8' });
    return says.test(stdout ?? '');
  });
  if (!existsSync(addonPath(`braid_mpi.${name}`))) missingVendors.push(`${name}: braid_mpi.${name}.node isn't built`);
  else if (!mpiexec) missingVendors.push(`${name}: none of ${launchers.join(', ')} is its launcher`);
  else vendors.push({ name, mpiexec, ranks });
}

export interface RunOptions {
  args?: readonly string[];
  /** Over the environment of the tests; undefined removes a variable. */
  env?: Readonly<Record<string, string | undefined>>;
  timeoutMs?: number;
}

/** Runs a program for Node as a job of `ranks`. It has ended, with every process it started, when this resolves. */
export function mpiexec(vendor: TestVendor, ranks: number, program: string, options: RunOptions = {}): Promise<Run> {
  return run(vendor.mpiexec, ['-n', String(ranks), process.execPath, program, ...(options.args ?? [])], options);
}

/** Runs a program for Node by itself, with the environment of the vendor's ranks but none of a launcher. */
export function runAlone(program: string, options: RunOptions = {}): Promise<Run> {
  return run(process.execPath, [program, ...(options.args ?? [])], options);
}

/** Runs any command as the functions above do. */
export async function run(
  command: string,
  args: readonly string[],
  { env = {}, timeoutMs = 60_000 }: RunOptions,
): Promise<Run> {
  const child = endWithTest(
    spawn(command, args, {
      env: { ...process.env, ...vendorEnvironment, BRAID_MPI: undefined, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    }),
  );
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));

  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killTree(child);
  }, timeoutMs);
  try {
    return await new Promise<Run>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr, timedOut }));
    });
  } finally {
    clearTimeout(timer);
  }
}
