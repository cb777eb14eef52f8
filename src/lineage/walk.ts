import type { Database } from 'better-sqlite3';
import { joinsOf, PLAIN_STEPS, STEPS, type Direction, type Step } from './steps.js';
import { WalkFunctions, type Visits } from './visits.js';

/** Deeper than any graph. */
export const NO_LIMIT = 2 ** 31 - 1;

/** What is asked of each node that a walk comes to, of a row `w (node, inferred, depth)` of it. */
export interface Selection {
  readonly columns: string;
  readonly joins: string;
  readonly where: string;
  readonly values: readonly unknown[];
}

export interface WalkOptions {
  /** Not further than so many steps. */
  readonly depth?: number;
  /** Every derivation that ever was, between records. */
  readonly ever?: boolean;
}

/** What a walk asks its database by. */
export interface Queries {
  readonly db: Database;
  all<Row>(sql: string, ...values: unknown[]): Row[];
  stream<Raw extends readonly unknown[], Row>(
    sql: string,
    values: unknown[],
    convert: (raw: Raw) => Row,
  ): IterableIterator<Row>;
}

/**
 * Walks the graph of lineage: one recursive statement for each walk, whose visited nodes are kept by functions of the
 * connection. Rows come as they are found: all that is certain, the nearest first, then what is inferred, the nearest first.
 */
export class Walks {
  readonly #functions: WalkFunctions;

  /** @param layout whether there is more than Braid-DB's tables. */
  constructor(
    private readonly connection: Queries,
    private readonly layout: { readonly ours: boolean },
  ) {
    this.#functions = new WalkFunctions(connection.db);
  }

  /** The nodes that are met, but for the start: as many as `visits` then has, each once. */
  nodes(
    direction: Direction,
    visits: Visits,
    options: WalkOptions = {},
  ): IterableIterator<[node: number, inferred: number, depth: number]> {
    return this.rows(
      direction,
      visits,
      options,
      { columns: 'w.node, w.inferred, w.depth', joins: '', where: 'true', values: [] },
      (row: [number, number, number]) => row,
    );
  }

  /** What `selection` says of each node that is met. */
  *rows<Raw extends readonly unknown[], Row>(
    direction: Direction,
    visits: Visits,
    { depth = NO_LIMIT, ever = false }: WalkOptions,
    { columns, joins, where, values }: Selection,
    convert: (raw: Raw) => Row,
  ): IterableIterator<Row> {
    const steps = ever || !this.layout.ours ? PLAIN_STEPS[direction] : this.#steps(direction);
    const walk = this.#functions.begin(visits);
    try {
      yield* this.connection.stream(
        `${walkSql(steps, visits)} SELECT ${columns} FROM walk w ${joins}
        WHERE w.depth > 0 AND ${SETTLED} AND ${where}`,
        [...values, { start: startOf(visits), walk, depth: Math.min(depth, NO_LIMIT) }],
        convert,
      );
    } finally {
      this.#functions.end(walk);
    }
  }

  #steps(direction: Direction): Step[] {
    return stepsThere(direction, this.connection.all<StepsNeed>(STEPS_NEED)[0]);
  }
}

/** Asks which steps there can be at all. */
export const STEPS_NEED = `SELECT EXISTS (SELECT 1 FROM versions) AS versions,
  (SELECT count(*) FROM (SELECT 1 FROM attempts LIMIT 2)) > 1 AS attempts`;
export type StepsNeed = Record<'versions' | 'attempts', number>;

export function stepsThere(direction: Direction, has: StepsNeed): Step[] {
  return STEPS[direction].filter(({ needs }) => needs === undefined || has[needs] === 1);
}

/** Whether a row `w` of a walk is to be told: of those that may still be met by a nearer way, not yet. */
export const SETTLED = '(w.inferred = 0 OR braid_settled(@walk, w.node, w.depth))';

/** What `@start` is to be. */
export function startOf({ start, inferredStart }: Visits): string {
  return JSON.stringify([start, inferredStart]);
}

/**
 * `WITH walk (node, inferred, depth)`: all that is met from `@start`, by the functions of the connection, `@walk` and `@depth`.
 *
 * @param unless what keeps the walk from a node: a condition on it, and on whether the way to it has something inferred.
 */
export function walkSql(
  steps: readonly Step[],
  { follows }: Visits,
  unless?: (node: string, inferred: string) => string,
): string {
  return `WITH RECURSIVE walk (node, inferred, depth) AS (
    SELECT value, 0, 0 FROM json_each(@start, '$[0]') UNION ALL SELECT value, 1, 0 FROM json_each(@start, '$[1]')
    ${steps.map((step) => `UNION ALL ${stepSql(step, follows, unless)}`).join('\n')}
    ORDER BY 2, 3
  )`;
}

/**
 * One step from every row of the walk. Whether a node is new is asked last, for asking makes it known: SQLite would take
 * the conditions of a WHERE in an order of its own, but not those of a CASE.
 */
function stepSql(
  step: Step,
  follows: boolean,
  unless: ((node: string, inferred: string) => string) | undefined,
): string {
  const { relation, inferred, to, where } = step;
  const way = inferred ? '1' : 'w.inferred';
  const visit = follows
    ? `braid_visit_from(@walk, ${to}, ${way}, w.depth + 1, w.node, w.inferred, '${relation}', ${inferred ? 1 : 0})`
    : `braid_visit(@walk, ${to}, ${way}, w.depth + 1)`;
  const condition = unless ? `${where} AND NOT ${unless(to, way)}` : where;
  const isNew = condition === 'true' ? visit : `CASE WHEN ${condition} THEN ${visit} ELSE 0 END`;
  return `SELECT ${to}, ${way}, w.depth + 1 FROM walk w CROSS JOIN ${joinsOf(step)} WHERE w.depth < @depth AND ${isNew}`;
}
