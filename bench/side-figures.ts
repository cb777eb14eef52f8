/** What the programs of sides have in common: how they tell what they found. */

/** Of any order. */
export function quantile(times: Float64Array, share: number): number {
  const sorted = times.slice().sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** Collective. Of each figure the highest of all ranks. */
export async function highest<Name extends string>(
  figures: Record<Name, number>,
  size: number,
): Promise<Record<Name, number>> {
  const values = Float64Array.from(Object.values<number>(figures));
  if (size > 1) {
    // Only now: a single process never loads the binding.
    const { MPI } = await import('braid-mpi/mpi');
    MPI.COMM_WORLD.allreduce(MPI.IN_PLACE, values, MPI.MAX);
  }
  return Object.fromEntries(Object.keys(figures).map((name, i) => [name, values[i]])) as Record<Name, number>;
}

/** Tells the launcher. By rank 0 alone. */
export function print(figures: Record<string, number>): void {
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}
