import { random } from '../common/random.js';
import { LIMITS, type Branch, type Generator, type Grid } from './grid.js';
import { powerFlow, slackOf, type PowerFlow } from './power-flow.js';

/** What fails at the same time. */
export interface Outage {
  readonly name: string;
  readonly branches: readonly Branch[];
  readonly generators: readonly Generator[];
}

/** A limit that isn't kept. */
export interface Violation {
  /** Of what: `branch-1-5` in MVA, `voltage-14` per unit, `generator-2` in MW. */
  readonly of: string;
  readonly value: number;
  readonly limit: number;
}

/** In the order in which they are worse: all limits kept; some not; no more one grid; no state to run in. */
export const OUTCOMES = ['secure', 'violated', 'islanded', 'diverged'] as const;

export interface Result {
  readonly outcome: (typeof OUTCOMES)[number];
  /** Of what still hangs together, which is all there is of an outcome. */
  readonly violations: readonly Violation[];
  /** Buses that are cut off, and the load that was there, in MW. */
  readonly cut: readonly number[];
  readonly lostMw: number;
  /** By what factor all loads could be multiplied before there is no state to run in. Below 1: `diverged`. */
  readonly margin: number;
  readonly lossesMw: number;
  /** Of Newton's method, for the state that was found; 0 if none was. */
  readonly iterations: number;
}

export const branchName = ({ from, to }: Branch): string => `${from}-${to}`;

/** Every branch and every generator, and with `pairs` also every two of them. */
export function outagesOf({ branches, generators }: Grid, pairs: boolean): Outage[] {
  const single = [
    ...branches.map((branch) => ({ name: branchName(branch), branches: [branch], generators: [] })),
    ...generators.map((generator) => ({ name: `G${generator.bus}`, branches: [], generators: [generator] })),
  ];
  const double = single.flatMap((one, i) =>
    single.slice(i + 1).map((other) => ({
      name: `${one.name}+${other.name}`,
      branches: [...one.branches, ...other.branches],
      generators: [...one.generators, ...other.generators],
    })),
  );
  return pairs ? [...single, ...double] : single;
}

/**
 * By what factor the buses draw more on some day than in the published case, which is day 0: a level for all of them, and
 * up to a tenth up or down for each.
 */
export function drawLoads({ buses }: Grid, day: number, seed: number): number[] {
  if (day === 0) return buses.map(() => 1);
  const next = random(seed * 100_003 + day);
  const level = 0.7 + 0.6 * next();
  return buses.map(() => level * (0.9 + 0.2 * next()));
}

export function withLoads(grid: Grid, factors: (place: number) => number): Grid {
  return { ...grid, buses: grid.buses.map((bus, i) => ({ ...bus, p: bus.p * factors(i), q: bus.q * factors(i) })) };
}

/** What becomes of a grid without what fails. */
export function analyse(whole: Grid, outage: Outage): Result {
  const grid = largestIsland({
    buses: whole.buses,
    branches: whole.branches.filter((branch) => !outage.branches.includes(branch)),
    generators: whole.generators.filter((generator) => !outage.generators.includes(generator)),
  });
  const cut = whole.buses.filter((bus) => !grid.buses.includes(bus));
  const flow = powerFlow(grid);
  const violations = flow ? violationsOf(grid, flow) : [];
  return {
    outcome: !flow ? 'diverged' : cut.length > 0 ? 'islanded' : violations.length > 0 ? 'violated' : 'secure',
    violations,
    cut: cut.map(({ id }) => id),
    lostMw: cut.reduce((sum, { p }) => sum + p, 0),
    margin: marginOf(grid),
    lossesMw: flow?.lossesMw ?? 0,
    iterations: flow?.iterations ?? 0,
  };
}

/** The part of a grid that hangs together, has a generator, and has the most buses. */
export function largestIsland(grid: Grid): Grid {
  let largest = new Set<number>();
  for (const { bus } of grid.generators) {
    // A set is walked while it grows: to all that can be reached from the generator.
    const reached = new Set([bus]);
    for (const at of reached) {
      for (const { from, to } of grid.branches) {
        if (from === at) reached.add(to);
        if (to === at) reached.add(from);
      }
    }
    if (reached.size > largest.size) largest = reached;
  }
  return {
    buses: grid.buses.filter(({ id }) => largest.has(id)),
    branches: grid.branches.filter(({ from }) => largest.has(from)),
    generators: grid.generators.filter(({ bus }) => largest.has(bus)),
  };
}

function violationsOf(grid: Grid, { voltages, loadings, slackMw }: PowerFlow): Violation[] {
  const slack = slackOf(grid);
  const upper = [
    ...grid.branches.map((branch, i) => ({
      of: `branch-${branchName(branch)}`,
      value: loadings[i],
      limit: branch.rating,
    })),
    ...grid.buses.map(({ id }, i) => ({ of: `voltage-${id}`, value: voltages[i], limit: LIMITS.vMax })),
    { of: `generator-${slack.bus}`, value: slackMw, limit: slack.pMax },
  ];
  const lower = grid.buses.map(({ id }, i) => ({ of: `voltage-${id}`, value: voltages[i], limit: LIMITS.vMin }));
  return [...upper.filter(({ value, limit }) => value > limit), ...lower.filter(({ value, limit }) => value < limit)];
}

/** Halves the interval between a load that there is a state for and one that there is none for, to a thousandth. */
function marginOf(grid: Grid): number {
  let [margin, tooMuch] = [0, 4];
  while (tooMuch - margin > 0.001) {
    const factor = (margin + tooMuch) / 2;
    if (powerFlow(withLoads(grid, () => factor))) margin = factor;
    else tooMuch = factor;
  }
  return margin;
}
