import type Database from 'better-sqlite3';
import { BraidError } from '../errors.js';
import { KINDS, KindCode, type Kind } from '../frame/format.js';
import { tagText, tagTypeOf, tagValue, type Tag, type Tags } from '../record/tags.js';
import { ensureSchema } from '../store/schema.js';
import { openSqlite } from '../store/sqlite.js';
import { explainSqliteError } from '../store/sqlite-error.js';
import type { RunStatus } from '../store/store.js';
import { parseTime } from '../time.js';
import { TagType } from '../frame/format.js';
import { layoutOf, type Layout } from './layout.js';
import { openReadOnly } from './open.js';
import { searchClause, type SearchOptions } from './search.js';

export interface RecordRow {
  id: number;
  /** `record` if it isn't known, as of records that Braid-DB has written. */
  kind: Kind;
  name: string;
  time: Date;
  uris: string[];
  /** Of a key that was added more than once, the last. */
  tags: Tags;
  valid: boolean;
  /** The run that made it, as 32 hex digits. */
  run?: string;
  rank?: number;
}

export interface LineageRow extends RecordRow {
  /** Steps from the record that was asked about. */
  depth: number;
  version?: number;
  step?: number;
  inferred?: boolean;
}

export interface LineageOptions {
  /** Not further than so many steps. */
  depth?: number;
  /** Only records of this kind are given; the way may lead over others. */
  kind?: Kind;
  /** The plain closure of all derivations ever. */
  ever?: boolean;
}

export interface RecordFilter {
  name?: string;
  kind?: Kind;
  /** Tags that it must have, by value and type. */
  tag?: Tags;
  run?: string;
  rank?: number;
}

export interface RunRow {
  id: string;
  name?: string;
  status: RunStatus;
  /** Ranks of its last attempt. */
  size: number;
  attempts: number;
  started: Date;
  ended?: Date;
  /** Ops that its ranks are known to have recorded. */
  recorded: number;
  /** Ops of it that are in the database. */
  committed: number;
  /** How many of those are records. */
  records: number;
  /** What its ranks sent to the root. */
  bytes: number;
}

/** A version of a model, as it is stored. */
export interface VersionRow {
  /** Of the model. */
  model: number;
  /** `model@number`; undefined while it is only named and no update of it is committed. */
  number?: number;
  step?: number;
  /** What `db.version` takes. */
  key: string;
  time?: Date;
  /** Ranks that took part. */
  ranks: number[];
  uris: string[];
  tags: Tags;
}

/** @internal */
interface ReaderOptions {
  /** Called before every read. */
  before?: () => void;
}

interface RawRow {
  id: number;
  kind: number;
  name: string;
  time: string;
  invalidation: string | null;
  uris: string;
  tags: string;
  run: string | null;
  rank: number | null;
  depth?: number;
}

/** Ancestors are found by going from derived to source, descendants the other way. */
const DIRECTIONS = {
  ancestors: { from: 'derivation', to: 'record_id' },
  descendants: { from: 'record_id', to: 'derivation' },
} as const;

/**
 * Reads a database of ours, or one that Braid-DB has made; while somebody writes it, too. Results that can be large come
 * as iterators, and the connection can do nothing else but read while one is under way.
 */
export class BraidReader {
  readonly path: string;
  readonly #db: Database.Database;
  readonly #layout: Layout;
  readonly #before: () => void;
  readonly #statements = new Map<string, Database.Statement>();
  /** Nodes that a lineage under way has met, by its number. */
  readonly #visited = new Map<number, Set<number>>();
  #walks = 0;

  private constructor(db: Database.Database, before: () => void) {
    this.#db = db;
    this.path = db.name;
    this.#layout = layoutOf(db);
    this.#before = before;
    // Keeps a walk from going in circles, and by the shortest way: the recursion takes nodes in the order of their depth.
    db.function('braid_first_visit', { deterministic: false, directOnly: true }, (walk, id) => {
      const visited = this.#visited.get(walk as number)!;
      if (visited.has(id as number)) return 0;
      visited.add(id as number);
      return 1;
    });
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
    return new BraidReader(db, () => {});
  }

  /** A record by its id; undefined if there is none (or none yet). */
  record(id: number): RecordRow | undefined {
    const row = this.#get<RawRow>(`SELECT ${this.#columns()} FROM records r WHERE r.record_id = ?`, id);
    return row && toRecord(row);
  }

  /** Records in the order of their ids. All filters that are given must hold. */
  records(filter: RecordFilter = {}): IterableIterator<RecordRow> {
    const { where, values } = this.#filter(filter);
    return this.#map(`SELECT ${this.#columns()} FROM records r WHERE ${where} ORDER BY r.record_id`, values, toRecord);
  }

  /**
   * Records for which an expression holds, such as `kind=data and loss<0.05`, in the order of their ids; docs/search.md has
   * all that can be written.
   *
   * @throws BraidError ERR_BRAID_SEARCH_INVALID (a `BraidSearchError`, which points at the place), ERR_BRAID_OPTION_INVALID
   */
  search(expression: string, options: SearchOptions = {}): IterableIterator<RecordRow> {
    const { text, values } = searchClause(expression, options, this.#layout, (sql, ...bound) =>
      this.#all(sql, ...bound),
    );
    return this.#map(`SELECT ${this.#columns()} FROM records r ${text}`, [...values], toRecord);
  }

  /** What a record is directly derived from. */
  sources(id: number): RecordRow[] {
    return this.#neighbours('ancestors', id);
  }

  /** What is directly derived from a record. */
  derived(id: number): RecordRow[] {
    return this.#neighbours('descendants', id);
  }

  /** All that a record comes from, the nearest first. Cycles end where they began. */
  ancestors(id: number, options: LineageOptions = {}): IterableIterator<LineageRow> {
    return this.#lineage('ancestors', id, options);
  }

  /** All that has come from a record, the nearest first. */
  descendants(id: number, options: LineageOptions = {}): IterableIterator<LineageRow> {
    return this.#lineage('descendants', id, options);
  }

  /** Runs, the oldest first. */
  runs(): RunRow[] {
    if (!this.#layout.ours) return [];
    const rows = this.#all<Record<string, string | number | null>>(
      `SELECT uuid, name, status, started, ended, size, attempts, recorded, committed, records, bytes FROM runs
       JOIN (SELECT run_id, count(*) AS attempts, max(attempt) AS last, size FROM attempts GROUP BY run_id) USING (run_id)
       JOIN (SELECT run_id, sum(l.recorded) AS recorded, sum(l.committed) AS committed, sum(l.records) AS records, sum(l.bytes) AS bytes
             FROM attempts JOIN ledger l USING (attempt_id) GROUP BY run_id) USING (run_id)
       ORDER BY run_id`,
    );
    return rows.map((row) => ({
      id: row.uuid as string,
      name: (row.name as string | null) ?? undefined,
      status: row.status as RunStatus,
      size: row.size as number,
      attempts: row.attempts as number,
      started: parseTime(row.started as string),
      ended: row.ended === null ? undefined : parseTime(row.ended as string),
      recorded: row.recorded as number,
      committed: row.committed as number,
      records: row.records as number,
      bytes: row.bytes as number,
    }));
  }

  /** The versions of a model, by number; those that are only named so far come last. */
  versions(model: number): IterableIterator<VersionRow> {
    if (!this.#layout.ours) return [][Symbol.iterator]();
    return this.#map(
      `SELECT v.*, u.uuid, a.attempt,
         (SELECT json_group_array(DISTINCT x.rank ORDER BY x.rank) FROM updates x WHERE x.version_id = v.version_id) AS ranks,
         (SELECT json_group_array(uri) FROM version_uris x WHERE x.version_id = v.version_id) AS uris,
         (SELECT json_group_array(json_array(t.key, t.value, t.tag_type, t.boolean) ORDER BY t.id) FROM version_tags t WHERE t.version_id = v.version_id) AS tags
       FROM versions v JOIN attempts a USING (attempt_id) JOIN runs u USING (run_id)
       WHERE v.model_id = ? ORDER BY v.number IS NULL, v.number, v.version_id`,
      [model],
      toVersion,
    );
  }

  /** Closes the connection. Iterators under way end with an error. */
  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  /** @internal Runs another query over the same connection, with what is pending committed first. */
  query<Row>(sql: string, ...values: unknown[]): Row[] {
    return this.#all<Row>(sql, ...values);
  }

  /** @internal */
  get layout(): Layout {
    return this.#layout;
  }

  #columns(): string {
    const { kind, run, rank, boolean } = this.#layout;
    return `r.record_id AS id, ${kind} AS kind, r.name, r.time, r.invalidation_id AS invalidation, ${run} AS run, ${rank} AS rank,
      (SELECT json_group_array(u.uri ORDER BY u.id) FROM uris u WHERE u.record_id = r.record_id) AS uris,
      (SELECT json_group_array(json_array(t.key, t.value, t.tag_type, ${boolean}))
        FROM (SELECT * FROM tags WHERE record_id = r.record_id ORDER BY id) t) AS tags`;
  }

  #filter(filter: RecordFilter): { where: string; values: unknown[] } {
    const { name, kind, tag, run, rank, ...unknown } = filter;
    const [stranger] = Object.keys(unknown);
    if (stranger !== undefined || (kind !== undefined && !(kind in KindCode))) {
      const what = stranger === undefined ? `kind ${JSON.stringify(kind)}` : `property ${JSON.stringify(stranger)}`;
      throw new BraidError(
        'ERR_BRAID_FILTER_INVALID',
        `a filter of records has no ${what}: it has name, kind, tag, run and rank`,
      );
    }
    const conditions = ['true'];
    const values: unknown[] = [];
    const add = (condition: string, ...bound: unknown[]) => {
      conditions.push(condition);
      values.push(...bound);
    };
    if (name !== undefined) add('r.name = ?', name);
    if (kind !== undefined) add(`${this.#layout.kind} = ?`, KindCode[kind]);
    if (run !== undefined) add(`${this.#layout.run} = ?`, run);
    if (rank !== undefined) add(`${this.#layout.rank} = ?`, rank);
    for (const [key, value] of Object.entries(tag ?? {})) {
      const { condition, bound } = tagCondition(key, value, this.#layout.boolean);
      add(`EXISTS (SELECT 1 FROM tags t WHERE t.record_id = r.record_id AND ${condition})`, ...bound);
    }
    return { where: conditions.join(' AND '), values };
  }

  #neighbours(direction: keyof typeof DIRECTIONS, id: number): RecordRow[] {
    const { from, to } = DIRECTIONS[direction];
    return this.#all<RawRow>(
      `SELECT ${this.#columns()} FROM derivations d JOIN records r ON r.record_id = d.${to} WHERE d.${from} = ? ORDER BY r.record_id`,
      id,
    ).map(toRecord);
  }

  *#lineage(
    direction: keyof typeof DIRECTIONS,
    id: number,
    { depth = Number.MAX_SAFE_INTEGER, kind }: LineageOptions,
  ): IterableIterator<LineageRow> {
    const { from, to } = DIRECTIONS[direction];
    const walk = ++this.#walks;
    this.#visited.set(walk, new Set([id]));
    try {
      yield* this.#map(
        `WITH RECURSIVE walk (id, depth) AS (
           VALUES (@id, 0)
           UNION ALL
           SELECT d.${to}, walk.depth + 1 FROM walk JOIN derivations d ON d.${from} = walk.id
           WHERE walk.depth < @depth AND braid_first_visit(@walk, d.${to})
           ORDER BY 2
         )
         SELECT ${this.#columns()}, walk.depth AS depth FROM walk JOIN records r ON r.record_id = walk.id
         WHERE walk.depth > 0 AND (@kind IS NULL OR ${this.#layout.kind} = @kind)`,
        [{ id, depth, walk, kind: kind === undefined ? null : KindCode[kind] }],
        (row: RawRow) => ({ ...toRecord(row), depth: row.depth! }),
      );
    } finally {
      this.#visited.delete(walk);
    }
  }

  #statement(sql: string): Database.Statement {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #get<Row>(sql: string, ...values: unknown[]): Row | undefined {
    return this.#read(() => this.#statement(sql).get(...values) as Row | undefined);
  }

  #all<Row>(sql: string, ...values: unknown[]): Row[] {
    return this.#read(() => this.#statement(sql).all(...values) as Row[]);
  }

  *#map<Raw, Row>(sql: string, values: unknown[], convert: (raw: Raw) => Row): IterableIterator<Row> {
    // A statement of its own: two iterations of the same query may be under way at once.
    const rows = this.#read(() => this.#db.prepare(sql).iterate(...values) as IterableIterator<Raw>);
    try {
      for (const row of rows) yield convert(row);
    } catch (error) {
      // A damaged page shows only when the iteration comes to it.
      throw explainSqliteError(error, this.path);
    }
  }

  #read<T>(read: () => T): T {
    this.#before();
    try {
      return read();
    } catch (error) {
      throw explainSqliteError(error, this.path);
    }
  }
}

/** A tag with this key, value and type, as SQL over a row `t` of tags. */
function tagCondition(key: string, value: Tag, boolean: string): { condition: string; bound: unknown[] } {
  const type = tagTypeOf(key, value);
  if (type === TagType.float || type === TagType.integer) {
    // A number is a number: 1 finds a float tag of 1, and 0.5 one that Python wrote as 5e-1.
    return {
      condition: `t.key = ? AND t.tag_type IN (2, 3) AND ${boolean} = 0 AND CAST(t.value AS NUMERIC) = ?`,
      bound: [key, value],
    };
  }
  const isBoolean = type === TagType.boolean;
  return {
    condition: `t.key = ? AND t.value = ? AND t.tag_type = ? AND ${boolean} = ?`,
    bound: [key, tagText(value), isBoolean ? TagType.integer : type, isBoolean ? 1 : 0],
  };
}

function toRecord(row: RawRow): RecordRow {
  return {
    id: row.id,
    kind: KINDS[row.kind] ?? 'record',
    name: row.name,
    time: parseTime(row.time),
    uris: JSON.parse(row.uris) as string[],
    tags: toTags(row.tags),
    valid: row.invalidation === null,
    run: row.run ?? undefined,
    rank: row.rank ?? undefined,
  };
}

function toTags(json: string): Tags {
  const tags = JSON.parse(json) as [key: string, value: string, type: number, boolean: number][];
  // Own properties of whatever name, `__proto__` too.
  return Object.fromEntries(tags.map(([key, value, type, boolean]) => [key, tagValue(value, type, boolean)]));
}

function toVersion(row: Record<string, string | number | null>): VersionRow {
  const { model_id: model, step, rank, ordinal, uuid, attempt } = row;
  return {
    model: model as number,
    number: (row.number as number | null) ?? undefined,
    step: (step as number | null) ?? undefined,
    key: `${model}@${uuid}.${attempt}.${step === null ? `o${rank}.${ordinal}` : `s${step}`}`,
    time: row.time === null ? undefined : parseTime(row.time as string),
    ranks: JSON.parse(row.ranks as string) as number[],
    uris: JSON.parse(row.uris as string) as string[],
    tags: toTags(row.tags as string),
  };
}
