import type { Database } from 'better-sqlite3';
import type { Relation, Step } from './steps.js';

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

type OnStep = (from: number, to: number, arrival: Arrival) => void;

export interface VisitOptions {
  /** Whether `wayTo` will be asked. */
  readonly arrivals?: boolean;
  /** Where it starts, too, as if an inferred way had led there. */
  readonly inferredStart?: readonly number[];
  /** Nodes that the walk is not to go to. */
  readonly known?: ReadonlySet<number>;
  /** Where the walk is not to go on from: `certain` and `inferred` have such, and the walk doesn't give them. */
  readonly isEnd?: (node: number) => boolean;
  /** Without them it is told only what is met, and whether for certain: that takes less where the way is long. Default true. */
  readonly depths?: boolean;
  /** Told every step that there is from what is met, also one to where the walk has been. */
  readonly onStep?: OnStep;
}

/** Nodes from which steps are gone together: as far from the start, and by ways that all have something inferred, or none. */
interface Batch {
  readonly inferred: number;
  readonly depth: number;
  readonly nodes: readonly number[];
}

/** How many nodes are in a batch, and how many steps are to come of one: of nodes with many steps there are fewer. */
const LARGEST_BATCH = 256;
const MOST_STEPS = 2 ** 16;

/** What one walk has met: which nodes, how far from its start, and whether for certain; and where it goes next. */
export class Visits {
  /** The depth of each node that a way without anything inferred leads to. */
  readonly certain = new Map<number, number>();
  /** The depth at which each node was met by a way with something inferred, of those not met before at that depth. */
  readonly inferred = new Map<number, number>();
  /** Through which time the versions of a model have been taken already, by whether the way there was inferred. */
  readonly #taken = [new Map<string, string>(), new Map<string, string>()];
  /** By whether the way there has something inferred: both are ways, and what lies beyond may be found by either. */
  readonly #arrivals: [Map<number, Arrival>, Map<number, Arrival>] | undefined;
  readonly #onStep: OnStep | undefined;
  readonly #isEnd: (node: number) => boolean;
  /** From where steps are still to be gone, by whether the way has something inferred, then by depth. */
  readonly #waiting: readonly [Levels, Levels] = [new Levels(), new Levels()];
  #size = LARGEST_BATCH;
  /** Whether it is told how far nodes are; if not, all are one step away. Who follows steps goes each by itself. */
  readonly depths: boolean;

  constructor(
    readonly start: readonly number[],
    { arrivals = false, onStep, known, isEnd = () => false, inferredStart = [], depths = true }: VisitOptions = {},
  ) {
    this.depths = depths || arrivals || onStep !== undefined;
    this.#isEnd = isEnd;
    if (known) for (const node of known) this.certain.set(node, 0);
    for (const node of start) {
      this.certain.set(node, 0);
      if (!isEnd(node)) this.#waiting[0].add(node, 0);
    }
    for (const node of inferredStart) {
      this.inferred.set(node, 0);
      this.#waiting[1].add(node, 0);
    }
    if (arrivals) this.#arrivals = [new Map(), new Map()];
    this.#onStep = onStep;
  }

  /** Whether `arrive` is to be told from where. */
  get follows(): boolean {
    return this.#arrivals !== undefined || this.#onStep !== undefined;
  }

  /** The next nodes to go from: all certain ways are gone before the others, and of each the nearest first. */
  next(): Batch | undefined {
    const [certain, inferred] = this.#waiting;
    const taken = certain.take(this.#size);
    if (taken) return { inferred: 0, ...taken };
    const rest = inferred.take(this.#size);
    return rest && { inferred: 1, ...rest };
  }

  /** Where the steps of a kind lead from a batch: nodes, or pairs of from where and where to if it `follows`. */
  arrive(
    batch: Batch,
    { relation, inferred: step }: Step,
    found: readonly number[] | readonly [number, number][],
  ): void {
    const depth = this.depths ? batch.depth + 1 : 1;
    const inferred = step ? 1 : batch.inferred;
    for (const each of found) {
      if (typeof each === 'number') {
        this.#visit(each, inferred, depth);
        continue;
      }
      const [from, to] = each;
      const arrival: Arrival = { from, fromInferred: batch.inferred === 1, relation, inferred: step };
      this.#onStep?.(from, to, arrival);
      if (this.#visit(to, inferred, depth)) this.#arrivals?.[inferred].set(to, arrival);
    }
  }

  /** Where a chain leads from a batch: whether it is to go on from there. */
  follow(node: number, { inferred }: Batch): boolean {
    return this.#visit(node, inferred, 1);
  }

  /** After what has come of a batch: how many nodes the next may have. */
  resize(steps: number): void {
    this.#size = steps > MOST_STEPS ? Math.max(1, this.#size >> 1) : Math.min(LARGEST_BATCH, this.#size * 2);
  }

  /**
   * Whether the walk is to go to a node. Of certain ways the first that is found is the shortest. One that is inferred is of
   * use only if it is shorter than what was found.
   */
  #visit(node: number, inferred: number, depth: number): boolean {
    const known = this.certain.get(node);
    if (inferred === 0) {
      if (known !== undefined) return false;
      this.certain.set(node, depth);
    } else {
      if (known !== undefined && known <= depth) return false;
      const met = this.inferred.get(node);
      if (met !== undefined && met <= depth) return false;
      this.inferred.set(node, depth);
    }
    if (this.#isEnd(node)) return false;
    this.#waiting[inferred].add(node, depth);
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

/** Nodes by their depth, which are taken from the lowest on. */
class Levels {
  readonly #levels: (number[] | undefined)[] = [];
  #depth = 0;
  /** How many of the lowest level are taken. */
  #taken = 0;

  /** Not below what is taken from. */
  add(node: number, depth: number): void {
    const level = this.#levels[depth];
    if (level) level.push(node);
    else this.#levels[depth] = [node];
  }

  /** So many of one level, at most. */
  take(most: number): { depth: number; nodes: number[] } | undefined {
    while (this.#depth < this.#levels.length) {
      const level = this.#levels[this.#depth] ?? [];
      const nodes = level.slice(this.#taken, this.#taken + most);
      if (nodes.length > 0) {
        this.#taken += nodes.length;
        return { depth: this.#depth, nodes };
      }
      this.#levels[this.#depth++] = undefined;
      this.#taken = 0;
    }
    return undefined;
  }
}

/** A walk that is under way. */
interface Walk {
  readonly visits: Visits;
  readonly steps: readonly Step[];
  batch?: Batch;
  /** Of the batch: whether the last step has met what is `maybe`. */
  maybe?: number;
}

/** Gives the walks of a connection the functions that their statements call. */
export class WalkFunctions {
  readonly #walks = new Map<number, Walk>();
  #count = 0;

  constructor(db: Database) {
    const add = (name: string, call: (...args: never[]) => unknown, varargs = false) =>
      db.function(name, { deterministic: false, directOnly: true, varargs }, call as (...args: unknown[]) => unknown);
    add('braid_next', (walk: number, ...found: string[]) => this.#next(this.#walks.get(walk)!, found), true);
    add('braid_depth', (walk: number) => this.batch(walk).depth);
    add('braid_has_records', (walk: number) => Number(this.batch(walk).nodes.some((node) => node > 0)));
    add('braid_has_versions', (walk: number) => Number(this.batch(walk).nodes.some((node) => node < 0)));
    // Told by one step, to whose text it adds nothing, and asked for by the next.
    add('braid_tell_maybe', (walk: number, maybe: number | null) => {
      this.#walks.get(walk)!.maybe = maybe ?? 0;
      return '';
    });
    add('braid_maybe', (walk: number) => {
      const { maybe } = this.#walks.get(walk)!;
      // That the arguments of a function are made from left to right is what SQLite does, and isn't in its documents.
      if (maybe === undefined) throw new Error('SQLite has asked for a step before the one that tells of it');
      return maybe;
    });
    add('braid_visit', (walk: number, node: number) =>
      Number(this.#walks.get(walk)!.visits.follow(node, this.batch(walk))),
    );
    add('braid_inferred', (walk: number) => this.batch(walk).inferred);
    add('braid_after', (walk: number, key: string | number, time: string) =>
      this.#walks.get(walk)!.visits.after(this.batch(walk).inferred, String(key), time),
    );
    add('braid_before', (walk: number, key: string | number, time: string | null) =>
      this.#walks.get(walk)!.visits.before(this.batch(walk).inferred, String(key), time) ? 1 : 0,
    );
  }

  begin(visits: Visits, steps: readonly Step[]): number {
    this.#walks.set(++this.#count, { visits, steps });
    return this.#count;
  }

  /** From which the walk takes its next steps. */
  batch(walk: number): Batch {
    return this.#walks.get(walk)!.batch!;
  }

  end(walk: number): void {
    this.#walks.delete(walk);
  }

  /** @param found where each of the steps leads from the batch before. */
  #next(walk: Walk, found: readonly (string | number)[]): string | null {
    const { visits, steps, batch } = walk;
    let count = 0;
    found.forEach((text, i) => {
      // Of a chain, which has been followed.
      if (typeof text === 'number') return;
      if (text === '[]') return;
      const each = JSON.parse(text) as number[];
      count += each.length;
      visits.arrive(batch!, steps[i], each);
    });
    if (batch) visits.resize(count);
    const next = (walk.batch = visits.next());
    walk.maybe = undefined;
    return next ? JSON.stringify(next.nodes) : null;
  }
}
