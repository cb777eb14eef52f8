import type { Connection } from './connection.js';
import type { Layout } from './layout.js';
import { PLAIN_STEPS, STEPS, type Direction, type Step } from './steps.js';
import { WalkFunctions, type Visits } from './visits.js';

/** Deeper than any graph. */
const NO_LIMIT = 2 ** 31 - 1;

/** A node that a walk has come to, whether by a way with something inferred (1), and by how many steps. */
export type Met = readonly [node: number, inferred: number, depth: number];

/** Which nodes that a walk comes to are given: a condition on a row `w (node)` and what is joined to it. */
export interface Selection {
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
 * Walks the graph of lineage: one recursive statement for each walk. Each of its rows is a batch of nodes that are as near as
 * each other; the next is told by a function of the connection, which is given all steps from this one and knows what has been
 * visited. Nodes come as they are found: all that is certain, the nearest first, then what is inferred, the nearest first.
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
    selection?: Selection,
  ): IterableIterator<Met> {
    const steps = ever || !this.layout.ours ? PLAIN_STEPS[direction] : this.#steps(direction);
    const walk = this.#functions.begin(visits, steps);
    const selected = selection
      ? `(SELECT json_group_array(w.node) FROM ${BATCH} ${selection.joins} WHERE ${selection.where})`
      : 'b.nodes';
    try {
      const batches = this.connection.stream(
        `WITH RECURSIVE batches (nodes) AS (
          SELECT braid_next(@walk)
          UNION ALL
          SELECT CASE WHEN braid_depth(@walk) < @depth
            THEN braid_next(@walk, ${steps.map((step) => stepSql(step, visits.follows)).join(',\n')})
            ELSE braid_next(@walk) END
          FROM batches b WHERE b.nodes IS NOT NULL
        )
        SELECT ${selected} FROM batches b WHERE b.nodes IS NOT NULL`,
        [...(selection?.values ?? []), { walk, depth: Math.min(depth, NO_LIMIT) }],
        ([nodes]: [string]) => nodes,
      );
      for (const nodes of batches) {
        // SQLite gives a row before it makes the next of it.
        const { inferred, depth } = this.#functions.batch(walk);
        if (depth === 0) continue;
        for (const node of JSON.parse(nodes) as number[]) {
          if (inferred === 0 || visits.settled(node, depth)) yield [node, inferred, depth];
        }
      }
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

/** A row `w` for each node of a batch `b`. */
const BATCH = '(SELECT j.value AS node FROM json_each(b.nodes) j) w';

/** Where one step leads from all nodes of a batch; and from which of them, if that is of interest. */
function stepSql({ from, to, where }: Step, follows: boolean): string {
  const found = follows ? `json_array(w.node, ${to})` : to;
  return `(SELECT json_group_array(${found}) FROM ${BATCH} CROSS JOIN ${from} WHERE ${where})`;
}
