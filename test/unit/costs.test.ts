import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { NO_COSTS, reportOf, shareOf, spreadOf, type RunReport } from '#src/run-report.js';
import { AskedPromise, WaitClock } from '#src/waiting.js';

const root = { gatherMs: 1.23456, peakRoundBytes: 65536, untilMs: 2000.00049 };

describe('the cost of recording', () => {
  it('gives the least, the median and the most of ranks in any order', () => {
    assert.deepEqual(spreadOf([10, 9, 100]), { min: 9, median: 10, max: 100 });
    assert.deepEqual(spreadOf([4, 1, 2, 100]), { min: 1, median: 3, max: 100 });
    assert.deepEqual(spreadOf([7]), { min: 7, median: 7, max: 7 });
    assert.equal(spreadOf([]), undefined);
    assert.equal(spreadOf(undefined), undefined);
  });

  it('is kept rank by rank, to the microsecond', () => {
    const report = reportOf(
      [
        { ...NO_COSTS, captureMs: 1.00049 },
        { ...NO_COSTS, peakSpoolBytes: 2 ** 40 },
      ],
      root,
    );
    assert.deepEqual(report, {
      captureMs: [1, 0],
      sealMs: [0, 0],
      verdictMs: [0, 0],
      blockedMs: [0, 0],
      peakSpoolBytes: [0, 2 ** 40],
      gatherMs: 1.235,
      peakRoundBytes: 65536,
      untilMs: 2000,
    });
  });

  it('has what all have waited in the close', () => {
    const report = reportOf([NO_COSTS, { ...NO_COSTS, verdictMs: 2, blockedMs: 1 }], root, 10);
    assert.deepEqual([report.verdictMs, report.blockedMs, report.captureMs], [[10, 12], [10, 11], [0, 0]]); // prettier-ignore
  });

  it('is kept of 10,000 ranks in less than half a MiB', () => {
    const costs = {
      captureMs: 12345.678,
      sealMs: 123.456,
      verdictMs: 12345.678,
      blockedMs: 1234.567,
      peakSpoolBytes: 2 ** 30,
    };
    const ranks = Array.from({ length: 10_000 }, () => costs);
    assert.ok(JSON.stringify(reportOf(ranks, root)).length < 2 ** 19);
  });

  it('is a share of the wall time by the rank that all of it took most of', () => {
    const report: RunReport = { captureMs: [50, 10], sealMs: [0, 20], blockedMs: [100, 170] };
    assert.equal(shareOf(report, 2), 0.1);
    assert.equal(shareOf(report, 0), undefined);
    assert.equal(shareOf(report, undefined), undefined);
    assert.equal(shareOf({ ...report, untilMs: 4000 }, 2), 0.05, 'of the time that it tells of');
    assert.equal(shareOf({ captureMs: [50, 10] }, 2), undefined, 'as older versions have it');
  });
});

describe('the clock of what a program waits for', () => {
  it('counts what overlaps once, and what is under way', async () => {
    const clock = new WaitClock();
    assert.equal(clock.ms, 0);
    const started = performance.now();
    clock.begin();
    clock.begin();
    await pause(10);
    assert.ok(clock.ms > 0);
    clock.end();
    await pause(10);
    clock.end();
    const { ms } = clock;
    assert.ok(ms > 15 && ms <= performance.now() - started, String(ms));
    await pause(2);
    assert.equal(clock.ms, ms);
  });

  it('knows when a promise is first asked for', async () => {
    for (const ask of [
      async (promise: Promise<number>) => await promise,
      (promise: Promise<number>) => Promise.all([promise]).then(([value]) => value),
      (promise: Promise<number>) => promise.finally(() => undefined),
    ]) {
      let asked = 0;
      const promise = new AskedPromise<number>((resolve) => resolve(7));
      promise.onAsked = () => asked++;
      await pause(1);
      assert.equal(asked, 0);
      assert.equal(await ask(promise), 7);
      assert.equal(await ask(promise), 7);
      assert.equal(asked, 1);
    }
    assert.equal(new AskedPromise(() => undefined).then().constructor, Promise);
  });
});
