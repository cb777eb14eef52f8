import type { Database } from 'better-sqlite3';
import { KINDS_INFERRED_THROUGH, SCHEMA_VERSION, checkSchema, databaseKind, emptyDatabase } from '../store/schema.js';

/**
 * How to select what a reader shows, from our own tables or from those of a database that Braid-DB has made, which lacks
 * our columns and tables.
 */
export interface Layout {
  /** Whether runs, versions and kinds are there. */
  readonly ours: boolean;
  /** Expressions over a row `r` of records. */
  readonly kind: string;
  /** Through which id nobody stated the kind of a record, and `braid upgrade` inferred it; 0 where all are as stated. */
  readonly kindsInferredThrough: number;
  readonly run: string;
  readonly rank: string;
  /** An expression over a row `t` of tags. */
  readonly boolean: string;
}

/** Of ours: the attempt that a row `r` of records is of. */
export const ATTEMPT = `(SELECT b.attempt_id FROM attempts b WHERE b.id_base < r.record_id AND b.id_end >= r.record_id
  ORDER BY b.id_base DESC LIMIT 1)`;

const OURS: Layout = {
  ours: true,
  kind: 'r.kind',
  kindsInferredThrough: 0,
  run: `(SELECT u.uuid FROM attempts a JOIN runs u USING (run_id) WHERE a.attempt_id = ${ATTEMPT})`,
  rank: `(SELECT (r.record_id - a.id_base - 1) % a.size FROM attempts a
      WHERE a.id_base < r.record_id AND a.id_end >= r.record_id ORDER BY a.id_base DESC LIMIT 1)`,
  boolean: 't.boolean',
};

const BRAID_DB: Layout = { ours: false, kind: '0', kindsInferredThrough: 0, run: 'NULL', rank: 'NULL', boolean: '0' };

/** @throws BraidError ERR_BRAID_DB_EMPTY, ERR_BRAID_DB_FOREIGN, ERR_BRAID_DB_NEWER */
export function layoutOf(db: Database): Layout {
  const kind = databaseKind(db);
  if (kind === 'empty') throw emptyDatabase(db);
  if (kind === 'braid-db') return BRAID_DB;
  checkSchema(db, kind);
  const kindsInferredThrough = db.prepare(`SELECT ${KINDS_INFERRED_THROUGH}`).pluck().get() as number;
  return { ...OURS, kindsInferredThrough };
}

export { SCHEMA_VERSION };
