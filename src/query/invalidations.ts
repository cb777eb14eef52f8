import type { ActionType } from '../frame/format.js';
import { groupBy } from '../group-by.js';
import { actionTypeOf } from '../store/invalidation.js';
import { allInvalid, idOf } from '../store/said-again.js';
import { parseTime } from '../time.js';
import type { Connection } from './connection.js';

/** Something that was said against a record, or a version of a model. */
export interface InvalidationRow {
  /** 32 hex digits. */
  id: string;
  /** Of what it was said: the record's id, and its name if it is known. */
  record: number;
  name?: string;
  /** `model@number` of the version, if it was said of one; its step. */
  version?: number;
  step?: number;
  cause: string;
  time: Date;
  /** Whether all that derives from it is invalid, too. */
  cascade: boolean;
  /** Who took it back, and why. */
  revalidated?: { reason: string; time: Date };
}

/** What came of an action of a record that an invalidation had reached. */
export interface ActionRunRow {
  /** Of the record whose action it is. */
  record: number;
  /** Of the action. */
  name: string;
  type: ActionType;
  started: Date;
  /** Undefined where nobody stored that it ended. */
  ended?: Date;
  /** `begun`, succeeded, failed, timeout, refused, interrupted. */
  outcome: string;
  /** The exit status of a process, or the status of an answer. */
  status?: number;
  /** The beginning of what came back; or why it was not run, or failed. */
  output: string;
}

/** An invalidation, with what its actions came to, by when they were started. */
export interface InvalidationHistory extends InvalidationRow {
  actions: ActionRunRow[];
}

/** Why a node is invalid. */
export interface WhyInvalid extends InvalidationRow {
  /** Whether it was said of the node itself, and not of what it derives from. */
  own: boolean;
  /** It may derive from that, and isn't known to. */
  inferred?: boolean;
}

interface Raw {
  id: string;
  record: number;
  name: string | null;
  version: number | null;
  step: number | null;
  cause: string;
  time: string;
  cascade: number;
  reason: string | null;
  taken: string | null;
  own: number;
  inferred: number;
}

const REQUEST = `q.id, q.record_id AS record, o.name, v.number AS version, v.step, q.cause, q.time, q.cascade,
  b.reason, b.time AS taken`;
const JOINS = `LEFT JOIN records o ON o.record_id = q.record_id LEFT JOIN versions v ON v.version_id = q.version_id
  LEFT JOIN revalidations b ON b.request_id = q.id`;

/** All that was ever said against something, the oldest first. */
export function invalidationRows(connection: Connection): InvalidationHistory[] {
  const raws = connection.all<Raw>(`SELECT ${REQUEST} FROM invalidation_requests q ${JOINS} ORDER BY q.time, q.id`);
  const runs = groupBy(connection.all<RawRun>(ACTION_RUNS), ({ root }) => root);
  return raws.map((raw) => ({ ...toInvalidation(raw), actions: (runs.get(raw.id) ?? []).map(toActionRun) }));
}

/** As `braid upgrade` takes it over: the first of each cascade, and what is invalid by no derivation that is known, by itself. */
const OF_BRAID_DB = `WITH RECURSIVE
  said (id, record, cause, time, cascade) AS MATERIALIZED (
    SELECT i.id, min(r.record_id), i.cause, i.time,
      i.id IN (SELECT x.root_invalidation FROM invalidations x WHERE x.root_invalidation <> x.id)
        OR ${allInvalid('r.record_id', 'i.time')}
    FROM records r CROSS JOIN invalidations i ON i.id = r.invalidation_id
    WHERE i.root_invalidation IS NULL OR i.root_invalidation = i.id OR i.root_invalidation NOT IN (SELECT id FROM invalidations)
    GROUP BY i.id),
  reached (record) AS (
    SELECT record FROM said WHERE cascade
    UNION SELECT d.derivation FROM reached w CROSS JOIN derivations d ON d.record_id = w.record)
  SELECT q.*, 1 AS first, o.name FROM said q CROSS JOIN records o ON o.record_id = q.record
  UNION ALL SELECT o.invalidation_id, o.record_id, ifnull(i.cause, 'not recorded'), ifnull(i.time, o.time), 0, 0, o.name
    FROM records o LEFT JOIN invalidations i ON i.id = o.invalidation_id
    WHERE o.invalidation_id IS NOT NULL AND o.record_id NOT IN (SELECT record FROM reached UNION ALL SELECT record FROM said)
  ORDER BY time, first DESC, record`;

/** What a file of Braid-DB says to be invalid for itself, the oldest first. */
export function braidDbInvalidations(connection: Connection): InvalidationHistory[] {
  const said = new Set<string>();
  return connection.all<RawOfBraidDb>(OF_BRAID_DB).map((raw) => {
    const id = said.has(raw.id) ? idOf(raw) : raw.id;
    said.add(id);
    const { record, name, cause, time, cascade } = raw;
    return { id, record, name, cause, time: parseTime(time), cascade: cascade === 1, actions: [] };
  });
}

interface RawOfBraidDb {
  id: string;
  record: number;
  name: string;
  cause: string;
  time: string;
  cascade: number;
}

/**
 * What was said against a record and its versions, or against a version, and, where that was something else, what makes it
 * invalid now.
 */
export function invalidationsOf(
  all: readonly InvalidationHistory[],
  { record, number, why }: { record: number; number?: number; why?: string },
): InvalidationHistory[] {
  return all.filter(
    (each) => each.id === why || (each.record === record && (number === undefined || each.version === number)),
  );
}

interface RawRun {
  root: string;
  record: number;
  name: string;
  type: string;
  started: string;
  ended: string;
  outcome: string;
  status: number | null;
  output: string;
}

const ACTION_RUNS = `SELECT ifnull(i.root_invalidation, i.id) AS root, x.record_id AS record, a.name, a.action_type AS type,
    x.started, x.ended, x.outcome, x.status, x.output
  FROM action_runs x JOIN invalidation_actions a ON a.id = x.action_id JOIN invalidations i ON i.id = x.invalidation_id
  ORDER BY x.started, x.action_run_id`;

function toActionRun({ record, name, type, started, ended, outcome, status, output }: RawRun): ActionRunRow {
  return {
    record,
    name,
    type: actionTypeOf(type),
    started: parseTime(started),
    ended: outcome === 'begun' ? undefined : parseTime(ended),
    outcome,
    status: status ?? undefined,
    output,
  };
}

/**
 * Why a node is invalid; undefined if it is valid. A version of a model that is invalid itself is so for that.
 *
 * @param ours whether more is known than what Braid-DB stores.
 */
export function whyInvalid(
  connection: Connection,
  { record, version }: { record: number; version?: number },
  ours: boolean,
): WhyInvalid | undefined {
  const id =
    (version === undefined
      ? undefined
      : connection.column<string | null>('SELECT invalidation_id FROM versions WHERE version_id = ?', version)[0]) ??
    connection.column<string | null>('SELECT invalidation_id FROM records WHERE record_id = ?', record)[0];
  if (id === undefined || id === null) return undefined;
  if (ours) {
    const [raw] = connection.all<Raw>(
      `SELECT ${REQUEST}, i.root_invalidation IS NULL AS own, i.inferred FROM invalidations i
       JOIN invalidation_requests q ON q.id = ifnull(i.root_invalidation, i.id) ${JOINS} WHERE i.id = ?`,
      id,
    );
    if (raw) {
      return { ...toInvalidation(raw), own: raw.own === 1, ...(raw.inferred === 1 ? { inferred: true } : {}) };
    }
  }
  // As Braid-DB says it: each names the one that caused it, and the first none.
  const [origin] = connection.all<{
    id: string;
    cause: string;
    time: string;
    record: number | null;
    name: string | null;
  }>(
    `WITH RECURSIVE chain (id) AS (
       SELECT ? UNION SELECT i.root_invalidation FROM chain JOIN invalidations i USING (id) WHERE i.root_invalidation IS NOT NULL
     )
     SELECT i.id, i.cause, i.time, o.record_id AS record, o.name FROM chain JOIN invalidations i USING (id)
     LEFT JOIN records o ON o.invalidation_id = i.id WHERE i.root_invalidation IS NULL`,
    id,
  );
  if (!origin) return undefined;
  const { cause, time, name } = origin;
  const of = origin.record ?? record;
  return {
    id: origin.id,
    record: of,
    name: name ?? undefined,
    cause,
    time: parseTime(time),
    cascade: true,
    own: of === record,
  };
}

function toInvalidation({
  id,
  record,
  name,
  version,
  step,
  cause,
  time,
  cascade,
  reason,
  taken,
}: Raw): InvalidationRow {
  return {
    id,
    record,
    name: name ?? undefined,
    version: version ?? undefined,
    step: step ?? undefined,
    cause,
    time: parseTime(time),
    cascade: cascade === 1,
    ...(taken === null ? {} : { revalidated: { reason: reason!, time: parseTime(taken) } }),
  };
}
