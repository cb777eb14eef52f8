/** Where what is drawn goes, by dagre, and how much room text takes. */
import { Graph, layout } from '@dagrejs/dagre';
import type { Drawing } from './drawing.js';
import { routesOf } from './routes.js';

export interface Box {
  /** Of its middle. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Layout {
  /** From left to right, or downwards. */
  readonly across: boolean;
  readonly width: number;
  readonly height: number;
  /** As the nodes, edges and groups of the drawing; an edge goes through each of its points the way that the drawing goes. */
  readonly nodes: readonly Box[];
  readonly edges: readonly (readonly Point[])[];
  readonly groups: readonly Box[];
}

export const FONT_SIZE = 13;
export const LINE_HEIGHT = 17;
/** Of a group, above what is in it. */
export const GROUP_LABEL = 24;
/** What a screen has; the way of drawing is the one that needs less of it. */
const SCREEN = { width: 1200, height: 800 };
/** Of more nodes one layout takes seconds, and of hundreds with thousands of edges a minute. */
const BOTH_WAYS = 100;

export function layoutOf(drawing: Drawing): Layout {
  if (drawing.nodes.length > BOTH_WAYS) return laidOut(drawing, 'LR');
  const size = ({ width, height }: Layout) => Math.max(width / SCREEN.width, height / SCREEN.height);
  const [across, down] = [laidOut(drawing, 'LR'), laidOut(drawing, 'TB')];
  return size(down) < size(across) ? down : across;
}

function laidOut({ nodes, edges, groups }: Drawing, rankdir: 'LR' | 'TB'): Layout {
  const graph = new Graph({ compound: true, multigraph: true });
  graph.setGraph({
    rankdir,
    ranksep: rankdir === 'LR' ? 60 : 44,
    nodesep: 22,
    edgesep: 12,
    marginx: 8,
    marginy: 8,
  });
  const used = new Set(nodes.map(({ group }) => group));
  groups.forEach(({ label }, i) => used.has(i) && graph.setNode(`g${i}`, { width: textWidth(label), height: 1 }));
  nodes.forEach((node, i) => {
    graph.setNode(`n${i}`, sizeOf(node));
    if (node.group !== undefined) graph.setParent(`n${i}`, `g${node.group}`);
  });
  edges.forEach(({ from, to }, i) => from !== to && graph.setEdge(`n${from}`, `n${to}`, {}, `e${i}`));
  layout(graph);

  const across = rankdir === 'LR';
  const boxes = nodes.map((_, i) => graph.node(`n${i}`));
  const frames = groups.map((_, i) => framed(graph.node(`g${i}`), groups[i].label));
  const bends = (i: number) => graph.edge(`n${edges[i].from}`, `n${edges[i].to}`, `e${i}`).points.slice(1, -1);
  const lines = routesOf(edges, bends, nodes, boxes, across);
  return movedIn(boxes, lines, frames, across);
}

/** With room for its label, which dagre doesn't know of. */
function framed({ x, y, width, height }: Box, label: string): Box {
  return { x, y: y - GROUP_LABEL / 2, width: Math.max(width, textWidth(label) + 20), height: height + GROUP_LABEL };
}

/** So that nothing has a coordinate below 0. */
function movedIn(
  nodes: readonly Box[],
  edges: readonly (readonly Point[])[],
  groups: readonly Box[],
  across: boolean,
): Layout {
  const MARGIN = 12;
  const boxes = [...nodes, ...groups];
  const points = edges.flat();
  const least = (of: (box: Box) => number, at: (point: Point) => number) =>
    points.reduce((min, point) => Math.min(min, at(point)), boxes.reduce((min, box) => Math.min(min, of(box)), Infinity)); // prettier-ignore
  const left = least(({ x, width }) => x - width / 2, ({ x }) => x); // prettier-ignore
  const top = least(({ y, height }) => y - height / 2, ({ y }) => y); // prettier-ignore
  const right = -least(({ x, width }) => -x - width / 2, ({ x }) => -x); // prettier-ignore
  const bottom = -least(({ y, height }) => -y - height / 2, ({ y }) => -y); // prettier-ignore
  const move = <Place extends Point>(place: Place): Place => ({
    ...place,
    x: place.x - left + MARGIN,
    y: place.y - top + MARGIN,
  });
  return {
    across,
    width: right - left + 2 * MARGIN,
    height: bottom - top + 2 * MARGIN,
    nodes: nodes.map(move),
    edges: edges.map((line) => line.map(move)),
    groups: groups.map(move),
  };
}

function sizeOf({ lines, kind, isFold }: Drawing['nodes'][number]): { width: number; height: number } {
  // A slanted or pointed end takes some of it.
  const ends = { fact: 24, data: 32, model: 44, record: 44 }[kind];
  const width = Math.max(...lines.map((line, i) => textWidth(line) * (i === 0 ? 1.06 : 1))) + ends + (isFold ? 8 : 0);
  return { width: Math.max(width, 70), height: lines.length * LINE_HEIGHT + 14 + (isFold ? 8 : 0) };
}

/** There is no font to ask: what a wide one takes, in pixels. */
export function textWidth(text: string): number {
  let width = 0;
  for (const char of text) width += charWidth(char);
  return Math.ceil(width * FONT_SIZE);
}

function charWidth(char: string): number {
  if (/\p{M}/u.test(char)) return 0;
  if (char.codePointAt(0)! >= 0x1100) return 1.05;
  if (/[ijlI.,:;'|!()[\] ]/.test(char)) return 0.4;
  if (/[mwMW@%…—]/.test(char)) return 1;
  return /\p{Lu}/u.test(char) ? 0.74 : 0.64;
}
