import type { Database, Statement } from 'better-sqlite3';
import { BraidError } from '../errors.js';
import { explainSqliteError } from '../store/sqlite-error.js';

/** What a query selects; expressions, which give what JSON has. */
export interface Table {
  readonly columns: readonly string[];
  readonly from: string;
}

/** A statement for {@link Connection.columns}, and how many columns each of its tables has. */
export interface ColumnsQuery {
  readonly sql: string;
  readonly widths: readonly number[];
}

/** @param batch a table that a WITH clause makes of the only parameter, `?`. */
export function columnsQuery(tables: readonly Table[], batch: string): ColumnsQuery {
  const widths = tables.map(({ columns }) => columns.length);
  const names = Array.from({ length: Math.max(...widths) }, (_, i) => `c${i}`);
  const selects = tables.map(({ columns, from }) => {
    const texts = names.map(
      (name, i) => `${i < columns.length ? `json_group_array(${columns[i]})` : "'[]'"} AS ${name}`,
    );
    return `SELECT ${texts.join(', ')} FROM ${from}`;
  });
  // By its LIMIT the text stays an inner query's, which SQLite makes once, and not again to measure it.
  const sql = `WITH ${batch} SELECT * FROM (${selects.join(' UNION ALL ')} LIMIT ${tables.length})
    WHERE ${names.map((name) => `octet_length(${name})`).join(' + ')} <= ?`;
  return { sql, widths };
}

/** Of each column all values, in the order of the rows. */
export type Columns = readonly (readonly unknown[])[];

/** The queries of one reader: what fails in SQLite is explained, and what is pending is committed before each. */
export class Connection {
  readonly #db: Database;
  readonly #before: () => void;
  readonly #statements = new Map<string, Statement>();
  /** SQLite closes no connection with a statement under way. */
  readonly #underWay = new Set<IterableIterator<unknown>>();

  /** @param before called before every read. */
  constructor(db: Database, before: () => void) {
    this.#db = db;
    this.#before = before;
  }

  /** @throws BraidError ERR_BRAID_CLOSED */
  get db(): Database {
    this.#assertOpen();
    return this.#db;
  }

  all<Row>(sql: string, ...values: unknown[]): Row[] {
    return this.#read(() => this.#statement(sql).all(...values) as Row[]);
  }

  /** The values of a query's only column. */
  column<Value>(sql: string, ...values: unknown[]): Value[] {
    return this.#read(
      () =>
        this.#db
          .prepare(sql)
          .pluck()
          .all(...values) as Value[],
    );
  }

  /**
   * All rows of some tables, as of one moment: of each table its columns, through one text of JSON for each of them. Of many
   * small rows that takes a third of the time of getting each by itself. Undefined if they have more than so many bytes.
   *
   * @param value of the query's only parameter.
   */
  columns({ sql, widths }: ColumnsQuery, value: unknown, mostBytes: number): Columns[] | undefined {
    const found = this.#read(() => this.#statement(sql, true).all(value, mostBytes) as string[][]);
    if (found.length < widths.length) return undefined;
    return found.map((texts, i) => texts.slice(0, widths[i]).map((text) => JSON.parse(text) as unknown[]));
  }

  /** Rows as they are found, as arrays: a statement of its own, for two iterations of a query may be under way at once. */
  *stream<Raw extends readonly unknown[], Row>(
    sql: string,
    values: unknown[],
    convert: (raw: Raw) => Row,
  ): IterableIterator<Row> {
    const rows = this.#read(() => {
      const statement = this.#db.prepare(sql).raw();
      return statement.iterate(...values) as IterableIterator<Raw>;
    });
    this.#underWay.add(rows);
    try {
      for (const row of rows) yield convert(row);
    } catch (error) {
      // A damaged page shows only when the iteration comes to it.
      throw explainSqliteError(error, this.#db.name);
    } finally {
      this.#underWay.delete(rows);
    }
    // What was ended by that has not come to its end.
    this.#assertOpen();
  }

  /** Several reads of one state of the database, whatever is committed meanwhile: a statement under way keeps it. */
  asOfOneMoment<T>(read: () => T): T {
    const held = this.#read(() => {
      const rows = this.#db.prepare('SELECT 1 FROM sqlite_schema').iterate();
      rows.next();
      return rows;
    });
    try {
      return read();
    } finally {
      held.return?.();
    }
  }

  /** Ends what is under way, too. */
  close(): void {
    for (const rows of this.#underWay) rows.return?.();
    this.#underWay.clear();
    this.#statements.clear();
    this.#db.close();
  }

  #assertOpen(): void {
    if (this.#db.open) return;
    throw new BraidError('ERR_BRAID_CLOSED', `the reader of ${this.#db.name} is closed: read before close()`);
  }

  #statement(sql: string, raw = false): Statement {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      if (raw) statement.raw();
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #read<T>(read: () => T): T {
    this.#assertOpen();
    this.#before();
    try {
      return read();
    } catch (error) {
      throw explainSqliteError(error, this.#db.name);
    }
  }
}
