import type { Database, Statement } from 'better-sqlite3';
import { outOfOrder, type Step } from '../lineage/steps.js';
import { Visits, WalkFunctions } from '../lineage/visits.js';
import { REQUESTED_BY_Q } from './schema.js';
import { NO_LIMIT, STEPS_NEED, stepsThere, walkSql, type StepsNeed } from '../lineage/walk.js';

/** A request that cascades, and whether it is certain that it does so to a node. Of several the first by time is the cause. */
export interface Label {
  readonly request: string;
  readonly time: string;
  readonly inferred: number;
}

interface Labelled extends Label {
  readonly node: number;
}

const TABLES = `
  CREATE TEMP TABLE IF NOT EXISTS braid_touched (node INTEGER NOT NULL PRIMARY KEY, updated INTEGER NOT NULL DEFAULT 0);
  CREATE TEMP TABLE IF NOT EXISTS braid_changed (node INTEGER NOT NULL PRIMARY KEY);
  CREATE TEMP TABLE IF NOT EXISTS braid_spread (node INTEGER NOT NULL PRIMARY KEY, inferred INTEGER NOT NULL);
  CREATE TEMP TABLE IF NOT EXISTS braid_since (model_id INTEGER, attempt_id INTEGER, request_id TEXT, time TEXT);
  DELETE FROM temp.braid_touched;
  DELETE FROM temp.braid_changed;
`;

/** Columns of a row `q` of requests, beside those of a node. */
const REQUEST = 'q.id AS request, q.time';
const TOUCHED = '(SELECT node, 0 AS inferred, 0 AS depth FROM temp.braid_touched) w';

/**
 * Which nodes of lineage the requests that cascade reach: for each node the first of them, and whether it is certain. What
 * `invalidation_reach` has is what one walk from each request would find, the earliest request first; so it doesn't depend on
 * the order in which records and requests were committed. To be used inside a transaction.
 */
export class Reach {
  readonly #functions: WalkFunctions;
  readonly #statements = new Map<string, Statement>();

  constructor(private readonly db: Database) {
    this.#functions = new WalkFunctions(db);
  }

  /** Empties the temporary tables `braid_touched` (nodes that steps may lead to that are new) and `braid_changed`. */
  begin(): void {
    this.db.exec(TABLES);
  }

  /**
   * Of what was certain something may be inferred now, where versions have come out of order. All that those requests have
   * reached is taken back, and spreads again from where they begin, which this gives.
   */
  again(): Labelled[] {
    const requests = this.#prepared(
      `SELECT DISTINCT k.request_id FROM (${outOfOrder(TOUCHED)}) v
       CROSS JOIN invalidation_reach k ON k.node = v.node AND k.inferred = 0`,
    )
      .pluck()
      .all();
    if (requests.length === 0) return [];
    const ids = JSON.stringify(requests);
    const those = '(SELECT value FROM json_each(?))';
    for (const sql of [
      `INSERT OR IGNORE INTO temp.braid_changed (node) SELECT node FROM invalidation_reach WHERE request_id IN ${those}`,
      `DELETE FROM invalidation_reach WHERE request_id IN ${those}`,
    ]) {
      this.#prepared(sql).run(ids);
    }
    return this.#prepared(
      `SELECT ${REQUEST}, ${REQUESTED_BY_Q} AS node, 0 AS inferred FROM invalidation_requests q WHERE q.id IN ${those}`,
    ).all(ids) as Labelled[];
  }

  /** Spreads what reaches the touched nodes to them, and on; `updated` ones may have new steps that lead on. */
  spreadTouched(): Labelled[] {
    const has = this.#has();
    const stored = new Map<number, Labelled>();
    const seeds: Labelled[] = [];
    const known = this.db.prepare(
      `SELECT t.node, t.updated, ${REQUEST}, k.inferred FROM temp.braid_touched t
       CROSS JOIN invalidation_reach k ON k.node = t.node CROSS JOIN invalidation_requests q ON q.id = k.request_id`,
    );
    for (const row of known.iterate() as Iterable<Labelled & { updated: number }>) {
      stored.set(row.node, row);
      if (row.updated === 1) seeds.push(row);
    }
    for (const [node, label] of this.#pull(has)) {
      const before = stored.get(node);
      if (!before || compare(label, before) < 0) seeds.push({ node, ...label });
    }
    return seeds;
  }

  /** Gives nodes their labels, if those come first, and all that comes from them. What has changed is in `braid_changed`. */
  spread(seeds: readonly Labelled[]): void {
    const byRequest = new Map<string, Labelled[]>();
    // The earliest first: what it has taken, no other goes through.
    for (const seed of seeds.toSorted(compare)) {
      const of = byRequest.get(seed.request);
      if (of) of.push(seed);
      else byRequest.set(seed.request, [seed]);
    }
    for (const of of byRequest.values()) this.#spreadOf(of);
  }

  #spreadOf(seeds: readonly Labelled[]): void {
    const stored = this.#prepared(
      `SELECT ${REQUEST}, k.inferred FROM invalidation_reach k CROSS JOIN invalidation_requests q ON q.id = k.request_id
       WHERE k.node = ?`,
    );
    const certain = new Set<number>();
    const inferred = new Set<number>();
    for (const seed of seeds) {
      const label = stored.get(seed.node) as Label | undefined;
      if (label && compare(label, seed) < 0) continue;
      (seed.inferred === 0 ? certain : inferred).add(seed.node);
    }
    for (const node of certain) inferred.delete(node);
    if (certain.size + inferred.size === 0) return;
    const { request: id, time } = seeds[0];
    const visits = new Visits([...certain], { inferredStart: [...inferred], depths: false });
    const steps = stepsThere('descendants', this.#has());
    const walk = this.#functions.begin(visits, steps);
    try {
      // Of the first cascade there is nothing to ask.
      const some = this.#prepared('SELECT EXISTS (SELECT 1 FROM invalidation_reach) AS some').get() as { some: number };
      const unless = some.some === 1 ? reachedBefore : undefined;
      this.#prepared(`${walkSql(steps, visits, unless)} SELECT count(*) FROM batches`).get({
        walk,
        depth: NO_LIMIT,
        ...(unless ? { id, time } : {}),
      });
    } finally {
      this.#functions.end(walk);
    }
    this.db.exec('DELETE FROM temp.braid_spread');
    const found = this.#prepared(
      'INSERT OR IGNORE INTO temp.braid_spread (node, inferred) SELECT value, ? FROM json_each(?)',
    );
    [visits.certain, visits.inferred].forEach((nodes, inferred) =>
      found.run(inferred, JSON.stringify([...nodes.keys()])),
    );
    this.#prepared(
      `INSERT INTO invalidation_reach (node, request_id, inferred) SELECT node, ?, inferred FROM temp.braid_spread WHERE true
       ON CONFLICT (node) DO UPDATE SET request_id = excluded.request_id, inferred = excluded.inferred`,
    ).run(id);
    this.#prepared('INSERT OR IGNORE INTO temp.braid_changed (node) SELECT node FROM temp.braid_spread').run();
  }

  /** What the touched nodes come from by one step, as far as it is reached: the first label of each. */
  #pull(has: StepsNeed): Map<number, Label> {
    const steps = stepsThere('ancestors', has);
    this.#findSince(steps.filter(({ until }) => until));
    const labels = new Map<number, Label>();
    const rows = this.#prepared(steps.map(pullSql).join(' UNION ALL ')).iterate() as Iterable<Labelled>;
    for (const { node, ...label } of rows) {
      const best = labels.get(node);
      if (!best || compare(label, best) < 0) labels.set(node, label);
    }
    return labels;
  }

  /**
   * Of models of which a touched node may come from any version up to a time: from when on versions are reached by which
   * request. So a step is one comparison, and not one for each version.
   */
  #findSince(steps: readonly Step[]): void {
    this.#prepared('DELETE FROM temp.braid_since').run();
    if (steps.length === 0) return;
    const models = steps.map(
      ({ from, until }) => `SELECT ${until!.model} AS model_id FROM ${TOUCHED} CROSS JOIN ${from}`,
    );
    this.#prepared(
      `INSERT INTO temp.braid_since SELECT v.model_id, v.attempt_id, k.request_id, min(v.time)
       FROM (${models.join(' UNION ')}) m
       CROSS JOIN versions v INDEXED BY ix_versions_invalid ON v.model_id = m.model_id AND v.invalidation_id IS NOT NULL
       CROSS JOIN invalidation_reach k ON k.node = -v.version_id
       WHERE v.time IS NOT NULL GROUP BY 1, 2, 3`,
    ).run();
  }

  #has(): StepsNeed {
    return this.#prepared(STEPS_NEED).get() as StepsNeed;
  }

  #prepared(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (!statement) this.#statements.set(sql, (statement = this.db.prepare(sql)));
    return statement;
  }
}

/** The cause that counts: the first by time; and of one request what is certain. */
function compare(a: Label, b: Label): number {
  if (a.time !== b.time) return a.time < b.time ? -1 : 1;
  if (a.request !== b.request) return a.request < b.request ? -1 : 1;
  return a.inferred - b.inferred;
}

/** The same in SQL: whether a node has a label that comes before that of the walk, or is the same. */
function reachedBefore(node: string, inferred: string): string {
  return `EXISTS (SELECT 1 FROM invalidation_reach k CROSS JOIN invalidation_requests q ON q.id = k.request_id
    WHERE k.node = ${node} AND (q.time, q.id, k.inferred) <= (@time, @id, ${inferred}))`;
}

function pullSql(step: Step): string {
  const { from, to, where, until } = step;
  const inferred = step.inferred ? '1' : 'k.inferred';
  if (until) {
    const but = until.but === undefined ? '' : `AND s.attempt_id <> ${until.but}`;
    return `SELECT w.node, ${REQUEST}, 1 AS inferred FROM ${TOUCHED} CROSS JOIN ${from}
      CROSS JOIN temp.braid_since s ON s.model_id = ${until.model} AND s.time <= ${until.time} ${but}
      CROSS JOIN invalidation_requests q ON q.id = s.request_id`;
  }
  return `SELECT w.node, ${REQUEST}, ${inferred} AS inferred FROM ${TOUCHED} CROSS JOIN ${from}
    CROSS JOIN invalidation_reach k ON k.node = ${to} CROSS JOIN invalidation_requests q ON q.id = k.request_id WHERE ${where}`;
}
