import { componentsOf } from './cycles.js';
import { missingRow, type LineageRow, type Nodes } from './lineage.js';
import type { Relation } from '../lineage/steps.js';
import { Visits, type Stop } from '../lineage/visits.js';
import type { WalkOptions, Walks } from '../lineage/walk.js';

/** A step of a chain of evidence: the node, and how it is bound to the one before it. */
export interface WhyStep {
  node: LineageRow;
  /** Undefined for the first. */
  relation?: Relation;
  /** It may be, and isn't known. */
  inferred?: boolean;
  /** "peaks-1 was derived from braggnn@3". */
  text: string;
}

/** Why one thing depends on another. */
export interface Why {
  /** Whether the first that was asked about comes from the second, or the second from the first. */
  direction: 'from' | 'to';
  /** From the one that depends to the one that it depends on. */
  steps: WhyStep[];
}

/** What two things both depend on. */
export interface CommonRow extends LineageRow {
  /** Steps from each of the two; 0 for one that is itself what the other depends on. */
  depths: [number, number];
}

/** One shortest way from a node to what it comes from, or the other way round; undefined if neither comes from the other. */
export function why(walks: Walks, nodes: Nodes, a: readonly number[], b: readonly number[]): Why | undefined {
  const from = wayBetween(walks, a, b);
  const way = from ?? wayBetween(walks, b, a);
  if (!way) return undefined;
  const rows = [...nodes.rows(way.map(({ node }, depth) => [node, 0, depth] as const))];
  // A record that is not committed has no row.
  const byDepth = new Map(rows.map((row) => [row.depth, row]));
  const texts = way.map(({ node }, depth) => {
    const row = byDepth.get(depth);
    return row ? nodeText(row) : `a record that is not committed [${node}]`;
  });
  const steps = way.map(({ node: id, arrival }, depth): WhyStep => {
    const node = byDepth.get(depth) ?? missingRow(id, depth);
    if (!arrival) return { node, text: texts[depth] };
    const { relation, inferred } = arrival;
    const text = sentence(texts[depth - 1], relation, inferred, texts[depth]);
    return { node, relation, ...(inferred ? { inferred } : {}), text };
  });
  return { direction: from ? 'from' : 'to', steps };
}

function wayBetween(walks: Walks, start: readonly number[], end: readonly number[]): Stop[] | undefined {
  const wanted = new Set(end);
  const same = start.find((node) => wanted.has(node));
  if (same !== undefined) return [{ node: same }];
  const visits = new Visits(start, { arrivals: true });
  for (const [node] of walks.nodes('ancestors', visits)) if (wanted.has(node)) return visits.wayTo(node);
  return undefined;
}

/** "braggnn@3", or a record's name with its id. */
export function nodeText({ id, name, version, step, key }: LineageRow): string {
  if (key === undefined) return `${name} [${id}]`;
  const model = modelName(name);
  if (version !== undefined) return `${model}@${version}${step === undefined ? '' : ` (step ${step})`} [${id}]`;
  return `${model}@${step === undefined ? key.slice(key.indexOf('@') + 1) : `step=${step}`} [${id}]`;
}

/** What the model of a version is called in texts: its name isn't known while it isn't committed. */
export function modelName(name: string): string {
  return name === '' ? '(not committed)' : name;
}

const SENTENCES: Record<Relation, readonly [known: string, inferred: string]> = {
  derivation: ['was derived from', 'was derived from a version that is not known, which may be'],
  exposure: ['was updated by exposure to', 'was updated by exposure to a version that is not known, which may be'],
  seen: ['was an update of', 'may be an update of'],
  step: ['came after', 'may have come after'],
  version: ['is a version of', 'may be a version of'],
  unseen: [
    'was updated where no version had been seen, and goes on from',
    'was updated where no version had been seen, and may go on from',
  ],
};

/** "peaks-1 [9] was derived from braggnn@3 [4]". */
export function sentence(derived: string, relation: Relation, inferred: boolean, source: string): string {
  return `${derived} ${SENTENCES[relation][inferred ? 1 : 0]} ${source}`;
}

/**
 * The nearest of what two nodes both come from: what each of them comes to first, on its ways, of all that they share. Where
 * they come into a cycle at different nodes, that is all of these. Where some of it is only inferred to be shared, the nearest
 * of what certainly is, too, which may lie behind that.
 */
export function common(walks: Walks, nodes: Nodes, a: readonly number[], b: readonly number[]): CommonRow[] {
  const [ofA, ofB] = [reach(walks, a), reach(walks, b)];
  const isInferred = (node: number) => !ofA.certain.has(node) || !ofB.certain.has(node);
  const found = nearestShared(walks, a, b, (node) => ofA.depths.has(node) && ofB.depths.has(node), {});
  const certain = found.some(isInferred)
    ? nearestShared(walks, a, b, (node) => !isInferred(node), { certain: true })
    : [];
  const shared = [...new Set([...found, ...certain])];
  const depths = (node: number): [number, number] => [ofA.depths.get(node)!, ofB.depths.get(node)!];
  const sum = (node: number) => depths(node)[0] + depths(node)[1];
  shared.sort((x, y) => sum(x) - sum(y) || Math.abs(x) - Math.abs(y));
  // Its place in the list goes where the depth is, so that rows that are not there are left out of both.
  return Array.from(nodes.rows(shared.map((node, i) => [node, isInferred(node) ? 1 : 0, i] as const)), (row) => {
    const both = depths(shared[row.depth]);
    return { ...row, depth: Math.max(...both), depths: both };
  });
}

/** The nodes that are met, and those of the start. */
export function walk(walks: Walks, start: readonly number[]): Set<number> {
  const met = new Set(start);
  for (const [node] of walks.nodes('ancestors', new Visits(start, { depths: false }))) met.add(node);
  return met;
}

/** How far all nodes are that are met, and those of the start; and which of them are met for certain. */
function reach(walks: Walks, start: readonly number[]) {
  const depths = new Map(start.map((node) => [node, 0]));
  const visits = new Visits(start);
  for (const [node, , depth] of walks.nodes('ancestors', visits)) depths.set(node, depth);
  return { depths, certain: visits.certain };
}

function nearestShared(
  walks: Walks,
  a: readonly number[],
  b: readonly number[],
  isShared: (node: number) => boolean,
  options: WalkOptions,
): number[] {
  const near = (start: readonly number[]) => frontier(walks, start, isShared, options);
  return nearest(walks, near(a), near(b), options);
}

/** What is shared and is met by a way over nothing else that is, or is the start itself. */
function frontier(
  walks: Walks,
  start: readonly number[],
  isShared: (node: number) => boolean,
  options: WalkOptions,
): Set<number> {
  const visits = new Visits(start, { isEnd: isShared, depths: false });
  for (const met of walks.nodes('ancestors', visits, options)) void met;
  return new Set([...visits.certain.keys(), ...visits.inferred.keys()].filter(isShared));
}

/** What is come to first from one side, and lies in a cycle with what is from the other; mostly it is that itself. */
function nearest(walks: Walks, nearA: ReadonlySet<number>, nearB: ReadonlySet<number>, options: WalkOptions): number[] {
  const both = [...nearA].filter((node) => nearB.has(node));
  // What is in a cycle with something leads to it. That is soon known, and all the steps that there are may be very many.
  const mayBeInCycle = (near: ReadonlySet<number>, other: ReadonlySet<number>) =>
    leads(walks, [...near].filter((node) => !other.has(node)), other, options); // prettier-ignore
  if (!mayBeInCycle(nearA, nearB) && !mayBeInCycle(nearB, nearA)) return both;
  const steps = new Map<number, number[]>([...nearA].map((node) => [node, []]));
  const onStep = (from: number, to: number) => {
    const of = steps.get(from);
    if (of) of.push(to);
    else steps.set(from, [to]);
  };
  for (const met of walks.nodes('ancestors', new Visits([...nearA], { onStep }), options)) void met;
  const components = componentsOf(steps);
  const entered = (near: ReadonlySet<number>) => new Set([...near].map((node) => components.get(node)));
  const [byA, byB] = [entered(nearA), entered(nearB)];
  return [...new Set([...nearA, ...nearB])].filter((node) => {
    const component = components.get(node);
    return component !== undefined && byA.has(component) && byB.has(component);
  });
}

/** Whether something comes from one of the others. */
function leads(walks: Walks, start: readonly number[], to: ReadonlySet<number>, options: WalkOptions): boolean {
  if (start.length === 0) return false;
  for (const [node] of walks.nodes('ancestors', new Visits(start, { depths: false }), options))
    if (to.has(node)) return true;
  return false;
}
