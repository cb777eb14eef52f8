import { createHash } from 'node:crypto';
import type { Database } from 'better-sqlite3';

/**
 * By what a database is known that Braid-DB has made, which gives it no UUID: it follows from its first record, which it never
 * changes, and stays when it is upgraded. Undefined where there is no record.
 *
 * @param schema by which statements know the database.
 */
export function braidDbUuid(db: Database, schema = 'main'): string | undefined {
  const first = db.prepare(`SELECT record_id, name, time FROM ${schema}.records ORDER BY record_id LIMIT 1`).all();
  if (first.length === 0) return undefined;
  return createHash('sha256').update(JSON.stringify(first)).digest('hex').slice(0, 32);
}
