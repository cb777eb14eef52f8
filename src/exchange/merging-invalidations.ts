import type { Database, Statement } from 'better-sqlite3';
import type { MergeCounts } from '../merge.js';
import { adopt, ofNoRequest } from '../store/adopting.js';
import { cascadedId } from '../store/causes.js';
import type { Bulk } from './bulk.js';
import { mapped, withInput, type Input } from './mapped.js';
import type { Placed } from './ranges.js';

/** What Braid-DB has invalidated there, as it is no request's, and isn't said again here yet. */
const FOREIGN = (schema: string) => `
  CREATE TEMP TABLE IF NOT EXISTS braid_foreign (id TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID;
  DELETE FROM temp.braid_foreign;
  INSERT INTO temp.braid_foreign (id) WITH RECURSIVE theirs (id, parent) AS MATERIALIZED (
      SELECT i.id, i.root_invalidation FROM $invalidations i
      WHERE ${ofNoRequest(schema)}),
    down (id) AS (
      SELECT t.id FROM theirs t WHERE NOT EXISTS (SELECT 1 FROM theirs p WHERE p.id = t.parent AND p.id <> t.id)
        AND NOT EXISTS (SELECT 1 FROM main.invalidation_requests q WHERE q.id = t.id)
      UNION SELECT t.id FROM down d JOIN theirs t ON t.parent = d.id)
    SELECT id FROM down;
`;

/** Requests that were made and taken back there, and stand here, or wait. */
const TAKEN_BACK = `SELECT x.request_id AS id, x.reason, x.time FROM $revalidations x
  JOIN main.invalidation_requests q ON q.id = x.request_id
  WHERE NOT EXISTS (SELECT 1 FROM main.revalidations o WHERE o.request_id = x.request_id) ORDER BY x.time, x.request_id`;

/** One that was taken back already isn't carried out again; the others wait for it. */
const REQUESTS = `INSERT OR IGNORE INTO invalidation_requests (id, record_id, version_id, cascade, cause, time, done)
  SELECT q.id, ${mapped('q.record_id')}, x.new, q.cascade, q.cause, q.time,
    EXISTS (SELECT 1 FROM $revalidations b WHERE b.request_id = q.id)
  FROM $invalidation_requests q LEFT JOIN temp.braid_versions x ON x.old = q.version_id
  WHERE q.version_id IS NULL OR x.new IS NOT NULL`;

/** What was asked for and taken back there, and had been carried out. */
const HISTORY = `INSERT OR IGNORE INTO invalidations (id, cause, time) SELECT q.id, q.cause, q.time FROM $revalidations b
  CROSS JOIN main.invalidation_requests q ON q.id = b.request_id AND q.done`;
const REVALIDATIONS = `INSERT OR IGNORE INTO revalidations (request_id, reason, time) SELECT b.request_id, b.reason, b.time FROM $revalidations b
  CROSS JOIN main.invalidation_requests q ON q.id = b.request_id AND q.done
  WHERE b.request_id NOT IN (SELECT value FROM json_each(@later))`;

const FOREIGN_ONES = `INSERT OR IGNORE INTO invalidations (id, root_invalidation, cause, time, inferred)
  SELECT i.id, i.root_invalidation, CAST(i.cause AS TEXT), i.time, i.inferred FROM temp.braid_foreign f CROSS JOIN $invalidations i ON i.id = f.id`;
const FOREIGN_RECORDS = `UPDATE records SET invalidation_id = f.invalidation_id FROM (
    SELECT ${mapped('r.record_id')} AS here, r.invalidation_id FROM $records r
    WHERE r.invalidation_id IN (SELECT id FROM temp.braid_foreign)) f
  WHERE records.record_id = f.here AND records.invalidation_id IS NULL`;

const ACTIONS = `INSERT OR IGNORE INTO invalidation_actions (action_type, params, id, name, cmd)
  SELECT action_type, params, id, name, cmd FROM $invalidation_actions`;
/** A model that is here keeps its own; what became it brings one only where there is none. */
const RECORD_ACTIONS = `INSERT OR IGNORE INTO record_actions (record_id, time, action_id)
  SELECT a.record_id + m.offset, a.time, a.action_id FROM $record_actions a CROSS JOIN temp.braid_map m
    ON m.last = (SELECT p.last FROM temp.braid_map p WHERE p.last >= a.record_id AND a.record_id > 0 ORDER BY p.last LIMIT 1)
  WHERE NOT m.joined`;
/** Of such a model, and of what Braid-DB has said, which keeps no history of it. */
const ACTIONS_OF_RECORDS = `UPDATE records SET invalidation_action_id = f.invalidation_action_id FROM (
    SELECT ${mapped('r.record_id')} AS here, r.invalidation_action_id FROM $records r WHERE r.invalidation_action_id IS NOT NULL) f
  WHERE records.record_id = f.here AND records.invalidation_action_id IS NULL
    AND NOT EXISTS (SELECT 1 FROM record_actions a WHERE a.record_id = f.here)`;

/** Of an action that had begun when the one was copied, and has ended in the other. */
const ENDED = `DELETE FROM main.action_runs AS o WHERE o.outcome = 'begun' AND EXISTS (SELECT 1 FROM $action_runs a
  WHERE o.action_id = a.action_id AND o.record_id = ${mapped('a.record_id')} AND o.started = a.started AND a.outcome <> 'begun')`;
const ACTION_RUNS = `SELECT a.*, ${mapped('a.record_id')} AS here, i.root_invalidation AS root, i.cause, i.time, i.inferred
  FROM $action_runs a JOIN $invalidations i ON i.id = a.invalidation_id
  WHERE NOT EXISTS (SELECT 1 FROM main.action_runs o
    WHERE o.action_id = a.action_id AND o.record_id = ${mapped('a.record_id')} AND o.started = a.started)
  ORDER BY a.action_run_id`;

interface ActionRunRow {
  readonly here: number | null;
  readonly invalidation_id: string;
  readonly root: string | null;
}

interface TakenBack {
  readonly id: string;
  readonly reason: string;
  readonly time: string;
}

/**
 * The invalidations of what is merged: what was asked for is brought in, and what comes of that is found out again, as if it
 * had been committed here. So it is the same, in whatever order databases are merged; and what is invalid in either of them
 * reaches what derives from it in the other.
 */
export class MergedInvalidations {
  readonly #db: Database;
  #unwatch: (() => void) | undefined;

  constructor(
    private readonly bulk: Bulk,
    private readonly input: Input,
    private readonly placed: readonly Placed[],
  ) {
    this.#db = bulk.db;
  }

  /** Before anything is brought in. */
  begin(): void {
    adopt(this.#db, this.bulk.invalidations);
    this.#db.exec(this.#sql(FOREIGN(this.input.schema)));
    // What is new comes from nothing that was here.
    if (this.placed.some(({ known, joined }) => known || joined)) this.#unwatch = this.bulk.invalidations.watchTables();
  }

  /** After all else is there. Returns how many of each are new. */
  end(): Pick<MergeCounts, 'invalidations' | 'revalidations' | 'actions' | 'actionRuns'> {
    const { invalidations } = this.bulk;
    const run = (sql: string, values: object = {}) => this.#prepared(sql).run(values).changes;
    const later = this.#prepared(TAKEN_BACK).all() as TakenBack[];
    const requests = run(REQUESTS);
    run(HISTORY);
    let revalidations = run(REVALIDATIONS, { later: JSON.stringify(later.map(({ id }) => id)) });
    const foreign = run(FOREIGN_ONES);
    run(FOREIGN_RECORDS);
    const kept = run(ACTIONS);
    const actions = run(RECORD_ACTIONS) + run(ACTIONS_OF_RECORDS);
    this.#unwatch?.();
    invalidations.settle(this.#unwatch !== undefined);
    adopt(this.#db, invalidations);
    const done = this.#db.prepare('SELECT 1 FROM invalidation_requests WHERE id = ? AND done');
    for (const { id, reason, time } of later) {
      if (!done.get(id)) continue;
      invalidations.revalidate([id], reason, time);
      revalidations++;
    }
    // Some are kept that no record has yet.
    return { invalidations: requests + foreign, revalidations, actions: Math.max(actions, kept), actionRuns: this.#actionRuns() }; // prettier-ignore
  }

  #actionRuns(): number {
    let added = 0;
    const ours = this.#db.prepare('SELECT 1 FROM invalidation_requests WHERE id = ?');
    const cause = this.#db.prepare(
      `INSERT OR IGNORE INTO invalidations (id, root_invalidation, cause, time, inferred)
       VALUES (@invalidation, @root, @cause, @time, @inferred)`,
    );
    const add = this.#db.prepare(
      `INSERT INTO action_runs (action_id, record_id, invalidation_id, started, ended, outcome, status, output)
       VALUES (@action_id, @here, @invalidation, @started, @ended, @outcome, @status, @output)`,
    );
    this.#prepared(ENDED).run();
    for (const row of this.#prepared(ACTION_RUNS).all() as ActionRunRow[]) {
      const { here, root, invalidation_id } = row;
      if (here === null) continue;
      // Its id follows from that of its record.
      const cascaded = root !== null && ours.get(root) !== undefined;
      const invalidation = cascaded ? cascadedId(root, here) : invalidation_id;
      cause.run({ ...row, invalidation });
      added += add.run({ ...row, invalidation }).changes;
    }
    return added;
  }

  #prepared(sql: string): Statement {
    return this.#db.prepare(this.#sql(sql));
  }

  #sql(sql: string): string {
    return withInput(sql, this.input);
  }
}
