import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Database } from 'better-sqlite3';
import { BraidError } from '../errors.js';
import { KINDS, KindCode, MAX_ID, type Kind } from '../frame/format.js';
import { BRAID_DB_TABLES } from '../query/verify-rules.js';
import { Invalidations, type InvalidationRequest } from '../store/invalidation.js';
import { KINDS_INFERRED, makeTables, setMeta } from '../store/schema.js';
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

/** In this order: derivations tell the kinds. Without invalidations, which are said again. */
const COPIED: readonly (readonly [table: string, inserted: string, order?: string])[] = [
  ['derivations', 'derivations (record_id, derivation, time) SELECT record_id, derivation, time', 'r.record_id, r.derivation'],
  ['invalidation_actions', 'invalidation_actions (action_type, params, id, name, cmd) SELECT action_type, params, id, name, cmd'],
  ['records', `records (record_id, name, time, invalidation_action_id, kind) SELECT record_id, name, time, invalidation_action_id, ${KIND}`],
  ['uris', 'uris (id, record_id, uri) SELECT id, record_id, uri'],
  ['tags', 'tags (id, record_id, key, value, tag_type) SELECT id, record_id, key, value, tag_type'],
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
  const rows = old.take();
  const database = makeTables(db);
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
  const invalid = old.has('invalidations') ? sayAgain(db, old) : { requests: 0, invalidated: 0 };
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

/**
 * Says again as ours what Braid-DB has invalidated: the first of each cascade for its record, and with it what derives from
 * that. What is invalid by no derivation that is known here stays so by an invalidation of its own.
 */
function sayAgain(db: Database, old: OldTables): Pick<Upgraded, 'requests' | 'invalidated'> {
  const [records, invalidations] = [old.named('records'), old.named('invalidations')];
  db.exec(`
    CREATE TEMP TABLE braid_chains (id TEXT NOT NULL PRIMARY KEY, parent TEXT, cause TEXT NOT NULL, time TEXT NOT NULL, root TEXT);
    INSERT INTO braid_chains SELECT id, root_invalidation, cause, time, NULL FROM ${invalidations};
    CREATE INDEX temp.ix_braid_chains_parent ON braid_chains (parent);
    WITH RECURSIVE down (id, root) AS (
      SELECT id, id FROM braid_chains WHERE parent IS NULL
      UNION ALL SELECT c.id, d.root FROM down d CROSS JOIN braid_chains c ON c.parent = d.id)
    UPDATE braid_chains SET root = down.root FROM down WHERE down.id = braid_chains.id;
    CREATE TEMP TABLE braid_invalid (record INTEGER NOT NULL PRIMARY KEY, id TEXT NOT NULL);
    INSERT INTO braid_invalid SELECT record_id, invalidation_id FROM ${records} WHERE invalidation_id IS NOT NULL;
    CREATE INDEX temp.ix_braid_invalid_id ON braid_invalid (id);
  `);
  const before = db.prepare('SELECT count(*) FROM temp.braid_invalid').pluck().get() as number;
  const first = db
    .prepare(
      `SELECT c.id, min(w.record) AS record, c.cause, c.time,
         EXISTS (SELECT 1 FROM braid_chains x WHERE x.parent = c.id)
           OR NOT EXISTS (SELECT 1 FROM derivations d WHERE d.record_id = w.record) AS cascade
       FROM braid_chains c CROSS JOIN braid_invalid w ON w.id = c.id WHERE c.parent IS NULL GROUP BY c.id`,
    )
    .all() as (Omit<InvalidationRequest, 'cascade'> & { cascade: number })[];
  const ours = new Invalidations(db);
  ours.invalidate(first.map((request) => ({ ...request, cascade: request.cascade === 1 })));
  const rest = db
    .prepare(
      `SELECT ifnull(c.id, w.id) AS id, w.record, ifnull(c.cause, 'not recorded') AS cause, ifnull(c.time, r.time) AS time
       FROM braid_invalid w CROSS JOIN records r ON r.record_id = w.record LEFT JOIN braid_chains c ON c.id = w.id
       WHERE r.invalidation_id IS NULL`,
    )
    .all() as Omit<InvalidationRequest, 'cascade'>[];
  const said = new Set(first.map(({ id }) => id));
  const alone = rest.map((request) => {
    const id = said.has(request.id) ? randomUUID().replaceAll('-', '') : request.id;
    said.add(id);
    return { ...request, id, cascade: false };
  });
  ours.invalidate(alone);
  // Of no record any more: they are history.
  db.exec(`
    INSERT OR IGNORE INTO invalidations (id, root_invalidation, cause, time)
      SELECT c.id, (SELECT i.id FROM invalidations i WHERE i.id = c.root AND c.root <> c.id), c.cause, c.time FROM braid_chains c
      WHERE NOT EXISTS (SELECT 1 FROM braid_invalid w WHERE w.id = c.id);
  `);
  const after = db.prepare('SELECT count(*) FROM records WHERE invalidation_id IS NOT NULL').pluck().get() as number;
  db.exec('DROP TABLE temp.braid_chains; DROP TABLE temp.braid_invalid');
  return { requests: first.length + alone.length, invalidated: after - before };
}

function notUpgradable(db: Database, why: string): BraidError {
  const files = (db.pragma('database_list') as { file: string }[]).map(({ file }) => file);
  return new BraidError(
    'ERR_BRAID_NOT_UPGRADABLE',
    `${files.findLast((file) => file !== '')} can't be upgraded: ${why}`,
  );
}
