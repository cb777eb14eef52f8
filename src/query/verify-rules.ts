import { STEPS } from '../lineage/steps.js';
import { KINDS_INFERRED_RANGES, REQUESTED_BY_Q } from '../store/schema.js';
import type { VerifyCheck } from './verify.js';

/** What Braid-DB's readers name. Its own files needn't have more. */
export const BRAID_DB_TABLES: Record<string, string[]> = {
  records: ['record_id', 'name', 'time', 'invalidation_id', 'invalidation_action_id'],
  derivations: ['record_id', 'derivation', 'time'],
  uris: ['id', 'record_id', 'uri'],
  tags: ['id', 'record_id', 'key', 'value', 'tag_type'],
  invalidations: ['id', 'root_invalidation', 'cause', 'time'],
  invalidation_actions: ['action_type', 'params', 'id', 'name', 'cmd'],
};

/** A condition that no row may meet. */
export interface Rule {
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

/** Of a row `r` of records: that its kind is as its run stated it, and not inferred. */
const STATED = `NOT EXISTS (SELECT 1 FROM (${KINDS_INFERRED_RANGES}) g WHERE r.record_id BETWEEN g.first AND g.last)`;

export const RULES_BY_KIND: ((ours: boolean) => Rule)[] = [
  (ours) => ({
    check: 'references',
    what: 'facts that are derived from something (by their id: a BraidFact itself refuses)',
    rows: `SELECT DISTINCT d.derivation AS id FROM derivations d JOIN records r ON r.record_id = d.derivation WHERE r.kind = 1${ours ? ` AND ${STATED}` : ''}`,
  }),
  missing('derivations', 'record_id', 'sources of derivations', true),
  missing('derivations', 'derivation', 'derived in derivations', true),
  missing('uris', 'record_id', 'owners of URIs', true),
  missing('tags', 'record_id', 'owners of tags', true),
  missing('exposures', 'source_id', 'sources of updates'),
  missing('versions', 'model_id', 'models of versions'),
  missing('invalidation_requests', 'record_id', 'targets of invalidations'),
  missing('record_actions', 'record_id', 'owners of invalidation actions'),
  // Python's integers can have any number of digits.
  (ours) => ({
    check: 'values',
    what: 'records with a tag whose value does not fit its type',
    rows: `SELECT DISTINCT record_id AS id FROM tags WHERE tag_type NOT IN (0, 1, 2, 3)
      OR (tag_type = 2 AND CAST(CAST(value AS INTEGER) AS TEXT) <> value AND (length(value) < 19 OR ltrim(value, '-') GLOB '*[^0-9]*'))
      ${ours ? "OR (boolean = 1 AND (tag_type <> 2 OR value NOT IN ('0', '1')))" : ''}`,
    braidDb: true,
  }),
];

/** Of rows `q` of requests. */
const TAKEN_BACK = 'EXISTS (SELECT 1 FROM revalidations x WHERE x.request_id = q.id)';
/** What makes `node` invalid. */
const causesOf = (node: string) => `(SELECT 1 FROM invalidation_reach k WHERE k.node = ${node} UNION ALL
  SELECT 1 FROM invalidation_requests q WHERE ${REQUESTED_BY_Q} = ${node} AND q.done AND NOT ${TAKEN_BACK})`;

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
    what: 'records and versions (negative) that derive from invalid ones, which does not cascade to them (if Braid-DB has added them: braid recover makes them invalid, and so does the next run)',
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

export const RULES: Rule[] = [
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
  dangling('joined_models', 'record_id', 'records', 'record_id', 'x.id', 'models that were joined'),
  dangling('omissions', 'attempt_id', 'attempts', 'attempt_id', 'x.attempt_id'),
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
    rows: `SELECT DISTINCT v.model_id AS id FROM versions v JOIN records r ON r.record_id = v.model_id WHERE r.kind IN (1, 2) AND ${STATED}`,
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
      SELECT a.id_end FROM attempts a WHERE a.id_base < r.record_id AND a.id_end > a.id_base ORDER BY a.id_base DESC LIMIT 1), 0) < r.record_id AND ${STATED}`,
  },
  {
    check: 'ids',
    what: 'ids that were given to two databases that were merged, or will be given out again',
    rows: `SELECT first AS id FROM (
        SELECT first + offset AS first, last + offset AS last, lag(last + offset) OVER (ORDER BY first + offset) AS before
        FROM merged_ranges WHERE NOT through)
      WHERE before >= first OR last > ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'records'), 0)`,
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
    what: 'records with a name, a URI or a tag that is no text',
    rows: `SELECT record_id AS id FROM records WHERE typeof(name) <> 'text'
      UNION SELECT record_id FROM uris WHERE typeof(uri) <> 'text'
      UNION SELECT record_id FROM tags WHERE typeof(key) <> 'text' OR typeof(value) <> 'text'`,
    braidDb: true,
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
