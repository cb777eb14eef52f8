import assert from 'node:assert/strict';
import { analyse, outagesOf, withLoads } from '../../examples/powergrid/contingency.js';
import { BASE_MVA, IEEE14, type Grid } from '../../examples/powergrid/grid.js';
import { solveLinear } from '../../examples/powergrid/linear.js';
import { powerFlow, slackOf, type PowerFlow } from '../../examples/powergrid/power-flow.js';

describe('numerics of the powergrid example', () => {
  describe('power flow', () => {
    // Of the IEEE 14-bus system, as published: per unit and degrees, by bus.
    const VOLTAGES = [
      1.06, 1.045, 1.01, 1.0177, 1.0195, 1.07, 1.0615, 1.09, 1.0559, 1.051, 1.0569, 1.0552, 1.0504, 1.0355,
    ];
    const ANGLES = [
      0, -4.98, -12.72, -10.31, -8.77, -14.22, -13.36, -13.36, -14.94, -15.1, -14.79, -15.08, -15.16, -16.03,
    ];

    it('comes to the published state of the IEEE 14-bus system', () => {
      const { voltages, angles, lossesMw, slackMw } = solved(IEEE14);
      for (const [i, published] of VOLTAGES.entries()) near(voltages[i], published, 0.0001, `|V| of bus ${i + 1}`);
      for (const [i, published] of ANGLES.entries()) {
        near((angles[i] * 180) / Math.PI, published, 0.011, `angle of bus ${i + 1}`);
      }
      near(lossesMw, 13.39, 0.005, 'losses');
      near(slackMw, 232.39, 0.005, 'generation at bus 1');
    });

    it('keeps the balance of every bus, and what its generators can do', () => {
      const heavy = withLoads(IEEE14, () => 1.3);
      const { tightest } = [IEEE14, heavy, withoutBranch(IEEE14, 2, 3), withoutBranch(IEEE14, 4, 5)]
        .map((grid) => balance(grid, solved(grid)))
        .reduce((a, b) => ({ tightest: a.tightest + b.tightest }));
      assert.ok(tightest > 0, 'no generator was ever at its limit: this has not tested what it should');
    });

    it('finds none where there is none', () => {
      assert.equal(powerFlow(withLoads(IEEE14, () => 5)), null);
    });

    it('solves linear systems, also those with zeros on the diagonal, and tells singular ones', () => {
      const right = Float64Array.of(7, 4, 9);
      assert.ok(solveLinear(Float64Array.of(0, 2, 1, 1, 0, 1, 3, 3, 0), right, 3));
      // 2y + z = 7, x + z = 4, 3x + 3y = 9
      for (const [i, x] of [1, 2, 3].entries()) near(right[i], x, 1e-12, `x${i}`);
      assert.equal(solveLinear(Float64Array.of(1, 2, 2, 4), Float64Array.of(1, 2), 2), false);
      assert.equal(solveLinear(Float64Array.of(NaN), Float64Array.of(1), 1), false);
    });
  });

  describe('contingency analysis', () => {
    const outages = outagesOf(IEEE14, true);
    const analysed = (name: string) =>
      analyse(
        IEEE14,
        outages.find((outage) => outage.name === name)!,
      );

    it('has every branch, every generator, and every two of them', () => {
      assert.equal(outagesOf(IEEE14, false).length, 20 + 5);
      assert.equal(new Set(outages.map(({ name }) => name)).size, 25 + (25 * 24) / 2);
    });

    it('sees what is cut off, and analyses the rest', () => {
      const cut = analysed('7-8');
      assert.equal(cut.outcome, 'islanded');
      assert.deepEqual(cut.cut, [8]);
      assert.equal(cut.lostMw, 0);
      // To the others it is all one whether the generator of bus 8 fails, or its only branch.
      assert.equal(cut.margin, analysed('G8').margin);

      const split = analysed('1-2+1-5');
      assert.deepEqual(split.cut, [1]);
      const load = analysed('6-12+12-13');
      assert.deepEqual(load.cut, [12]);
      near(load.lostMw, 6.1, 1e-9, 'load of bus 12');
    });

    it('lets the next generator balance the grid when the greatest fails', () => {
      const { outcome, violations, lossesMw } = analysed('G1');
      assert.equal(outcome, 'violated');
      const [violation] = violations.filter(({ of }) => of === 'generator-2');
      assert.equal(violation.limit, 140);
      near(violation.value, 259 + lossesMw, 1e-4, 'what generator 2 would have to give');
    });

    it('finds the limits that are not kept', () => {
      const whole = analyse(IEEE14, { name: 'none', branches: [], generators: [] });
      assert.equal(whole.outcome, 'secure');
      assert.deepEqual(analysed('12-13').violations, []);
      const [{ of, value, limit }] = analysed('1-5').violations;
      assert.deepEqual({ of, limit }, { of: 'branch-1-2', limit: 200 });
      // All that generator 1 gives has only this way, and its losses are on it.
      assert.ok(value > 232 && value < 260, `${value}`);
    });

    it('finds the margin between loads that the grid can run with and those that it cannot', () => {
      for (const factor of [1, 1.2]) {
        const grid = withLoads(withoutBranch(IEEE14, 1, 5), () => factor);
        const { margin } = analyse(grid, { name: 'none', branches: [], generators: [] });
        assert.ok(powerFlow(withLoads(grid, () => margin)));
        assert.equal(powerFlow(withLoads(grid, () => margin + 0.001)), null);
      }
      const { outcome, margin } = analysed('1-2');
      assert.equal(outcome, 'diverged');
      assert.ok(margin > 0.9 && margin < 1, `${margin}`);
    });
  });
});

function solved(grid: Grid): PowerFlow {
  const flow = powerFlow(grid);
  assert.ok(flow);
  return flow;
}

function withoutBranch(grid: Grid, from: number, to: number): Grid {
  return { ...grid, branches: grid.branches.filter((branch) => branch.from !== from || branch.to !== to) };
}

/**
 * Adds up at every bus what flows into its branches, each computed from the two voltages and its circuit alone, and checks
 * it against what is drawn and given there. Returns how many generators give all the MVAr that they can, or as few.
 */
function balance(grid: Grid, { voltages, angles, loadings, slackMw, lossesMw }: PowerFlow): { tightest: number } {
  const leaving = new Map(grid.buses.map(({ id }, i) => [id, { p: 0, q: -(voltages[i] ** 2) * grid.buses[i].shunt }]));
  const voltageOf = (id: number): Complex => {
    const i = grid.buses.findIndex((bus) => bus.id === id);
    return { re: voltages[i] * Math.cos(angles[i]), im: voltages[i] * Math.sin(angles[i]) };
  };
  for (const [i, { from, to, r, x, b, tap }] of grid.branches.entries()) {
    // An ideal transformer at `from`, then the line: half of its charging at each end of its impedance.
    const inner = times(voltageOf(from), { re: 1 / tap, im: 0 });
    const far = voltageOf(to);
    const through = over({ re: inner.re - far.re, im: inner.im - far.im }, { re: r, im: x });
    const half = (v: Complex): Complex => times(v, { re: 0, im: b / 2 });
    const powers = [
      times(inner, conjugate({ re: through.re + half(inner).re, im: through.im + half(inner).im })),
      times(far, conjugate({ re: half(far).re - through.re, im: half(far).im - through.im })),
    ].map(({ re, im }) => ({ p: re * BASE_MVA, q: im * BASE_MVA }));
    for (const [end, bus] of [from, to].entries()) {
      leaving.get(bus)!.p += powers[end].p;
      leaving.get(bus)!.q += powers[end].q;
    }
    near(loadings[i], Math.max(...powers.map(({ p, q }) => Math.hypot(p, q))), 1e-6, `loading of ${from}-${to}`);
  }
  let tightest = 0;
  let generated = 0;
  for (const [i, { id, p, q }] of grid.buses.entries()) {
    const flowing = leaving.get(id)!;
    const generator = grid.generators.find(({ bus }) => bus === id);
    const isSlack = slackOf(grid).bus === id;
    const given = isSlack ? slackMw : (generator?.p ?? 0);
    generated += given;
    near(flowing.p, given - p, 1e-4, `MW of bus ${id}`);
    if (!generator) near(flowing.q, -q, 1e-4, `MVAr of bus ${id}`);
    else if (isSlack) assert.equal(voltages[i], generator.v);
    else {
      const needed = flowing.q + q;
      const atLimit = [generator.qMin, generator.qMax].some((limit) => Math.abs(needed - limit) < 1e-4);
      if (atLimit) tightest++;
      else {
        assert.equal(voltages[i], generator.v, `voltage of bus ${id}`);
        assert.ok(needed > generator.qMin && needed < generator.qMax, `${needed} MVAr at bus ${id}`);
      }
    }
  }
  const load = grid.buses.reduce((sum, { p }) => sum + p, 0);
  near(lossesMw, generated - load, 1e-4, 'losses');
  return { tightest };
}

interface Complex {
  re: number;
  im: number;
}
const times = (a: Complex, b: Complex): Complex => ({ re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re });
const conjugate = ({ re, im }: Complex): Complex => ({ re, im: -im });
const over = (a: Complex, b: Complex): Complex => {
  const square = b.re ** 2 + b.im ** 2;
  return times(a, { re: b.re / square, im: -b.im / square });
};

function near(value: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(value - expected) <= tolerance, `${what}: ${value} instead of ${expected}`);
}
