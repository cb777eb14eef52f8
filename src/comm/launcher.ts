import { fstatSync } from 'node:fs';
import { BraidError } from '../errors.js';
import type { MpiVendor } from '../native.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What started this process as a rank of a job. */
export interface Launch {
  launcher: 'Open MPI' | 'PMIx' | 'Hydra' | 'PMI';
  /** Whose library such a rank can be of, the likeliest first. */
  vendors: readonly MpiVendor[];
  /** Ranks of the job, if the launcher says. */
  size?: number;
}

/** Which rank of the job this process is; the first that is set counts. */
const RANK_NUMBERS = ['OMPI_COMM_WORLD_RANK', 'PMIX_RANK', 'PMI_RANK', 'PALS_RANKID', 'SLURM_PROCID'];

/**
 * In `process.env` of a process that has initialised MPI: who it is. Its children inherit the launcher's variables without
 * being ranks, and would wait for a rank number that nobody is going to give them. (A job that MPICH's mpiexec is to launch
 * from inside a rank has nothing in its environment to tell it from a child; who does that unsets this variable first.)
 */
export const RANK_VARIABLE = 'BRAID_MPI_PID';

/** The variables by which launchers tell one job from another; Hydra's have no name for the job, only the place in it. */
const JOB_VARIABLES = [
  'PMIX_NAMESPACE',
  'PMIX_RANK',
  'SLURM_JOB_ID',
  'SLURM_STEP_ID',
  'PMI_JOBID',
  'PMI_RANK',
  'PMI_PORT',
];

/** Any of them means a PMI-1 or PMI-2 server: Hydra's, Slurm's, Cray's. */
const PMI_VARIABLES = ['PMI_RANK', 'PMI_FD', 'PMI_PORT', 'PMI_CONTROL_PORT', 'PALS_RANKID'];

/** Set by launchers for one rank, as against those that users set for a library (`OMPI_MCA_btl`, `MPIR_CVAR_…`). */
const RANK_VARIABLES =
  /^(PMI_|PMIX_|HYDI_|MPI_LOCAL|PALS_|OMPI_(COMM_WORLD|MCA_orte_|MCA_ess|MCA_pmix$|UNIVERSE_SIZE|APP_CTX|NUM_APP|FIRST_RANKS|COMMAND|FILE_LOCATION))/;

/** The value of {@link RANK_VARIABLE} for this process. */
export function rankMark(env: Environment, pid: number): string {
  return [pid, ...JOB_VARIABLES.map((name) => env[name] ?? '')].join(' ');
}

/** Whether an ancestor of this process is the rank that the environment is about. */
export function isChildOfRank(env: Environment, pid: number): boolean {
  const mark = env[RANK_VARIABLE];
  if (!mark || mark === rankMark(env, pid)) return false;
  // A job that was launched from inside a rank: everything but the pid tells another story, too.
  const job = (text: string) => text.slice(text.indexOf(' '));
  return job(mark) === job(rankMark(env, pid));
}

/** The names of the variables that a child of a rank must lose before it can be a job of its own. */
export function rankVariables(env: Environment): string[] {
  return Object.keys(env).filter((name) => RANK_VARIABLES.test(name));
}

/** The vendor that `BRAID_MPI` asks for, 'off', or undefined. */
export function requestedMpi(env: Environment): MpiVendor | 'off' | undefined {
  const value = env.BRAID_MPI;
  switch (value) {
    case undefined:
    case '':
      return undefined;
    case 'openmpi':
    case 'mpich':
    case 'mpiabi':
    case 'off':
      return value;
    default:
      throw new BraidError(
        'ERR_BRAID_MPI_LAUNCHER',
        `BRAID_MPI is '${value}'; it can be openmpi, mpich, mpiabi or off`,
      );
  }
}

/**
 * Which launcher started this process as a rank, by its environment alone; null when none did: a process of its own, a
 * child of a rank, or `BRAID_MPI=off`.
 */
export function detectLaunch(env: Environment, pid: number): Launch | null {
  if (requestedMpi(env) === 'off' || isChildOfRank(env, pid)) return null;

  // Open MPI's own variables come first: its ranks have PMIx's, too.
  if (env.OMPI_COMM_WORLD_SIZE !== undefined) {
    return { launcher: 'Open MPI', vendors: ['openmpi', 'mpiabi'], size: count(env.OMPI_COMM_WORLD_SIZE) };
  }
  if (env.PMIX_RANK !== undefined) {
    return { launcher: 'PMIx', vendors: ['openmpi', 'mpich', 'mpiabi'], size: count(env.SLURM_STEP_NUM_TASKS) };
  }
  if (PMI_VARIABLES.some((name) => env[name] !== undefined)) {
    const size = count(env.PMI_SIZE ?? env.SLURM_STEP_NUM_TASKS);
    if (env.HYDI_CONTROL_FD !== undefined) return { launcher: 'Hydra', vendors: ['mpich', 'mpiabi'], size };
    // Open MPI can be built to speak Slurm's PMI2.
    return { launcher: 'PMI', vendors: ['mpich', 'openmpi', 'mpiabi'], size };
  }
  const tasks = count(env.SLURM_STEP_NUM_TASKS) ?? 1;
  if (tasks > 1) {
    throw new BraidError(
      'ERR_BRAID_MPI_LAUNCHER',
      `srun started ${tasks} tasks without telling them of each other, so each would believe that it is alone. ` +
        'Use srun --mpi=pmix (Open MPI) or srun --mpi=pmi2 (MPICH); srun --mpi=list names what this Slurm has. ' +
        'For tasks that have nothing to do with each other set BRAID_MPI=off.',
    );
  }
  return null;
}

/**
 * The process of the launcher, this one's parent, where that has bound this rank: Open MPI's binds each of up to two ranks to a
 * core, and each of more to a socket, unasked. What Slurm binds a task to is all that was asked for it (`--cpus-per-task`), and what users bind it to is
 * meant for all of its threads.
 */
export function bindingLauncher(env: Environment, parent: number): number | undefined {
  return env.OMPI_COMM_WORLD_SIZE !== undefined && env.OMPI_MCA_orte_bound_at_launch !== undefined && parent > 1
    ? parent
    : undefined;
}

/** The rank that the launcher has given to this process, if it says. */
export function launchedRank(env: Environment): number | undefined {
  const text = RANK_NUMBERS.map((name) => env[name]).find((value) => value !== undefined);
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/**
 * The descriptor on which the launcher speaks PMI-1 with this process, as MPICH's does and Slurm's with `--mpi=pmi2`;
 * undefined with others. A child of a rank may have the variable without the descriptor, which then is something else.
 */
export function pmiSocket(env: Environment): number | undefined {
  const fd = Number(env.PMI_FD);
  try {
    return Number.isSafeInteger(fd) && fd > 2 && fstatSync(fd).isSocket() ? fd : undefined;
  } catch {
    return undefined;
  }
}

function count(text: string | undefined): number | undefined {
  const value = Number(text);
  return text !== undefined && Number.isSafeInteger(value) && value > 0 ? value : undefined;
}
