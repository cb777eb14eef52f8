import { BraidError } from '../errors.js';
import type { Connection } from './connection.js';
import { conditionOf, filteredRecords, type FilteredBy, type RecordFilter } from './filter.js';
import type { Layout } from './layout.js';
import { NodeRows, VERSION_KIND, type RecordRow, type VersionFields } from './rows.js';
import type { Direction } from '../lineage/steps.js';
import { Visits } from '../lineage/visits.js';
import type { Met, Selection, Walks } from '../lineage/walk.js';

/**
 * A node of a lineage: a record, or a version of a model. Time, URIs, tags, run and rank of a version are its own; its rank is
 * there if one rank alone has updated it. A model's row without a version is the model as it was made, before any update.
 */
export interface LineageRow extends RecordRow, VersionFields {
  /** Steps from what was asked about. */
  depth: number;
  /** There is no way to it but over a version that may be meant and isn't known to be. */
  inferred?: boolean;
}

/** The filters say which nodes are given; the way may lead over others. */
export interface LineageOptions extends RecordFilter {
  /** Not further than so many steps. */
  depth?: number;
  /** The plain closure of all derivations ever, whatever had been seen when. */
  ever?: boolean;
}

/** Joins a row `w` with a node to its record `r`, if that is committed, and, where it is one, its version `v`. */
const NODE_JOINS = `LEFT JOIN versions v ON w.node < 0 AND v.version_id = -w.node
  LEFT JOIN records r ON r.record_id = ifnull(v.model_id, w.node)`;

/** Makes the rows of nodes. */
export class Nodes {
  constructor(
    private readonly connection: Connection,
    private readonly layout: Layout,
    private readonly walks: Walks,
  ) {}

  /**
   * All that is met on the way from `start`.
   *
   * @param known nodes that are left out, with all that comes behind them.
   */
  lineage(
    direction: Direction,
    start: readonly number[],
    options: LineageOptions,
    known?: ReadonlySet<number>,
  ): IterableIterator<LineageRow> {
    const { depth, ever, ...filter } = options;
    checkDepth(depth);
    const selection = this.#selection(filter, ever);
    return this.rows(this.walks.nodes(direction, new Visits(start, { known }), { depth, ever }, selection));
  }

  /** What an invalidation of the nodes of `start` would make invalid: those that are valid themselves, the nearest first. */
  *affected(start: readonly number[], cascade: boolean): IterableIterator<LineageRow> {
    const where = `${either('v.invalidation_id', 'r.invalidation_id')} IS NULL`;
    const selection: Selection = { joins: NODE_JOINS, where, values: [] };
    const own = this.connection.all<{ node: number }>(
      `SELECT w.node FROM (SELECT key, value AS node FROM json_each(?)) w ${NODE_JOINS} WHERE ${where} ORDER BY w.key`,
      JSON.stringify(start),
    );
    yield* this.rows(own.map(({ node }) => [node, 0, 0]));
    if (cascade) yield* this.rows(this.walks.nodes('descendants', new Visits(start), {}, selection));
  }

  /** These nodes, in their order, as far as there are such. */
  rows(nodes: Iterable<Met>): IterableIterator<LineageRow> {
    return new NodeRows(this.connection, this.layout).complete(nodes, (row, [, inferred, depth]) => {
      const node = row as LineageRow;
      node.depth = depth;
      if (inferred === 1) node.inferred = true;
      return node;
    });
  }

  #selection(filter: RecordFilter, ever = false): Selection | undefined {
    const { layout } = this;
    const plain = ever || !layout.ours;
    const { where, values } = conditionOf(filter, plain ? filteredRecords(layout) : filteredNodes(layout));
    if (where === 'true') return undefined;
    return { joins: plain ? 'CROSS JOIN records r ON r.record_id = w.node' : NODE_JOINS, where, values };
  }
}

/** What stands for a record that something refers to, and that is not committed. */
export function missingRow(id: number, depth: number): LineageRow {
  return { id, kind: 'record', name: '', time: new Date(NaN), uris: [], tags: {}, valid: true, depth };
}

/** Of rows `r` of records and `v` of versions: what a version has of its own is asked of it, and the rest of its model. */
function filteredNodes(layout: Layout): FilteredBy {
  const record = filteredRecords(layout);
  return {
    kind: either(VERSION_KIND, record.kind),
    boolean: record.boolean,
    time: either('ifnull(v.time, r.time)', record.time),
    run: either(
      '(SELECT u.uuid FROM attempts a JOIN runs u USING (run_id) WHERE a.attempt_id = v.attempt_id)',
      record.run,
    ),
    ofRank: `? IN (SELECT x.rank FROM updates x WHERE x.version_id = v.version_id UNION ALL SELECT ${layout.rank} WHERE v.version_id IS NULL)`,
    hasTag: (condition) =>
      `EXISTS (SELECT 1 FROM (
        SELECT key, value, tag_type, boolean FROM version_tags WHERE version_id = v.version_id
        UNION ALL SELECT key, value, tag_type, boolean FROM tags WHERE v.version_id IS NULL AND record_id = r.record_id
      ) t WHERE ${condition})`,
  };
}

/** An expression of a version where there is one, and another where the node is a record. */
function either(version: string, record: string): string {
  return `CASE WHEN v.version_id IS NULL THEN ${record} ELSE ${version} END`;
}

/** @throws BraidError ERR_BRAID_FILTER_INVALID */
export function checkDepth(depth: number | undefined): void {
  if (depth === undefined || (Number.isInteger(depth) && depth >= 0)) return;
  throw new BraidError('ERR_BRAID_FILTER_INVALID', `depth must be a whole number of steps, not ${String(depth)}`);
}
