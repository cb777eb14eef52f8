import { existsSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { BraidError } from '../errors.js';
import type { Tags } from '../record/tags.js';
import { ensureSchema } from '../store/schema.js';
import { openSqlite } from '../store/sqlite.js';
import { explainSqliteError } from '../store/sqlite-error.js';
import { Connection } from './connection.js';
import { common, walk, why, type CommonRow, type Why } from './dependence.js';
import { conditionOf, filteredRecords, type RecordFilter } from './filter.js';
import { findRecord } from './find.js';
import { checkGraphOptions, graphOf, type GraphOptions, type LineageGraph } from './graph.js';
import {
  braidDbInvalidations,
  invalidationRows,
  invalidationsOf,
  whyInvalid,
  type InvalidationHistory,
  type WhyInvalid,
} from './invalidations.js';
import { braidDbUuid } from './braid-db-uuid.js';
import { layoutOf, type Layout } from './layout.js';
import { Nodes, type LineageOptions, type LineageRow } from './lineage.js';
import { openReadOnly } from './open.js';
import { idsByOrigin, mergedDatabases, namesOf, originsOf, type RecordOrigin } from './origins.js';
import { asOf, checkId, nodeOf, resolveNode, startOf, type NodeName, type ResolvedNode } from './resolve.js';
import { NodeRows, type NodeRow, type RecordRow } from './rows.js';
import { runRows, type RunRow } from './runs.js';
import { searchSelect, type SearchOptions } from './search.js';
import { ofTags, parseSearch, type Expression } from './search-expression.js';
import { databaseUuid, statement, type Statement, type StatementOptions } from './statement.js';
import type { Direction } from '../lineage/steps.js';
import { Visits } from '../lineage/visits.js';
import type { VersionOf } from './version-names.js';
import { Versions, type VersionRow } from './versions.js';
import { Walks } from '../lineage/walk.js';

export type { CommonRow, Why, WhyStep } from './dependence.js';
export type { RecordFilter } from './filter.js';
export type { GraphEdge, GraphFold, GraphNode, GraphOptions, LineageGraph } from './graph.js';
export type { ActionRunRow, InvalidationHistory, InvalidationRow, WhyInvalid } from './invalidations.js';
export type { LineageOptions, LineageRow } from './lineage.js';
export type { RecordOrigin } from './origins.js';
export type { NodeName } from './resolve.js';
export type { NodeRow, RecordRow } from './rows.js';
export type { RunRow } from './runs.js';
export { checkStatement, type CheckedSentence, type StatementCheck } from './check-statement.js';
export type { Statement, StatementOptions } from './statement.js';
export type { Sentence, Topic } from './statement-composer.js';
export { statementMarkdown, statementText } from './statement-text.js';
export type { Relation } from '../lineage/steps.js';
export type { VersionOf } from './version-names.js';
export type { ExposureRow, VersionName, VersionRow } from './versions.js';

/** What a version, or any node, has seen that another had not. */
export interface Difference {
  /**
   * Of those that were asked about, the one that the other comes from. Where neither does, the one of the lower number, if they
   * are versions of one model, or else the older one.
   */
  earlier: LineageRow;
  later: LineageRow;
  /** What the later one comes from and the earlier one doesn't, the nearest to the later one first. */
  rows: IterableIterator<LineageRow>;
  /** There if they have diverged, and neither comes from the other: the reverse, the nearest to the earlier one first. */
  earlierRows?: IterableIterator<LineageRow>;
}

/** @internal */
interface ReaderOptions {
  /** Called before every read. */
  before?: () => void;
}

/**
 * Reads a database of ours, or one that Braid-DB has made; while somebody writes it, too. Results that can be large come
 * as iterators, and the connection can do nothing else but read while one is under way.
 */
export class BraidReader {
  readonly path: string;
  /** @internal */
  readonly layout: Layout;
  /** @internal */
  readonly versionTable: Versions;
  /** @internal Whether it reads nothing, and so knows none of the names that a program has. */
  isOff = false;
  readonly #connection: Connection;
  readonly #walks: Walks;
  readonly #nodes: Nodes;

  private constructor(db: Database.Database, before: () => void) {
    this.path = db.name;
    this.layout = layoutOf(db);
    this.#connection = new Connection(db, before);
    this.#walks = new Walks(this.#connection, this.layout);
    this.#nodes = new Nodes(this.#connection, this.layout, this.#walks);
    this.versionTable = new Versions(this.#connection, this.layout);
  }

  /**
   * Opens a database for reading.
   *
   * @throws BraidError ERR_BRAID_DB_NOT_FOUND, ERR_BRAID_DB_IS_DIRECTORY, ERR_BRAID_DB_NOT_SQLITE, ERR_BRAID_DB_UNSETTLED, ERR_BRAID_DB_EMPTY, ERR_BRAID_DB_FOREIGN, ERR_BRAID_DB_NEWER
   */
  static open(path: string, { before = () => {} }: ReaderOptions = {}): BraidReader {
    const db = openReadOnly(path);
    try {
      return new BraidReader(db, before);
    } catch (error) {
      db.close();
      throw explainSqliteError(error, path);
    }
  }

  /** @internal A reader of nothing, for BRAID=off. */
  static empty(): BraidReader {
    const db = openSqlite(':memory:');
    ensureSchema(db);
    const reader = new BraidReader(db, () => {});
    reader.isOff = true;
    return reader;
  }

  /**
   * A record by its id; undefined if there is none (or none yet).
   *
   * @throws BraidError ERR_BRAID_ID_INVALID, ERR_BRAID_CLOSED, as all that reads
   */
  record(id: number): RecordRow | undefined {
    this.#checkId(id);
    const [row] = new NodeRows(this.#connection, this.layout, id).of([id]);
    return row;
  }

  /**
   * Records in the order of their ids. All filters that are given must hold.
   *
   * @throws BraidError ERR_BRAID_FILTER_INVALID
   */
  records(filter: RecordFilter = {}): IterableIterator<RecordRow> {
    const { where, values } = conditionOf(filter, filteredRecords(this.layout));
    return this.#records(`WHERE ${where} ORDER BY r.record_id`, values);
  }

  /**
   * Records, and versions of models, for which an expression holds, such as `kind=version and loss<0.05`: in the order of
   * their ids, and versions after their model, by number. docs/search.md has all that can be written.
   *
   * @throws BraidError ERR_BRAID_SEARCH_INVALID (of what can't be read a `BraidSearchError`, which points at the place), ERR_BRAID_OPTION_INVALID
   */
  search(expression: string, options: SearchOptions = {}): IterableIterator<NodeRow> {
    if (typeof expression !== 'string') {
      throw new BraidError('ERR_BRAID_SEARCH_INVALID', `an expression is text, such as 'kind=data and loss<0.05', not ${typeof expression}`); // prettier-ignore
    }
    return this.#search(parseSearch(expression), options);
  }

  /**
   * What a record is directly derived from, ever.
   *
   * @throws BraidError ERR_BRAID_ID_INVALID
   */
  sources(id: number): RecordRow[] {
    this.#checkId(id);
    const joined = 'JOIN derivations d ON r.record_id = d.record_id WHERE d.derivation = ? ORDER BY r.record_id';
    return [...this.#records(joined, [id])];
  }

  /**
   * What is directly derived from a record, ever.
   *
   * @throws BraidError ERR_BRAID_ID_INVALID
   */
  derived(id: number): RecordRow[] {
    this.#checkId(id);
    const joined = 'JOIN derivations d ON r.record_id = d.derivation WHERE d.record_id = ? ORDER BY r.record_id';
    return [...this.#records(joined, [id])];
  }

  /**
   * All that a record or a version comes from: what is certain, the nearest first, then what may be, the nearest first. Each
   * once, and cycles end where they began. What a model learnt after a version is no ancestor of what that version made,
   * unless `ever` is asked for.
   *
   * @param node a record's id, or a name of it or of a version; a model without a version is all that it has ever learnt.
   * @throws BraidError ERR_BRAID_FILTER_INVALID, ERR_BRAID_ID_INVALID, ERR_BRAID_NO_SUCH_RECORD, ERR_BRAID_RECORD_AMBIGUOUS, ERR_BRAID_NO_SUCH_VERSION, ERR_BRAID_VERSION_AMBIGUOUS, ERR_BRAID_VERSION_INVALID
   */
  ancestors(node: NodeName, options: LineageOptions = {}): IterableIterator<LineageRow> {
    return this.#lineage('ancestors', node, options);
  }

  /**
   * All that has come from a record or a version: that of which it is an ancestor.
   *
   * @throws BraidError as `ancestors`
   */
  descendants(node: NodeName, options: LineageOptions = {}): IterableIterator<LineageRow> {
    return this.#lineage('descendants', node, options);
  }

  /**
   * Why one thing depends on another: one shortest chain of evidence between them, and over nothing inferred where there is
   * such. Undefined if neither comes from the other.
   *
   * @throws BraidError as `ancestors`
   */
  why(a: NodeName, b: NodeName): Why | undefined {
    return why(this.#walks, this.#nodes, this.#start(a), this.#start(b));
  }

  /**
   * What two things both depend on: the nearest of their shared ancestors, from which each comes by a way over no other
   * shared one. One of the two, if the other comes from it. Where such is only inferred to be shared, the nearest of what certainly
   * is, too.
   *
   * @throws BraidError as `ancestors`
   */
  common(a: NodeName, b: NodeName): CommonRow[] {
    return common(this.#walks, this.#nodes, this.#start(a), this.#start(b));
  }

  /**
   * What the later of two versions, or records, has seen that the earlier one had not; and the reverse, where they have diverged.
   *
   * @throws BraidError as `ancestors`
   */
  diff(a: NodeName, b: NodeName): Difference {
    const [first, second] = [a, b].map((node) => {
      const resolved = resolveNode(this, node);
      const start = startOf(resolved, this.versionTable);
      return { row: this.#row(resolved), start, known: walk(this.#walks, start) };
    });
    const comesFrom = ({ known }: typeof first, { start }: typeof first) => start.every((node) => known.has(node));
    const diverged = !comesFrom(first, second) && !comesFrom(second, first);
    const swapped = diverged ? isBefore(second.row, first.row) : comesFrom(first, second);
    const [earlier, later] = swapped ? [second, first] : [first, second];
    const seen = ({ start }: typeof first, { known }: typeof first) =>
      this.#nodes.lineage('ancestors', start, {}, known);
    return {
      earlier: earlier.row,
      later: later.row,
      rows: seen(later, earlier),
      ...(diverged ? { earlierRows: seen(earlier, later) } : {}),
    };
  }

  /**
   * What a record or a version comes from, what has come of it, or both, as a graph: nodes, and all edges between them. For
   * programs, and for `foldGraph` and `renderGraph`.
   *
   * @throws BraidError as `ancestors`, and ERR_BRAID_OPTION_INVALID, ERR_BRAID_GRAPH_TOO_LARGE
   */
  graph(node: NodeName, options: GraphOptions = {}): LineageGraph {
    checkGraphOptions(options);
    const named = resolveNode(this, node);
    const resolved = options.asOf === undefined ? named : asOf(this, named, options.asOf);
    this.#row(resolved);
    const start = options.ever ? [resolved.record] : startOf(resolved, this.versionTable);
    return graphOf(this.#walks, this.#nodes, start, options);
  }

  /**
   * The row that a record, or a version, has in a lineage.
   *
   * @throws BraidError as `ancestors`, and ERR_BRAID_NO_SUCH_RECORD
   */
  node(node: NodeName): LineageRow {
    return this.#row(resolveNode(this, node));
  }

  /**
   * What a record or a version is, what it was trained on or derived from, what made it, whether that is valid, and what is
   * missing: in sentences, each with what supports it. `statementText` and `statementMarkdown` make it readable.
   *
   * @throws BraidError ERR_BRAID_OPTION_INVALID, and as `ancestors`
   */
  statement(node: NodeName, options: StatementOptions = {}): Statement {
    return this.#connection.asOfOneMoment(() => {
      const resolved = resolveNode(this, node);
      const asked = { ...resolved, start: startOf(resolved, this.versionTable) };
      return statement(this.#connection, this.layout, this.#walks, this.#nodes, asked, options);
    });
  }

  /**
   * What an invalidation of these would make invalid: them, and with `cascade` (the default) all that derives from them; but
   * not what is invalid already.
   *
   * @throws BraidError as `ancestors`
   */
  affected(nodes: NodeName | readonly NodeName[], { cascade = true } = {}): IterableIterator<LineageRow> {
    const list = Array.isArray(nodes) ? (nodes as NodeName[]) : [nodes as NodeName];
    const start = list.map((node) => nodeOf(resolveNode(this, node)));
    return this.#nodes.affected([...new Set(start)], cascade);
  }

  /** @internal These nodes, and with `cascade` all that derives from them. */
  reached(nodes: readonly number[], cascade: boolean): Set<number> {
    const reached = new Set(nodes);
    if (!cascade) return reached;
    for (const [node] of this.#walks.nodes('descendants', new Visits(nodes, { depths: false }))) reached.add(node);
    return reached;
  }

  /**
   * Why a record or a version is invalid: the first that was said against it, or against what it derives from. Undefined if
   * it is valid.
   *
   * @throws BraidError as `ancestors`
   */
  invalidation(node: NodeName): WhyInvalid | undefined {
    return whyInvalid(this.#connection, resolveNode(this, node), this.layout.ours);
  }

  /**
   * All that was ever said against records and versions, the oldest first, with what was taken back and what came of actions.
   * Of a file of Braid-DB, which stores neither, what it has invalidated.
   *
   * @param node only what was said against this: of a record against its versions, too; and what makes it invalid now.
   * @throws BraidError as `ancestors`
   */
  invalidations(node?: NodeName): InvalidationHistory[] {
    const all = this.layout.ours ? invalidationRows(this.#connection) : braidDbInvalidations(this.#connection);
    if (node === undefined) return all;
    const { id, key, version } = this.node(node);
    const number = key === undefined ? undefined : (version ?? 0);
    return invalidationsOf(all, { record: id, number, why: this.invalidation(node)?.id });
  }

  /** Runs, the oldest first. */
  runs(): RunRow[] {
    return this.layout.ours ? runRows(this.#connection) : [];
  }

  /**
   * The versions of a model, by number; those that are only named so far come last.
   *
   * @param model its id, or a name of it.
   * @throws BraidError ERR_BRAID_ID_INVALID, ERR_BRAID_NO_SUCH_RECORD, ERR_BRAID_RECORD_AMBIGUOUS
   */
  versions(model: NodeName): IterableIterator<VersionRow> {
    return this.versionTable.of(resolveNode(this, model, 'model').record);
  }

  /**
   * A version of a model: by number, by step of an attempt of a run, or the newest at a time or when a record was made;
   * undefined if there is none.
   *
   * @param model its id; or all in one, as text or key: `17@3`, `name:braggnn@step=12`.
   * @throws BraidError ERR_BRAID_ID_INVALID, ERR_BRAID_NO_SUCH_RECORD, ERR_BRAID_RECORD_AMBIGUOUS, ERR_BRAID_VERSION_AMBIGUOUS, ERR_BRAID_VERSION_INVALID
   */
  version(model: NodeName, which?: VersionOf): VersionRow | undefined {
    const found =
      which === undefined
        ? this.#namedVersion(model)
        : this.findVersion(resolveNode(this, model, 'model').record, which);
    return found === undefined ? undefined : this.versionTable.row(found);
  }

  /**
   * Where a record came from that was merged into this database: who gave out its id, and which. Of a model to which others
   * were joined, all of them; none of a record that was recorded here.
   *
   * @throws BraidError ERR_BRAID_ID_INVALID
   */
  origins(id: number): RecordOrigin[] {
    this.#checkId(id);
    return this.layout.ours ? originsOf(this.#connection, id) : [];
  }

  /**
   * The id that a record has here which has another in the database that it came from. Undefined if it was not merged.
   *
   * @param database that database: its file, its uuid or the first digits of it, or the name that the file had when it was merged. It may also be one that what was merged had itself merged.
   * @param id of the record there.
   * @throws BraidError ERR_BRAID_NO_SUCH_ORIGIN, if none of the databases that were merged is called so; ERR_BRAID_ORIGIN_AMBIGUOUS, ERR_BRAID_ID_INVALID
   */
  byOrigin(database: string, id: number): number | undefined {
    this.#checkId(id);
    const uuid = this.uuid;
    for (const { origin, id: there } of this.#namesThere(database, id)) {
      const here = idsByOrigin(this.#connection, uuid, origin, there).find((each) => this.record(each));
      if (here !== undefined) return here;
    }
    return undefined;
  }

  #namesThere(database: string, id: number): { origin: string; id: number }[] {
    if (existsSync(database)) {
      const there = BraidReader.open(database);
      try {
        const uuid = there.uuid ?? braidDbUuid(there.#connection.db);
        if (uuid !== undefined) return namesOf(there.#connection, uuid, id);
      } finally {
        there.close();
      }
    }
    const found = this.layout.ours ? mergedDatabases(this.#connection, database) : [];
    if (database === this.uuid) found.push(database);
    if (found.length === 1) return [{ origin: found[0], id }];
    if (found.length === 0) {
      throw new BraidError(
        'ERR_BRAID_NO_SUCH_ORIGIN',
        `nothing of ${database} was merged into ${this.path}: braid lookup ${this.path} RECORD shows where a record came from`,
      );
    }
    throw new BraidError(
      'ERR_BRAID_ORIGIN_AMBIGUOUS',
      `${database} may be any of ${found.length} databases that were merged (${found.slice(0, 3).join(', ')}${found.length > 3 ? ', …' : ''}): give its uuid`,
    );
  }

  /** Closes the connection. What is read afterwards, and the next of an iterator under way, throws ERR_BRAID_CLOSED. */
  close(): void {
    this.#connection.close();
  }

  /** @internal Of the database; null for one that Braid-DB has made. */
  get uuid(): string | null {
    return databaseUuid(this.#connection, this.layout);
  }

  /** @internal Runs another query over the same connection, with what is pending committed first. */
  query<Row>(sql: string, ...values: unknown[]): Row[] {
    return this.#connection.all<Row>(sql, ...values);
  }

  /**
   * @internal Records and versions that have all of these tags, one at least, by value and type.
   *
   * @throws BraidError ERR_BRAID_TAG_INVALID
   */
  tagged(tags: Tags): IterableIterator<NodeRow> {
    return this.#search(ofTags(tags), {});
  }

  /** @internal The row of a version of a model. */
  findVersion(model: number, which: VersionOf): number | undefined {
    return this.versionTable.find(model, which, (record) => this.#timeOf(record));
  }

  #checkId(id: unknown): void {
    // What a program made that goes on without recording.
    if (!this.isOff) checkId(id);
  }

  #search(expression: Expression, options: SearchOptions): IterableIterator<NodeRow> {
    const query = <Row>(sql: string, ...bound: unknown[]) => this.query<Row>(sql, ...bound);
    const { text, values, isBounded } = searchSelect(expression, options, this.layout, query);
    if (!isBounded) return this.#rows<NodeRow>(text, [...values]);
    const nodes = this.#connection.column<number>(text, ...values);
    return this.#rowsOf<NodeRow>(nodes.map((node) => [node]));
  }

  #namedVersion(model: NodeName): number | undefined {
    try {
      return resolveNode(this, model).version;
    } catch (error) {
      if (error instanceof BraidError && error.code === 'ERR_BRAID_NO_SUCH_VERSION') return undefined;
      throw error;
    }
  }

  #timeOf(record: number | string): string {
    const id = findRecord(this, String(record));
    return this.query<{ time: string }>('SELECT time FROM records WHERE record_id = ?', id)[0].time;
  }

  #lineage(direction: Direction, node: NodeName, options: LineageOptions): IterableIterator<LineageRow> {
    const resolved = resolveNode(this, node);
    const start = options.ever ? [resolved.record] : startOf(resolved, this.versionTable);
    return this.#nodes.lineage(direction, start, options);
  }

  #start(node: NodeName): number[] {
    return startOf(resolveNode(this, node), this.versionTable);
  }

  #row(resolved: ResolvedNode): LineageRow {
    const { record } = resolved;
    const [row] = this.#nodes.rows([[nodeOf(resolved), 0, 0]]);
    if (row) return row;
    // A program that asks for what it has made goes on without recording, too.
    if (this.isOff) return { id: record, kind: 'record', name: '', time: new Date(0), uris: [], tags: {}, valid: true, depth: 0 }; // prettier-ignore
    throw new BraidError('ERR_BRAID_NO_SUCH_RECORD', `${this.path} has no record ${record}`);
  }

  #records(joined: string, values: unknown[]): IterableIterator<RecordRow> {
    return this.#rows(`SELECT r.record_id FROM records r ${joined}`, values);
  }

  /** @param select of nodes, in the first column. */
  #rows<Row extends RecordRow>(select: string, values: unknown[]): IterableIterator<Row> {
    return this.#rowsOf(this.#connection.stream(select, values, (raw: [node: number]) => raw));
  }

  #rowsOf<Row extends RecordRow>(found: Iterable<[node: number]>): IterableIterator<Row> {
    return new NodeRows(this.#connection, this.layout).complete(found, (row) => row as NodeRow & Row);
  }
}

/** Of two of which neither comes from the other: by number, if both are versions of one model, or else by time, and then by id. */
function isBefore(a: LineageRow, b: LineageRow): boolean {
  if (a.id === b.id && a.version !== undefined && b.version !== undefined) return a.version < b.version;
  return (a.time.getTime() - b.time.getTime() || a.id - b.id) < 0;
}
