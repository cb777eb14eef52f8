import type { Database, Statement } from 'better-sqlite3';
import type { ActionType } from '../frame/format.js';
import { LIVE, storeCauses, type Invalidated } from './causes.js';
import { Reach } from './reach.js';
import type { RoundTable } from './round-tables.js';
import { REQUESTED_BY_Q } from './schema.js';

/** A record or a version of a model, by the ids of its rows. */
export interface Target {
  readonly record: number;
  readonly version?: number;
}

export interface InvalidationRequest extends Target {
  readonly id: string;
  readonly cascade: boolean;
  readonly cause: string;
  readonly time: string;
}

/** As Braid-DB stores them. */
export const ACTION_TYPES: Record<ActionType, string> = { shell: 'SHELL_COMMAND', event: 'AUTOMATE_EVENT' };

/** Of a type as it is stored; any other is taken for that of a command, which is what Braid-DB has. */
export function actionTypeOf(stored: string | null): ActionType {
  return stored === ACTION_TYPES.event ? 'event' : 'shell';
}

/** What is waiting for its record, which has come. */
const ARRIVED = `SELECT q.id AS request, q.time, ${REQUESTED_BY_Q} AS node, q.cascade, 0 AS inferred FROM invalidation_requests q
  INDEXED BY ix_invalidation_requests_waiting
  WHERE q.done = 0 AND (q.version_id IS NOT NULL OR EXISTS (SELECT 1 FROM records r WHERE r.record_id = q.record_id))`;

/** Rows of a round that steps of lineage may lead to, or that a request or a cascade may be waiting for. */
const TOUCH: Partial<Record<RoundTable, string>> = {
  records: 'INSERT OR IGNORE INTO temp.braid_touched (node) SELECT record_id FROM braid_round_records',
  derivations:
    'INSERT OR IGNORE INTO temp.braid_touched (node) SELECT derivation FROM braid_round_derivations WHERE stated',
};

/** The same of whatever else writes to the tables, by what it writes. What it does of conflicts would be done here, too: there are none. */
const TOUCH_TRIGGERS = Object.entries({
  records: ['INSERT', 'new.record_id'],
  derivations: ['INSERT', 'new.derivation'],
  derivations_again: ['UPDATE', 'new.derivation'],
  derivation_versions: ['INSERT', 'new.derivation'],
  versions: ['INSERT', '-new.version_id'],
  updates: ['INSERT', '-new.version_id', 'UPDATE braid_touched SET updated = 1 WHERE node = -new.version_id;'],
}).map(([name, [event, node, more = '']]) => ({
  name: `temp.braid_touch_${name}`,
  sql: `AFTER ${event} ON main.${name.replace('_again', '')} BEGIN
    INSERT INTO braid_touched (node) SELECT ${node} WHERE NOT EXISTS (SELECT 1 FROM braid_touched t WHERE t.node = ${node}); ${more} END`,
}));

/**
 * Carries out invalidations, inside the transaction that brings them or what derives from what is invalid. Where no
 * invalidation cascades it costs a commit two look-ups.
 */
export class Invalidations {
  readonly #db: Database;
  readonly #cascading: Statement;
  readonly #arrived: Statement;
  readonly #lastVersion: Statement;
  readonly #actions: Statement[];
  #reach: Reach | undefined;

  constructor(db: Database) {
    this.#db = db;
    this.#cascading = db.prepare('SELECT EXISTS (SELECT 1 FROM invalidation_reach)').pluck();
    this.#arrived = db.prepare(ARRIVED);
    this.#lastVersion = db.prepare('SELECT ifnull(max(version_id), 0) FROM versions').pluck();
    this.#actions = [
      `UPDATE records SET invalidation_action_id = (SELECT a.action_id FROM record_actions a
         WHERE a.record_id = records.record_id ORDER BY a.time DESC, a.action_id DESC LIMIT 1)
       WHERE record_id IN (SELECT record_id FROM record_actions INDEXED BY ix_record_actions_waiting WHERE done = 0)`,
      `UPDATE record_actions INDEXED BY ix_record_actions_waiting SET done = 1
       WHERE done = 0 AND EXISTS (SELECT 1 FROM records r WHERE r.record_id = record_actions.record_id)`,
    ].map((sql) => db.prepare(sql));
  }

  /** Begins a commit; undefined if nothing that it brings can be reached. */
  watch(): Watch | undefined {
    if (this.#cascading.get() === 0) return undefined;
    this.#begin();
    const lastVersion = this.#lastVersion.get() as number;
    const touch = new Map(
      Object.entries(TOUCH).map(([table, sql]) => [table as RoundTable, this.#db.prepare(sql)] as const),
    );
    return {
      piece: (filled) => {
        for (const [table, statement] of touch) if (filled.has(table)) statement.run();
      },
      end: (firstUpdate) => {
        this.#db
          .prepare(
            'INSERT OR IGNORE INTO temp.braid_touched (node) SELECT -version_id FROM versions WHERE version_id > ?',
          )
          .run(lastVersion);
        this.#db
          .prepare(
            `INSERT INTO temp.braid_touched (node, updated) SELECT -version_id, 1 FROM updates WHERE update_id >= ?
             ON CONFLICT (node) DO UPDATE SET updated = 1`,
          )
          .run(firstUpdate);
      },
    };
  }

  /**
   * As `watch`, of all that is written to the tables until `settle`. Undefined if nothing of it can be reached; else what
   * ends it.
   */
  watchTables(): (() => void) | undefined {
    if (this.#cascading.get() === 0) return undefined;
    this.#begin();
    for (const { name, sql } of TOUCH_TRIGGERS) this.#db.exec(`CREATE TRIGGER ${name} ${sql}`);
    return () => {
      for (const { name } of TOUCH_TRIGGERS) this.#db.exec(`DROP TRIGGER ${name}`);
    };
  }

  /**
   * Spreads cascades to records that came without a commit.
   *
   * @param strangers SQL for their ids, and its parameters.
   * @param all whether to spread to all that derives from what is reached.
   * @returns how many records were valid.
   */
  reachStrangers(strangers: string, parameters: object, all: boolean): number {
    if (this.#cascading.get() === 0) return 0;
    this.#begin();
    const db = this.#db;
    db.prepare(`INSERT OR IGNORE INTO temp.braid_touched (node) ${strangers}`).run(parameters);
    if (all) {
      db.exec(`INSERT OR IGNORE INTO temp.braid_touched (node)
        SELECT d.derivation FROM invalidation_reach k CROSS JOIN derivations d ON d.record_id = k.node`);
    }
    const reach = this.#reach!;
    reach.spread([...reach.again(), ...reach.spreadTouched()]);
    return storeCauses(db).records;
  }

  /** Ends a commit: its requests, those that waited for its records, and what it brings that earlier ones reach. */
  settle(watched: boolean): void {
    for (const statement of this.#actions) statement.run();
    const arrived = this.#arrived.all() as Arrived[];
    if (arrived.length === 0 && !watched) return;
    if (!watched) this.#begin();
    const reach = this.#reach!;
    const seeds = watched ? [...reach.again(), ...reach.spreadTouched()] : [];
    // Records that a cascade has come to before them.
    if (watched) {
      this.#db.exec(`INSERT OR IGNORE INTO temp.braid_changed (node) SELECT t.node FROM temp.braid_touched t
        CROSS JOIN invalidation_reach k ON k.node = t.node`);
    }
    this.#carryOut(arrived);
    reach.spread([...seeds, ...arrived.filter(({ cascade }) => cascade === 1)]);
    storeCauses(this.#db);
  }

  /**
   * Asks for invalidations now, of what is there.
   *
   * @param lost SQL for nodes whose causes are not stored any more.
   */
  invalidate(requests: readonly InvalidationRequest[], lost?: string): Invalidated {
    const insert = this.#db.prepare(
      'INSERT INTO invalidation_requests (id, record_id, version_id, cascade, cause, time) VALUES (?, ?, ?, ?, ?, ?)',
    );
    for (const { id, record, version, cascade, cause, time } of requests) {
      insert.run(id, record, version ?? null, cascade ? 1 : 0, cause, time);
    }
    this.#begin();
    const arrived = this.#arrived.all() as Arrived[];
    this.#carryOut(arrived);
    if (lost !== undefined) this.#db.exec(`INSERT OR IGNORE INTO temp.braid_changed (node) ${lost}`);
    this.#reach!.spread(arrived.filter(({ cascade }) => cascade === 1));
    return storeCauses(this.#db);
  }

  /** The requests for these that nobody has taken back. */
  requestsFor({ record, version }: Target): string[] {
    return this.#db
      .prepare(
        `SELECT q.id FROM invalidation_requests q INDEXED BY ix_invalidation_requests_node
         WHERE ${REQUESTED_BY_Q} = ? AND q.done AND ${LIVE}`,
      )
      .pluck()
      .all(version === undefined ? record : -version) as string[];
  }

  /**
   * Takes requests back: what they alone had reached is valid again, what others reach gets its cause from them. The rows of
   * `invalidations` stay.
   */
  revalidate(requests: readonly string[], reason: string, time: string): Revalidated {
    const db = this.#db;
    this.#begin();
    const insert = db.prepare('INSERT INTO revalidations (request_id, reason, time) VALUES (?, ?, ?)');
    for (const id of requests) insert.run(id, reason, time);
    const ids = JSON.stringify(requests);
    const taken = 'SELECT value FROM json_each(@ids)';
    for (const sql of [
      // Those asked for themselves, too, which others may have reached first.
      `INSERT OR IGNORE INTO temp.braid_changed (node) SELECT ${REQUESTED_BY_Q} FROM invalidation_requests q WHERE q.id IN (${taken})`,
      `INSERT OR IGNORE INTO temp.braid_changed (node) SELECT node FROM invalidation_reach WHERE request_id IN (${taken})`,
      `DELETE FROM invalidation_reach WHERE request_id IN (${taken})`,
    ]) {
      db.prepare(sql).run({ ids });
    }
    const cleared = ['records', 'versions'].map((table) => {
      const [key, node] = table === 'records' ? ['record_id', 'node'] : ['version_id', '-node'];
      return db
        .prepare(
          `UPDATE ${table} SET invalidation_id = NULL WHERE ${key} IN (SELECT ${node} FROM temp.braid_changed) AND EXISTS (
             SELECT 1 FROM invalidations i WHERE i.id = invalidation_id AND ifnull(i.root_invalidation, i.id) IN (${taken}))`,
        )
        .run({ ids }).changes;
    });
    db.exec('INSERT INTO temp.braid_touched (node) SELECT node FROM temp.braid_changed');
    const own = db
      .prepare(
        `SELECT q.id AS request, q.time, c.node, 0 AS inferred FROM temp.braid_changed c
         CROSS JOIN invalidation_requests q INDEXED BY ix_invalidation_requests_node ON ${REQUESTED_BY_Q} = c.node
         WHERE q.done AND q.cascade AND ${LIVE}`,
      )
      .all() as Arrived[];
    const reach = this.#reach!;
    reach.spread([...reach.spreadTouched(), ...own]);
    const again = storeCauses(db);
    return { records: cleared[0] - again.records, versions: cleared[1] - again.versions };
  }

  #begin(): void {
    this.#reach ??= new Reach(this.#db);
    this.#reach.begin();
  }

  #carryOut(arrived: readonly Arrived[]): void {
    const store = this.#db.prepare(
      'INSERT INTO invalidations (id, cause, time) SELECT id, cause, time FROM invalidation_requests WHERE id = ?',
    );
    const done = this.#db.prepare('UPDATE invalidation_requests SET done = 1 WHERE id = ?');
    const change = this.#db.prepare('INSERT OR IGNORE INTO temp.braid_changed (node) VALUES (?)');
    for (const { request, node } of arrived) {
      store.run(request);
      done.run(request);
      change.run(node);
    }
  }
}

/** What a commit that brings something to where invalidations cascade is told of. */
export interface Watch {
  piece(filled: ReadonlySet<RoundTable>): void;
  end(firstUpdate: number): void;
}

/** What is valid again. */
export interface Revalidated {
  records: number;
  versions: number;
}

interface Arrived {
  readonly request: string;
  readonly time: string;
  readonly node: number;
  readonly cascade: number;
  readonly inferred: number;
}
