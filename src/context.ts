import { userInfo } from 'node:os';
import { dirname, resolve } from 'node:path';
import { gitCommit, type GitCommit } from './git.js';
import { packageVersion } from './package.js';

/** What of the environment is worth knowing of a job and can't hold a secret. */
const ENVIRONMENT =
  /^(SLURM_(JOB|ARRAY|STEP|CLUSTER|NNODES|NTASKS|NPROCS|SUBMIT|PARTITION|NODELIST|CPUS|GPUS|MEM)[A-Z_]*|PBS_(JOBID|JOBNAME|QUEUE|NODEFILE|ARRAY_INDEX|ARRAY_ID|O_WORKDIR|O_QUEUE)|LSB_(JOBID|JOBINDEX|JOBNAME|QUEUE)|COBALT_(JOBID|PARTNAME|JOBSIZE)|FLUX_(JOB_ID|JOB_SIZE|JOB_NNODES)|OMP_[A-Z_]+|CUDA_VISIBLE_DEVICES|ROCR_VISIBLE_DEVICES|CONDA_DEFAULT_ENV|(APPTAINER|SINGULARITY)_CONTAINER|LOADEDMODULES|UV_THREADPOOL_SIZE|OPENLINEAGE_(ROOT_)?PARENT_ID|BRAID|BRAID_[A-Z_]+)$/;

/** Names whose values are never kept, wherever they stand. */
const SECRET = /pass(word|wd|phrase)?|secret|token|credential|api[-_]?key|auth|private[-_]?key/i;

export interface RunContext {
  readonly argv: string[];
  readonly cwd: string;
  readonly user: string;
  readonly node: string;
  readonly braid: string;
  readonly git?: GitCommit;
  readonly environment: Record<string, string>;
  /** What of MPI this run uses; absent in a single process. */
  readonly mpi?: object;
}

/** What is known of a run without asking anybody: no process is started, for a fork is unsafe once MPI is up. */
export function captureContext(mpi: object | undefined): RunContext {
  return {
    argv: withoutSecrets(process.argv),
    cwd: process.cwd(),
    user: userName(),
    node: process.version,
    braid: packageVersion(),
    git: gitCommit(process.argv[1] ? dirname(resolve(process.argv[1])) : process.cwd()),
    environment: Object.fromEntries(
      Object.entries(process.env).filter(
        ([name]) => ENVIRONMENT.test(name) && !SECRET.test(name) && name !== 'BRAID_MPI_PID',
      ) as [string, string][],
    ),
    mpi,
  };
}

/** Arguments with the values of those that look like secrets taken out, `--token x`, `--token=x` and `scheme://user:x@host`. */
export function withoutSecrets(argv: readonly string[]): string[] {
  let hideNext = false;
  return argv.map((argument) => {
    if (hideNext && !argument.startsWith('-')) {
      hideNext = false;
      return '***';
    }
    const [name] = argument.split('=', 1);
    const named = SECRET.test(name) && (argument.startsWith('-') || argument.includes('='));
    hideNext = named && !argument.includes('=');
    if (named && argument.includes('=')) return `${name}=***`;
    return argument.replace(/(:\/\/[^/\s:@]*:)[^/\s@]+@/, '$1***@');
  });
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container's user without an entry in the password file.
    return String(process.getuid?.());
  }
}
