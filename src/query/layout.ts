import type { Database } from 'better-sqlite3';
import {
  KINDS_INFERRED_RANGES,
  KINDS_INFERRED_THROUGH,
  SCHEMA_VERSION,
  checkSchema,
  databaseKind,
  emptyDatabase,
  hasMergedRanges,
} from '../store/schema.js';

/**
 * How to select what a reader shows, from our own tables or from those of a database that Braid-DB has made, which lacks
 * our columns and tables.
 */
export interface Layout {
  /** Whether runs, versions and kinds are there. */
  readonly ours: boolean;
  /** Expressions over a row `r` of records. */
  readonly kind: string;
  /** Ids of records whose kinds nobody stated, and `braid upgrade` inferred. */
  readonly kindsInferred: readonly IdRange[];
  readonly run: string;
  readonly rank: string;
  /** An expression over a row `t` of tags. */
  readonly boolean: string;
}

interface IdRange {
  readonly first: number;
  readonly last: number;
}

/** Whether nobody has stated what kind a record is. */
export function isKindInferred({ kindsInferred }: Layout, id: number): boolean {
  return kindsInferred.some(({ first, last }) => id >= first && id <= last);
}

/** Of ours: the attempt that a row `r` of records is of. */
export const ATTEMPT = `(SELECT b.attempt_id FROM attempts b WHERE b.id_base < r.record_id AND b.id_end >= r.record_id
  ORDER BY b.id_base DESC LIMIT 1)`;

const OURS: Layout = {
  ours: true,
  kind: 'r.kind',
  kindsInferred: [],
  run: `(SELECT u.uuid FROM attempts a JOIN runs u USING (run_id) WHERE a.attempt_id = ${ATTEMPT})`,
  rank: `(SELECT (r.record_id - a.id_base - 1) % a.size FROM attempts a
      WHERE a.id_base < r.record_id AND a.id_end >= r.record_id ORDER BY a.id_base DESC LIMIT 1)`,
  boolean: 't.boolean',
};

const BRAID_DB: Layout = { ours: false, kind: '0', kindsInferred: [], run: 'NULL', rank: 'NULL', boolean: '0' };

/** @throws BraidError ERR_BRAID_DB_EMPTY, ERR_BRAID_DB_FOREIGN, ERR_BRAID_DB_NEWER */
export function layoutOf(db: Database): Layout {
  const kind = databaseKind(db);
  if (kind === 'empty') throw emptyDatabase(db);
  if (kind === 'braid-db') return BRAID_DB;
  checkSchema(db, kind);
  const ranges = hasMergedRanges(db) ? KINDS_INFERRED_RANGES : `SELECT 1 AS first, ${KINDS_INFERRED_THROUGH} AS last`;
  const kindsInferred = db.prepare(`SELECT * FROM (${ranges}) WHERE last >= first`).all() as IdRange[];
  return { ...OURS, kindsInferred };
}

export { SCHEMA_VERSION };
