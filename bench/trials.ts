/**
 * What is measured, as data. Each trial runs in a fresh process (or a fresh job of `ranks`), as often as asked, its sides
 * in turn; a figure is one process's answer.
 */
export interface Trial {
  readonly name: string;
  /** What one figure is. */
  readonly unit: string;
  /** Programs of this folder with their arguments, the side that is judged first. */
  readonly sides: readonly { readonly name: string; readonly args: readonly string[] }[];
  /** Under Open MPI's mpiexec; else one process. */
  readonly ranks?: number;
  /** Whether more is better. */
  readonly rate: boolean;
}

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
    name: 'idle flush, 2 ranks',
    unit: 'µs',
    ranks: 2,
    rate: false,
    sides: [
      { name: 'flush', args: ['idle', 'flush'] },
      { name: 'MPI_Allreduce of 8 bytes', args: ['idle', 'allreduce'] },
    ],
  },
];
