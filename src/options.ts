import { constants } from 'node:os';
import * as v from 'valibot';
import type { RecorderCommunicator } from './comm/communicator.js';
import { BraidError } from './errors.js';
import { checkText } from './frame/encoder.js';

export interface OpenOptions {
  /** `auto` (default): MPI when a launcher started this process as a rank, else one process. Or `BRAID_MPI=off`. */
  mpi?: 'auto' | 'on' | 'off';
  /** The ranks that record together: a `Communicator` of `braid-mpi/mpi`. Default: all of `COMM_WORLD`. */
  comm?: RecorderCommunicator;
  /** Of the run. */
  name?: string;
  /** A run's id: this becomes a new attempt of it. */
  resume?: string;
  /** A directory of this node for the spool. Default: beside the database on a local file system, else `TMPDIR`. */
  spoolDir?: string;
  /** Ceiling of one rank's spool, in bytes. Default 4 GiB. */
  spoolLimitBytes?: number;
  /** How much the root gathers at once, in bytes. Default 64 MiB. */
  roundBytes?: number;
  /** What a recording call survives: the death of its process (default), or that of the node, at the price of a disk write each. */
  durability?: 'process' | 'node';
  /**
   * Whether the database gets indexes of names and of tags, for searches. Default false: they cost about as much as what they
   * index. They are built when the run ends, and later runs keep them.
   */
  searchIndexes?: boolean;
  /** How long the root waits for another writer of the database, in milliseconds. Default 60,000. */
  busyMs?: number;
  /** After how long a rank says on stderr whom it waits for: the root which ranks, they the root. Default 30,000. */
  stallMs?: number;
  /** After how long the job is ended when ranks don't start MPI, don't come to a collective, or don't go on with it. Default: never. */
  abortMs?: number;
  /** Signals that mark the run KILLED and exit with 128 + n, unless the program handles them itself. */
  signals?: NodeJS.Signals[];
}

const bytes = (low: number, high: number) => v.pipe(v.number(), v.safeInteger(), v.minValue(low), v.maxValue(high));
const milliseconds = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(2 ** 31 - 1));
const text = v.pipe(v.string(), v.nonEmpty());

/** SIGKILL and SIGSTOP are nobody's to handle. */
const isSignal = (name: unknown) =>
  typeof name === 'string' && name in constants.signals && name !== 'SIGKILL' && name !== 'SIGSTOP';

const schema = v.strictObject({
  mpi: v.optional(v.picklist(['auto', 'on', 'off']), 'auto'),
  comm: v.optional(
    v.custom<RecorderCommunicator>(
      (value) => typeof (value as RecorderCommunicator | null)?.igatherv === 'function',
      'must be a Communicator of braid-mpi/mpi',
    ),
  ),
  name: v.optional(text),
  resume: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/, 'must be the id of a run: 32 hex digits'))),
  spoolDir: v.optional(text),
  spoolLimitBytes: v.optional(bytes(2 ** 21, Number.MAX_SAFE_INTEGER), 4 * 2 ** 30),
  // SQLite takes no value above 512 MiB, and a round is one.
  roundBytes: v.optional(bytes(1, 256 * 2 ** 20), 64 * 2 ** 20),
  durability: v.optional(v.picklist(['process', 'node']), 'process'),
  searchIndexes: v.optional(v.boolean(), false),
  busyMs: v.optional(milliseconds, 60_000),
  stallMs: v.optional(milliseconds, 30_000),
  abortMs: v.optional(milliseconds),
  signals: v.optional(
    v.array(v.custom<NodeJS.Signals>(isSignal, 'must be names of signals that a process can handle: SIGTERM, SIGUSR1')),
    ['SIGTERM', 'SIGINT'],
  ),
});

/** How long to wait for ranks before saying so, and before ending the job. */
export interface Patience {
  readonly stallMs: number;
  readonly abortMs?: number;
}

/** Those that have a default are there. */
export type ParsedOptions = OpenOptions &
  Required<
    Pick<OpenOptions, 'mpi' | 'spoolLimitBytes' | 'roundBytes' | 'durability' | 'busyMs' | 'stallMs' | 'signals'>
  >;

/** Options that the environment can give, where the program doesn't. */
const VARIABLES = {
  name: 'BRAID_NAME',
  resume: 'BRAID_RESUME',
  spoolDir: 'BRAID_SPOOL_DIR',
  spoolLimitBytes: 'BRAID_SPOOL_LIMIT_BYTES',
  roundBytes: 'BRAID_ROUND_BYTES',
  durability: 'BRAID_DURABILITY',
  searchIndexes: 'BRAID_SEARCH_INDEXES',
  busyMs: 'BRAID_BUSY_MS',
  stallMs: 'BRAID_STALL_MS',
  abortMs: 'BRAID_ABORT_MS',
} as const;

const SWITCH: Partial<Record<string, boolean>> = { 1: true, 0: false };

/**
 * Checks options and fills in the environment's and the defaults.
 *
 * @throws BraidError ERR_BRAID_OPTION_INVALID, ERR_BRAID_TEXT_INVALID
 */
export function parseOptions(options: OpenOptions = {}, env: NodeJS.ProcessEnv = process.env): ParsedOptions {
  if (typeof options !== 'object' || options === null) {
    throw new BraidError('ERR_BRAID_OPTION_INVALID', 'options must be an object');
  }
  const given: Record<string, unknown> = {};
  for (const [option, variable] of Object.entries(VARIABLES)) {
    const value = env[variable];
    if (value === undefined || value === '') continue;
    if (/(Bytes|Ms)$/.test(option)) given[option] = Number(value);
    else given[option] = option === 'searchIndexes' ? (SWITCH[value] ?? value) : value;
  }
  for (const [option, value] of Object.entries(options)) if (value !== undefined) given[option] = value;
  const result = v.safeParse(schema, given);
  if (result.success) {
    const runName = result.output.name;
    if (runName !== undefined) checkText(runName, 'the name of a run');
    return result.output;
  }
  const { message, path, type } = result.issues[0];
  const name = path?.[0].key as string | undefined;
  const variable = name !== undefined && !(name in options) ? VARIABLES[name as keyof typeof VARIABLES] : undefined;
  throw new BraidError(
    'ERR_BRAID_OPTION_INVALID',
    type === 'strict_object'
      ? `there is no option ${name}; the options are ${Object.keys(schema.entries).join(', ')}`
      : `option ${name}${variable ? ` (from ${variable})` : ''}: ${message}`,
  );
}

/** The patience of a program that starts MPI without options: the environment's, or the default where that is wrong. */
export function environmentPatience(env: NodeJS.ProcessEnv = process.env): Patience {
  try {
    return parseOptions({}, { BRAID_STALL_MS: env.BRAID_STALL_MS, BRAID_ABORT_MS: env.BRAID_ABORT_MS });
  } catch {
    return parseOptions({}, {});
  }
}
