/** What is measured against what, and what is demanded of it, as data. */
import { availableParallelism } from 'node:os';
import type { Comparison, Program, Side, Target, Trial } from './trial.js';

const CORES = availableParallelism();
const HERE = ['{directory}', '{records}'];
const KB = 1000;
const MIB = 2 ** 20;

/** "No growth", where what is compared is two medians of a noisy machine. */
const NO_GROWTH: Target = { atMost: 1.15 };

/** Of all that a capture's figures are, one process makes them: they are of the same run. */
const capture: Trial = {
  name: 'capture',
  phase: 'capture',
  seconds: 9,
  sides: [
    // Several times the records: growth needs time to show.
    { name: 'record', program: 'capture-side', args: ['record', ...HERE], share: 3 },
    { name: 'record, 2 ranks', program: 'capture-side', args: ['record', ...HERE], share: 6, ranks: 2 },
    { name: 'Buffer.copy', program: 'capture-side', args: ['copy', ...HERE] },
    { name: 'empty loop', program: 'capture-side', args: ['loop', ...HERE] },
  ],
  comparisons: [
    { title: 'median', of: 'record.median', unit: 'µs a record', target: { atMost: 1.5 } },
    { title: '99th percentile', of: 'record.p99', unit: 'µs a record', target: { atMost: 10 } },
    { of: 'record.median', to: 'Buffer.copy.median', unit: 'µs a record' },
    { of: 'record.median', to: 'empty loop.median', unit: 'µs a record' },
    {
      title: '2 ranks against 1',
      of: 'record, 2 ranks.median',
      to: 'record.median',
      unit: 'µs a record',
      target: NO_GROWTH,
    },
    {
      title: 'last tenth of the run against the first',
      of: 'record.last',
      to: 'record.first',
      unit: 'µs a record',
      target: NO_GROWTH,
    },
    { title: 'growth of the heap', of: 'record.heapBytes', unit: 'bytes a record', target: { atMost: 1 } },
  ],
};

const ourCommit: Side = { name: 'rounds', program: 'commit-side', args: ['rounds', ...HERE], share: 4 };

const commit: Trial = {
  name: 'commit',
  phase: 'commit',
  seconds: 30,
  sides: [
    ourCommit,
    { name: 'C, row by row', program: 'commit.c', args: ['rows', ...HERE], share: 4 },
    { name: 'better-sqlite3, row by row', program: 'commit-side', args: ['rows', ...HERE], share: 4 },
    { name: 'ATTACH and INSERT … SELECT', program: 'commit.c', args: ['attach', ...HERE], share: 4 },
  ],
  comparisons: [
    { of: 'rounds', to: 'C, row by row', unit: 'records/s', target: { atLeast: 1.7 } },
    { of: 'rounds', to: 'better-sqlite3, row by row', unit: 'records/s', target: { atLeast: 3.3 } },
    { of: 'rounds', to: 'ATTACH and INSERT … SELECT', unit: 'records/s', target: { atLeast: 1.3 } },
  ],
};

const commitWithSearch: Trial = {
  name: 'commit with search indexes',
  phase: 'commit',
  seconds: 20,
  sides: [
    { ...ourCommit, args: ['rounds-search', ...HERE] },
    { name: 'C, row by row', program: 'commit.c', args: ['rows-search', ...HERE], share: 4 },
  ],
  comparisons: [{ of: 'rounds', to: 'C, row by row', unit: 'records/s', target: { atLeast: 1.7 } }],
};

/** The rate of the commit as the database grows. */
const bySize = (
  name: string,
  seconds: number,
  shares: readonly number[],
  more: Partial<Trial> & { target?: Target },
): Trial => {
  const [first, ...others] = shares.map((share): Side => ({ ...ourCommit, name: `${share} × the records`, share }));
  const { target, ...rest } = more;
  return {
    name,
    phase: 'commit',
    seconds,
    sides: [first, ...others],
    comparisons: [
      { of: first.name, unit: 'records/s', at: { share: first.share } },
      ...others.map(({ name, share }): Comparison => ({
        of: name,
        to: first.name,
        unit: 'records/s',
        target,
        at: { share },
      })),
    ],
    ...rest,
  };
};

/** Bytes of each rank, by how many calls they are measured: of small ones so many that V8 has compiled what they run. */
const SMALL = { [KB]: 10_000, [32 * KB]: 5000, [MIB]: 300, [8 * MIB]: 40 };
const LARGE = { [64 * MIB]: 5 };

const gather = (ranks: number, sizes: Readonly<Record<number, number>>, more: Partial<Trial> = {}): Trial => {
  const list = Object.entries(sizes)
    .map(([bytes, calls]) => `${bytes}:${calls}`)
    .join();
  const largest = Math.max(...Object.keys(sizes).map(Number));
  return {
    name: `gather, ${ranks} ranks`,
    phase: 'gather',
    seconds: 6,
    sides: [
      { name: 'flush without commit', program: 'gather-side', args: [list], ranks },
      { name: 'MPI_Gatherv in C', program: 'gather.c', args: [list], ranks },
    ],
    comparisons: [
      ...Object.keys(sizes)
        .map(Number)
        .map((bytes): Comparison => {
          const figure = bytes >= MIB ? `MBps ${bytes}` : `us ${bytes}`;
          return {
            title: `${bytesText(bytes)} a rank`,
            of: `flush without commit.${figure}`,
            to: `MPI_Gatherv in C.${figure}`,
            unit: bytes >= MIB ? 'MB/s' : 'µs',
            target: bytes >= MIB ? { atLeast: 0.9 } : { atMost: { times: 2, plus: 50 } },
            at: { ranks, bytes },
          };
        }),
      {
        title: `the CRC of ${bytesText(largest)}, counted apart, against the gather`,
        of: 'flush without commit.crcMBps',
        to: `flush without commit.MBps ${largest}`,
        unit: 'MB/s',
      },
    ],
    ...more,
  };
};

function bytesText(bytes: number): string {
  return bytes % MIB === 0 ? `${bytes / MIB} MiB` : `${bytes / KB} kB`;
}

/** Each rank flushes several times, also of the fewer records that --quick has: the first flush alone has nothing to overlap with. */
const FLUSHED_SHARE = 2;

const endToEnd = (ranks: number): Trial => ({
  name: `end to end, ${ranks} ranks`,
  phase: 'end to end',
  seconds: 10 * ranks,
  sides: [
    { name: 'with flushes', program: 'job-side', args: ['flushing', ...HERE], ranks },
    { name: 'with close alone', program: 'job-side', args: ['closing', ...HERE], ranks },
    { name: 'capture', program: 'job-side', args: ['capturing', ...HERE] },
    { ...ourCommit, name: 'commit' },
  ].map((side): Side => ({ ...side, program: side.program as Program, share: FLUSHED_SHARE * ranks })),
  comparisons: [
    { of: 'with flushes.rate', to: 'commit', unit: 'records/s', target: { atLeast: 0.85 } },
    {
      of: 'with close alone.rate',
      to: {
        title: 'capture on each core, then commit',
        inputs: ['capture.rate', 'commit'],
        from: (capture, commit) => 1 / (1 / (capture * Math.min(ranks, CORES)) + 1 / commit),
      },
      unit: 'records/s',
      target: { atLeast: 0.9 },
    },
  ],
});

const DIGITS = ['--db', '{directory}/digits.db', '--out', '{directory}/checkpoints', '--steps', '{size}'];

/**
 * An example with recording against the same without, from the launch of the job to its end: of as many ranks as cores, and of
 * one that leaves a core to the thread that commits.
 */
const overhead = (example: 'digits' | 'powergrid', ranks: number, from: number, args: readonly string[]): Trial => ({
  name: `overhead, ${example}, ${ranksText(ranks)}`,
  phase: 'overhead',
  seconds: 140,
  times: 2,
  length: 'long',
  calibrate: { side: 'off', from },
  sides: [
    { name: 'on', program: example, args, ranks },
    { name: 'off', program: example, args, ranks, env: { BRAID: 'off' } },
  ],
  comparisons: [{ of: 'on.wallMs', to: 'off.wallMs', unit: 'ms', target: { atMost: 1.01, confident: true } }],
});

/** Both in one job, in turn: of two jobs that outnumber the cores each would be scheduled in its own way. */
const idle = (ranks: number, calls: number, more: Partial<Trial> = {}): Trial => ({
  name: `idle flush, ${ranks} ranks`,
  phase: 'idle',
  seconds: 2 + ranks / 4,
  sides: [{ name: 'job', program: 'idle-side', args: [String(calls), ...HERE], ranks }],
  comparisons: [
    {
      title: 'flush() against MPI_Allreduce of 8 bytes',
      of: 'job.flush',
      to: 'job.allreduce',
      unit: 'µs',
      target: { atMost: { times: 3, plus: 20 } },
      at: { ranks },
    },
  ],
  ...more,
});

const close: Trial = {
  name: 'close',
  phase: 'close',
  seconds: 2,
  sides: [{ name: '4 ranks', program: 'job-side', args: ['meeting', ...HERE], ranks: 4, records: 100_000 }],
  comparisons: [
    { title: 'close() of what was never flushed', of: '4 ranks.closeSeconds', unit: 's', target: { atMost: 0.5 } },
  ],
};

const RANKS = [1, 2, 4, 8, 16, 32, 64];
const ranksText = (ranks: number) => (ranks === 1 ? '1 rank' : `${ranks} ranks`);

const ranks: Trial = {
  name: 'ranks',
  phase: 'ranks',
  seconds: 40,
  sides: RANKS.map((ranks) => ({
    name: ranksText(ranks),
    program: 'job-side',
    args: ['closing', ...HERE],
    ranks,
    length: ranks > 8 ? 'full' : undefined,
  })),
  comparisons: RANKS.map((ranks) => ({
    of: `${ranksText(ranks)}.seconds`,
    unit: 's',
    at: { ranks },
    // What the others are measured against has nothing to keep.
    ...(ranks === 2 ? {} : { to: '2 ranks.seconds', target: { atMost: 1.3 } }),
  })),
};

/**
 * By the wall time of the whole job, seen from outside: what `open` costs may hide in what is imported, in threads that are
 * waited for at the end, or in MPI_Finalize, and a clock that is read in between sees none of that.
 */
const open = (ranks: number): Trial => ({
  name: `open, ${ranksText(ranks)}`,
  phase: 'open',
  seconds: 2,
  times: 3,
  sides: [
    { name: 'open and close', program: 'open-side', args: ['open', ...HERE], ranks },
    { name: 'MPI_Init and MPI_Finalize', program: 'open-side', args: ['bare', ...HERE], ranks },
  ],
  comparisons: [
    {
      of: 'open and close.wallMs',
      to: 'MPI_Init and MPI_Finalize.wallMs',
      unit: 'ms',
      target: { atMost: { times: 1, plus: 50 } },
      at: { ranks },
    },
    { title: 'of that, between the calls and their ends', of: 'open and close.ms', unit: 'ms' },
  ],
});

const durability: Trial = {
  name: 'durability',
  phase: 'durability',
  seconds: 4,
  sides: ['process', 'node'].map((name) => ({ name, program: 'durability-side', args: [name, ...HERE] })),
  comparisons: ['median', 'p99'].map((figure) => ({
    title: `'process' against 'node', ${figure}`,
    of: `process.${figure}`,
    to: `node.${figure}`,
    unit: 'µs a call',
  })),
};

/** Of 1 M records, of which the first two find 1,000. */
const search: Trial = {
  name: 'search of 1 M records',
  phase: 'search',
  seconds: 25,
  length: 'full',
  sides: [{ name: 'search', program: 'search-side', args: HERE, records: 1_000_000 }],
  comparisons: [
    { title: 'a range of a tag, 1,000 found', of: 'search.range', unit: 'ms', target: { atMost: 20 } },
    { title: 'that, another tag and a kind', of: 'search.combined', unit: 'ms', target: { atMost: 20 } },
    { title: 'a tag, 1 found', of: 'search.one', unit: 'ms' },
    { title: 'the beginning of a name, 1,111 found', of: 'search.name', unit: 'ms', target: { atMost: 20 } },
  ],
};

const serve: Trial = {
  name: 'serve',
  phase: 'serve',
  seconds: 5,
  length: 'full',
  sides: [{ name: 'serve', program: 'serve-side', args: HERE }],
  comparisons: [
    { title: 'braid serve, 1 client', of: 'serve.one', unit: 'requests/s' },
    { title: 'braid serve, 64 clients', of: 'serve.many', unit: 'requests/s' },
  ],
};

/** Each query against the best SQL for it, by hand, in SQLite's own shell, and against a query a node, as Braid-DB walks. */
const queries = (name: string, more: Partial<Trial> & { records?: number; absolute?: boolean }): Trial => {
  const { records, absolute, ...rest } = more;
  const bounds: Record<string, number> = {
    record: 1,
    search: 20,
    ancestors: 400,
    why: 1000,
    statement: 1000,
    open: 20,
    cascade: 2000,
  };
  const target = (query: string): Target | undefined => (absolute ? { atMost: bounds[query] } : undefined);
  return {
    name,
    phase: 'query',
    seconds: 6,
    sides: [{ name: 'query', program: 'query-side', args: HERE, records }],
    comparisons: [
      ...['record', 'search', 'ancestors', 'why', 'statement'].flatMap((query): Comparison[] => [
        { title: `${query}, against SQL in sqlite3`, of: `query.${query}`, to: `query.${query} sql`, unit: 'ms', target: { atMost: 1.3 } }, // prettier-ignore
        ...(absolute ? [{ title: query, of: `query.${query}`, unit: 'ms', target: target(query) }] : []),
      ]),
      ...['ancestors', 'why', 'statement'].map((query) => ({ title: `${query}, against a query a node`, of: `query.${query}`, to: `query.${query} nodes`, unit: 'ms' })), // prettier-ignore
      { title: 'open', of: 'query.open', unit: 'ms', target: { atMost: bounds.open } },
      { title: 'a cascade, for 100,000 that it invalidates', of: 'query.cascade', unit: 'ms', target: { atMost: bounds.cascade } }, // prettier-ignore
    ],
    ...rest,
  };
};

/** What a commit and a merge bring in is alike, but for the versions that a merge has, too. */
const merge: Trial = {
  name: 'merge',
  phase: 'merge',
  seconds: 25,
  sides: [
    { name: 'into a new one', program: 'merge-side', args: ['new', ...HERE], share: 2 },
    { name: 'into one that has as much', program: 'merge-side', args: ['existing', ...HERE], share: 2 },
    { ...ourCommit, name: 'commit', share: 2 },
  ],
  comparisons: ['into a new one', 'into one that has as much'].map((of) => ({
    of,
    to: 'commit',
    unit: 'records/s',
    target: { atLeast: 0.5 },
  })),
};

const exchange = (name: string, unit: string, pattern: string, targets: { c?: Target; mpi4py?: Target }): Trial => ({
  name,
  phase: 'MPI',
  seconds: 12,
  length: 'full',
  sides: [
    { name: 'braid-mpi/mpi', program: 'mpi-side', args: [pattern], ranks: 2 },
    { name: 'C', program: 'mpi.c', args: [pattern], ranks: 2 },
    { name: 'mpi4py', program: 'mpi.py', args: [pattern], ranks: 2 },
  ],
  comparisons: [
    { of: 'braid-mpi/mpi', to: 'C', unit, target: targets.c },
    { of: 'braid-mpi/mpi', to: 'mpi4py', unit, target: targets.mpi4py },
  ],
});

export const TRIALS: readonly Trial[] = [
  capture,
  commit,
  commitWithSearch,
  bySize('commit by size', 20, [0.1, 1, 10], { length: 'full' }),
  // At the 100,000 records that are the default: 1 M and 10 M.
  bySize('commit of 10 M records', 120, [10, 100], { length: 'long', target: { atLeast: 0.7 } }),
  gather(2, SMALL),
  gather(4, SMALL),
  gather(2, LARGE, { name: 'gather 64 MiB, 2 ranks', length: 'full' }),
  gather(4, LARGE, { name: 'gather 64 MiB, 4 ranks', length: 'full' }),
  endToEnd(2),
  endToEnd(4),
  overhead('digits', 2, 300, DIGITS),
  overhead('digits', 1, 300, DIGITS),
  overhead('powergrid', 2, 8, ['--db', '{directory}/powergrid.db', '--days', '{size}']),
  idle(2, 20_000),
  idle(4, 10_000),
  idle(16, 1000),
  idle(64, 100, { length: 'full' }),
  close,
  ranks,
  open(1),
  open(2),
  durability,
  search,
  serve,
  queries('queries', {}),
  queries('queries of 1 M records', { records: 1_000_000, absolute: true, seconds: 45, length: 'full' }),
  merge,
  exchange('MPI latency, 8 B', 'µs', 'latency', { mpi4py: { atMost: 1 } }),
  exchange('MPI bandwidth, 1 MiB', 'MB/s', 'bandwidth', { c: { atLeast: 0.95 } }),
  exchange('MPI_Allreduce, 4 MiB of floats', 'ms', 'allreduce', {}),
];
