/** What a row of the table of trials is. */

/** The phases of a record's way, and what else a job pays for. */
export const PHASES = [
  'capture',
  'commit',
  'gather',
  'end to end',
  'overhead',
  'idle',
  'close',
  'ranks',
  'open',
  'durability',
  'search',
  'query',
  'serve',
  'merge',
  'MPI',
] as const;
export type Phase = (typeof PHASES)[number];

/** What is run. `….c` is compiled here first, `….py` needs mpi4py; one that can't be run here is left out. */
export type Program =
  | 'capture-side'
  | 'commit-side'
  | 'commit.c'
  | 'gather-side'
  | 'gather.c'
  | 'job-side'
  | 'idle-side'
  | 'open-side'
  | 'durability-side'
  | 'search-side'
  | 'query-side'
  | 'serve-side'
  | 'merge-side'
  | 'mpi-side'
  | 'mpi.c'
  | 'mpi.py'
  | 'digits'
  | 'powergrid';

/**
 * How long something takes, and so when it is left out: `full` is not for --quick, `long` is only for --long.
 */
export type Length = 'full' | 'long';

export interface Trial {
  readonly name: string;
  readonly phase: Phase;
  /** Run in turn, each in a fresh process or job; every other time the other way round. */
  readonly sides: readonly Side[];
  readonly comparisons: readonly Comparison[];
  /** What one repeat takes of time, about; for the estimate until it is known. */
  readonly seconds: number;
  readonly length?: Length;
  /** How many repeats to make of it where one of the others is made: what takes a moment can have more. */
  readonly times?: number;
  /** The size (`{size}` of the arguments) is found out first: such that this side takes as long as --seconds says. */
  readonly calibrate?: { readonly side: string; readonly from: number };
}

/**
 * One of those that are measured against each other. It writes to the last line of standard output a number, or several
 * by name as JSON. Its figures are called `SIDE.NAME`, a lone number `SIDE`; `SIDE.wallMs` is what its launcher took.
 */
export interface Side {
  readonly name: string;
  readonly program: Program;
  /** `{directory}` is one of its own, `{records}` how many in total, `{size}` what was calibrated. */
  readonly args: readonly string[];
  /** Under mpiexec; else one process. */
  readonly ranks?: number;
  /** How many times --records this side makes. Default 1. */
  readonly share?: number;
  /** How many it makes whatever --records says, where a target is about a number of them. */
  readonly records?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly length?: Length;
}

/** A row of the report: a figure, against another of the same repeat or by itself. */
export interface Comparison {
  readonly of: string;
  readonly to?: string | Derived;
  /** What it is called, if not by its two figures. */
  readonly title?: string;
  readonly unit: string;
  readonly target?: Target;
  /** Where it stands in a plot. */
  readonly at?: Place;
}

export interface Place {
  readonly ranks?: number;
  /** Of each rank. */
  readonly bytes?: number;
  /** How many times --records. */
  readonly share?: number;
}

/** A figure that follows from others of the same repeat. */
export interface Derived {
  readonly title: string;
  readonly inputs: readonly string[];
  readonly from: (...figures: number[]) => number;
}

/**
 * What is demanded: of the ratio of the two figures; with `plus`, that the first is at most so many times the second and
 * so much more; without a second figure, of the first itself. Of the repeats the median has to keep it, or, with
 * `confident`, the end of the 95 % interval of the mean.
 */
export type Target =
  | { readonly atLeast: number }
  | { readonly atMost: number; readonly confident?: boolean }
  | { readonly atMost: { readonly times: number; readonly plus: number } };
