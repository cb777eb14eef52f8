import type { Database } from 'better-sqlite3';
import { Connection } from '../query/connection.js';
import { layoutOf, type Layout } from '../query/layout.js';
import { openReadOnly } from '../query/open.js';
import { explainSqliteError } from '../store/sqlite-error.js';

/** A database, ours or Braid-DB's, that is read as a whole and as of one moment, whatever is committed meanwhile. */
export class Source {
  readonly layout: Layout;
  readonly connection: Connection;

  private constructor(private readonly db: Database) {
    this.layout = layoutOf(db);
    db.exec('BEGIN');
    this.connection = new Connection(db, () => {});
  }

  /** @throws BraidError ERR_BRAID_DB_… */
  static open(path: string): Source {
    const db = openReadOnly(path);
    try {
      return new Source(db);
    } catch (error) {
      db.close();
      throw explainSqliteError(error, path);
    }
  }

  get path(): string {
    return this.db.name;
  }

  /** How many records there are, of a run or in all. */
  countRecords(run?: string): number {
    const [where, values] = this.runCondition(run);
    return this.connection.column<number>(`SELECT count(*) FROM records r WHERE ${where}`, ...values)[0];
  }

  /** Their ids, smallest first. */
  recordIds(run?: string): IterableIterator<readonly [id: number]> {
    const [where, values] = this.runCondition(run);
    const sql = `SELECT r.record_id FROM records r WHERE ${where} ORDER BY r.record_id`;
    return this.connection.stream<readonly [number], readonly [number]>(sql, values, (row) => row);
  }

  /** Whether there is a table of this name: Braid-DB's older files lack some. */
  has(table: string): boolean {
    const found = this.connection.column("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", table);
    return found.length > 0;
  }

  /** A condition for rows `r` of records, that they are of a run, and what is bound in it. */
  runCondition(run?: string): readonly [where: string, values: string[]] {
    return run === undefined ? ['true', []] : [`${this.layout.run} = ?`, [run]];
  }

  close(): void {
    this.connection.close();
  }
}
