import type { Database } from 'better-sqlite3';

/**
 * Indexes of what is searched for: names, and tags by key and value. No part of recording needs them, so a new database gets
 * them when its first run has ended, in one sorted pass each; from then on commits keep them.
 */
const SEARCH_INDEXES = `
CREATE INDEX IF NOT EXISTS ix_records_name ON records (name);
CREATE INDEX IF NOT EXISTS ix_tags_key_value ON tags (key, value);
`;
const COUNT = 2;

/** Says that the database is to have them, to whoever ends a run of it next. */
export function wantSearchIndexes(db: Database): void {
  db.prepare("INSERT OR IGNORE INTO meta (key, value) VALUES ('search_indexes', '1')").run();
}

/** Whether they are wanted, not there, and nobody else is recording: who is, would have to wait, and then find more to do. */
export function lacksSearchIndexes(db: Database): boolean {
  return (
    db.prepare("SELECT 1 FROM meta WHERE key = 'search_indexes'").get() !== undefined &&
    db.prepare("SELECT 1 FROM attempts WHERE status = 'RUNNING'").get() === undefined &&
    (db
      .prepare("SELECT count(*) FROM sqlite_schema WHERE name IN ('ix_records_name', 'ix_tags_key_value')")
      .pluck()
      .get() as number) < COUNT
  );
}

/** In a transaction. What is sorted may be more than this process may hold: `temp_store` must be a file. */
export function buildSearchIndexes(db: Database): void {
  db.exec(SEARCH_INDEXES);
}
