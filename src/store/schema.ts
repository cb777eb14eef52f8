import { randomUUID } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import { BraidError } from '../errors.js';

/** In `meta`: through which id `braid upgrade` has inferred the kinds of records, which nobody stated. */
export const KINDS_INFERRED = 'kinds_inferred_through';
/** That id; 0 where none is inferred. */
export const KINDS_INFERRED_THROUGH = `ifnull((SELECT CAST(m.value AS INTEGER) FROM meta m WHERE m.key = '${KINDS_INFERRED}'), 0)`;

/** Ids of which that is so, as ranges: of the database's own records, and of those that were merged. */
export const KINDS_INFERRED_RANGES = `SELECT 1 AS first, ${KINDS_INFERRED_THROUGH} AS last
  UNION ALL SELECT first + offset, last + offset FROM merged_ranges WHERE kinds_inferred`;

/** Raised with every change of the tables that an older version of this library could not write to. */
export const SCHEMA_VERSION = 1;

/** The node of lineage (src/lineage/steps.ts) that a row of invalidation_requests is about. */
export const REQUESTED = 'ifnull(-version_id, record_id)';
/** The same of a row `q`. */
export const REQUESTED_BY_Q = 'ifnull(-q.version_id, q.record_id)';

/**
 * What merging, extracting and pruning leave behind. Databases that were made before there was such a thing get them from the
 * next run, or from whoever does one of these; until then nothing is in them.
 */
export const EXCHANGE_TABLES = `
CREATE TABLE IF NOT EXISTS merged_ranges (
  origin CHAR(32) NOT NULL,                 -- the uuid of a database that has these ids,
  through INTEGER NOT NULL DEFAULT 0,       -- and gave them out; 1: that had their records by merging, from one that has ranges, too
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  offset INTEGER NOT NULL,                  -- what is id there is id + offset here
  kinds_inferred INTEGER NOT NULL DEFAULT 0,   -- 1: nobody stated their kinds: braid upgrade has inferred them
  path TEXT NOT NULL,                       -- the file, when it was merged
  time DATETIME NOT NULL,                   -- of that
  PRIMARY KEY (origin, through, first)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS joined_models (
  origin CHAR(32) NOT NULL,                 -- as above: of the range that the model is in
  id INTEGER NOT NULL,                      -- of a model there, whose place here stays empty,
  record_id INTEGER NOT NULL REFERENCES records (record_id),   -- for it became this one
  path TEXT NOT NULL,
  time DATETIME NOT NULL,
  PRIMARY KEY (origin, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS omissions (
  attempt_id INTEGER NOT NULL REFERENCES attempts (attempt_id),
  rank INTEGER NOT NULL,
  records INTEGER NOT NULL,                 -- how many of those that the ledger counts were pruned, not extracted, or joined
  PRIMARY KEY (attempt_id, rank)
) WITHOUT ROWID;
`;

/**
 * The tables. Those of the first part are Braid-DB's, with its columns, types and formats; what we add to them has
 * defaults, so that its own readers and writers don't notice. `records` is AUTOINCREMENT because runs reserve blocks of
 * ids by raising `sqlite_sequence`, which makes SQLite's next rowid respect them. `derivations` is WITHOUT ROWID: one
 * B-tree instead of two.
 */
const TABLES = `
CREATE TABLE invalidations (
  id CHAR(32) NOT NULL PRIMARY KEY,
  root_invalidation CHAR(32) REFERENCES invalidations (id),
  cause VARCHAR NOT NULL,
  time DATETIME NOT NULL,
  inferred INTEGER NOT NULL DEFAULT 0       -- 1: it may derive from what was invalidated, and isn't known to
);
CREATE TABLE invalidation_actions (
  action_type VARCHAR(14),
  params JSON,
  id CHAR(32) NOT NULL PRIMARY KEY,
  name VARCHAR NOT NULL,
  cmd VARCHAR NOT NULL
);
CREATE TABLE records (
  record_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  name VARCHAR NOT NULL,
  time DATETIME NOT NULL,
  invalidation_id CHAR(32) REFERENCES invalidations (id),
  invalidation_action_id CHAR(32) REFERENCES invalidation_actions (id),
  kind INTEGER NOT NULL DEFAULT 0           -- 0 not known, 1 fact, 2 data, 3 model
);
CREATE TABLE derivations (
  record_id INTEGER NOT NULL REFERENCES records (record_id),    -- the source
  derivation INTEGER NOT NULL REFERENCES records (record_id),   -- the derived record
  time DATETIME NOT NULL,
  unversioned INTEGER NOT NULL DEFAULT 1,   -- 1: some statement of it didn't know the source's version
  stated INTEGER NOT NULL DEFAULT 1,        -- 0: only updates of the derived model say it, and those have their versions
  PRIMARY KEY (record_id, derivation)
) WITHOUT ROWID;
CREATE INDEX ix_derivations_derivation ON derivations (derivation, stated, unversioned);
CREATE TABLE uris (
  id INTEGER NOT NULL PRIMARY KEY,
  record_id INTEGER NOT NULL REFERENCES records (record_id),
  uri VARCHAR NOT NULL
);
CREATE INDEX ix_uris_record_id ON uris (record_id);
CREATE TABLE tags (
  id INTEGER NOT NULL PRIMARY KEY,
  record_id INTEGER NOT NULL REFERENCES records (record_id),
  key VARCHAR NOT NULL,
  value VARCHAR NOT NULL,
  tag_type INTEGER NOT NULL,
  boolean INTEGER NOT NULL DEFAULT 0        -- 1: an integer 0 or 1 that means false or true
);
CREATE INDEX ix_tags_record_id ON tags (record_id);

CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
  run_id INTEGER NOT NULL PRIMARY KEY,
  uuid CHAR(32) NOT NULL UNIQUE,
  name TEXT,
  status TEXT NOT NULL,                     -- RUNNING, COMPLETED, FAILED, KILLED, INCOMPLETE
  started DATETIME NOT NULL,
  ended DATETIME
);
CREATE TABLE attempts (
  attempt_id INTEGER NOT NULL PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES runs (run_id),
  attempt INTEGER NOT NULL,
  size INTEGER NOT NULL,                    -- ranks
  status TEXT NOT NULL,
  started DATETIME NOT NULL,
  ended DATETIME,
  id_base INTEGER NOT NULL,                 -- rank r gives out id_base + 1 + r, then every size-th
  id_end INTEGER NOT NULL,                  -- the last id of its block
  context JSON NOT NULL,
  report JSON,                              -- what recording it cost
  UNIQUE (run_id, attempt)
);
CREATE INDEX ix_attempts_id_base ON attempts (id_base);
CREATE TABLE ledger (
  attempt_id INTEGER NOT NULL REFERENCES attempts (attempt_id),
  rank INTEGER NOT NULL,
  host TEXT NOT NULL,
  spool TEXT NOT NULL,                      -- directory
  anchor TEXT NOT NULL,                     -- by what it can be told from others of its name: anchorOf() in src/spool
  settled INTEGER NOT NULL DEFAULT 0,       -- 1: nothing more can come of this rank
  recorded INTEGER NOT NULL DEFAULT 0,      -- ops that the rank is known to have recorded
  committed INTEGER NOT NULL DEFAULT 0,     -- ops of it that are in this database
  records INTEGER NOT NULL DEFAULT 0,       -- how many of those are records
  bytes INTEGER NOT NULL DEFAULT 0,         -- of the frames committed
  frame INTEGER NOT NULL DEFAULT 0,         -- the newest frame dealt with: it and all before it are committed, or listed as gaps
  PRIMARY KEY (attempt_id, rank)
) WITHOUT ROWID;
CREATE TABLE ledger_gaps (
  attempt_id INTEGER NOT NULL REFERENCES attempts (attempt_id),
  rank INTEGER NOT NULL,
  frame INTEGER NOT NULL,                   -- 0: not known which; of several, the first
  reason TEXT NOT NULL,
  PRIMARY KEY (attempt_id, rank, frame, reason)
) WITHOUT ROWID;

CREATE TABLE versions (
  version_id INTEGER NOT NULL PRIMARY KEY,
  model_id INTEGER NOT NULL REFERENCES records (record_id),
  attempt_id INTEGER NOT NULL REFERENCES attempts (attempt_id),
  step INTEGER,                             -- NULL: made by one update without a step, the next two say which
  rank INTEGER NOT NULL DEFAULT -1,
  ordinal INTEGER NOT NULL DEFAULT -1,
  number INTEGER,                           -- model@number; NULL until an update of it is committed
  time DATETIME,                            -- of its first update
  invalidation_id CHAR(32) REFERENCES invalidations (id)
);
CREATE UNIQUE INDEX ix_versions_step ON versions (model_id, attempt_id, step) WHERE step IS NOT NULL;
CREATE UNIQUE INDEX ix_versions_ordinal ON versions (model_id, attempt_id, rank, ordinal) WHERE step IS NULL;
CREATE UNIQUE INDEX ix_versions_number ON versions (model_id, number) WHERE number IS NOT NULL;
CREATE INDEX ix_versions_time ON versions (model_id, time);
CREATE INDEX ix_versions_invalid ON versions (model_id) WHERE invalidation_id IS NOT NULL;
CREATE TABLE updates (
  update_id INTEGER NOT NULL PRIMARY KEY,
  version_id INTEGER NOT NULL REFERENCES versions (version_id),
  rank INTEGER NOT NULL,
  time DATETIME NOT NULL,
  seen INTEGER REFERENCES versions (version_id)    -- the version that the rank had seen before; NULL: none
);
CREATE INDEX ix_updates_version_id ON updates (version_id);
CREATE INDEX ix_updates_seen ON updates (seen) WHERE seen IS NOT NULL;
CREATE TABLE exposures (
  update_id INTEGER NOT NULL REFERENCES updates (update_id),
  ordinal INTEGER NOT NULL,
  source_id INTEGER NOT NULL REFERENCES records (record_id),
  version_id INTEGER REFERENCES versions (version_id),   -- of the source
  unversioned INTEGER NOT NULL,             -- 1: the source may be a model whose version isn't known
  PRIMARY KEY (update_id, ordinal)
) WITHOUT ROWID;
CREATE INDEX ix_exposures_source_id ON exposures (source_id, version_id);
CREATE TABLE version_uris (
  version_id INTEGER NOT NULL REFERENCES versions (version_id),
  uri TEXT NOT NULL,
  PRIMARY KEY (version_id, uri)
) WITHOUT ROWID;
CREATE TABLE version_tags (
  id INTEGER NOT NULL PRIMARY KEY,
  version_id INTEGER NOT NULL REFERENCES versions (version_id),
  rank INTEGER NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  tag_type INTEGER NOT NULL,
  boolean INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX ix_version_tags_version_id ON version_tags (version_id);
CREATE TABLE derivation_versions (
  derivation INTEGER NOT NULL,
  record_id INTEGER NOT NULL,
  version_id INTEGER NOT NULL REFERENCES versions (version_id),   -- of the source, record_id
  PRIMARY KEY (derivation, record_id, version_id)
) WITHOUT ROWID;
CREATE INDEX ix_derivation_versions_version_id ON derivation_versions (version_id);
CREATE TABLE invalidation_requests (
  id CHAR(32) NOT NULL PRIMARY KEY,         -- of what it makes of its record, or version, in invalidations
  record_id INTEGER NOT NULL,
  version_id INTEGER REFERENCES versions (version_id),   -- NULL: the record itself
  cascade INTEGER NOT NULL,
  cause TEXT NOT NULL,
  time DATETIME NOT NULL,
  done INTEGER NOT NULL DEFAULT 0           -- 0: its record has not been committed yet
) WITHOUT ROWID;
CREATE INDEX ix_invalidation_requests_node ON invalidation_requests (${REQUESTED});
CREATE INDEX ix_invalidation_requests_alone ON invalidation_requests (id) WHERE cascade = 0;
CREATE INDEX ix_invalidation_requests_waiting ON invalidation_requests (record_id) WHERE done = 0;
CREATE TABLE revalidations (
  request_id CHAR(32) NOT NULL PRIMARY KEY REFERENCES invalidation_requests (id),
  reason TEXT NOT NULL,
  time DATETIME NOT NULL
) WITHOUT ROWID;
CREATE TABLE record_actions (
  record_id INTEGER NOT NULL,
  time DATETIME NOT NULL,                   -- the last counts
  action_id CHAR(32) NOT NULL REFERENCES invalidation_actions (id),
  done INTEGER NOT NULL DEFAULT 0,          -- 0: its record has not been committed yet
  PRIMARY KEY (record_id, time, action_id)
) WITHOUT ROWID;
CREATE INDEX ix_record_actions_waiting ON record_actions (record_id) WHERE done = 0;
CREATE TABLE action_runs (
  action_run_id INTEGER NOT NULL PRIMARY KEY,
  action_id CHAR(32) NOT NULL REFERENCES invalidation_actions (id),
  record_id INTEGER NOT NULL REFERENCES records (record_id),
  invalidation_id CHAR(32) NOT NULL REFERENCES invalidations (id),
  started DATETIME NOT NULL,
  ended DATETIME NOT NULL,
  outcome TEXT NOT NULL,                    -- begun, and when it has ended: succeeded, failed, timeout, refused, interrupted
  status INTEGER,                           -- the exit status of a process, or the status of an answer; NULL: neither
  output TEXT NOT NULL                      -- its beginning; or why it was not run, or failed
);
CREATE TABLE invalidation_reach (
  node INTEGER NOT NULL PRIMARY KEY,        -- a record, or the negative of a version; it may not be committed yet
  request_id CHAR(32) NOT NULL REFERENCES invalidation_requests (id),   -- the first that cascades to it
  inferred INTEGER NOT NULL                 -- 1: by no way that is certain
);
${EXCHANGE_TABLES}`;

export const TABLE_NAMES = [...TABLES.matchAll(/^CREATE TABLE (?:IF NOT EXISTS )?(\w+)/gm)].map(([, name]) => name);

/** What a file turns out to be. */
export type DatabaseKind = 'empty' | 'ours' | 'braid-db' | 'other';

export function databaseKind(db: Database): DatabaseKind {
  const tables = new Set(
    (db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all() as { name: string }[]).map(
      ({ name }) => name,
    ),
  );
  if (tables.size === 0) return 'empty';
  if (tables.has('meta') && tables.has('ledger')) return 'ours';
  if (['records', 'derivations', 'uris', 'tags'].every((name) => tables.has(name))) return 'braid-db';
  return 'other';
}

/**
 * Makes the tables of a new database; of an existing one checks that it is ours and not newer than this library, and makes those
 * that it lacks because it is older. To be
 * called inside a write transaction, so that two runs that open a new file at once make one schema.
 *
 * @returns the database's UUID, as 32 hex digits.
 * @throws BraidError ERR_BRAID_DB_FOREIGN, ERR_BRAID_DB_NEWER
 */
export function ensureSchema(db: Database): string {
  const kind = databaseKind(db);
  if (kind === 'empty') return makeTables(db);
  const uuid = checkSchema(db, kind);
  db.exec(EXCHANGE_TABLES);
  return uuid;
}

/** Makes the tables, of which there are none. Gives the UUID that the database has from now on: the one that is given, or a new one. */
export function makeTables(db: Database, uuid = randomUUID().replaceAll('-', '')): string {
  db.exec(TABLES);
  setMeta(db, 'schema_version', String(SCHEMA_VERSION));
  setMeta(db, 'uuid', uuid);
  return uuid;
}

export function setMeta(db: Database, key: string, value: string): void {
  db.prepare('INSERT INTO meta (key, value) VALUES (?, ?)').run(key, value);
}

/** Of ours: whether it was made when databases could be merged, or has been since. */
export function hasMergedRanges(db: Database, schema = 'main'): boolean {
  return db.prepare(`SELECT 1 FROM ${schema}.sqlite_schema WHERE name = 'merged_ranges'`).get() !== undefined;
}

/** For a connection that only reads: what isn't there yet is there, and empty. */
export function supplyExchangeTables(db: Database): void {
  const names = [...EXCHANGE_TABLES.matchAll(/EXISTS (\w+)/g)].map(([, name]) => name);
  const has = db.prepare("SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?");
  // One of them alone is one that somebody has dropped.
  if (names.every((name) => has.get(name) === undefined)) {
    db.exec(EXCHANGE_TABLES.replaceAll('CREATE TABLE', 'CREATE TEMP TABLE'));
  }
}

export function emptyDatabase({ name }: Database): BraidError {
  return new BraidError(
    'ERR_BRAID_DB_EMPTY',
    `${name} has no tables: nothing was recorded in it (braid create makes a database)`,
  );
}

/** The UUID of a database of ours; throws if it is somebody else's or newer. */
export function checkSchema(db: Database, kind = databaseKind(db)): string {
  if (kind === 'braid-db') {
    throw new BraidError(
      'ERR_BRAID_DB_FOREIGN',
      `${db.name} was made by Braid-DB: it can be read as it is (BraidReader.open, braid print); to record ` +
        'into it, or change it, make it ours by braid upgrade',
    );
  }
  if (kind === 'empty') throw emptyDatabase(db);
  if (kind !== 'ours') {
    throw new BraidError(
      'ERR_BRAID_DB_FOREIGN',
      `${db.name} is an SQLite database with other tables in it: record into a new file`,
    );
  }
  const get = db.prepare('SELECT value FROM meta WHERE key = ?').pluck();
  const version = Number(get.get('schema_version'));
  if (!(version <= SCHEMA_VERSION)) {
    throw new BraidError(
      'ERR_BRAID_DB_NEWER',
      `${db.name} has schema version ${version}, this braid-mpi knows up to ${SCHEMA_VERSION}: install a newer one`,
    );
  }
  return get.get('uuid') as string;
}
