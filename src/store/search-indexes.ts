import type { Database } from 'better-sqlite3';

/**
 * A number, given as SQL for its decimal text, rounded to 26 bits (Veltkamp's way), in the order of the numbers. What an
 * index holds must be what every SQLite makes of the text, or one that makes something else finds the file damaged
 * (docs/decisions/0022-numbers-are-indexed-rounded.md). One that is too large for this stays as it is.
 */
export function roundedNumber(text: string): string {
  const number = `CAST(${text} AS REAL)`;
  const scaled = `${number} * 134217729`;
  return `ifnull(${scaled} - (${scaled} - ${number}), ${number})`;
}

/** The same of a number, where it is compared with them. */
export function roundNumber(number: number): number {
  const scaled = number * 134217729;
  const rounded = scaled - (scaled - number);
  return Number.isNaN(rounded) ? number : rounded;
}

const STRINGS = '(key, value) WHERE tag_type = 1';
const NUMBERS = `(key, ${roundedNumber('value')}) WHERE tag_type IN (2, 3)`;

/**
 * Indexes of what is searched for: names, and tags of records and of versions by key and value: strings in one, numbers in the other. No part of
 * recording needs them, so a new database gets them when its first run has ended, in one sorted pass each; from then on
 * commits keep them.
 */
const SEARCH_INDEXES = {
  ix_records_name: 'records (name)',
  ix_tags_key_string: `tags ${STRINGS}`,
  ix_tags_key_number: `tags ${NUMBERS}`,
  ix_version_tags_key_string: `version_tags ${STRINGS}`,
  ix_version_tags_key_number: `version_tags ${NUMBERS}`,
} as const;
export type SearchIndex = keyof typeof SEARCH_INDEXES;

/** Says that the database is to have them, to whoever ends a run of it next. */
export function wantSearchIndexes(db: Database): void {
  db.prepare("INSERT OR IGNORE INTO meta (key, value) VALUES ('search_indexes', '1')").run();
}

/** Whether they are wanted, not there, and nobody else is recording: who is, would have to wait, and then find more to do. */
export function lacksSearchIndexes(db: Database): boolean {
  return (
    db.prepare("SELECT 1 FROM meta WHERE key = 'search_indexes'").get() !== undefined &&
    !isRecordedInto(db) &&
    db.prepare(PRESENT_SEARCH_INDEXES).all().length < Object.keys(SEARCH_INDEXES).length
  );
}

/** Whether a run is recording. One that was merged while it was, records elsewhere. */
export function isRecordedInto(db: Database): boolean {
  const running = `SELECT 1 FROM attempts a WHERE status = 'RUNNING' AND EXISTS (
    SELECT 1 FROM ledger l WHERE l.attempt_id = a.attempt_id AND NOT l.settled)`;
  return db.prepare(running).get() !== undefined;
}

/** Selects the names of those that a database has. */
export const PRESENT_SEARCH_INDEXES = `SELECT name FROM sqlite_schema WHERE type = 'index'
  AND name IN (${Object.keys(SEARCH_INDEXES).map((name) => `'${name}'`).join(', ')})`; // prettier-ignore

/** In a transaction. What is sorted may be more than this process may hold: `temp_store` must be a file. */
export function buildSearchIndexes(db: Database): void {
  for (const [name, columns] of Object.entries(SEARCH_INDEXES)) {
    db.exec(`CREATE INDEX IF NOT EXISTS ${name} ON ${columns}`);
  }
}
