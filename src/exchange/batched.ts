/** So many at a time. */
export function* batched<T>(items: Iterable<T>, most: number): IterableIterator<T[]> {
  let batch: T[] = [];
  for (const item of items) {
    if (batch.push(item) < most) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
