/** What is drawn of a graph, the same in all formats: shapes, lines of text, groups. */
import type { Kind } from '../frame/format.js';
import { printable } from '../printable.js';
import { modelName, nodeText, sentence } from '../query/dependence.js';
import type { GraphEdge, GraphFold, GraphNode, LineageGraph } from '../query/graph.js';

export interface Drawing {
  readonly title: string;
  /** How much there is, and how much of it is shown. */
  readonly summary: string;
  readonly nodes: readonly DrawnNode[];
  readonly edges: readonly DrawnEdge[];
  readonly groups: readonly DrawnGroup[];
}

export interface DrawnNode {
  /** Its shape, too. */
  readonly kind: Kind;
  readonly lines: readonly string[];
  /** The whole of what `lines` may shorten. */
  readonly title: string;
  readonly of: GraphNode | GraphFold;
  readonly isFold: boolean;
  readonly isStart: boolean;
  readonly invalid: boolean;
  readonly inferred: boolean;
  readonly missing: boolean;
  /** Number of the group that it is in. */
  readonly group?: number;
}

/** Of a derivation, of an update, or of what only comes after in a model's life. */
export type EdgeStyle = 'derivation' | 'update' | 'order';

/** From a source to what is derived from it. */
export interface DrawnEdge {
  /** Numbers of nodes. */
  readonly from: number;
  readonly to: number;
  readonly style: EdgeStyle;
  readonly inferred: boolean;
  readonly title: string;
}

/** A model and its versions. */
export interface DrawnGroup {
  readonly label: string;
}

const STYLES: Record<GraphEdge['relation'], EdgeStyle> = {
  derivation: 'derivation',
  exposure: 'update',
  seen: 'order',
  step: 'order',
  version: 'order',
  unseen: 'order',
};
/** Which is drawn where there are several between two nodes. */
const PRECEDENCE: readonly EdgeStyle[] = ['derivation', 'update', 'order'];

const MANY: Record<Kind, string> = { fact: 'facts', data: 'data', model: 'models', record: 'records' };
const LONGEST = 30;

export function drawingOf(graph: LineageGraph): Drawing {
  const { nodes, folds = [] } = graph;
  const groups = groupsOf(nodes, folds);
  const groupOf = (model: number | undefined) => (model === undefined ? undefined : groups.get(model)?.place);
  const starts = new Set(graph.start);
  const drawn = [
    ...nodes.map((node) => drawnNode(node, starts.has(node.node), groupOf(node.id))),
    ...folds.map((fold) => drawnFold(fold, starts.has(fold.node), groupOf(fold.model))),
  ];
  const count = nodes.length + folds.reduce((sum, fold) => sum + fold.count, 0);
  return {
    title: titleOf(graph, drawn),
    summary:
      `${countText(count)} ${count === 1 ? 'node' : 'nodes'}` +
      (folds.length > 0 ? `, drawn as ${drawn.length}` : '') +
      (graph.depth === undefined
        ? ''
        : `, up to ${countText(graph.depth)} ${graph.depth === 1 ? 'step' : 'steps'} away`),
    nodes: drawn,
    edges: drawnEdges(graph, drawn),
    groups: Array.from(groups.values(), ({ label }) => ({ label })),
  };
}

/** Of each model of which a version is drawn. */
function groupsOf(
  nodes: readonly GraphNode[],
  folds: readonly GraphFold[],
): Map<number, { label: string; place: number }> {
  const groups = new Map<number, { label: string; place: number }>();
  const add = (model: number, name: string) => {
    if (!groups.has(model))
      groups.set(model, { label: `${shortened(modelName(name))} [${model}]`, place: groups.size });
  };
  for (const { id, name, key } of nodes) if (key !== undefined) add(id, name);
  for (const { model, name } of folds) if (model !== undefined) add(model, name);
  return groups;
}

function drawnNode(node: GraphNode, isStart: boolean, group: number | undefined): DrawnNode {
  const { kind, valid, inferred = false, missing = false } = node;
  const lines = linesOf(node, group !== undefined);
  if (!valid) lines.push('invalid');
  return {
    kind,
    lines,
    title: missing ? lines.join(' ') : `${shown(nodeText(node))}: ${kind}${valid ? '' : ', invalid'}`,
    of: node,
    isFold: false,
    isStart,
    invalid: !valid,
    inferred,
    missing,
    group,
  };
}

function linesOf({ id, kind, name, key, version, step, missing }: GraphNode, grouped: boolean): string[] {
  if (missing) return [`[${id}]`, 'not in the database'];
  if (key === undefined) return [shortened(name), grouped ? 'as it was made' : `${kind} [${id}]`];
  const steps = step === undefined ? [] : [`step ${step}`];
  return version === undefined ? [...steps, 'not made yet'] : [`@${version}`, ...steps];
}

function drawnFold(fold: GraphFold, isStart: boolean, group: number | undefined): DrawnNode {
  const { kind, name, count, valid, inferred = false, missing = false, versions, numbers } = fold;
  const lines = [
    `… ${countText(count)} similar ${versions ? 'versions' : MANY[kind]}`,
    missing
      ? 'not in the database'
      : numbers && group !== undefined
        ? `@${numbers[0]} … @${numbers[1]}`
        : shortened(name),
  ];
  if (!valid) lines.push('invalid');
  return {
    kind,
    lines,
    title: `${foldText(fold)}${valid ? '' : ', invalid'}`,
    of: fold,
    isFold: true,
    isStart,
    invalid: !valid,
    inferred,
    missing,
    group,
  };
}

function foldText({ kind, name, count, versions }: GraphFold): string {
  return `${countText(count)} ${versions ? 'versions' : MANY[kind]} ${shown(name)}`;
}

/** One between two nodes, whatever relations there are. */
function drawnEdges({ edges }: LineageGraph, nodes: readonly DrawnNode[]): DrawnEdge[] {
  const places = new Map(nodes.map(({ of }, place) => [of.node, place]));
  const texts = nodes.map(({ of }) => ('count' in of ? foldText(of) : of.missing ? `[${of.id}]` : shown(nodeText(of))));
  const ordered = new Set(
    edges
      .filter(({ source, derived, relation }) => (relation === 'seen' || relation === 'step') && source !== derived)
      .map(({ derived }) => derived),
  );
  const drawn = new Map<string, { -readonly [Key in keyof DrawnEdge]: DrawnEdge[Key] }>();
  for (const { source, derived, relation, inferred = false } of edges) {
    // That a version is one of its model is seen by the frame around them; the model leads to the first of them.
    if (relation === 'version' && ordered.has(derived)) continue;
    // That a rank's second update of a version has seen the first is of no interest.
    if (source === derived && STYLES[relation] === 'order') continue;
    const [from, to] = [places.get(source)!, places.get(derived)!];
    const title = sentence(texts[to], relation, inferred, texts[from]);
    const style = STYLES[relation];
    const known = drawn.get(`${from} ${to}`);
    if (!known) {
      drawn.set(`${from} ${to}`, { from, to, style, inferred, title });
      continue;
    }
    known.title += `\n${title}`;
    known.inferred &&= inferred;
    if (PRECEDENCE.indexOf(style) < PRECEDENCE.indexOf(known.style)) known.style = style;
  }
  return [...drawn.values()];
}

function titleOf({ direction }: LineageGraph, [start]: readonly DrawnNode[]): string {
  const { of } = start;
  const what = 'count' in of ? foldText(of) : shown(nodeText(of));
  const WAYS = { ancestors: 'what it comes from', descendants: 'what has come of it', both: 'what it comes from, and what has come of it' }; // prettier-ignore
  return `${what}: ${WAYS[direction]}`;
}

export function countText(count: number): string {
  return count.toLocaleString('en-US');
}

/** Somebody else's text, as it can be in any format once it is escaped. */
export function shown(text: string): string {
  return printable(text).replace(/[\p{Cs}\ufffe\uffff]/gu, '\ufffd');
}

/** Names differ at their ends as often as at their beginnings. */
function shortened(name: string): string {
  const chars = [...shown(name)];
  if (chars.length <= LONGEST) return chars.join('');
  return `${chars.slice(0, LONGEST - 11).join('')}…${chars.slice(-10).join('')}`;
}
