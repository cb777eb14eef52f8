import type Database from 'better-sqlite3';
import { SCHEMA_VERSION, checkSchema, databaseKind, ensureSchema, supplyExchangeTables } from '../store/schema.js';
import { openSqlite } from '../store/sqlite.js';
import { explainSqliteError } from '../store/sqlite-error.js';
import { openReadOnly } from './open.js';
import { BRAID_DB_TABLES, RULES_BY_KIND, RULES, type Rule } from './verify-rules.js';

export type VerifyCheck =
  | 'integrity'
  | 'schema'
  | 'runs'
  | 'ledger'
  | 'gaps'
  | 'spools'
  | 'ids'
  | 'references'
  | 'versions'
  | 'validity'
  | 'values'
  | 'duplicates';

export interface VerifyProblem {
  check: VerifyCheck;
  message: string;
  /** How many rows have it. */
  count: number;
  /** The first of them: record ids, or what the message says. */
  ids?: number[];
}

export interface VerifyReport {
  path: string;
  madeBy: 'braid-mpi' | 'braid-db';
  /** What was looked at, whether or not something was found. */
  checked: { check: VerifyCheck; what: string }[];
  problems: VerifyProblem[];
}

/** How many ids, or lines of SQLite's own check, a problem shows. */
const SHOWN = 20;

/**
 * Checks a database: that SQLite finds it sound, that its tables are ours (or Braid-DB's), that they hold what the ledger
 * says, and that what they name exists. What a run that is still going may yet bring is no problem. Reads only, and as of
 * one moment; memory doesn't grow with the database.
 *
 * @throws BraidError ERR_BRAID_DB_NOT_FOUND, ERR_BRAID_DB_IS_DIRECTORY, ERR_BRAID_DB_NOT_SQLITE, ERR_BRAID_DB_UNSETTLED, ERR_BRAID_DB_EMPTY, ERR_BRAID_DB_FOREIGN, ERR_BRAID_DB_NEWER
 */
export function verifyTables(path: string): VerifyReport {
  const db = openReadOnly(path);
  try {
    const kind = databaseKind(db);
    const ours = kind !== 'braid-db';
    if (ours) checkSchema(db, kind);
    db.exec('BEGIN');
    if (ours) supplyExchangeTables(db);
    return new Verification(db, ours).report;
  } catch (error) {
    throw explainSqliteError(error, path);
  } finally {
    db.close();
  }
}

class Verification {
  readonly report: VerifyReport;

  constructor(
    private readonly db: Database.Database,
    private readonly ours: boolean,
  ) {
    this.report = { path: db.name, madeBy: ours ? 'braid-mpi' : 'braid-db', checked: [], problems: [] };
    this.#run('integrity', 'PRAGMA integrity_check', () => this.#integrity());
    this.#run(
      'schema',
      ours ? `tables and columns of version ${SCHEMA_VERSION}` : "Braid-DB's tables and columns",
      () => this.#schema(),
    );
    // Whether what follows can be asked at all depends on it.
    if (this.report.problems.some(({ check }) => check === 'schema')) return;
    if (ours) {
      this.#run('ledger', 'what was committed is what the tables hold', () => this.#ledger());
      this.#run('gaps', 'nothing recorded is known to be lost', () => this.#gaps());
      this.#run('ids', 'every id is in the block of its run, and no new one can be', () => this.#sequence());
    }
    const rules = [...RULES_BY_KIND.map((rule) => rule(ours)), ...RULES].filter(({ braidDb }) => ours || braidDb);
    for (const { check } of rules) this.#note(check, WHAT[check]);
    for (const rule of rules) this.#run(rule.check, WHAT[rule.check], () => this.#rule(rule));
  }

  #note(check: VerifyCheck, what: string | undefined): void {
    if (this.report.checked.every((each) => each.check !== check))
      this.report.checked.push({ check, what: what ?? check });
  }

  #run(check: VerifyCheck, what: string | undefined, run: () => void): void {
    this.#note(check, what);
    try {
      run();
    } catch (error) {
      // A damaged file stops one check, not the others.
      this.#problem(check, `could not be checked: ${(error as Error).message}`);
    }
  }

  #problem(check: VerifyCheck, message: string, count = 1, ids?: number[]): void {
    this.report.problems.push({ check, message, count, ids });
  }

  #rule({ check, what, rows }: Rule): void {
    const found = this.db.prepare(`SELECT count(*) AS count FROM (${rows})`).pluck().get() as number;
    if (found === 0) return;
    const ids = this.db.prepare(`${rows} ORDER BY 1 LIMIT ${SHOWN}`).pluck().all() as number[];
    this.#problem(check, `${what}: ${found}`, found, ids);
  }

  #integrity(): void {
    const lines = this.db.pragma(`integrity_check(${SHOWN})`) as { integrity_check: string }[];
    for (const { integrity_check: line } of lines) if (line !== 'ok') this.#problem('integrity', `SQLite: ${line}`);
  }

  #schema(): void {
    for (const [table, columns] of Object.entries(this.ours ? ourTables() : BRAID_DB_TABLES)) {
      const present = new Set(columnsOf(this.db, table));
      if (present.size === 0) {
        this.#problem('schema', `table ${table} is missing`);
        continue;
      }
      const missing = columns.filter((column) => !present.has(column));
      if (missing.length > 0) {
        this.#problem(
          'schema',
          `table ${table} lacks ${missing.map((name) => `column ${name}`).join(', ')}`,
          missing.length,
        );
      }
    }
  }

  /** The ledger of each rank, against the records in its part of its attempt's ids and against its updates. */
  #ledger(): void {
    const attempts = this.db
      .prepare(
        `SELECT attempt_id AS id, uuid AS run, attempt, size, a.status, id_base AS base, id_end AS "end",
           (SELECT count(*) FROM ledger l WHERE l.attempt_id = a.attempt_id) AS ranks,
           (SELECT sum(committed) FROM ledger l WHERE l.attempt_id = a.attempt_id) AS committed
         FROM attempts a JOIN runs USING (run_id) ORDER BY attempt_id`,
      )
      .iterate() as IterableIterator<Attempt>;
    const held = this.db.prepare(
      `SELECT (record_id - @base - 1) % @size AS rank, count(*) AS records FROM records
       WHERE record_id > @base AND record_id <= @end AND kind <> 0 GROUP BY 1`,
    );
    const ledger = this.db.prepare(
      `SELECT *, EXISTS (SELECT 1 FROM ledger_gaps g WHERE g.attempt_id = l.attempt_id AND g.rank = l.rank AND g.frame = l.frame) AS refused,
         EXISTS (SELECT 1 FROM ledger_gaps g WHERE g.attempt_id = l.attempt_id AND g.rank = l.rank) AS lossy,
         ifnull((SELECT o.records FROM omissions o WHERE o.attempt_id = l.attempt_id AND o.rank = l.rank), 0) AS omitted
       FROM ledger l WHERE attempt_id = ? ORDER BY rank`,
    );
    const versioned = this.db
      .prepare(
        `SELECT (SELECT count(*) FROM versions JOIN updates USING (version_id) WHERE attempt_id = @id)
           + (SELECT count(*) FROM versions JOIN updates USING (version_id) JOIN exposures USING (update_id) WHERE attempt_id = @id)
           + (SELECT count(*) FROM versions v JOIN version_tags t USING (version_id) WHERE v.attempt_id = @id)`,
      )
      .pluck();
    for (const { id, run, attempt, size, status, base, end, ranks, committed } of attempts) {
      const who = attempt === 1 ? `run ${run}` : `attempt ${attempt} of run ${run}`;
      if (ranks !== size) this.#problem('ledger', `${who} has ${size} ranks, and ${ranks} in the ledger`);
      const records = new Map(
        (held.all({ base, end, size }) as { rank: number; records: number }[]).map((row) => [row.rank, row.records]),
      );
      for (const row of ledger.iterate(id) as IterableIterator<LedgerRow>)
        this.#rank(row, who, status, records.get(row.rank) ?? 0);
      const least = [...records.values()].reduce((sum, each) => sum + each, versioned.get({ id }) as number);
      if (least > (committed ?? 0)) {
        this.#problem(
          'ledger',
          `${who}: the tables hold at least ${least} ops of it, the ledger says ${committed ?? 0} are committed`,
        );
      }
    }
  }

  #rank(
    { rank, host, recorded, committed, records, frame, refused, lossy, omitted }: LedgerRow,
    who: string,
    status: string,
    held: number,
  ): void {
    const of = `rank ${rank} of ${who}`;
    if (records - omitted !== held) {
      const without = omitted > 0 ? `, ${omitted} of them pruned or not extracted` : '';
      this.#problem(
        'ledger',
        `${of}: the ledger says ${records} records are committed${without}, the tables hold ${held}`,
        Math.abs(records - omitted - held),
      );
    }
    if (committed > recorded)
      this.#problem('ledger', `${of}: ${committed} ops are committed, more than the ${recorded} recorded`);
    if (committed < records)
      this.#problem('ledger', `${of}: ${committed} ops are committed, fewer than its ${records} records`);
    // Through a frame without an op of it: where the first ones were refused.
    if (committed > 0 ? frame === 0 : frame > 0 && !refused)
      this.#problem('ledger', `${of}: ${committed} ops are committed, through frame ${frame}`);
    if (committed < recorded && status !== 'RUNNING') {
      const advice = lossy
        ? 'the rest is lost, as its gaps say, and comes by no recovery: what is needed of it must be recorded again'
        : `what its spool still has comes by braid recover on ${host}`;
      this.#problem(
        'ledger',
        `${of}: ${recorded} ops were recorded, ${committed} are committed, and the run is ${status}: ${advice}`,
        recorded - committed,
      );
    }
  }

  #gaps(): void {
    const { count } = this.db.prepare('SELECT count(*) AS count FROM ledger_gaps').get() as { count: number };
    const gaps = this.db
      .prepare(
        `SELECT uuid AS run, attempt, rank, frame, reason FROM ledger_gaps JOIN attempts USING (attempt_id) JOIN runs USING (run_id)
         ORDER BY attempt_id, rank, frame LIMIT ${SHOWN}`,
      )
      .all() as { run: string; attempt: number; rank: number; frame: number; reason: string }[];
    for (const { run, attempt, rank, frame, reason } of gaps) {
      const what = frame === 0 ? 'some of what it recorded' : `frame ${frame}`;
      this.#problem('gaps', `rank ${rank} of attempt ${attempt} of run ${run} has lost ${what}: ${reason}`);
    }
    if (count > gaps.length) this.#problem('gaps', `and ${count - gaps.length} more`, count - gaps.length);
  }

  /** New ids must come after all that are given out, or may yet be. */
  #sequence(): void {
    const get = (sql: string) => (this.db.prepare(sql).pluck().get() as number | null) ?? 0;
    const next = get(`SELECT seq FROM sqlite_sequence WHERE name = 'records'`);
    const highest = get('SELECT max(record_id) FROM records');
    const reserved = get(`SELECT max(id_end) FROM attempts WHERE status = 'RUNNING'`);
    if (next < highest) this.#problem('ids', `sqlite_sequence is at ${next}, below the highest id ${highest}`);
    if (next < reserved) {
      this.#problem(
        'ids',
        `sqlite_sequence is at ${next}, inside the ids reserved through ${reserved} for a run that is RUNNING`,
      );
    }
    const overlaps = this.db
      .prepare(
        `SELECT b.attempt_id FROM attempts a JOIN attempts b ON b.attempt_id <> a.attempt_id AND b.id_base >= a.id_base
           AND b.id_base < a.id_end AND b.id_end > b.id_base ORDER BY 1 LIMIT ${SHOWN}`,
      )
      .pluck()
      .all() as number[];
    if (overlaps.length > 0)
      this.#problem('ids', 'attempts have ids of another one in their block', overlaps.length, overlaps);
  }
}

const WHAT: Partial<Record<VerifyCheck, string>> = {
  references: 'what rows name exists',
  versions: 'versions are of models, and were made',
  ids: 'every id is in the block of its run, and no new one can be',
  runs: 'runs and attempts have a status, the same',
  validity: 'what was invalidated is invalid, with what derives from it, and nothing else',
  values: 'times and tags can be read as what they are',
  duplicates: 'runs, attempts and versions are there once',
};

interface Attempt {
  readonly id: number;
  readonly run: string;
  readonly attempt: number;
  readonly size: number;
  readonly status: string;
  readonly base: number;
  readonly end: number;
  readonly ranks: number;
  readonly committed: number | null;
}

interface LedgerRow {
  readonly rank: number;
  readonly host: string;
  readonly recorded: number;
  readonly committed: number;
  readonly records: number;
  readonly frame: number;
  /** Whether its newest frame is a gap. */
  readonly refused: number;
  /** Whether it has gaps. */
  readonly lossy: number;
  /** How many of its records were pruned, or not extracted. */
  readonly omitted: number;
}

/** The tables that this version makes, by making them. */
function ourTables(): Record<string, string[]> {
  const db = openSqlite(':memory:');
  try {
    ensureSchema(db);
    const names = db
      .prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)
      .pluck()
      .all() as string[];
    return Object.fromEntries(names.map((name) => [name, columnsOf(db, name)]));
  } finally {
    db.close();
  }
}

function columnsOf(db: Database.Database, table: string): string[] {
  return db.prepare('SELECT name FROM pragma_table_xinfo(?)').pluck().all(table) as string[];
}
