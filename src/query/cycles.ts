/** A node on the way that is being followed. */
interface Entry {
  readonly node: number;
  readonly next: readonly number[];
  /** Which of the next comes now. */
  at: number;
}

/**
 * Which nodes of a graph lie in one cycle: gives each node the number of its strongly connected component.
 * Tarjan, "Depth-first search and linear graph algorithms" (1972), with a stack of its own: a chain may be longer than the
 * engine's.
 *
 * @param steps where the steps from a node lead; a node that isn't there has none.
 */
export function componentsOf(steps: ReadonlyMap<number, readonly number[]>): Map<number, number> {
  const components = new Map<number, number>();
  const order = new Map<number, number>();
  /** The first by order that is known to be in a cycle with it. */
  const lowest = new Map<number, number>();
  const open: number[] = [];
  const way: Entry[] = [];
  let count = 0;
  const enter = (node: number) => {
    order.set(node, order.size);
    lowest.set(node, order.get(node)!);
    open.push(node);
    way.push({ node, next: steps.get(node) ?? [], at: 0 });
  };
  const lower = (node: number, to: number) => lowest.set(node, Math.min(lowest.get(node)!, to));
  for (const start of steps.keys()) {
    if (!order.has(start)) enter(start);
    while (way.length > 0) {
      const entry = way[way.length - 1];
      const { node } = entry;
      if (entry.at < entry.next.length) {
        const to = entry.next[entry.at++];
        if (!order.has(to)) enter(to);
        else if (!components.has(to)) lower(node, order.get(to)!);
        continue;
      }
      way.pop();
      if (way.length > 0) lower(way[way.length - 1].node, lowest.get(node)!);
      if (lowest.get(node) !== order.get(node)) continue;
      for (let member = open.pop()!; ; member = open.pop()!) {
        components.set(member, count);
        if (member === node) break;
      }
      count++;
    }
  }
  return components;
}
