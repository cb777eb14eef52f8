export interface Bus {
  readonly id: number;
  /** What is drawn here, in MW and MVAr. */
  readonly p: number;
  readonly q: number;
  /** What a capacitor here gives, in MVAr at a voltage of 1. */
  readonly shunt: number;
}

/** A machine that holds the voltage of its bus. Those without power of their own are there for that alone. */
export interface Generator {
  readonly bus: number;
  /** MW. The greatest of a grid, by `pMax`, gives what the others and the losses leave over. */
  readonly p: number;
  readonly pMax: number;
  /** The voltage that it holds, per unit, as long as that takes no other MVAr than these. */
  readonly v: number;
  readonly qMin: number;
  readonly qMax: number;
}

/** A line, or a transformer: that has a tap, on the side of `from`. */
export interface Branch {
  readonly from: number;
  readonly to: number;
  /** Impedance and charging, per unit of 100 MVA. */
  readonly r: number;
  readonly x: number;
  readonly b: number;
  readonly tap: number;
  /** What it can carry, in MVA. */
  readonly rating: number;
}

export interface Grid {
  readonly buses: readonly Bus[];
  readonly generators: readonly Generator[];
  readonly branches: readonly Branch[];
}

/** All that is "per unit" is of this, in MVA. */
export const BASE_MVA = 100;

/** Where it is published. */
export const GRID_URI = 'https://labs.ece.uw.edu/pstca/pf14/pg_tca14bus.htm';

/** The voltages that a bus may have, per unit. The set points go up to 1.09. */
export const LIMITS = { vMin: 0.95, vMax: 1.1 } as const;

const bus = (id: number, p: number, q: number, shunt = 0): Bus => ({ id, p, q, shunt });
const generator = (at: number, p: number, pMax: number, v: number, qMin: number, qMax: number): Generator => {
  return { bus: at, p, pMax, v, qMin, qMax };
};
const branch = (from: number, to: number, r: number, x: number, b: number, rating: number, tap = 1): Branch => {
  return { from, to, r, x, b, tap, rating };
};

/**
 * The IEEE 14-bus system: a part of the grid of the American Midwest as it was in 1962, and since then the small test case
 * of power engineering. Loads, impedances, taps and set points are the published ones, `pMax` is MATPOWER's.
 *
 * The ratings are chosen here, for the system has none: the next of a few sizes above what a branch carries on an
 * ordinary day, with something to spare. 200 MVA for the double line 1-2 and 100 for other lines between buses 1 to 5,
 * transformers of 40, 60 and 80, and for the lines beyond them 32, or 16 where little flows. What generator 1 can give in
 * MVAr matters to nobody, since it balances the grid wherever it is.
 */
export const IEEE14: Grid = {
  buses: [
    bus(1, 0, 0),
    bus(2, 21.7, 12.7),
    bus(3, 94.2, 19),
    bus(4, 47.8, -3.9),
    bus(5, 7.6, 1.6),
    bus(6, 11.2, 7.5),
    bus(7, 0, 0),
    bus(8, 0, 0),
    bus(9, 29.5, 16.6, 19),
    bus(10, 9, 5.8),
    bus(11, 3.5, 1.8),
    bus(12, 6.1, 1.6),
    bus(13, 13.5, 5.8),
    bus(14, 14.9, 5),
  ],
  generators: [
    generator(1, 232.4, 332.4, 1.06, -100, 100),
    generator(2, 40, 140, 1.045, -40, 50),
    generator(3, 0, 100, 1.01, 0, 40),
    generator(6, 0, 100, 1.07, -6, 24),
    generator(8, 0, 100, 1.09, -6, 24),
  ],
  branches: [
    branch(1, 2, 0.01938, 0.05917, 0.0528, 200),
    branch(1, 5, 0.05403, 0.22304, 0.0492, 100),
    branch(2, 3, 0.04699, 0.19797, 0.0438, 100),
    branch(2, 4, 0.05811, 0.17632, 0.034, 100),
    branch(2, 5, 0.05695, 0.17388, 0.0346, 100),
    branch(3, 4, 0.06701, 0.17103, 0.0128, 100),
    branch(4, 5, 0.01335, 0.04211, 0, 100),
    branch(4, 7, 0, 0.20912, 0, 60, 0.978),
    branch(4, 9, 0, 0.55618, 0, 40, 0.969),
    branch(5, 6, 0, 0.25202, 0, 80, 0.932),
    branch(6, 11, 0.09498, 0.1989, 0, 32),
    branch(6, 12, 0.12291, 0.25581, 0, 32),
    branch(6, 13, 0.06615, 0.13027, 0, 32),
    branch(7, 8, 0, 0.17615, 0, 40),
    branch(7, 9, 0, 0.11001, 0, 60),
    branch(9, 10, 0.03181, 0.0845, 0, 32),
    branch(9, 14, 0.12711, 0.27038, 0, 32),
    branch(10, 11, 0.08205, 0.19207, 0, 16),
    branch(12, 13, 0.22092, 0.19988, 0, 16),
    branch(13, 14, 0.17093, 0.34802, 0, 16),
  ],
};
