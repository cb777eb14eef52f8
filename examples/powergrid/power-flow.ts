import { BASE_MVA, type Branch, type Grid } from './grid.js';
import { solveLinear } from './linear.js';

/** How a grid runs: what its loads and set points come to. */
export interface PowerFlow {
  /** By place in `grid.buses`: per unit, and radians against the greatest generator's bus. */
  readonly voltages: Float64Array;
  readonly angles: Float64Array;
  /** By place in `grid.branches`: MVA, at the end where it is more. */
  readonly loadings: Float64Array;
  /** What the greatest generator gives, and what is lost on the way, in MW. */
  readonly slackMw: number;
  readonly lossesMw: number;
  /** Newton's, all together. */
  readonly iterations: number;
}

const MAX_ITERATIONS = 20;
/** Of power per unit: 1 W. */
const TOLERANCE = 1e-8;

/** The power flow of a grid that hangs together and has a generator; or null where Newton's method finds none. */
export function powerFlow(grid: Grid): PowerFlow | null {
  return new Newton(grid).solve();
}

/** The generator that gives what the others leave over: the slack. */
export function slackOf(grid: Grid) {
  return grid.generators.reduce((greatest, other) => (other.pMax > greatest.pMax ? other : greatest));
}

/**
 * Newton–Raphson in polar form. Of every bus it looks for the angle, except the slack's, and of those without a generator
 * for the voltage, too, until the power that flows from each is that which is drawn and given there.
 */
class Newton {
  readonly #grid: Grid;
  readonly #n: number;
  readonly #place: Map<number, number>;
  /** The admittances between buses, n × n: real and imaginary parts. */
  readonly #g: Float64Array;
  readonly #b: Float64Array;
  /** What is given less what is drawn at each bus, per unit; and what flows from it at the present voltages. */
  readonly #given: { p: Float64Array; q: Float64Array };
  readonly #flowing: { p: Float64Array; q: Float64Array };
  readonly #voltages: Float64Array;
  readonly #angles: Float64Array;
  /** Whether a generator holds the voltage of a bus. */
  readonly #held: boolean[];
  readonly #slack: number;
  #iterations = 0;

  constructor(grid: Grid) {
    const n = grid.buses.length;
    const vector = () => new Float64Array(n);
    this.#grid = grid;
    this.#n = n;
    this.#place = new Map(grid.buses.map(({ id }, i) => [id, i]));
    this.#g = new Float64Array(n * n);
    this.#b = new Float64Array(n * n);
    this.#given = { p: vector(), q: vector() };
    this.#flowing = { p: vector(), q: vector() };
    this.#voltages = vector().fill(1);
    this.#angles = vector();
    this.#held = Array<boolean>(n).fill(false);
    this.#slack = this.#place.get(slackOf(grid).bus)!;

    for (const [i, { p, q, shunt }] of grid.buses.entries()) {
      this.#given.p[i] = -p / BASE_MVA;
      this.#given.q[i] = -q / BASE_MVA;
      this.#b[i * n + i] = shunt / BASE_MVA;
    }
    for (const { bus, p, v } of grid.generators) {
      const i = this.#place.get(bus)!;
      this.#given.p[i] += p / BASE_MVA;
      this.#voltages[i] = v;
      this.#held[i] = true;
    }
    for (const branch of grid.branches) {
      const [i, k] = this.#ends(branch);
      const { g, b, tap } = admittance(branch);
      const charging = branch.b / 2;
      this.#g[i * n + i] += g / tap ** 2;
      this.#b[i * n + i] += (b + charging) / tap ** 2;
      this.#g[k * n + k] += g;
      this.#b[k * n + k] += b + charging;
      for (const between of [i * n + k, k * n + i]) {
        this.#g[between] -= g / tap;
        this.#b[between] -= b / tap;
      }
    }
  }

  solve(): PowerFlow | null {
    // A generator that would have to give more MVAr than it can, or less, gives what it can and lets go of the voltage.
    do if (!this.#iterate()) return null;
    while (this.#letGo());

    const sum = (values: Float64Array) => values.reduce((total, value) => total + value, 0) * BASE_MVA;
    const { p } = this.#flowing;
    return {
      voltages: this.#voltages,
      angles: this.#angles,
      loadings: Float64Array.from(this.#grid.branches, (branch) => this.#loading(branch)),
      slackMw: p[this.#slack] * BASE_MVA + this.#grid.buses[this.#slack].p,
      lossesMw: sum(p),
      iterations: this.#iterations,
    };
  }

  /** Newton's method, from where the voltages are. Whether it gets there. */
  #iterate(): boolean {
    // Where the unknowns of a bus are in the equations: its angle, its voltage; -1: known.
    let count = 0;
    const angleAt = Int32Array.from(this.#held, (_, i) => (i === this.#slack ? -1 : count++));
    const voltageAt = Int32Array.from(this.#held, (held) => (held ? -1 : count++));
    const jacobian = new Float64Array(count * count);
    const step = new Float64Array(count);
    for (let round = 0; round < MAX_ITERATIONS; round++) {
      this.#flow();
      for (let i = 0; i < this.#n; i++) {
        if (angleAt[i] >= 0) step[angleAt[i]] = this.#given.p[i] - this.#flowing.p[i];
        if (voltageAt[i] >= 0) step[voltageAt[i]] = this.#given.q[i] - this.#flowing.q[i];
      }
      if (step.every((mismatch) => Math.abs(mismatch) < TOLERANCE)) return true;
      this.#fill(jacobian, count, angleAt, voltageAt);
      if (!solveLinear(jacobian, step, count)) return false;
      this.#iterations++;
      for (let i = 0; i < this.#n; i++) {
        if (angleAt[i] >= 0) this.#angles[i] += step[angleAt[i]];
        if (voltageAt[i] >= 0) this.#voltages[i] *= 1 + step[voltageAt[i]];
      }
    }
    return false;
  }

  /** Lets go of the voltages that generators can't hold. Whether there were any. */
  #letGo(): boolean {
    let any = false;
    for (const { bus, qMin, qMax } of this.#grid.generators) {
      const i = this.#place.get(bus)!;
      if (!this.#held[i] || i === this.#slack) continue;
      const drawn = this.#grid.buses[i].q;
      const needed = this.#flowing.q[i] * BASE_MVA + drawn;
      if (needed >= qMin && needed <= qMax) continue;
      this.#given.q[i] = (Math.min(Math.max(needed, qMin), qMax) - drawn) / BASE_MVA;
      this.#held[i] = false;
      any = true;
    }
    return any;
  }

  /** What flows from each bus at the present voltages. */
  #flow(): void {
    for (let i = 0; i < this.#n; i++) {
      let p = 0;
      let q = 0;
      for (let k = 0; k < this.#n; k++) {
        const [active, reactive] = this.#between(i, k);
        p += active;
        q += reactive;
      }
      this.#flowing.p[i] = p;
      this.#flowing.q[i] = q;
    }
  }

  /** The share of bus k in what flows from bus i: of P and of Q. */
  #between(i: number, k: number): [number, number] {
    const g = this.#g[i * this.#n + k];
    const b = this.#b[i * this.#n + k];
    if (g === 0 && b === 0) return [0, 0];
    const product = this.#voltages[i] * this.#voltages[k];
    const angle = this.#angles[i] - this.#angles[k];
    const cos = Math.cos(angle);
    const sin = Math.sin(angle);
    return [product * (g * cos + b * sin), product * (g * sin - b * cos)];
  }

  /** How P and Q (rows) change with the angles, and with the voltages as parts of themselves (columns). */
  #fill(jacobian: Float64Array, count: number, angleAt: Int32Array, voltageAt: Int32Array): void {
    const { p, q } = this.#flowing;
    const set = (row: number, column: number, value: number) => {
      if (row >= 0 && column >= 0) jacobian[row * count + column] = value;
    };
    for (let i = 0; i < this.#n; i++) {
      for (let k = 0; k < this.#n; k++) {
        const [active, reactive] = this.#between(i, k);
        const own = i === k;
        set(angleAt[i], angleAt[k], own ? reactive - q[i] : reactive);
        set(angleAt[i], voltageAt[k], own ? active + p[i] : active);
        set(voltageAt[i], angleAt[k], own ? p[i] - active : -active);
        set(voltageAt[i], voltageAt[k], own ? reactive + q[i] : reactive);
      }
    }
  }

  #loading(branch: Branch): number {
    const [i, k] = this.#ends(branch);
    const { g, b, tap } = admittance(branch);
    const charged = b + branch.b / 2;
    const power = (own: number, other: number, turns: number) => {
      const square = (this.#voltages[own] / turns) ** 2;
      const product = (this.#voltages[own] * this.#voltages[other]) / tap;
      const angle = this.#angles[own] - this.#angles[other];
      const p = square * g - product * (g * Math.cos(angle) + b * Math.sin(angle));
      const q = -square * charged - product * (g * Math.sin(angle) - b * Math.cos(angle));
      return Math.hypot(p, q) * BASE_MVA;
    };
    return Math.max(power(i, k, tap), power(k, i, 1));
  }

  #ends({ from, to }: Branch): [number, number] {
    return [this.#place.get(from)!, this.#place.get(to)!];
  }
}

function admittance({ r, x, tap }: Branch): { g: number; b: number; tap: number } {
  const square = r * r + x * x;
  return { g: r / square, b: -x / square, tap };
}
