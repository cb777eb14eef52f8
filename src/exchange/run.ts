import { basename } from 'node:path';
import type { RunContext } from '../context.js';
import type { RunStatus } from '../store/store.js';
import { parseTime } from '../time.js';
import { dashed } from '../uuid-text.js';
import type { Source } from './source.js';

/** What is told of a run. */
export interface Run {
  /** Of its row. */
  readonly id: number;
  /** With dashes, as others write it. */
  readonly uuid: string;
  readonly name?: string;
  readonly status: RunStatus;
  readonly started: Date;
  readonly ended?: Date;
  readonly attempts: readonly Attempt[];
  /** Of its last attempt. What older versions, or others, have written may lack any of it. */
  readonly context: Partial<RunContext>;
}

export interface Attempt {
  readonly attempt: number;
  readonly status: RunStatus;
  readonly size: number;
  readonly started: Date;
  readonly ended?: Date;
  /** Its records have ids after `base`, up to `end`. */
  readonly base: number;
  readonly end: number;
  readonly hosts: readonly string[];
  /** That of each rank. */
  readonly hostOfRank: readonly string[];
  /** How many each rank has committed. */
  readonly recordsOfRanks: readonly number[];
}

interface Raw {
  id: number;
  uuid: string;
  name: string | null;
  status: RunStatus;
  started: string;
  ended: string | null;
}

/** The runs of a database, the oldest first; or the one that is asked for. */
export function* runs(source: Source, only?: string): IterableIterator<Run> {
  if (!source.layout.ours) return;
  const { connection } = source;
  const ids = connection.column<number>(
    'SELECT run_id FROM runs WHERE uuid = ifnull(?, uuid) ORDER BY run_id',
    only ?? null,
  );
  for (const id of ids) {
    const [run] = connection.all<Raw>(
      'SELECT run_id AS id, uuid, name, status, started, ended FROM runs WHERE run_id = ?',
      id,
    );
    const attempts = connection.all<Raw & Record<'attempt' | 'size' | 'base' | 'last', number> & { context: string }>(
      `SELECT attempt_id AS id, attempt, status, size, started, ended, id_base AS base, id_end AS last, context FROM attempts
       WHERE run_id = ? ORDER BY attempt`,
      id,
    );
    yield {
      id,
      uuid: dashed(run.uuid),
      name: run.name ?? undefined,
      status: run.status,
      started: parseTime(run.started),
      ended: run.ended === null ? undefined : parseTime(run.ended),
      attempts: attempts.map(({ id, attempt, status, size, started, ended, base, last }) => {
        const ranks = connection.all<{ host: string; records: number }>(
          'SELECT host, records FROM ledger WHERE attempt_id = ? ORDER BY rank',
          id,
        );
        return {
          attempt,
          status,
          size,
          started: parseTime(started),
          ended: ended === null ? undefined : parseTime(ended),
          base,
          end: last,
          hosts: [...new Set(ranks.map(({ host }) => host))],
          hostOfRank: ranks.map(({ host }) => host),
          recordsOfRanks: ranks.map(({ records }) => records),
        };
      }),
      context: contextOf(attempts.at(-1)?.context),
    };
  }
}

/** What it is called: as its `open` says, or as its program is. */
export function titleOf({ name, uuid, context }: Run): string {
  return name ?? (program(context) === undefined ? `run ${uuid}` : basename(program(context)!));
}

/** The path of its program. */
export function program({ argv }: Partial<RunContext>): string | undefined {
  return argv?.[1] ?? argv?.[0];
}

/** How it was started, as far as that is known. */
export function commandOf({ attempts, context: { argv } }: Run): string | undefined {
  if (!argv || argv.length === 0) return undefined;
  const size = attempts.at(-1)?.size ?? 1;
  return [...(size > 1 ? ['mpiexec', '-n', String(size)] : []), ...argv].map(quoted).join(' ');
}

/** Why it isn't complete, for people; undefined where it is, or may still become so. */
export function failureOf(status: RunStatus): string | undefined {
  return {
    RUNNING: undefined,
    COMPLETED: undefined,
    FAILED: 'The program has ended with an error.',
    KILLED: 'The run was ended by a signal.',
    INCOMPLETE: 'Not all that the run has recorded is there: a part of it is lost.',
  }[status];
}

/** "2026-01-02T03:04:05.678Z"; undefined for what isn't a time. */
export function isoTime(time: Date | undefined): string | undefined {
  return time === undefined || Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}

function quoted(argument: string): string {
  return /^[\w./:=@%+,-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

/** What is damaged, or of another type, is as if it weren't there. */
function contextOf(json: string | undefined): Partial<RunContext> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json ?? '{}');
  } catch {
    return {};
  }
  if (typeof parsed !== 'object' || parsed === null) return {};
  const { argv, cwd, user, node, braid, git, environment, mpi } = parsed as Record<string, unknown>;
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  const object = <T extends object>(value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as T) : undefined;
  const { commit, branch } = object<Record<string, unknown>>(git) ?? {};
  return {
    argv: Array.isArray(argv) && argv.every((each) => typeof each === 'string') ? argv : undefined,
    cwd: text(cwd),
    user: text(user),
    node: text(node),
    braid: text(braid),
    git: typeof commit === 'string' ? { commit, branch: text(branch) } : undefined,
    environment: Object.fromEntries(
      Object.entries(object(environment) ?? {}).filter(
        (entry): entry is [string, string] => typeof entry[1] === 'string',
      ),
    ),
    mpi: object(mpi),
  };
}
