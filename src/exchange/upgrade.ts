import { setImmediate } from 'node:timers/promises';
import type { Database } from 'better-sqlite3';
import { BraidError } from '../errors.js';
import { KINDS, KindCode, MAX_ID, type Kind } from '../frame/format.js';
import { braidDbUuid } from '../query/braid-db-uuid.js';
import { BRAID_DB_TABLES } from '../query/verify-rules.js';
import { Invalidations } from '../store/invalidation.js';
import { sayAgain } from '../store/said-again.js';
import { KINDS_INFERRED, TABLE_NAMES, makeTables, setMeta } from '../store/schema.js';
import { buildSearchIndexes, wantSearchIndexes } from '../store/search-indexes.js';

/** What is told of a long upgrade now and then: pages of the copy, or rows that are taken over. */
export interface UpgradeProgress {
  phase: 'backup' | 'tables';
  done: number;
  total: number;
}

/** What an upgrade has made of a database. */
export interface Upgraded {
  records: number;
  /** How many records were taken to be of which kind; `record` is not known. */
  kinds: Record<Kind, number>;
  /** How many invalidations were said again as ours. */
  requests: number;
  /** How many records were valid in Braid-DB, and derive from what was invalidated with all that does. */
  invalidated: number;
}

interface Options {
  /** Read the old tables from an attached database of this name, and leave them; else they are this one's, and go. */
  readonly attached?: string;
  readonly onProgress?: (progress: UpgradeProgress) => void;
  readonly signal?: AbortSignal;
}

/** Ids are given out in the order in which records are stored; times of Braid-DB are local ones, some, and UTC, others. */
const KIND = `CASE
  WHEN EXISTS (SELECT 1 FROM derivations d WHERE d.derivation = r.record_id AND d.record_id >= r.record_id) THEN ${KindCode.model}
  WHEN EXISTS (SELECT 1 FROM derivations d WHERE d.derivation = r.record_id) THEN ${KindCode.data}
  WHEN EXISTS (SELECT 1 FROM derivations d WHERE d.record_id = r.record_id) THEN ${KindCode.fact}
  ELSE ${KindCode.record} END`;

/** Ours, of which none may be there. */
const OWN_TABLES = TABLE_NAMES.filter((name) => !(name in BRAID_DB_TABLES));

/** In this order: derivations tell the kinds. Without invalidations, which are said again. */
const COPIED: readonly (readonly [table: string, inserted: string, order?: string])[] = [
  ['derivations', 'derivations (record_id, derivation, time) SELECT record_id, derivation, time', 'r.record_id, r.derivation'],
  ['invalidation_actions', 'invalidation_actions (action_type, params, id, name, cmd) SELECT action_type, params, id, CAST(name AS TEXT), CAST(cmd AS TEXT)'],
  ['records', `records (record_id, name, time, invalidation_action_id, kind) SELECT record_id, CAST(name AS TEXT), time, invalidation_action_id, ${KIND}`],
  ['uris', 'uris (id, record_id, uri) SELECT id, record_id, CAST(uri AS TEXT)'],
  ['tags', 'tags (id, record_id, key, value, tag_type) SELECT id, record_id, CAST(key AS TEXT), CAST(value AS TEXT), tag_type'],
]; // prettier-ignore

/**
 * Makes our tables of Braid-DB's, inside a transaction. What can't be taken over as it is, is an error before anything is
 * done.
 *
 * @throws BraidError ERR_BRAID_NOT_UPGRADABLE
 */
export async function upgradeTables(
  db: Database,
  { attached, onProgress, signal }: Options,
): Promise<Upgraded & { database: string }> {
  const old = new OldTables(db, attached);
  old.check();
  const uuid = braidDbUuid(db, attached);
  const rows = old.take();
  const database = makeTables(db, uuid);
  const total = Object.values(rows).reduce((sum, count) => sum + count, 0);
  let done = 0;
  /** Between two statements: of a signal nobody hears before that. */
  const turn = async () => {
    onProgress?.({ phase: 'tables', done, total });
    await setImmediate();
    signal?.throwIfAborted();
  };
  for (const [table, inserted, order = 'r.rowid'] of COPIED) {
    if (!old.has(table)) continue;
    await turn();
    copied(db, table, () => db.exec(`INSERT INTO ${inserted} FROM ${old.named(table)} r ORDER BY ${order}`));
    if (table !== 'records') old.drop(table);
    done += rows[table];
  }
  await turn();
  const invalid = old.has('invalidations')
    ? sayAgain(db, new Invalidations(db), invalidOf(old))
    : { requests: 0, invalidated: 0 };
  old.drop('records');
  old.drop('invalidations');
  const highest = (db.prepare('SELECT max(record_id) FROM records').pluck().get() as number | null) ?? 0;
  setMeta(db, KINDS_INFERRED, String(highest));
  await turn();
  wantSearchIndexes(db);
  buildSearchIndexes(db);
  old.rebuildIndexes();
  done = total;
  await turn();
  const kinds = db.prepare('SELECT kind, count(*) FROM records GROUP BY kind').raw().all() as [number, number][];
  const counts = new Map(kinds);
  return {
    database,
    records: rows.records,
    kinds: Object.fromEntries(KINDS.map((kind, code) => [kind, counts.get(code) ?? 0])) as Record<Kind, number>,
    ...invalid,
  };
}

function copied(db: Database, table: string, copy: () => void): void {
  try {
    copy();
  } catch (error) {
    if ((error as { code?: string }).code?.startsWith('SQLITE_CONSTRAINT')) {
      throw notUpgradable(db, `its table ${table} holds what ours can't: ${(error as Error).message}`);
    }
    throw error;
  }
}

/** Braid-DB's tables, as they are: beside ours by another name, or in another file. */
class OldTables {
  #indexes: readonly { readonly name: string; readonly sql: string }[] = [];
  readonly #tables: readonly string[];
  readonly #schema: string;

  constructor(
    private readonly db: Database,
    private readonly attached: string | undefined,
  ) {
    this.#schema = attached ?? 'main';
    const there = this.#names(`type = 'table'`);
    this.#tables = Object.keys(BRAID_DB_TABLES).filter((table) => there.includes(table));
  }

  has(table: string): boolean {
    return this.#tables.includes(table);
  }

  named(table: string): string {
    return this.attached === undefined ? `braid_db_${table}` : `${this.attached}.${table}`;
  }

  /** @throws BraidError ERR_BRAID_NOT_UPGRADABLE */
  check(): void {
    const { db } = this;
    const refuse = (why: string) => {
      throw notUpgradable(db, why);
    };
    const others = this.#names(`type IN ('view', 'trigger')`);
    if (others.length > 0) refuse(`it has views or triggers of somebody's (${others.join(', ')}): drop them first`);
    const taken = this.#names(`type = 'table'`).filter((name) => OWN_TABLES.includes(name.toLowerCase()));
    if (taken.length > 0) refuse(`it has tables by names that ours have (${taken.join(', ')}): rename them first`);
    for (const table of this.#tables) {
      const columns = db.prepare('SELECT name FROM pragma_table_xinfo(?, ?)').pluck().all(table, this.#schema) as string[]; // prettier-ignore
      const lacking = BRAID_DB_TABLES[table].filter((column) => !columns.includes(column));
      if (lacking.length > 0) refuse(`its table ${table} has no column ${lacking.join(', ')}`);
      const more = columns.filter((column) => !BRAID_DB_TABLES[table].includes(column));
      if (more.length > 0) refuse(`its table ${table} has columns that are not known here: ${more.join(', ')}`);
    }
    const [least, most] = db.prepare(`SELECT min(record_id), max(record_id) FROM ${this.#schema}.records`).raw().get() as [number | null, number | null]; // prettier-ignore
    if ((least ?? 1) < 1 || (most ?? 1) > MAX_ID) {
      refuse(`its records have ids from ${least} to ${most}, and ids are between 1 and ${MAX_ID}`);
    }
  }

  /** Makes room for ours. Gives how many rows there are. */
  take(): Record<string, number> {
    const { db } = this;
    const count = (table: string) =>
      db.prepare(`SELECT count(*) FROM ${this.#schema}.${table}`).pluck().get() as number;
    const rows = Object.fromEntries(this.#tables.map((table) => [table, count(table)]));
    if (this.attached !== undefined) return rows;
    this.#indexes = db
      .prepare(
        `SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL
         AND tbl_name IN (SELECT value FROM json_each(?))`,
      )
      .all(JSON.stringify(this.#tables)) as { name: string; sql: string }[];
    for (const { name } of this.#indexes) db.exec(`DROP INDEX "${name.replaceAll('"', '""')}"`);
    for (const table of this.#tables) db.exec(`ALTER TABLE ${table} RENAME TO ${this.named(table)}`);
    return rows;
  }

  drop(table: string): void {
    if (this.attached === undefined && this.has(table)) this.db.exec(`DROP TABLE ${this.named(table)}`);
  }

  /** Those that somebody has made for searches of their own: not those that ours have by the same name. */
  rebuildIndexes(): void {
    const there = new Set(this.#names(`type = 'index'`).map((name) => name.toLowerCase()));
    for (const { name, sql } of this.#indexes) if (!there.has(name.toLowerCase())) this.db.exec(sql);
  }

  #names(where: string): string[] {
    return this.db.prepare(`SELECT name FROM ${this.#schema}.sqlite_schema WHERE ${where}`).pluck().all() as string[];
  }
}

/** What `sayAgain` is to say. */
function invalidOf(old: OldTables): string {
  return `INSERT INTO braid_chains (id, parent, cause, time) SELECT id, root_invalidation, CAST(cause AS TEXT), CAST(time AS TEXT) FROM ${old.named('invalidations')};
    INSERT INTO braid_invalid SELECT record_id, invalidation_id FROM ${old.named('records')} WHERE invalidation_id IS NOT NULL`;
}

function notUpgradable(db: Database, why: string): BraidError {
  const files = (db.pragma('database_list') as { file: string }[]).map(({ file }) => file);
  return new BraidError(
    'ERR_BRAID_NOT_UPGRADABLE',
    `${files.findLast((file) => file !== '')} can't be upgraded: ${why}`,
  );
}
