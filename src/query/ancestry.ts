import { KINDS, type Kind } from '../frame/format.js';
import { versionKey } from '../record/version-key.js';
import { Attempts } from './attempts.js';
import { columnsQuery, type Connection, type Table } from './connection.js';
import type { Layout } from './layout.js';
import { RECORD_INVALIDATION, VERSION_INVALIDATION, VERSION_KIND } from './rows.js';
import { Visits } from '../lineage/visits.js';
import type { Walks } from '../lineage/walk.js';

/** What a statement needs to know of each node that its subject comes from, and of itself. */
export interface AncestryNode {
  /** The record, or the model of the version. */
  readonly id: number;
  readonly version?: AncestryVersion;
  readonly kind: Kind;
  readonly invalidation?: string;
  /** Which attempt has made it, by its row; undefined for what none of ours has. */
  readonly attempt?: number;
  /** Of a record: whether it is derived from nothing. */
  readonly isRoot: boolean;
  readonly inferred: boolean;
}

/** What a key is made of, but for the model. */
export interface AncestryVersion {
  readonly run: string;
  readonly attempt: number;
  readonly step?: number;
  readonly rank: number;
  readonly ordinal: number;
  /** Whether no update of it is committed yet. */
  readonly isUnmade: boolean;
}

/** What is read of some nodes; the last columns of versions only. */
type RawNodes = readonly [...RawRecords, ...(RawVersions | [])];
type RawRecords = [
  nodes: number[],
  ids: number[],
  kinds: number[],
  invalidations: (string | null)[],
  areRoots: number[],
];
type RawVersions = [attempts: number[], numbers: (number | null)[], steps: (number | null)[], ranks: number[], ordinals: number[]]; // prettier-ignore

/** How many are asked about at once, by one statement. */
const BATCH = 4096;

/** What a record, or a version, comes from: by one walk, and a statement for each of some thousands of nodes. */
export class Ancestry {
  /** The subject first; of the versions of a model, the newest first. */
  readonly all: (readonly [node: number, known: AncestryNode])[] = [];
  /** The same by node. */
  readonly nodes: ReadonlyMap<number, AncestryNode>;
  /** Ids that are named as sources, and of which no record is committed. */
  readonly dangling: number[] = [];
  /** One step from the subject. */
  readonly direct: number[] = [];

  constructor(
    private readonly connection: Connection,
    private readonly layout: Layout,
    walks: Walks,
    readonly start: readonly number[],
  ) {
    const inferred = new Set<number>();
    const met = [...start];
    for (const [node] of walks.nodes('ancestors', new Visits(start), { depth: 1 })) this.direct.push(node);
    for (const [node, isInferred] of walks.nodes('ancestors', new Visits(start, { depths: false }))) {
      met.push(node);
      if (isInferred === 1) inferred.add(node);
    }
    this.nodes = this.#describe(met, inferred);
    for (const node of met) {
      const known = this.nodes.get(node);
      if (known) this.all.push([node, known]);
      else if (node > 0) this.dangling.push(node);
    }
  }

  /** A record by its id, a version by its key. */
  name(node: number): number | string {
    const known = this.nodes.get(node);
    return known?.version ? versionKey({ model: known.id, ...known.version }) : node;
  }

  /** The columns of a table of some of the nodes, which are in `batch (node)`: of some thousands of them at a time. */
  *columns<Found>(nodes: readonly number[], table: Table): IterableIterator<Found> {
    const query = columnsQuery([table], 'batch (node) AS (SELECT value FROM json_each(?))');
    for (let at = 0; at < nodes.length; at += BATCH) {
      const list = JSON.stringify(nodes.slice(at, at + BATCH));
      const [found] = this.connection.columns(query, list, Infinity)!;
      yield found as Found;
    }
  }

  #describe(met: readonly number[], inferred: ReadonlySet<number>): Map<number, AncestryNode> {
    const { kind, ours } = this.layout;
    const attempts = ours ? new Attempts(this.connection) : undefined;
    const described = new Map<number, AncestryNode>();
    const records = {
      columns: [
        ...['r.record_id', 'r.record_id', kind, RECORD_INVALIDATION],
        'NOT EXISTS (SELECT 1 FROM derivations d WHERE d.derivation = r.record_id)',
      ],
      from: 'records r WHERE r.record_id IN (SELECT node FROM batch)',
    };
    const versions = {
      columns: [
        ...['-v.version_id', 'v.model_id', VERSION_KIND, VERSION_INVALIDATION, '0'],
        ...['v.attempt_id', 'v.number', 'v.step', 'v.rank', 'v.ordinal'],
      ],
      from: 'versions v LEFT JOIN records r ON r.record_id = v.model_id WHERE v.version_id IN (SELECT -node FROM batch)',
    };
    for (const [wanted, table] of [
      [met.filter((node) => node > 0), records],
      [met.filter((node) => node < 0), versions],
    ] as const) {
      for (const columns of this.columns<RawNodes>(wanted, table)) {
        columns[0].forEach((node, i) => described.set(node, nodeAt(columns, i, inferred.has(node), attempts)));
      }
    }
    return described;
  }
}

function nodeAt(
  [, ids, kinds, invalidations, areRoots, ...ofVersions]: RawNodes,
  i: number,
  inferred: boolean,
  attempts: Attempts | undefined,
): AncestryNode {
  const id = ids[i];
  const kind = KINDS[kinds[i]] ?? 'record';
  const invalidation = invalidations[i] ?? undefined;
  const isRoot = areRoots[i] === 1;
  if (ofVersions.length === 0) return { id, kind, invalidation, isRoot, inferred, attempt: attempts?.of(id)?.id };
  const [attemptIds, numbers, steps, ranks, ordinals] = ofVersions;
  const attempt = attemptIds[i];
  const { run, attempt: ofRun } = attempts!.get(attempt);
  const version: AncestryVersion = {
    run,
    attempt: ofRun,
    step: steps[i] ?? undefined,
    rank: ranks[i],
    ordinal: ordinals[i],
    isUnmade: numbers[i] === null,
  };
  return { id, kind, invalidation, isRoot, inferred, attempt, version };
}

/** What the versions among some nodes were exposed to: each source once, and how often all were. */
export interface Training {
  readonly updates: number;
  readonly exposures: number;
  readonly sources: readonly number[];
}

export function training(ancestry: Ancestry, versions: readonly number[]): Training {
  const sources = new Set<number>();
  const updates = new Set<number>();
  let exposures = 0;
  const columns = ['u.update_id', 'ifnull(-e.version_id, e.source_id)'];
  const from = 'updates u CROSS JOIN exposures e USING (update_id) WHERE u.version_id IN (SELECT -node FROM batch)';
  for (const [of, to] of ancestry.columns<[updates: number[], sources: number[]]>(versions, { columns, from })) {
    for (const update of of) updates.add(update);
    for (const source of to) sources.add(source);
    exposures += to.length;
  }
  return { updates: updates.size, exposures, sources: [...sources] };
}
