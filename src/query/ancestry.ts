import { KINDS, type Kind } from '../frame/format.js';
import { versionKey } from '../record/version-key.js';
import { Attempts } from './attempts.js';
import type { Connection } from './connection.js';
import type { Layout } from './layout.js';
import { RECORD_INVALIDATION, VERSION_INVALIDATION } from './rows.js';
import { Visits } from '../lineage/visits.js';
import type { Walks } from '../lineage/walk.js';

/** What a statement needs to know of each node that its subject comes from, and of itself. */
export interface AncestryNode {
  /** The record, or the model of the version. */
  readonly id: number;
  /** Of a version. */
  readonly key?: string;
  readonly number?: number;
  readonly kind: Kind;
  readonly invalidation?: string;
  /** Which attempt has made it, by its row; undefined for what none of ours has. */
  readonly attempt?: number;
  /** Of a record: whether it is derived from nothing. */
  readonly isRoot: boolean;
  readonly inferred: boolean;
}

type RawNode = readonly [node: number, id: number, kind: number, invalidation: string | null, isRoot: number, attempt?: number, number?: number | null, step?: number | null, rank?: number, ordinal?: number]; // prettier-ignore

/** How many are asked about at once, by one statement. */
const BATCH = 4096;

/** What a record, or a version, comes from: by one walk, and a statement for each of some thousands of nodes. */
export class Ancestry {
  /** The subject first, then the nearest first. */
  readonly nodes = new Map<number, AncestryNode>();
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
    for (const [node, isInferred, depth] of walks.nodes('ancestors', new Visits(start))) {
      met.push(node);
      if (isInferred === 1) inferred.add(node);
      if (depth === 1) this.direct.push(node);
    }
    this.#describe(met, inferred);
  }

  /** The rows that a query finds for some of the nodes: it has `?`, a JSON array of them, once. */
  query<Raw>(nodes: readonly number[], columns: string, from: string): Raw[] {
    const rows: Raw[] = [];
    for (let at = 0; at < nodes.length; at += BATCH) {
      const list = JSON.stringify(nodes.slice(at, at + BATCH));
      for (const row of this.connection.packed<Raw>(columns, from, list, Infinity)!) rows.push(row);
    }
    return rows;
  }

  #describe(met: readonly number[], inferred: ReadonlySet<number>): void {
    const { layout } = this;
    const attempts = layout.ours ? new Attempts(this.connection) : undefined;
    const records = this.query<RawNode>(
      met.filter((node) => node > 0),
      `r.record_id, r.record_id, ${layout.kind}, ${RECORD_INVALIDATION},
        NOT EXISTS (SELECT 1 FROM derivations d WHERE d.derivation = r.record_id)`,
      'records r WHERE r.record_id IN (SELECT value FROM json_each(?))',
    );
    const versions = this.query<RawNode>(
      met.filter((node) => node < 0),
      `-v.version_id, v.model_id, ${layout.kind}, ${VERSION_INVALIDATION}, 0, v.attempt_id, v.number, v.step, v.rank, v.ordinal`,
      'versions v CROSS JOIN records r ON r.record_id = v.model_id WHERE v.version_id IN (SELECT -value FROM json_each(?))',
    );
    const raws = new Map([...records, ...versions].map((raw) => [raw[0], raw]));
    for (const node of met) {
      const raw = raws.get(node);
      if (!raw) {
        if (node > 0) this.dangling.push(node);
        continue;
      }
      const [, id, kind, invalidation, isRoot, attempt, number, step, rank, ordinal] = raw;
      const version =
        attempt === undefined
          ? { attempt: attempts?.of(id)?.id }
          : {
              attempt,
              number: number ?? undefined,
              key: versionKey({ model: id, ...attempts!.get(attempt), step: step ?? undefined, rank, ordinal }),
            };
      this.nodes.set(node, {
        id,
        kind: KINDS[kind] ?? 'record',
        invalidation: invalidation ?? undefined,
        isRoot: isRoot === 1,
        inferred: inferred.has(node),
        ...version,
      });
    }
  }
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
  const rows = ancestry.query<readonly [update: number, source: number]>(
    versions,
    'u.update_id, ifnull(-e.version_id, e.source_id)',
    `updates u CROSS JOIN exposures e USING (update_id) WHERE u.version_id IN (SELECT -value FROM json_each(?))`,
  );
  for (const [update, source] of rows) {
    updates.add(update);
    sources.add(source);
  }
  return { updates: updates.size, exposures: rows.length, sources: [...sources] };
}
