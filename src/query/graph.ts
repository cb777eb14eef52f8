import { BraidError } from '../errors.js';
import type { Kind } from '../frame/format.js';
import { checkDepth, missingRow, type LineageRow, type Nodes } from './lineage.js';
import type { Direction, Relation } from '../lineage/steps.js';
import type { VersionOf } from './version-names.js';
import { Visits } from '../lineage/visits.js';
import type { Walks } from '../lineage/walk.js';

export interface GraphOptions {
  /** What it comes from, what has come of it, or both. Default `ancestors`. */
  direction?: Direction | 'both';
  /** Not further than so many steps. */
  depth?: number;
  /** The plain closure of all derivations ever, whatever had been seen when. */
  ever?: boolean;
  /** Of a model: as of this version. */
  asOf?: VersionOf;
  /** More edges are an error, before they fill the memory. Default 2,000,000. */
  maxEdges?: number;
}

/** A record or a version of a model. */
export interface GraphNode extends LineageRow {
  /** By which edges name it, and which lineage takes: a record's id as text, a version's key. */
  node: string;
  /** Something refers to it, and it is not in the database. */
  missing?: boolean;
}

/** Nodes that are alike, told as one. */
export interface GraphFold {
  /** By which edges name it. */
  node: string;
  kind: Kind;
  /** What the names have in common, as a pattern: `scan-*`. */
  name: string;
  count: number;
  valid: boolean;
  inferred?: boolean;
  /** They are not in the database. */
  missing?: boolean;
  /** Of the nearest. */
  depth: number;
  /** Id of the model, if they are versions of one. */
  model?: number;
  /** They are versions, of one model or of several. */
  versions?: boolean;
  /** The least and the greatest of their numbers, if they are versions of one model. */
  numbers?: [number, number];
  /** The first of them. */
  members: string[];
}

export interface GraphEdge {
  source: string;
  derived: string;
  relation: Relation;
  /** It may be, and isn't known. */
  inferred?: boolean;
}

export interface LineageGraph {
  /** What was asked about; of a model without a version, its versions are too. */
  start: string[];
  direction: Direction | 'both';
  depth?: number;
  /** The nearest first. */
  nodes: GraphNode[];
  /** There if it was folded. */
  folds?: GraphFold[];
  /** All that are between its nodes. */
  edges: GraphEdge[];
}

const RELATIONS: readonly Relation[] = ['derivation', 'exposure', 'seen', 'step', 'version', 'unseen'];
const OPTIONS = ['direction', 'depth', 'ever', 'asOf', 'maxEdges'];
const MAX_EDGES = 2_000_000;

/** @throws BraidError ERR_BRAID_OPTION_INVALID, ERR_BRAID_FILTER_INVALID */
export function checkGraphOptions(options: GraphOptions): void {
  const { direction = 'ancestors', depth, ever, asOf, maxEdges = MAX_EDGES } = options;
  const invalid = (message: string) => new BraidError('ERR_BRAID_OPTION_INVALID', message);
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
  if (unknown !== undefined) throw invalid(`a graph has no option ${unknown}: there are ${OPTIONS.join(', ')}`);
  if (!['ancestors', 'descendants', 'both'].includes(direction)) {
    throw invalid(`direction must be ancestors, descendants or both, not ${String(direction)}`);
  }
  if (!Number.isSafeInteger(maxEdges) || maxEdges < 0) {
    throw invalid(`maxEdges must be a whole number, not ${String(maxEdges)}`);
  }
  if (ever && asOf !== undefined) throw invalid('ever takes no regard of versions: leave out asOf, or ever');
  checkDepth(depth);
}

/**
 * The nodes that a walk meets, and all edges between them: a statement for the walk, one for the edges, one for the rows.
 *
 * @throws BraidError ERR_BRAID_GRAPH_TOO_LARGE
 */
export function graphOf(
  walks: Walks,
  nodes: Nodes,
  start: readonly number[],
  { direction = 'ancestors', depth, ever, maxEdges = MAX_EDGES }: GraphOptions,
): LineageGraph {
  const met = new Map<number, readonly [depth: number, inferred: boolean]>(start.map((node) => [node, [0, false]]));
  for (const each of direction === 'both' ? (['ancestors', 'descendants'] as const) : [direction]) {
    for (const [node, inferred, steps] of walks.nodes(each, new Visits(start), { depth, ever })) {
      if (!met.has(node)) met.set(node, [steps, inferred === 1]);
    }
  }
  const steps = stepsBetween(walks, [...met.keys()], ever, maxEdges);
  const rows = rowsOf(nodes, met);
  const edges: GraphEdge[] = [];
  for (const [source, byDerived] of steps) {
    for (const [derived, bits] of byDerived) {
      RELATIONS.forEach((relation, i) => {
        const [certain, inferred] = [bits & (1 << (2 * i)), bits & (2 << (2 * i))];
        if (!certain && !inferred) return;
        const edge: GraphEdge = { source: rows.get(source)!.node, derived: rows.get(derived)!.node, relation };
        if (!certain) edge.inferred = true;
        edges.push(edge);
      });
    }
  }
  return {
    start: start.map((node) => rows.get(node)!.node),
    direction,
    ...(depth === undefined ? {} : { depth }),
    nodes: [...rows.values()],
    edges,
  };
}

/** From source to derived: two bits for each relation, whether it is so for certain, and whether it may be. */
function stepsBetween(walks: Walks, nodes: readonly number[], ever: boolean | undefined, maxEdges: number) {
  const steps = new Map<number, Map<number, number>>();
  const shown = new Set(nodes);
  let count = 0;
  const visits = new Visits(nodes, {
    onStep(derived, source, { relation, inferred }) {
      if (!shown.has(source)) return;
      let ofSource = steps.get(source);
      if (!ofSource) steps.set(source, (ofSource = new Map<number, number>()));
      const bits = ofSource.get(derived);
      if (bits === undefined && ++count > maxEdges) {
        throw new BraidError(
          'ERR_BRAID_GRAPH_TOO_LARGE',
          `the graph has more than ${maxEdges.toLocaleString('en-US')} edges: ask for less of it, by a depth`,
        );
      }
      ofSource.set(derived, (bits ?? 0) | ((inferred ? 2 : 1) << (2 * RELATIONS.indexOf(relation))));
    },
  });
  // One step from all of them; what it comes to beyond them is not of the graph.
  const beyond = walks.nodes('ancestors', visits, { depth: 1, ever });
  while (!beyond.next().done);
  return steps;
}

function rowsOf(
  nodes: Nodes,
  met: ReadonlyMap<number, readonly [depth: number, inferred: boolean]>,
): Map<number, GraphNode> {
  const list = [...met];
  const rows = new Map<number, GraphNode>();
  const missing = ([node, [depth]]: (typeof list)[number]): GraphNode => ({
    node: String(node),
    ...missingRow(node, depth),
    missing: true,
  });
  let next = 0;
  const fill = (until: number) => {
    for (; next < until; next++) rows.set(list[next][0], missing(list[next]));
  };
  // Its place in the list goes where the depth is: so a row is known to be of its node, and one that isn't there is seen.
  for (const row of nodes.rows(list.map(([node, [, inferred]], place) => [node, inferred ? 1 : 0, place] as const))) {
    fill(row.depth);
    const [node, [depth]] = list[next++];
    rows.set(node, { node: row.key ?? String(row.id), ...row, depth });
  }
  fill(list.length);
  return rows;
}
