/** Which way edges take between nodes that dagre has laid out. Along is the way of the drawing, aside is across it. */
import type { DrawnEdge, DrawnNode } from './drawing.js';
import type { Box, Point } from './layout.js';

/** Of the loop of a record that was derived from itself. */
const LOOP = 26;
/** Between edges at the same side of a node, where there is room. */
const SPREAD = 14;
/** How much of the end of a hexagon or a parallelogram is slanted. */
export const SLANT = 16;

/** In pieces along and aside, so that drawings across and downwards are one. */
interface Place {
  readonly along: number;
  readonly aside: number;
}

/**
 * An edge leaves a node straight ahead and goes straight on as long as it has others beside it: so it runs behind none. Edges
 * at the same side of a node don't touch it at the same point.
 *
 * @param bends the points through which dagre leads an edge, but for its ends.
 */
export function routesOf(
  edges: readonly DrawnEdge[],
  bends: (edge: number) => readonly Point[],
  nodes: readonly DrawnNode[],
  boxes: readonly Box[],
  across: boolean,
): Point[][] {
  const toPlace = ({ x, y }: Point): Place => (across ? { along: x, aside: y } : { along: y, aside: x });
  const toPoint = ({ along, aside }: Place): Point => (across ? { x: along, y: aside } : { x: aside, y: along });
  const ranks = ranksOf(boxes, across);
  const rank = ({ along }: Place) => ranks.get(Math.round(along)) ?? 0;
  const routes = edges.map(({ from, to }, edge) => ({
    from,
    to,
    way: toPlace(boxes[to]).along < toPlace(boxes[from]).along ? -1 : 1,
    // Those between ranks are only where it would turn anyway.
    bends: from === to ? [] : bends(edge).map(toPlace).filter((place) => rank(place) > 0), // prettier-ignore
  }));

  const asides = new Map<string, { edge: number; end: 'from' | 'to'; next: number }[]>();
  const arrives = (node: number, side: number, edge: number, end: 'from' | 'to', next: Place) => {
    const key = `${node} ${side}`;
    const known = asides.get(key) ?? [];
    asides.set(key, known);
    known.push({ edge, end, next: next.aside });
  };
  routes.forEach(({ from, to, way, bends }, edge) => {
    if (from === to) return;
    arrives(from, way, edge, 'from', bends[0] ?? toPlace(boxes[to]));
    arrives(to, -way, edge, 'to', bends.at(-1) ?? toPlace(boxes[from]));
  });
  const shifts = routes.map(() => ({ from: 0, to: 0 }));
  for (const [key, ends] of asides) {
    const node = Number(key.split(' ')[0]);
    const gap = Math.min(SPREAD, sideOf(nodes[node], boxes[node], across) / ends.length);
    ends.sort((a, b) => a.next - b.next);
    ends.forEach(({ edge, end }, i) => (shifts[edge][end] = (i - (ends.length - 1) / 2) * gap));
  }

  return routes.map(({ from, to, way, bends }, edge) => {
    if (from === to) return loopAt(boxes[from]);
    const start = (node: number, shift: number, way: number): Place[] => {
      const { along, aside } = toPlace(boxes[node]);
      const border = borderOf(nodes[node], boxes[node], shift, across);
      return [border, rank({ along, aside }) / 2].map((by) => ({ along: along + by * way, aside: aside + shift }));
    };
    const through = bends.flatMap((place) =>
      [-way, way].map((side) => ({ ...place, along: place.along + (side * rank(place)) / 2 })),
    );
    return [...start(from, shifts[edge].from, way), ...through, ...start(to, shifts[edge].to, -way).reverse()].map(toPoint); // prettier-ignore
  });
}

/** What lies side by side: by its place along the way of the drawing, how much of the way it takes. */
function ranksOf(boxes: readonly Box[], across: boolean): ReadonlyMap<number, number> {
  const ranks = new Map<number, number>();
  for (const { x, y, width, height } of boxes) {
    const [place, size] = across ? [Math.round(x), width] : [Math.round(y), height];
    ranks.set(place, Math.max(ranks.get(place) ?? 0, size));
  }
  return ranks;
}

/** How much of a side edges may come to. */
function sideOf({ kind }: DrawnNode, { width, height }: Box, across: boolean): number {
  if (across) return kind === 'data' ? height * 0.4 : height * 0.6;
  return kind === 'fact' ? width * 0.8 : width - 2.5 * SLANT;
}

/** From the middle of a node to its border, aside by `shift`. */
function borderOf({ kind }: DrawnNode, { width, height }: Box, shift: number, across: boolean): number {
  if (!across) return height / 2;
  if (kind === 'model') return width / 2 - (SLANT * Math.abs(shift)) / (height / 2);
  return kind === 'record' ? width / 2 - SLANT / 2 : width / 2;
}

/** Out at its right end and in again there: two ends, and between them how far it goes. */
function loopAt({ x, y, width }: Box): Point[] {
  const right = x + width / 2;
  return [-1, 0, 1].map((turn) => ({ x: turn === 0 ? right + LOOP : right, y: y + turn * 9 }));
}
