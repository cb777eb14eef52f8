/**
 * What is measured, as data. Each trial runs in a fresh process (or a fresh job of `ranks`), as often as asked, its sides
 * in turn; a figure is one process's answer.
 */
export interface Trial {
  readonly name: string;
  /** What one figure is. */
  readonly unit: string;
  /** The side that is judged first, then those it is judged against. */
  readonly sides: readonly Side[];
  /** Under Open MPI's mpiexec; else one process. */
  readonly ranks?: number;
  /** Whether more is better. */
  readonly rate: boolean;
}

export interface Side {
  readonly name: string;
  /** Of this folder: side.ts (the default), mpi-side.ts, mpi.c or mpi.py. One that can't be run here is left out. */
  readonly program?: Program;
  readonly args: readonly string[];
  /** What the first side's figure, divided by this one's, has to be. */
  readonly target?: { readonly atLeast: number } | { readonly atMost: number };
}

export type Program = 'side' | 'mpi-side' | 'mpi.c' | 'mpi.py';

const exchange = (
  name: string,
  unit: string,
  rate: boolean,
  pattern: string,
  targets: { c?: Side['target']; mpi4py?: Side['target'] },
): Trial => ({
  name,
  unit,
  rate,
  ranks: 2,
  sides: [
    { name: 'braid-mpi/mpi', program: 'mpi-side', args: [pattern] },
    { name: 'C', program: 'mpi.c', args: [pattern], target: targets.c },
    { name: 'mpi4py', program: 'mpi.py', args: [pattern], target: targets.mpi4py },
  ],
});

export const TRIALS: readonly Trial[] = [
  {
    name: 'capture',
    unit: 'µs a record',
    rate: false,
    sides: [
      { name: 'constructor to spool', args: ['capture', 'record'] },
      { name: 'the same bytes by Buffer.copy', args: ['capture', 'copy'] },
    ],
  },
  {
    name: 'commit',
    unit: 'records/s',
    rate: true,
    sides: [
      { name: 'flush', args: ['commit', 'flush'] },
      { name: 'better-sqlite3, row by row', args: ['commit', 'rows'] },
    ],
  },
  {
    name: 'durability',
    unit: 'µs a call, median',
    rate: false,
    sides: [
      { name: "durability: 'process'", args: ['durability-median', 'process'] },
      { name: "durability: 'node'", args: ['durability-median', 'node'] },
    ],
  },
  {
    name: 'durability, p99',
    unit: 'µs a call, 99th percentile',
    rate: false,
    sides: [
      { name: "durability: 'process'", args: ['durability-p99', 'process'] },
      { name: "durability: 'node'", args: ['durability-p99', 'node'] },
    ],
  },
  {
    name: 'idle flush, 2 ranks',
    unit: 'µs',
    ranks: 2,
    rate: false,
    sides: [
      { name: 'flush', args: ['idle', 'flush'] },
      { name: 'MPI_Allreduce of 8 bytes', args: ['idle', 'allreduce'] },
    ],
  },
  exchange('MPI latency, 8 B', 'µs', false, 'latency', { mpi4py: { atMost: 1 } }),
  exchange('MPI bandwidth, 1 MiB', 'MB/s', true, 'bandwidth', { c: { atLeast: 0.95 } }),
  exchange('MPI_Allreduce, 4 MiB of floats', 'ms', false, 'allreduce', {}),
];
