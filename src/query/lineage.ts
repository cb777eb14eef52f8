import { BraidError } from '../errors.js';
import type { Connection } from './connection.js';
import { conditionOf, filteredRecords, type FilteredBy, type RecordFilter } from './filter.js';
import type { Layout } from './layout.js';
import {
  RECORD_URIS,
  recordColumns,
  RecordRows,
  recordTags,
  VERSION_TAGS,
  VERSION_URIS,
  type RecordColumns,
  type RecordRow,
} from './rows.js';
import type { Direction } from '../lineage/steps.js';
import { versionKey } from '../record/version-key.js';
import { Visits } from '../lineage/visits.js';
import type { Selection, Walks } from '../lineage/walk.js';

/**
 * A node of a lineage: a record, or a version of a model. Time, URIs, tags, run and rank of a version are its own; its rank is
 * there if one rank alone has updated it. A model's row without a version is the model as it was made, before any update.
 */
export interface LineageRow extends RecordRow {
  /** Steps from what was asked about. */
  depth: number;
  /** `model@version`; undefined for a version of which no update is committed yet. */
  version?: number;
  step?: number;
  /** Of a version: names it to `reader.version`, and to lineage. */
  key?: string;
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

type RawNode = readonly [
  ...RecordColumns,
  inferred: number,
  depth: number,
  /** None where the node is a record; and no more columns where there are no versions at all. */
  attemptId?: number | null,
  number?: number | null,
  step?: number | null,
  rank?: number,
  ordinal?: number,
  onlyRank?: number | null,
];

/** Joins a row `w` with a node to its record `r` and, where it is one, its version `v`. */
const NODE_JOINS = `LEFT JOIN versions v ON w.node < 0 AND v.version_id = -w.node
  CROSS JOIN records r ON r.record_id = ifnull(v.model_id, w.node)`;

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
    return this.walks.rows(
      direction,
      new Visits(start, { known }),
      { depth, ever },
      this.#selection(filter, ever),
      this.#converter(),
    );
  }

  /** What an invalidation of the nodes of `start` would make invalid: those that are valid themselves, the nearest first. */
  *affected(start: readonly number[], cascade: boolean): IterableIterator<LineageRow> {
    const selection = this.#selection({});
    const where = `${selection.where} AND ${either('v.invalidation_id', 'r.invalidation_id')} IS NULL`;
    yield* this.#list(
      start.map((node) => [node, 0, false] as const),
      { ...selection, where },
    );
    if (!cascade) return;
    yield* this.walks.rows('descendants', new Visits(start), {}, { ...selection, where }, this.#converter());
  }

  /** These nodes, in their order, as far as there are such. */
  rows(
    nodes: Iterable<readonly [node: number, depth: number, inferred: boolean]>,
    filter: RecordFilter = {},
  ): IterableIterator<LineageRow> {
    return this.#list(nodes, this.#selection(filter));
  }

  #list(
    nodes: Iterable<readonly [node: number, depth: number, inferred: boolean]>,
    { columns, joins, where, values }: Selection,
  ): IterableIterator<LineageRow> {
    const list = JSON.stringify(Array.from(nodes, ([node, depth, inferred]) => [node, depth, inferred ? 1 : 0]));
    return this.connection.stream(
      `SELECT ${columns} FROM (
         SELECT key, value ->> 0 AS node, value ->> 1 AS depth, value ->> 2 AS inferred FROM json_each(@list)
       ) w ${joins} WHERE ${where} ORDER BY w.key`,
      [...values, { list }],
      this.#converter(),
    );
  }

  #selection(filter: RecordFilter, ever = false): Selection {
    const { layout } = this;
    if (ever || !layout.ours) {
      return {
        columns: `${recordColumns(layout)}, w.inferred, w.depth`,
        joins: 'CROSS JOIN records r ON r.record_id = w.node',
        ...conditionOf(filter, filteredRecords(layout)),
      };
    }
    return {
      columns: `r.record_id, ${layout.kind}, r.name, ifnull(v.time, r.time), ifnull(v.invalidation_id, r.invalidation_id),
        ${either(VERSION_URIS, RECORD_URIS)}, ${either(VERSION_TAGS, recordTags(layout))},
        w.inferred, w.depth, v.attempt_id, v.number, v.step, v.rank, v.ordinal,
        ${either('(SELECT CASE WHEN min(x.rank) = max(x.rank) THEN min(x.rank) END FROM updates x WHERE x.version_id = v.version_id)', 'NULL')}`,
      joins: NODE_JOINS,
      ...conditionOf(filter, filteredNodes(layout)),
    };
  }

  #converter(): (raw: RawNode) => LineageRow {
    const records = new RecordRows(this.connection, this.layout);
    return (raw) => {
      const row = records.row(raw) as LineageRow;
      row.depth = raw[8];
      if (raw[7] === 1) row.inferred = true;
      const attemptId = raw[9];
      if (typeof attemptId !== 'number') return row;
      const [number, step, rank, ordinal] = [raw[10], raw[11], raw[12]!, raw[13]!];
      const { run, attempt } = records.attempts.get(attemptId);
      row.run = run;
      row.rank = raw[14] ?? undefined;
      row.version = number ?? undefined;
      row.step = step ?? undefined;
      row.key = versionKey({ model: row.id, run, attempt, step: row.step, rank, ordinal });
      return row;
    };
  }
}

/** Of rows `r` of records and `v` of versions: what a version has of its own is asked of it, and the rest of its model. */
function filteredNodes(layout: Layout): FilteredBy {
  const record = filteredRecords(layout);
  return {
    kind: record.kind,
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

function checkDepth(depth: number | undefined): void {
  if (depth === undefined || (Number.isInteger(depth) && depth >= 0)) return;
  throw new BraidError('ERR_BRAID_FILTER_INVALID', `depth must be a whole number of steps, not ${String(depth)}`);
}
