import type { Database } from 'better-sqlite3';
import type { Relation } from './steps.js';

/** How a walk came to a node. */
export interface Arrival {
  readonly from: number;
  /** Whether the way to `from` has something inferred. */
  readonly fromInferred: boolean;
  readonly relation: Relation;
  /** Of this step alone. */
  readonly inferred: boolean;
}

/** A node of a way, and how the walk came to it; the start has no arrival. */
export interface Stop {
  readonly node: number;
  readonly arrival?: Arrival;
}

export interface VisitOptions {
  /** Whether `wayTo` will be asked. */
  readonly arrivals?: boolean;
  /** Where it starts, too, as if an inferred way had led there. */
  readonly inferredStart?: readonly number[];
  /** Nodes that the walk is not to go to. */
  readonly known?: ReadonlySet<number>;
  /** Told every step that there is from what is met, also one to where the walk has been. */
  readonly onStep?: (from: number, to: number) => void;
}

/** What one walk has met: which nodes, how far from its start, and whether for certain. */
export class Visits {
  /** The depth of each node that a way without anything inferred leads to. */
  readonly certain = new Map<number, number>();
  /** The depth at which each node was met by a way with something inferred, of those not met before at that depth. */
  readonly inferred = new Map<number, number>();
  readonly inferredStart: readonly number[];
  /** Through which time the versions of a model have been taken already, by whether the way there was inferred. */
  readonly #taken = [new Map<string, string>(), new Map<string, string>()];
  /** By whether the way there has something inferred: both are ways, and what lies beyond may be found by either. */
  readonly #arrivals: [Map<number, Arrival>, Map<number, Arrival>] | undefined;
  readonly #onStep: ((from: number, to: number) => void) | undefined;

  constructor(
    readonly start: readonly number[],
    { arrivals = false, onStep, known, inferredStart = [] }: VisitOptions = {},
  ) {
    if (known) for (const node of known) this.certain.set(node, 0);
    for (const node of start) this.certain.set(node, 0);
    for (const node of inferredStart) this.inferred.set(node, 0);
    this.inferredStart = inferredStart;
    if (arrivals) this.#arrivals = [new Map(), new Map()];
    this.#onStep = onStep;
  }

  /** Whether `visitFrom` is to be told each step. */
  get follows(): boolean {
    return this.#arrivals !== undefined || this.#onStep !== undefined;
  }

  /**
   * Whether the walk is to go to a node. It takes all certain ways before the others, and of each the nearest first: so the
   * first certain way to a node is the shortest. One that is inferred is of use only if it is shorter than what was found.
   */
  visit(node: number, inferred: number, depth: number): boolean {
    const known = this.certain.get(node);
    if (inferred === 0) {
      if (known !== undefined) return false;
      this.certain.set(node, depth);
      return true;
    }
    if (known !== undefined && known <= depth) return false;
    const met = this.inferred.get(node);
    if (met !== undefined && met <= depth) return false;
    this.inferred.set(node, depth);
    return true;
  }

  /** The same, and remembers how. */
  visitFrom(node: number, inferred: number, depth: number, arrival: Arrival): boolean {
    this.#onStep?.(arrival.from, node);
    if (!this.visit(node, inferred, depth)) return false;
    this.#arrivals?.[inferred].set(node, arrival);
    return true;
  }

  /** Whether a node that was reached by an inferred way is to be told: it isn't certain, and there is no shorter way. */
  settled(node: number, depth: number): boolean {
    return !this.certain.has(node) && this.inferred.get(node) === depth;
  }

  /**
   * Versions of a model are to be taken up to `time`. Gives the time up to which they have been taken already, or null if
   * that is all of them: what comes now is no nearer.
   */
  after(inferred: number, key: string, time: string): string | null {
    if (this.#onStep) return '';
    const taken = this.#taken[inferred];
    const before = taken.get(key);
    if (before !== undefined && before >= time) return null;
    taken.set(key, time);
    return before ?? '';
  }

  /** The same, of what comes from a model's versions from `time` on: whether there may be more than has been taken. */
  before(inferred: number, key: string, time: string | null): boolean {
    if (time === null) return false;
    if (this.#onStep) return true;
    const taken = this.#taken[inferred];
    const from = taken.get(key);
    if (from !== undefined && from <= time) return false;
    taken.set(key, time);
    return true;
  }

  /** The way by which a node was found, from the start to it. */
  wayTo(node: number): Stop[] {
    const way: Stop[] = [];
    let inferred = !this.certain.has(node);
    for (let at: number | undefined = node; at !== undefined;) {
      const arrival: Arrival | undefined = this.#arrivals?.[inferred ? 1 : 0].get(at);
      way.push({ node: at, arrival });
      inferred = arrival?.fromInferred ?? false;
      at = arrival?.from;
    }
    return way.reverse();
  }
}

/** Gives the walks of a connection the functions that their statements call. */
export class WalkFunctions {
  readonly #walks = new Map<number, Visits>();
  #count = 0;

  constructor(db: Database) {
    const of = (walk: number) => this.#walks.get(walk)!;
    const add = (name: string, call: (...args: never[]) => unknown) =>
      db.function(name, { deterministic: false, directOnly: true }, call as (...args: unknown[]) => unknown);
    add('braid_visit', (walk: number, node: number, inferred: number, depth: number) =>
      of(walk).visit(node, inferred, depth) ? 1 : 0,
    );
    add(
      'braid_visit_from',
      (
        walk: number,
        node: number,
        inferred: number,
        depth: number,
        from: number,
        was: number,
        relation: Relation,
        step: number,
      ) =>
        of(walk).visitFrom(node, inferred, depth, { from, fromInferred: was === 1, relation, inferred: step === 1 })
          ? 1
          : 0,
    );
    add('braid_settled', (walk: number, node: number, depth: number) => (of(walk).settled(node, depth) ? 1 : 0));
    add('braid_after', (walk: number, inferred: number, key: string | number, time: string) =>
      of(walk).after(inferred, String(key), time),
    );
    add('braid_before', (walk: number, inferred: number, key: string | number, time: string | null) =>
      of(walk).before(inferred, String(key), time) ? 1 : 0,
    );
  }

  begin(visits: Visits): number {
    this.#walks.set(++this.#count, visits);
    return this.#count;
  }

  end(walk: number): void {
    this.#walks.delete(walk);
  }
}
