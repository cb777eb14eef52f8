import type { Database } from 'better-sqlite3';
import { joinsOf, PLAIN_STEPS, STEPS, type Direction, type Step } from './steps.js';
import { WalkFunctions, type Visits } from './visits.js';

/** Deeper than any graph. */
export const NO_LIMIT = 2 ** 31 - 1;

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
  /** By nothing that is inferred. */
  readonly certain?: boolean;
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
 * Walks the graph of lineage: one recursive statement for each walk. Each of its rows is a batch of nodes that are as near as
 * each other; the next is told by a function of the connection, which is given all steps from this one and knows what has been
 * visited. Nodes come as they are found: all that is certain, the nearest first, then what is inferred, the nearest first.
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

  /** The nodes that are met, but for the start, each once; those of a selection, if there is one. */
  *nodes(
    direction: Direction,
    visits: Visits,
    { depth = NO_LIMIT, ever = false, certain = false }: WalkOptions = {},
    selection?: Selection,
  ): IterableIterator<Met> {
    const all = ever || !this.layout.ours ? PLAIN_STEPS[direction] : this.#steps(direction);
    const steps = certain ? all.filter(({ inferred }) => !inferred) : all;
    const walk = this.#functions.begin(visits, steps);
    const selected = selection
      ? `(SELECT json_group_array(w.node) FROM ${BATCH} ${selection.joins} WHERE ${selection.where})`
      : 'NULL';
    try {
      const batches = this.connection.stream(
        `${walkSql(steps, visits)} SELECT ${selected} FROM batches b WHERE b.nodes IS NOT NULL`,
        [...(selection?.values ?? []), { walk, depth: Math.min(depth, NO_LIMIT) }],
        ([nodes]: [string | null]) => nodes,
      );
      for (const selectedNodes of batches) {
        // SQLite gives a row before it makes the next of it.
        const { inferred, depth, nodes } = this.#functions.batch(walk);
        if (depth === 0) continue;
        for (const node of selectedNodes === null ? nodes : (JSON.parse(selectedNodes) as number[])) {
          if (inferred === 0 || visits.settled(node, depth)) yield [node, inferred, depth];
        }
      }
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

/** A row `w` for each node of a batch `b`. */
const BATCH = '(SELECT j.value AS node FROM json_each(b.nodes) j) w';

/** What keeps a walk from a node: a condition on it, and on whether the way to it has something inferred. */
export type Unless = (node: string, inferred: string) => string;

/** `WITH batches (nodes)`: all that a walk meets, by the functions of the connection, `@walk` and `@depth`. */
export function walkSql(steps: readonly Step[], visits: Visits, unless?: Unless): string {
  return `WITH RECURSIVE batches (nodes) AS (
    SELECT braid_next(@walk)
    UNION ALL
    SELECT CASE WHEN braid_depth(@walk) < @depth
      THEN braid_next(@walk, ${steps.map((step) => stepSql(step, visits, unless)).join(',\n')})
      ELSE braid_next(@walk) END
    FROM batches b WHERE b.nodes IS NOT NULL
  )`;
}

/** As {@link foundSql}, where the batch has nodes from which the step leads. */
function stepSql(step: Step, visits: Visits, unless: Unless | undefined): string {
  const found = foundSql(step, visits, unless);
  const conditions = [step.of && `braid_has_${step.of}(@walk)`, step.ifMaybe && 'braid_maybe(@walk)'].filter(Boolean);
  return conditions.length > 0 ? `CASE WHEN ${conditions.join(' AND ')} THEN ${found} ELSE '[]' END` : found;
}

/** Where one step leads from all nodes of a batch; and from which of them, if that is of interest. Of a chain, how many it has. */
function foundSql(step: Step, { follows, depths }: Visits, unless: Unless | undefined): string {
  const { inferred, to, where, chains, maybe } = step;
  const found = follows ? `json_array(w.node, ${to})` : to;
  const condition = unless ? `${where} AND NOT ${unless(to, inferred ? '1' : 'braid_inferred(@walk)')}` : where;
  if (maybe) {
    return `(SELECT json_group_array(${found}) FILTER (WHERE ${condition}) || braid_tell_maybe(@walk, max(${maybe}))
      FROM ${BATCH} CROSS JOIN ${joinsOf(step)})`;
  }
  if (depths || !chains) {
    return `(SELECT json_group_array(${found}) FROM ${BATCH} CROSS JOIN ${joinsOf(step)} WHERE ${condition})`;
  }
  return `(WITH RECURSIVE chain (node) AS (
    SELECT w.node FROM ${BATCH}
    UNION ALL
    SELECT ${to} FROM chain w CROSS JOIN ${joinsOf(step)} WHERE CASE WHEN ${condition} THEN braid_visit(@walk, ${to}) END
  ) SELECT count(*) FROM chain)`;
}
