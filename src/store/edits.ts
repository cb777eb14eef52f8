import { randomUUID } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import { BraidError } from '../errors.js';
import { ActionCode } from '../frame/format.js';
import type { StoredAction } from '../record/action.js';
import { now } from '../record/clock.js';
import { timeText } from '../time.js';
import type { Invalidated } from './causes.js';
import { ACTION_TYPES, type Invalidations, type Revalidated, type Target } from './invalidation.js';

// What is written by people, and no run: each inside a transaction.

/** An invalidation action that begins. */
export interface ActionRun {
  readonly action: string;
  readonly record: number;
  /** Of the record, or of a version of it; and what that comes from. */
  readonly invalidation: string;
  readonly root: string;
  /** How often it was begun for that before, as far as its caller knows. */
  readonly known: number;
  /** Milliseconds. */
  readonly started: number;
}

/** What came of it. */
export interface ActionEnd {
  /** Milliseconds. */
  readonly ended: number;
  readonly outcome: string;
  readonly status?: number;
  readonly output: string;
}

/** Invalidates what is there, for one cause. Gives the ids of the invalidations. */
export function invalidate(
  invalidations: Invalidations,
  targets: readonly Target[],
  cause: string,
  cascade: boolean,
): Invalidated & { ids: string[] } {
  const time = timeText(now());
  const requests = targets.map((target) => {
    const id = randomUUID().replaceAll('-', '');
    return { ...target, id, cascade, cause, time };
  });
  return { ...invalidations.invalidate(requests), ids: requests.map(({ id }) => id) };
}

/**
 * Takes back what was said against records or versions themselves.
 *
 * @param some whether it is enough that something was said against one of them.
 * @throws BraidError ERR_BRAID_NOT_INVALIDATED
 */
export function revalidate(
  db: Database,
  invalidations: Invalidations,
  targets: readonly Target[],
  reason: string,
  some: boolean,
): Revalidated & { ids: string[] } {
  const ids = targets.flatMap((target) => {
    const of = invalidations.requestsFor(target);
    if (of.length === 0 && !some) throw notInvalidated(db, target);
    return of;
  });
  if (ids.length === 0) throw notInvalidated(db, targets[0]);
  const distinct = [...new Set(ids)];
  return { ...invalidations.revalidate(distinct, reason, timeText(now())), ids: distinct };
}

/** Why there is nothing to take back. */
function notInvalidated(db: Database, { record, version }: Target): BraidError {
  const name = version === undefined ? `record ${record}` : `that version of model ${record}`;
  const [table, key, id] =
    version === undefined ? ['records', 'record_id', record] : ['versions', 'version_id', version];
  const root = db
    .prepare(
      `SELECT q.record_id AS record, v.number FROM ${table} x JOIN invalidations i ON i.id = x.invalidation_id
       JOIN invalidation_requests q ON q.id = i.root_invalidation LEFT JOIN versions v ON v.version_id = q.version_id
       WHERE x.${key} = ?`,
    )
    .get(id) as { record: number; number: number | null } | undefined;
  const of = root && `${root.record}${root.number === null ? '' : `@${root.number}`}`;
  return new BraidError(
    'ERR_BRAID_NOT_INVALIDATED',
    root
      ? `${name} is invalid because ${of} is, of which it may be or is derived: revalidate ${of}`
      : `nobody has invalidated ${name}: there is nothing to take back`,
  );
}

/** Keeps an action that no record has yet. The same one again is no other. */
export function addAction(db: Database, { id, type, name, command, params }: StoredAction): void {
  db.prepare(
    'INSERT OR IGNORE INTO invalidation_actions (action_type, params, id, name, cmd) VALUES (?, ?, ?, ?, ?)',
  ).run(type === ActionCode.shell ? ACTION_TYPES.shell : ACTION_TYPES.event, params, id, name, command);
}

/** Keeps that an action begins, and gives the id of that; undefined if another process has begun it since `known` was told. */
export function beginActionRun(
  db: Database,
  { action, record, invalidation, root, known, started }: ActionRun,
): number | undefined {
  const { changes, lastInsertRowid } = db
    .prepare(
      `INSERT INTO action_runs (action_id, record_id, invalidation_id, started, ended, outcome, output)
       SELECT @action, @record, @invalidation, @started, @started, 'begun', '' WHERE @known = (
         SELECT count(*) FROM action_runs d LEFT JOIN invalidations i ON i.id = d.invalidation_id
         WHERE d.record_id = @record AND d.action_id = @action AND ifnull(i.root_invalidation, d.invalidation_id) = @root)`,
    )
    .run({ action, record, invalidation, root, known, started: timeText(started * 1000) });
  return changes === 0 ? undefined : Number(lastInsertRowid);
}

/** Keeps what came of an action. */
export function endActionRun(db: Database, id: number, { ended, outcome, status, output }: ActionEnd): void {
  db.prepare('UPDATE action_runs SET ended = ?, outcome = ?, status = ?, output = ? WHERE action_run_id = ?').run(
    timeText(ended * 1000),
    outcome,
    status ?? null,
    output,
    id,
  );
}
