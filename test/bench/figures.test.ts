import assert from 'node:assert/strict';
import { holds, interval, margin, measured, summary, targetText } from '../../bench/figures.js';
import { nearest } from '../../bench/nearest.js';
import type { Target } from '../../bench/trial.js';
import { TRIALS } from '../../bench/trials.js';

describe('what is made of figures', () => {
  it('takes the median of an odd and of an even number', () => {
    assert.deepEqual(summary([3, 1, 2]), { median: 2, low: 1, high: 3 });
    assert.deepEqual(summary([4, 1, 2, 3]), { median: 2.5, low: 1, high: 4 });
  });

  it('gives the interval of a mean by Student', () => {
    // 1.014 ± 2.776 × 0.011402 / √5
    const [low, high] = interval([1.01, 1.02, 1.0, 1.03, 1.01]);
    assert.ok(Math.abs(low - 0.99984) < 1e-4 && Math.abs(high - 1.02816) < 1e-4, `${low} to ${high}`);
    assert.deepEqual(interval([1]), [-Infinity, Infinity]);
  });

  for (const [target, of, to, held, factor] of [
    [{ atLeast: 0.9 }, 95, 100, true, 0.95 / 0.9],
    [{ atLeast: 0.9 }, 80, 100, false, 0.8 / 0.9],
    [{ atMost: 1.3 }, 1.2, 1, true, 1.3 / 1.2],
    [{ atMost: 0.5 }, 0.6, undefined, false, 0.5 / 0.6],
    [{ atMost: { times: 2, plus: 50 } }, 60, 10, true, 70 / 60],
    [{ atMost: { times: 2, plus: 50 } }, 90, 10, false, 70 / 90],
  ] as const) {
    it(`finds ${of}${to === undefined ? '' : ` against ${to}`} ${held ? 'within' : 'beyond'} ${targetText(target, 's', to !== undefined)}`, () => {
      assert.equal(holds([measured(of, to, target)], target), held);
      assert.ok(Math.abs(margin(of, to, target) - factor) < 1e-9);
    });
  }

  it('is confident only where the whole interval is', () => {
    const target: Target = { atMost: 1.01, confident: true };
    assert.equal(holds([1.004, 1.005, 1.006, 1.005], target), true);
    assert.equal(holds([0.98, 1.0, 1.02, 1.0], target), false);
    assert.equal(holds([1], target), false);
  });
});

describe('the table of trials', () => {
  it('has each trial, and each side in it, once', () => {
    for (const names of [TRIALS, ...TRIALS.map(({ sides }) => sides)].map((list) => list.map(({ name }) => name))) {
      assert.deepEqual([...new Set(names)], names);
    }
  });

  it('compares figures of sides that there are', () => {
    for (const { name, sides, comparisons } of TRIALS) {
      for (const { of, to } of comparisons) {
        for (const reference of [of, ...(typeof to === 'object' ? to.inputs : to === undefined ? [] : [to])]) {
          const found = sides.some((side) => reference === side.name || reference.startsWith(`${side.name}.`));
          assert.ok(found, `${name}: ${reference}`);
        }
      }
    }
  });

  it('finds the name that was meant', () => {
    const names = TRIALS.map(({ name }) => name);
    for (const [word, meant] of [
      ['gahter', 'gather, 2 ranks'],
      ['Comit', 'commit'],
      ['opn', 'open, 1 rank'],
    ]) {
      assert.equal(nearest(word, names), meant);
    }
  });
});
