import type { Connection } from './connection.js';
import type { Layout } from './layout.js';
import { PLAIN_STEPS, STEPS, type Direction, type Step } from './steps.js';
import { WalkFunctions, type Visits } from './visits.js';

/** Deeper than any graph. */
const NO_LIMIT = 2 ** 31 - 1;

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

/**
 * Walks the graph of lineage: one recursive statement for each walk, whose visited nodes are kept by functions of the
 * connection. Rows come as they are found: all that is certain, the nearest first, then what is inferred, the nearest first.
 */
export class Walks {
  readonly #functions: WalkFunctions;

  constructor(
    private readonly connection: Connection,
    private readonly layout: Layout,
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
    const start = JSON.stringify(visits.start);
    const walk = this.#functions.begin(visits);
    try {
      yield* this.connection.stream(
        `WITH RECURSIVE walk (node, inferred, depth) AS (
          SELECT value, 0, 0 FROM json_each(@start)
          ${steps.map((step) => `UNION ALL ${stepSql(step, visits.follows)}`).join('\n')}
          ORDER BY 2, 3
        )
        SELECT ${columns} FROM walk w ${joins}
        WHERE w.depth > 0 AND (w.inferred = 0 OR braid_settled(@walk, w.node, w.depth)) AND ${where}`,
        [...values, { start, walk, depth: Math.min(depth, NO_LIMIT) }],
        convert,
      );
    } finally {
      this.#functions.end(walk);
    }
  }

  #steps(direction: Direction): Step[] {
    const [has] = this.connection.all<{ versions: number; attempts: number }>(
      'SELECT EXISTS (SELECT 1 FROM versions) AS versions, (SELECT count(*) FROM (SELECT 1 FROM attempts LIMIT 2)) > 1 AS attempts',
    );
    return STEPS[direction].filter(({ needs }) => needs === undefined || has[needs] === 1);
  }
}

/**
 * One step from every row of the walk. Whether a node is new is asked last, for asking makes it known: SQLite would take
 * the conditions of a WHERE in an order of its own, but not those of a CASE.
 */
function stepSql({ relation, inferred, from, to, where }: Step, follows: boolean): string {
  const way = inferred ? '1' : 'w.inferred';
  const visit = follows
    ? `braid_visit_from(@walk, ${to}, ${way}, w.depth + 1, w.node, w.inferred, '${relation}', ${inferred ? 1 : 0})`
    : `braid_visit(@walk, ${to}, ${way}, w.depth + 1)`;
  const isNew = where === 'true' ? visit : `CASE WHEN ${where} THEN ${visit} ELSE 0 END`;
  return `SELECT ${to}, ${way}, w.depth + 1 FROM walk w CROSS JOIN ${from} WHERE w.depth < @depth AND ${isNew}`;
}
