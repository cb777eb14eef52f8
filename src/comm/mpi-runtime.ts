import { existsSync, readFileSync, writeSync } from 'node:fs';
import process from 'node:process';
import { isMainThread } from 'node:worker_threads';

import { BraidError } from '../errors.js';
import { addonPath, loadAddon } from '../load-addon.js';
import { WORLD, type MpiAddon, type MpiVendor } from '../native.js';
import {
  detectLaunch,
  isChildOfRank,
  launchedRank,
  pmiSocket,
  rankMark,
  rankVariables,
  requestedMpi,
  RANK_VARIABLE,
  type Launch,
} from './launcher.js';
import { environmentPatience, type Patience } from '../options.js';
import { packageFile } from '../package.js';
import { MpiError } from './mpi-error.js';
import { MpiRequests } from './mpi-requests.js';
import { keepUcxOffTheHeap } from './ucx.js';

/** The MPI of this process, once something has asked for it. */
export interface MpiRuntime {
  readonly vendor: MpiVendor;
  readonly addon: MpiAddon;
  readonly requests: MpiRequests;
  readonly tagUpperBound: number;
  /** What the last blocking receive or probe told: source, tag, count. Read before the next call. */
  readonly status: Float64Array;
}

/** `BRAID_MPI_EXIT_WAIT_MS` overrides. */
const EXIT_WAIT_MS = 10_000;

const VENDORS: readonly MpiVendor[] = ['openmpi', 'mpich', 'mpiabi'];

let started: MpiRuntime | undefined;
let failed: Error | undefined;
let launch: Launch | null | undefined;

/**
 * Initialises MPI at the first call.
 *
 * @param patience with the other ranks, which must do so, too.
 */
export function mpiRuntime(patience?: Patience): MpiRuntime {
  if (started) return started;
  // MPI can be initialised once; who asks again after a failure learns why.
  if (failed) throw failed;
  try {
    started = start(patience ?? environmentPatience());
    return started;
  } catch (error) {
    failed = error as Error;
    throw error;
  }
}

export function isMpiInitialized(): boolean {
  return started !== undefined;
}

/** {@link detectLaunch} of this process, as it was started: a library that is up may have set variables of a rank. */
export function launchOfThisProcess(): Launch | null {
  // Null is an answer, too.
  if (launch === undefined) launch = detectLaunch(process.env, process.pid);
  return launch;
}

function start(patience: Patience): MpiRuntime {
  if (!isMainThread) {
    throw new BraidError(
      'ERR_BRAID_MPI_WRONG_THREAD',
      'MPI is for the main thread; send workers their work from there',
    );
  }
  const launched = launchOfThisProcess();
  const vendor = chooseVendor(launched, requestedMpi(process.env), builtVendors());
  keepUcxOffTheHeap();
  const addon = load(vendor);
  // What an ancestor inherited as a rank would make the library look for a place in that job.
  if (isChildOfRank(process.env, process.pid)) for (const name of rankVariables(process.env)) delete process.env[name];

  const createError = (call: string, errorCode: number) =>
    new MpiError(call, addon.errorClass(errorCode), errorCode, addon.errorString(errorCode));
  const status = new Float64Array(3);
  const waits = startWaits(launched, launchedRank(process.env), patience);
  addon.initialize(createError, status, ...waits, pmiSocket(process.env) ?? -1);
  process.env[RANK_VARIABLE] = rankMark(process.env, process.pid);
  process.on('exit', (exitCode) => endWith(addon, exitCode));

  const size = addon.size(WORLD);
  if (launched?.size !== undefined && launched.size > 1 && size === 1) {
    throw new BraidError(
      'ERR_BRAID_MPI_LAUNCHER',
      `${launched.launcher} started ${launched.size} ranks, but the MPI library of this one believes that it is alone: ` +
        `${firstLine(addon.libraryVersion())}. Start the job with the mpiexec of that library, or choose the other one ` +
        `by BRAID_MPI (built here: ${builtVendors().join(', ')}).`,
    );
  }
  return {
    vendor,
    addon,
    requests: new MpiRequests(addon, createError),
    tagUpperBound: addon.tagUpperBound(),
    status,
  };
}

/** How much later than those who tell of it the others lose their patience. */
const SILENT_MS = 1000;

/**
 * What the addon is told of waiting in MPI_Init. Nobody there can know who is missing, and a thousand ranks need not say
 * that they wait: the first two do, since one of them may be the one that is missing. If both are, the job is ended by the
 * others all the same.
 */
function startWaits(
  launched: Launch | null,
  rank: number | undefined,
  { stallMs, abortMs }: Patience,
): [rank: number, size: number, stallMs: number, abortMs: number] {
  // Alone it waits for nobody.
  if (!launched || launched.size === 1) return [-1, -1, -1, -1];
  const place = [rank ?? -1, launched.size ?? -1] as const;
  if (rank === undefined || rank < 2) return [...place, stallMs, abortMs ?? -1];
  return [...place, -1, abortMs === undefined ? -1 : abortMs + SILENT_MS];
}

/** The vendor to load. Exported for its table of tests. */
export function chooseVendor(
  launched: Launch | null,
  requested: MpiVendor | 'off' | undefined,
  built: readonly MpiVendor[],
): MpiVendor {
  if (requested === 'off') {
    throw new BraidError('ERR_BRAID_MPI_UNAVAILABLE', 'BRAID_MPI=off says that this process must not use MPI');
  }
  const wanted = requested ? [requested] : (launched?.vendors ?? built);
  const vendor = wanted.find((name) => built.includes(name));
  if (vendor) return vendor;

  const who = requested
    ? `BRAID_MPI=${requested} asks for`
    : launched
      ? `${launched.launcher} starts ranks of`
      : 'MPI needs';
  const what = wanted.length > 0 ? wanted.join(' or ') : 'an MPI library';
  throw new BraidError(
    'ERR_BRAID_MPI_UNAVAILABLE',
    `${who} ${what}, and braid-mpi was built ${built.length > 0 ? `for ${built.join(', ')} only` : 'without MPI'}. ` +
      `Make its mpicc known (load its module, or set BRAID_MPI_MPICC) and run npm rebuild braid-mpi.${reasons()}`,
  );
}

/** In the order in which the build found them: the first is this machine's default. */
export function builtVendors(): MpiVendor[] {
  const found = (readBuild()?.found ?? []).map(({ vendor }) => vendor);
  const order = [...new Set([...found, ...VENDORS])];
  return order.filter((vendor) => existsSync(addonPath(`braid_mpi.${vendor}`)));
}

function load(vendor: MpiVendor): MpiAddon {
  try {
    return loadAddon<MpiAddon>(`braid_mpi.${vendor}`);
  } catch (error) {
    throw new BraidError(
      'ERR_BRAID_MPI_UNAVAILABLE',
      `the MPI library that braid-mpi was built with can't be loaded: ${(error as Error).message}. ` +
        'Load the module it was built with, or run npm rebuild braid-mpi.',
      { cause: error },
    );
  }
}

/** What `scripts/install.mjs` wrote about the MPI libraries it found, built and didn't find. */
export interface Build {
  found: { vendor: MpiVendor; version: string; standard?: string; built: boolean; log?: string }[];
  reasons: string[];
}

export function readBuild(): Build | undefined {
  try {
    return JSON.parse(readFileSync(packageFile('build/mpi-reasons.json'), 'utf8')) as Build;
  } catch {
    // Built by other means; it only explains.
    return undefined;
  }
}

function reasons(): string {
  const build = readBuild();
  if (!build) return '';
  const broken = build.found.filter(({ built }) => !built).map(({ version, log }) => `${version} didn't build: ${log}`);
  const lines = [...broken, ...build.reasons];
  return lines.length > 0 ? `\nWhen it was installed:\n  ${lines.join('\n  ')}` : '';
}

/**
 * The last thing that JavaScript does for MPI; the rest is the addon's, when the environment ends. A job of which one rank
 * has failed can't go on: the others would wait for it in their next collective call, or in MPI_Finalize.
 */
function endWith(addon: MpiAddon, exitCode: number): void {
  // Listeners before this one may have changed it; and a parent sees 8 bits of it.
  const code = Number(process.exitCode ?? exitCode) & 0xff;
  addon.setExit(code, exitWaitMs());
  const size = addon.size(WORLD);
  if (code === 0 || size === 1) return;
  try {
    writeSync(2, `braid-mpi: rank ${addon.rank(WORLD)} of ${size} exits with code ${code}: ending the whole job\n`);
  } catch {
    // Nobody reads it.
  }
}

/** How long a process that exits waits for what it has under way with other ranks. */
export function exitWaitMs(): number {
  const value = Number(process.env.BRAID_MPI_EXIT_WAIT_MS);
  return process.env.BRAID_MPI_EXIT_WAIT_MS && value >= 0 ? value : EXIT_WAIT_MS;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0];
}
