import { groupBy } from '../../group-by.js';
import { invalid, shown } from './parse-json.js';
import type { ImportedDocument, ImportedNode, ImportedRelation } from './read.js';
import { NAMESPACES, type StatementKind } from './terms.js';

/**
 * By which of their arguments the first comes from others. PROV calls all of these influence; what it says of the time after
 * (an end, an invalidation), or of two names for one thing, is none.
 */
const DEPENDS: Partial<Record<StatementKind, readonly number[]>> = {
  wasGeneratedBy: [1],
  used: [1],
  wasInformedBy: [1],
  wasStartedBy: [1, 2],
  wasDerivedFrom: [1, 2],
  wasAttributedTo: [1],
  wasAssociatedWith: [1, 2],
  actedOnBehalfOf: [1],
  wasInfluencedBy: [1],
  specializationOf: [1],
  mentionOf: [1],
  hadMember: [1],
};

/** Of which PROV says that the one is there before the other. An activity may use what it makes. */
const ORDERED: ReadonlySet<StatementKind> = new Set(['wasDerivedFrom', 'specializationOf', 'mentionOf']);

/** Records of an export of ours, by their kinds. */
const RECORDS = ['Record', 'Fact', 'Data', 'Model'];

/** What an export of ours says of runs, updates and invalidations: none of it is a record. */
const ABOUT = [
  'Run',
  'RankRun',
  'Rank',
  'User',
  'Recorded',
  'ModelUpdate',
  'Invalidation',
  'InvalidationAction',
  'ActionRun',
];

export interface PlannedRecord {
  readonly node: ImportedNode;
  readonly kind: 'fact' | 'data' | 'model';
  /** As of an export of ours: its time, and nothing else. */
  readonly generated?: string;
  readonly relations: readonly ImportedRelation[];
}

export interface PlannedVersion {
  readonly node: ImportedNode;
  readonly model: ImportedNode;
  readonly time?: string;
  /** What it was exposed to, and the versions that it goes on from. */
  readonly exposures: readonly PlannedDerivation[];
  readonly revisions: readonly ImportedNode[];
}

export interface PlannedDerivation {
  readonly derived: ImportedNode;
  readonly source: ImportedNode;
  /** Of whichever version of its source. */
  readonly anyVersion: boolean;
  readonly time?: string;
}

export interface PlannedInvalidation {
  readonly node: ImportedNode;
  /** A record, or a version. */
  readonly of: ImportedNode;
  readonly cascade: boolean;
}

/** What becomes of a document. */
export interface Plan {
  readonly records: readonly PlannedRecord[];
  readonly versions: readonly PlannedVersion[];
  readonly derivations: readonly PlannedDerivation[];
  readonly invalidations: readonly PlannedInvalidation[];
}

/** Whether a node is said to be of one of our types. */
export function isOurs(node: ImportedNode, type: string): boolean {
  return attributeOf(node, 'prov', 'type').some(({ iri }) => iri === NAMESPACES.braid + type);
}

/** Whether a node is a record of an export of ours. */
export function isOwnRecord(node: ImportedNode): boolean {
  return RECORDS.some((type) => isOurs(node, type));
}

/** The values of an attribute. */
export function attributeOf(
  { attributes }: Pick<ImportedNode | ImportedRelation, 'attributes'>,
  namespace: keyof typeof NAMESPACES,
  name: string,
) {
  return attributes.filter(({ iri }) => iri === NAMESPACES[namespace] + name).map(({ value }) => value);
}

/**
 * Decides what the nodes of a document become, and what derives from what.
 *
 * @throws BraidError ERR_BRAID_IMPORT_INVALID for what is derived from itself
 */
export function planOf({ nodes, relations }: ImportedDocument, name: string): Plan {
  const about = new Set(nodes.filter((node) => ABOUT.some((type) => isOurs(node, type))));
  const modelOf = modelsOf(relations);
  const isNode = (node: ImportedNode | string | undefined): node is ImportedNode =>
    typeof node === 'object' && !about.has(node);
  const derivations: PlannedDerivation[] = [];
  for (const relation of relations) {
    const [derived] = relation.args;
    if (!isNode(derived) || (relation.kind === 'specializationOf' && modelOf.has(derived))) continue;
    for (const argument of DEPENDS[relation.kind] ?? []) {
      const source = relation.args[argument];
      if (!isNode(source)) continue;
      if (source === derived && !isOwnRecord(derived)) {
        if (ORDERED.has(relation.kind)) {
          throw invalid(name, `${relation.place}: ${shown(source.name)} can't come from itself`);
        }
        continue;
      }
      derivations.push({
        derived,
        source,
        anyVersion: attributeOf(relation, 'braid', 'anyVersion').some(({ text }) => text === 'true'),
        time: attributeOf(relation, 'braid', 'time')[0]?.text,
      });
    }
  }
  checkCycles(relations, (node) => modelOf.has(node) || isOwnRecord(node), name);
  const derived = groupBy(derivations, (each) => each.derived);
  const said = groupBy(relations, ({ args }) => args[0] as ImportedNode);
  const timeOf = (node: ImportedNode) =>
    (said.get(node) ?? []).find(({ kind, args }) => kind === 'wasGeneratedBy' && args[2] !== undefined)?.args[2] as
      string | undefined;
  return {
    records: nodes
      .filter((node) => !about.has(node) && !modelOf.has(node))
      .map((node) => ({
        node,
        kind: kindOf(node, derived.get(node) ?? []),
        generated: timeOf(node),
        relations: (said.get(node) ?? []).filter(
          ({ args }) => !args.some((arg) => typeof arg === 'object' && about.has(arg)),
        ),
      })),
    versions: [...modelOf].map(([node, model]) => ({
      node,
      model,
      time: timeOf(node),
      exposures: (derived.get(node) ?? []).filter(({ source }) => modelOf.get(source) !== model),
      revisions: [
        ...new Set(
          (derived.get(node) ?? []).map(({ source }) => source).filter((source) => modelOf.get(source) === model),
        ),
      ],
    })),
    derivations: derivations.filter((each) => !modelOf.has(each.derived)),
    invalidations: invalidationsOf(nodes, relations, about),
  };
}

/**
 * What somebody has said, and nobody has taken back: what is invalid for it follows. Where what that was said of is not in the
 * document, as in that of one run, what is invalid for it is so alone.
 */
function invalidationsOf(
  nodes: readonly ImportedNode[],
  relations: readonly ImportedRelation[],
  about: ReadonlySet<ImportedNode>,
): PlannedInvalidation[] {
  const byIri = new Map(nodes.map((node) => [node.iri, node]));
  const named = (node: ImportedNode, name: string) =>
    attributeOf(node, 'braid', name).flatMap(({ iri }) => byIri.get(iri ?? '') ?? []);
  const targets = (node: ImportedNode) => named(node, 'of').filter((each) => !about.has(each));
  const rootOf = (node: ImportedNode) => {
    const way = new Set([node]);
    for (const each of way) for (const root of named(each, 'rootInvalidation')) way.add(root);
    return [...way].at(-1)!;
  };
  const invalid = groupBy(
    relations.filter(({ kind, args }) => kind === 'wasInvalidatedBy' && typeof args[1] === 'object'),
    ({ args }) => args[1] as ImportedNode,
  );
  return [...about]
    .filter((node) => isOurs(node, 'Invalidation'))
    .flatMap((node): PlannedInvalidation[] => {
      if (attributeOf(node, 'braid', 'revalidatedAtTime').length > 0) return [];
      if (attributeOf(node, 'braid', 'of').length > 0) {
        const cascade = attributeOf(node, 'braid', 'cascade').some(({ text }) => text === 'true');
        return targets(node).map((of) => ({ node, of, cascade }));
      }
      const root = rootOf(node);
      if (root !== node && targets(root).length > 0) return [];
      return (invalid.get(node) ?? []).map(({ args }) => ({ node, of: args[0] as ImportedNode, cascade: false }));
    });
}

/** Versions of an export of ours, and their models. */
function modelsOf(relations: readonly ImportedRelation[]): Map<ImportedNode, ImportedNode> {
  const models = new Map<ImportedNode, ImportedNode>();
  for (const { kind, args } of relations) {
    const [version, model] = args as ImportedNode[];
    if (kind === 'specializationOf' && model && isOurs(version, 'ModelVersion') && isOurs(model, 'Model')) {
      models.set(version, model);
    }
  }
  return models;
}

function kindOf(node: ImportedNode, derivations: readonly PlannedDerivation[]): PlannedRecord['kind'] {
  // What derives from itself went on learning.
  if (isOurs(node, 'Model') || derivations.some(({ source }) => source === node)) return 'model';
  if (isOurs(node, 'Data')) return 'data';
  return derivations.length > 0 || node.is.has('activity') ? 'data' : 'fact';
}

/**
 * What is derived from itself, or a special case of itself, by however many steps, no entity can be. Records of ours may: models
 * go on learning, and Braid-DB has no versions that tell one from the next.
 */
function checkCycles(
  relations: readonly ImportedRelation[],
  mayBe: (node: ImportedNode) => boolean,
  name: string,
): void {
  const sources = new Map<ImportedNode, ImportedNode[]>();
  for (const { kind, args } of relations) {
    const [derived, source] = args as ImportedNode[];
    if (!ORDERED.has(kind) || !source || mayBe(derived) || mayBe(source)) continue;
    const list = sources.get(derived);
    if (list) list.push(source);
    else sources.set(derived, [source]);
  }
  const done = new Set<ImportedNode>();
  for (const start of sources.keys()) {
    // A way down, with what is left to be tried of each node on it.
    const way: { node: ImportedNode; rest: ImportedNode[] }[] = [];
    const onWay = new Set<ImportedNode>();
    const enter = (node: ImportedNode) => {
      way.push({ node, rest: [...(sources.get(node) ?? [])] });
      onWay.add(node);
    };
    if (!done.has(start)) enter(start);
    while (way.length > 0) {
      const { node, rest } = way.at(-1)!;
      const next = rest.pop();
      if (next === undefined) {
        way.pop();
        onWay.delete(node);
        done.add(node);
      } else if (onWay.has(next)) {
        const cycle = way.slice(way.findIndex((each) => each.node === next)).map((each) => shown(each.node.name));
        const some = cycle.length > 6 ? [...cycle.slice(0, 5), '…'] : cycle;
        throw invalid(
          name,
          `a cycle, which no derivation or specialization can be: ${[...some, shown(next.name)].join(' from ')}`,
        );
      } else if (!done.has(next)) {
        enter(next);
      }
    }
  }
}
