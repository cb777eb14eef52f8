import { BraidError } from '../errors.js';
import type { GraphEdge, GraphFold, GraphNode, LineageGraph } from './graph.js';

/** So many nodes can be read in one drawing. */
const LIMIT = 30;
/** How far around them nodes are compared: further, each end of a chain of versions would be told by itself. */
const ROUNDS = 2;
/** Not more than so many that are alike are drawn one by one, where there is room: more are read sooner as a count. */
const FEW = 4;
/** So many of a fold are named. */
const MEMBERS = 20;

/** For each node the number of its class; classes are numbered by their first nodes. */
type Partition = readonly number[];

/**
 * A graph in which nodes that are alike are told as one: first those of the same kind, name pattern and neighbours; if that
 * is still more than `limit`, those whose neighbours differ, then those whose names do. What is rare, and what was asked
 * about, stays as it is. A graph of no more than `limit` nodes is given back.
 *
 * @param limit about how many nodes are wanted. Default 30.
 * @throws BraidError ERR_BRAID_OPTION_INVALID
 */
export function foldGraph(graph: LineageGraph, limit = LIMIT): LineageGraph {
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new BraidError('ERR_BRAID_OPTION_INVALID', `limit must be a whole number above 0, not ${String(limit)}`);
  }
  const { nodes, edges } = graph;
  if (nodes.length <= limit) return graph;

  const places = new Map(nodes.map(({ node }, place) => [node, place]));
  const neighbours = neighboursOf(nodes.length, edges, places);
  // From the coarsest on, each class is taken apart where there is room for its parts.
  let classes = partition(nodes, (node, place) => (place === 0 ? 'start' : coarse(node)));
  const refine = (keyOf: (node: GraphNode, place: number) => string) => {
    const finer = partition(nodes, (node, place) => `${classes[place]} ${keyOf(node, place)}`);
    classes = splitWhereRoom(classes, finer, limit);
  };
  refine(({ name }) => firstWord(name));
  refine(({ name }) => pattern(name));
  refine(({ id, key }) => (key === undefined ? '' : String(id)));
  for (let round = 0; round < ROUNDS; round++) refine((_, place) => signature(neighbours[place], classes));
  const sizes = new Map<number, number>();
  for (const of of classes) sizes.set(of, (sizes.get(of) ?? 0) + 1);
  refine((_, place) => (sizes.get(classes[place])! > FEW ? '' : String(place)));
  return folded(graph, classes, places);
}

/** What is never told as one. */
function coarse({ kind, key, valid, inferred = false, missing = false }: GraphNode): string {
  return [kind, key !== undefined, valid, inferred, missing].join();
}

/** "scan-*" of "scan-17", and of "scan-0f2c8e1a90": what counts and hashes leave of a name. */
function pattern(name: string): string {
  return name.replace(/(?=[a-f]*\d)[\da-f]{8,}|\d+(?:[.:_-]\d+)*/gi, '*');
}

function firstWord(name: string): string {
  return /^\P{L}*\p{L}+/u.exec(pattern(name))?.[0] ?? '';
}

/** To each node, an entry for each end of an edge: what the edge is, seen from there, and where it leads. */
function neighboursOf(
  count: number,
  edges: readonly GraphEdge[],
  places: ReadonlyMap<string, number>,
): readonly (readonly [edge: string, place: number])[][] {
  const neighbours: [string, number][][] = Array.from({ length: count }, () => []);
  for (const { source, derived, relation, inferred } of edges) {
    const [from, to] = [places.get(source)!, places.get(derived)!];
    const what = inferred ? `${relation}?` : relation;
    neighbours[from].push([`>${what}`, to]);
    neighbours[to].push([`<${what}`, from]);
  }
  return neighbours;
}

/** The classes of the neighbours, and not how many are of each. */
function signature(neighbours: readonly (readonly [edge: string, place: number])[], classes: Partition): string {
  return [...new Set(neighbours.map(([edge, place]) => `${edge}${classes[place]}`))].sort().join();
}

function partition(nodes: readonly GraphNode[], keyOf: (node: GraphNode, place: number) => string): Partition {
  const numbers = new Map<string, number>();
  return nodes.map((node, place) => {
    const key = keyOf(node, place);
    let number = numbers.get(key);
    if (number === undefined) numbers.set(key, (number = numbers.size));
    return number;
  });
}

/** Takes classes apart as `finer` does, those with the fewest parts first, as long as there are not more than `limit`. */
function splitWhereRoom(classes: Partition, finer: Partition, limit: number): Partition {
  const parts = new Map<number, Set<number>>();
  classes.forEach((of, place) => {
    const ofClass = parts.get(of);
    if (ofClass) ofClass.add(finer[place]);
    else parts.set(of, new Set([finer[place]]));
  });
  let room = limit - parts.size;
  const split = new Set<number>();
  for (const [of, { size }] of [...parts].sort(([, a], [, b]) => a.size - b.size)) {
    if (size - 1 > room) break;
    room -= size - 1;
    split.add(of);
  }
  const numbers = new Map<string, number>();
  return classes.map((of, place) => {
    const key = split.has(of) ? `${of} ${finer[place]}` : String(of);
    let number = numbers.get(key);
    if (number === undefined) numbers.set(key, (number = numbers.size));
    return number;
  });
}

function folded(graph: LineageGraph, classes: Partition, places: ReadonlyMap<string, number>): LineageGraph {
  const members: GraphNode[][] = [];
  graph.nodes.forEach((node, place) => (members[classes[place]] ??= []).push(node));
  const names = members.map((all, i) => (all.length === 1 ? all[0].node : `fold ${i}`));
  const nameOf = (node: string) => names[classes[places.get(node)!]];

  const edges = new Map<string, GraphEdge>();
  for (const edge of graph.edges) {
    const [source, derived] = [nameOf(edge.source), nameOf(edge.derived)];
    // Between members of a fold: it says nothing of any other.
    if (source === derived && edge.source !== edge.derived) continue;
    const key = JSON.stringify([source, derived, edge.relation]);
    const known = edges.get(key);
    if (!known) edges.set(key, { ...edge, source, derived });
    else if (!edge.inferred) delete known.inferred;
  }
  return {
    ...graph,
    start: [...new Set(graph.start.map(nameOf))],
    nodes: members.filter((all) => all.length === 1).flat(),
    folds: members.flatMap((all, i) => (all.length === 1 ? [] : [foldOf(names[i], all)])),
    edges: [...edges.values()],
  };
}

function foldOf(node: string, all: readonly GraphNode[]): GraphFold {
  const [{ kind, key, valid, inferred, missing }] = all;
  const common = (of: (node: GraphNode) => string) => {
    const values = new Set(all.map(of));
    return values.size === 1 ? [...values][0] : undefined;
  };
  const word = common(({ name }) => firstWord(name));
  const fold: GraphFold = {
    node,
    kind,
    name: common(({ name }) => name) ?? common(({ name }) => pattern(name)) ?? (word === undefined ? '*' : `${word}*`),
    count: all.length,
    valid,
    depth: all.reduce((least, { depth }) => Math.min(least, depth), Infinity),
    members: all.slice(0, MEMBERS).map((member) => member.node),
  };
  if (inferred) fold.inferred = true;
  if (missing) fold.missing = true;
  if (key !== undefined) {
    fold.versions = true;
    const model = common(({ id }) => String(id));
    if (model !== undefined) {
      fold.model = Number(model);
      const numbers = all.flatMap(({ version }) => version ?? []).sort((a, b) => a - b);
      if (numbers.length > 0) fold.numbers = [numbers[0], numbers.at(-1)!];
    }
  }
  return fold;
}
