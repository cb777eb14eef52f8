import type { Connection } from './connection.js';
import type { Layout } from './layout.js';
import { PLAIN_STEPS, STEPS, type Direction, type Step } from './steps.js';
import { WalkFunctions, type Visits } from './visits.js';

/** Deeper than any graph. */
const NO_LIMIT = 2 ** 31 - 1;

/** A node that a walk has come to, whether by a way with something inferred (1), and by how many steps. */
export type Met = readonly [node: number, inferred: number, depth: number];

/** Which nodes that a walk comes to are given: a condition on a row `w (node, inferred, depth)` and what is joined to it. */
export interface Selection {
  readonly joins: string;
  readonly where: string;
  readonly values: readonly unknown[];
}

const ALL: Selection = { joins: '', where: 'true', values: [] };

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

  /** The nodes that are met, but for the start, each once; those of a selection, if there is one. */
  *nodes(
    direction: Direction,
    visits: Visits,
    { depth = NO_LIMIT, ever = false }: WalkOptions = {},
    { joins, where, values }: Selection = ALL,
  ): IterableIterator<Met> {
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
        SELECT w.node, w.inferred, w.depth FROM walk w ${joins}
        WHERE w.depth > 0 AND (w.inferred = 0 OR braid_settled(@walk, w.node, w.depth)) AND ${where}`,
        [...values, { start, walk, depth: Math.min(depth, NO_LIMIT) }],
        (met: Met) => met,
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
