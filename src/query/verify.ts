import type Database from 'better-sqlite3';
import { SCHEMA_VERSION, checkSchema, databaseKind, ensureSchema } from '../store/schema.js';
import { STEPS } from '../lineage/steps.js';
import { openSqlite } from '../store/sqlite.js';
import { explainSqliteError } from '../store/sqlite-error.js';
import { openReadOnly } from './open.js';

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

/** What Braid-DB's readers name. Its own files needn't have more. */
const BRAID_DB_TABLES: Record<string, string[]> = {
  records: ['record_id', 'name', 'time', 'invalidation_id', 'invalidation_action_id'],
  derivations: ['record_id', 'derivation', 'time'],
  uris: ['id', 'record_id', 'uri'],
  tags: ['id', 'record_id', 'key', 'value', 'tag_type'],
  invalidations: ['id', 'root_invalidation', 'cause', 'time'],
  invalidation_actions: ['action_type', 'params', 'id', 'name', 'cmd'],
};

/** A condition that no row may meet. */
interface Rule {
  readonly check: VerifyCheck;
  /** Those that do, in the plural. */
  readonly what: string;
  /** A query for them, as a column `id`. */
  readonly rows: string;
  /** Holds for Braid-DB's own files, too. */
  readonly braidDb?: boolean;
}

/** True of an id that a run which is still RUNNING may yet bring: edges may be committed before their records. */
const mayCome = (id: string) =>
  `EXISTS (SELECT 1 FROM attempts a WHERE a.status = 'RUNNING' AND a.id_base < ${id} AND a.id_end >= ${id})`;

/** Ids of no record in `column` of `table`. */
function missing(table: string, column: string, role: string, braidDb = false): (ours: boolean) => Rule {
  return (ours) => ({
    check: 'references',
    what: `missing records that are ${role}`,
    rows: `SELECT DISTINCT x.${column} AS id FROM ${table} x
      WHERE NOT EXISTS (SELECT 1 FROM records r WHERE r.record_id = x.${column})${ours ? ` AND NOT ${mayCome(`x.${column}`)}` : ''}`,
    braidDb,
  });
}

/** Rows of `table` whose `column` names no row of `parent`. */
function dangling(table: string, column: string, parent: string, key: string, shown: string, what = table): Rule {
  return {
    check: 'references',
    what: `${what} whose ${column} is in no row of ${parent}`,
    rows: `SELECT ${shown} AS id FROM ${table} x WHERE x.${column} IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM ${parent} p WHERE p.${key} = x.${column})`,
    braidDb: table in BRAID_DB_TABLES,
  };
}

const REFERENCES: ((ours: boolean) => Rule)[] = [
  () => ({
    check: 'references',
    what: 'facts that are derived from something (by their id: a BraidFact itself refuses)',
    rows: `SELECT DISTINCT d.derivation AS id FROM derivations d JOIN records r ON r.record_id = d.derivation WHERE r.kind = 1`,
  }),
  missing('derivations', 'record_id', 'sources of derivations', true),
  missing('derivations', 'derivation', 'derived in derivations', true),
  missing('uris', 'record_id', 'owners of URIs', true),
  missing('tags', 'record_id', 'owners of tags', true),
  missing('exposures', 'source_id', 'sources of updates'),
  missing('versions', 'model_id', 'models of versions'),
  missing('invalidation_requests', 'record_id', 'targets of invalidations'),
  missing('record_actions', 'record_id', 'owners of invalidation actions'),
];

/** Of rows `q` of requests. */
const REQUESTED_NODE = 'ifnull(-q.version_id, q.record_id)';
const TAKEN_BACK = 'EXISTS (SELECT 1 FROM revalidations x WHERE x.request_id = q.id)';
/** What makes `node` invalid. */
const causesOf = (node: string) => `(SELECT 1 FROM invalidation_reach k WHERE k.node = ${node} UNION ALL
  SELECT 1 FROM invalidation_requests q WHERE ${REQUESTED_NODE} = ${node} AND q.done AND NOT ${TAKEN_BACK})`;

const INVALIDATIONS: Rule[] = [
  {
    check: 'validity',
    what: 'records that were invalidated, or derive from such, and are valid',
    rows: `SELECT r.record_id AS id FROM records r WHERE r.invalidation_id IS NULL AND EXISTS ${causesOf('r.record_id')}`,
  },
  {
    check: 'validity',
    what: 'models with a version that was invalidated, or derives from what was, and is valid',
    rows: `SELECT DISTINCT v.model_id AS id FROM versions v WHERE v.invalidation_id IS NULL AND EXISTS ${causesOf('-v.version_id')}`,
  },
  {
    check: 'validity',
    what: 'records that are invalid, themselves or in a version, for what was taken back',
    rows: `SELECT DISTINCT x.record_id AS id FROM (
        SELECT record_id, invalidation_id FROM records WHERE invalidation_id IS NOT NULL
        UNION ALL SELECT model_id, invalidation_id FROM versions WHERE invalidation_id IS NOT NULL) x
      JOIN invalidations i ON i.id = x.invalidation_id JOIN invalidation_requests q ON q.id = ifnull(i.root_invalidation, i.id)
      WHERE ${TAKEN_BACK}`,
  },
  {
    check: 'validity',
    what: 'records and versions (negative) that are reached by what does not cascade, or was taken back',
    rows: `SELECT k.node AS id FROM invalidation_reach k JOIN invalidation_requests q ON q.id = k.request_id
      WHERE NOT q.cascade OR NOT q.done OR ${TAKEN_BACK}`,
  },
  {
    check: 'validity',
    what: 'records whose invalidation was not carried out',
    rows: `SELECT DISTINCT q.record_id AS id FROM invalidation_requests q WHERE CASE WHEN q.done
      THEN NOT EXISTS (SELECT 1 FROM invalidations i WHERE i.id = q.id)
      ELSE EXISTS (SELECT 1 FROM records r WHERE r.record_id = q.record_id) END`,
  },
  {
    check: 'validity',
    what: 'records and versions (negative) that derive from invalid ones, which does not cascade to them',
    rows: STEPS.descendants
      .filter(({ inferred }) => !inferred)
      .map(
        ({
          from,
          to,
          where,
        }) => `SELECT ${to} AS id FROM (SELECT node, inferred FROM invalidation_reach) w CROSS JOIN ${from}
          WHERE ${where} AND NOT EXISTS (SELECT 1 FROM invalidation_reach k WHERE k.node = ${to})`,
      )
      .join(' UNION '),
  },
];

const RULES: Rule[] = [
  dangling('records', 'invalidation_id', 'invalidations', 'id', 'x.record_id'),
  dangling('records', 'invalidation_action_id', 'invalidation_actions', 'id', 'x.record_id'),
  dangling('invalidations', 'root_invalidation', 'invalidations', 'id', 'x.rowid'),
  dangling('versions', 'invalidation_id', 'invalidations', 'id', 'x.model_id', 'models of versions'),
  dangling('invalidation_requests', 'version_id', 'versions', 'version_id', 'x.record_id', 'models of requests'),
  dangling('invalidation_reach', 'request_id', 'invalidation_requests', 'id', 'x.node'),
  dangling('revalidations', 'request_id', 'invalidation_requests', 'id', '0'),
  dangling('record_actions', 'action_id', 'invalidation_actions', 'id', 'x.record_id'),
  dangling('action_runs', 'action_id', 'invalidation_actions', 'id', 'x.record_id'),
  dangling('action_runs', 'record_id', 'records', 'record_id', 'x.record_id'),
  dangling('action_runs', 'invalidation_id', 'invalidations', 'id', 'x.record_id'),
  dangling('updates', 'version_id', 'versions', 'version_id', 'x.update_id'),
  dangling('updates', 'seen', 'versions', 'version_id', 'x.update_id'),
  dangling('exposures', 'update_id', 'updates', 'update_id', 'x.source_id', 'sources of exposures'),
  dangling('exposures', 'version_id', 'versions', 'version_id', 'x.source_id', 'sources of exposures'),
  dangling('version_uris', 'version_id', 'versions', 'version_id', 'x.version_id', 'URIs of versions'),
  dangling('version_tags', 'version_id', 'versions', 'version_id', 'x.id', 'tags of versions'),
  dangling('derivation_versions', 'version_id', 'versions', 'version_id', 'x.derivation', 'derived records'),
  dangling('versions', 'attempt_id', 'attempts', 'attempt_id', 'x.version_id'),
  dangling('ledger', 'attempt_id', 'attempts', 'attempt_id', 'x.attempt_id', 'rows of the ledger'),
  dangling('attempts', 'run_id', 'runs', 'run_id', 'x.attempt_id'),
  {
    check: 'references',
    what: 'records with the version of a source that they are not derived from',
    rows: `SELECT DISTINCT x.derivation AS id FROM derivation_versions x WHERE NOT EXISTS (
      SELECT 1 FROM derivations d WHERE d.record_id = x.record_id AND d.derivation = x.derivation)`,
  },
  {
    check: 'references',
    what: 'models derived, by updates alone, from what no update of them was exposed to',
    rows: `SELECT DISTINCT d.derivation AS id FROM derivations d WHERE d.stated = 0 AND NOT EXISTS (
      SELECT 1 FROM exposures e JOIN updates u USING (update_id) JOIN versions v ON v.version_id = u.version_id
      WHERE e.source_id = d.record_id AND v.model_id = d.derivation)`,
  },
  {
    check: 'references',
    what: 'models that were exposed to what they are not derived from',
    rows: `SELECT DISTINCT v.model_id AS id FROM exposures e JOIN updates u USING (update_id) JOIN versions v ON v.version_id = u.version_id
      WHERE NOT EXISTS (SELECT 1 FROM derivations d WHERE d.record_id = e.source_id AND d.derivation = v.model_id)`,
  },
  {
    check: 'versions',
    what: 'facts or data with versions, as only models have',
    rows: `SELECT DISTINCT v.model_id AS id FROM versions v JOIN records r ON r.record_id = v.model_id WHERE r.kind IN (1, 2)`,
  },
  {
    check: 'versions',
    what: 'models with a version that was named and never made, by a run that has ended',
    rows: `SELECT DISTINCT v.model_id AS id FROM versions v JOIN attempts a USING (attempt_id)
      WHERE a.status <> 'RUNNING' AND NOT EXISTS (SELECT 1 FROM updates u WHERE u.version_id = v.version_id)`,
  },
  {
    check: 'versions',
    what: 'models with a version that was made and has no number',
    rows: `SELECT DISTINCT v.model_id AS id FROM versions v
      WHERE v.number IS NULL AND EXISTS (SELECT 1 FROM updates u WHERE u.version_id = v.version_id)`,
  },
  ...INVALIDATIONS,
  {
    check: 'ids',
    what: 'records with an id of no run',
    rows: `SELECT r.record_id AS id FROM records r WHERE r.kind <> 0 AND ifnull((
      SELECT a.id_end FROM attempts a WHERE a.id_base < r.record_id ORDER BY a.id_base DESC LIMIT 1), 0) < r.record_id`,
  },
  {
    check: 'runs',
    what: 'attempts, or their runs, with a status that is none',
    rows: `SELECT attempt_id AS id FROM attempts JOIN runs r USING (run_id)
      WHERE attempts.status NOT IN ('RUNNING', 'COMPLETED', 'FAILED', 'KILLED', 'INCOMPLETE')
        OR r.status NOT IN ('RUNNING', 'COMPLETED', 'FAILED', 'KILLED', 'INCOMPLETE')`,
  },
  {
    check: 'runs',
    what: 'runs with another status than their last attempt',
    rows: `SELECT r.run_id AS id FROM runs r WHERE r.status IS NOT (
      SELECT a.status FROM attempts a WHERE a.run_id = r.run_id ORDER BY a.attempt DESC LIMIT 1)`,
  },
  {
    check: 'values',
    what: 'records with a time that is none',
    rows: `SELECT record_id AS id FROM records WHERE typeof(time) <> 'text' OR julianday(time) IS NULL`,
    braidDb: true,
  },
  {
    check: 'values',
    what: 'records with a tag whose value does not fit its type',
    rows: `SELECT DISTINCT record_id AS id FROM tags WHERE tag_type NOT IN (0, 1, 2, 3)
      OR (tag_type = 2 AND CAST(CAST(value AS INTEGER) AS TEXT) <> value)
      OR (boolean = 1 AND (tag_type <> 2 OR value NOT IN ('0', '1')))`,
  },
  {
    check: 'duplicates',
    what: 'runs that are there more than once',
    rows: `SELECT max(run_id) AS id FROM runs NOT INDEXED GROUP BY uuid HAVING count(*) > 1`,
  },
  {
    check: 'duplicates',
    what: 'attempts that are there more than once',
    rows: `SELECT max(attempt_id) AS id FROM attempts NOT INDEXED GROUP BY run_id, attempt HAVING count(*) > 1`,
  },
  {
    check: 'duplicates',
    what: 'models with a version that is there more than once',
    rows: `SELECT DISTINCT model_id AS id FROM versions NOT INDEXED GROUP BY model_id, attempt_id, step, rank, ordinal HAVING count(*) > 1`,
  },
];

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
    const rules = [...REFERENCES.map((rule) => rule(ours)), ...RULES].filter(({ braidDb }) => ours || braidDb);
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
         EXISTS (SELECT 1 FROM ledger_gaps g WHERE g.attempt_id = l.attempt_id AND g.rank = l.rank) AS lossy
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
    { rank, host, recorded, committed, records, frame, refused, lossy }: LedgerRow,
    who: string,
    status: string,
    held: number,
  ): void {
    const of = `rank ${rank} of ${who}`;
    if (records !== held) {
      this.#problem(
        'ledger',
        `${of}: the ledger says ${records} records are committed, the tables hold ${held}`,
        Math.abs(records - held),
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
