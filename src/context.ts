import { existsSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/** What of the environment is worth knowing of a job and can't hold a secret. */
const ENVIRONMENT =
  /^(SLURM_(JOB|ARRAY|STEP|CLUSTER|NNODES|NTASKS|NPROCS|SUBMIT|PARTITION|NODELIST|CPUS|GPUS|MEM)[A-Z_]*|PBS_(JOBID|JOBNAME|QUEUE|NODEFILE|ARRAY_INDEX|ARRAY_ID|O_WORKDIR|O_QUEUE)|LSB_(JOBID|JOBINDEX|JOBNAME|QUEUE)|COBALT_(JOBID|PARTNAME|JOBSIZE)|FLUX_(JOB_ID|JOB_SIZE|JOB_NNODES)|OMP_[A-Z_]+|CUDA_VISIBLE_DEVICES|ROCR_VISIBLE_DEVICES|CONDA_DEFAULT_ENV|LOADEDMODULES|UV_THREADPOOL_SIZE|BRAID|BRAID_[A-Z_]+)$/;

/** Names whose values are never kept, wherever they stand. */
const SECRET = /pass(word|wd|phrase)?|secret|token|credential|api[-_]?key|auth|private[-_]?key/i;

export interface RunContext {
  readonly argv: string[];
  readonly cwd: string;
  readonly user: string;
  readonly node: string;
  readonly braid: string;
  readonly git?: { readonly commit: string; readonly branch?: string };
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

let version: string | undefined;

export function packageVersion(): string {
  version ??= (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
    .version;
  return version;
}

/** The commit that the program's directory is at, read from git's files. */
export function gitCommit(directory: string): RunContext['git'] {
  try {
    for (let at = directory; ; at = dirname(at)) {
      const dot = join(at, '.git');
      if (existsSync(dot)) return readHead(dot);
      if (at === dirname(at)) return undefined;
    }
  } catch {
    return undefined;
  }
}

function readHead(dot: string): RunContext['git'] {
  const read = (path: string) => readFileSync(path, 'utf8').trim();
  // In a work tree or submodule `.git` is a file that says where the directory is.
  let git = dot;
  try {
    git = resolve(dirname(dot), read(dot).replace(/^gitdir: /, ''));
  } catch {
    // A directory.
  }
  const common = existsSync(join(git, 'commondir')) ? resolve(git, read(join(git, 'commondir'))) : git;
  const head = read(join(git, 'HEAD'));
  if (!head.startsWith('ref: ')) return { commit: head };
  const ref = head.slice(5);
  const branch = ref.replace(/^refs\/heads\//, '');
  if (existsSync(join(common, ref))) return { commit: read(join(common, ref)), branch };
  const packed = read(join(common, 'packed-refs'))
    .split('\n')
    .find((line) => line.endsWith(` ${ref}`));
  return packed ? { commit: packed.slice(0, 40), branch } : undefined;
}
