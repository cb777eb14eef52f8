import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidError, type BraidReader, type LineageRow } from 'braid-mpi';
import { labelOf, readerOf, RUN, timeOf, type Event, type Named } from './graph.js';

const record = (id: number, kind: 'fact' | 'data' | 'model', time: number, name?: string): Event =>
  ({ type: 'record', id, kind, time, name }); // prettier-ignore
const from = (derived: number, source: number, version: Named, time: number, rank = 0): Event =>
  ({ type: 'derivation', derived, source, version, time, rank, attempt: 1 }); // prettier-ignore
const step = (n: number, attempt = 1) => ({ attempt, step: n });
const update = (
  model: number,
  n: number,
  time: number,
  sources: [number, Named][],
  seen?: number,
  rank = 0,
): Event => ({
  type: 'update',
  model,
  made: step(n),
  time,
  rank,
  seen: seen === undefined ? undefined : step(seen),
  exposures: sources.map(([source, version]) => ({ source, version })),
});
const told = (rows: Iterable<LineageRow>) =>
  Array.from(rows, (row) => `${row.depth} ${labelOf(row)}${row.inferred ? ' inferred' : ''}`).sort();
const labels = (rows: Iterable<LineageRow>) => Array.from(rows, labelOf).sort();

/**
 * Two models that teach each other. 1 is a fact; 3 and 5 are scans; 2 is a model made from 1, and 4 one made from nothing.
 *
 * 2@s0 learns from 3; 4@s0 from 2@s0; 2@s1 from 4@s0 and 5; 4@s1 from 2@s1. 7 is what 4@s0 has made; 9 what 2, unknown which
 * version, had made by then.
 */
const CYCLE: Event[] = [
  record(1, 'fact', 0),
  record(2, 'model', 1),
  from(2, 1, 'none', 1),
  record(3, 'data', 2),
  record(4, 'model', 2),
  record(5, 'data', 5),
  record(7, 'data', 6),
  record(9, 'data', 5),
  update(2, 0, 3, [[3, 'none']]),
  update(4, 0, 4, [[2, step(0)]]),
  update(2, 1, 6, [[4, step(0)], [5, 'none']], 0), // prettier-ignore
  update(4, 1, 7, [[2, step(1)]], 0),
  from(7, 4, step(0), 6),
  from(9, 2, 'unknown', 5),
];

describe('lineage that respects time', function () {
  this.timeout(60_000);
  let directory: string;
  let reader: BraidReader;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-lineage-'));
    reader = readerOf(directory, CYCLE);
  });
  after(() => {
    reader.close();
    rmSync(directory, { recursive: true });
  });

  it('leaves out what a model learnt after the version that made something, in a cycle', () => {
    assert.deepEqual(told(reader.ancestors(7)), ['1 4@1.s0', '2 2@1.s0', '2 4', '3 2', '3 3', '4 1']);
    assert.deepEqual(labels(reader.ancestors(7, { ever: true })), ['1', '2', '3', '4', '5']);
  });

  it('goes through a cycle version by version', () => {
    assert.deepEqual(told(reader.ancestors('4@step=1')), [
      '1 2@1.s1', '1 4', '1 4@1.s0', '2 2', '2 2@1.s0', '2 5', '3 1', '3 3',
    ]); // prettier-ignore
  });

  it('takes every version up to the time where none is known, and says so', () => {
    assert.deepEqual(told(reader.ancestors(9)), ['1 2', '1 2@1.s0 inferred', '2 1', '2 3 inferred']);
  });

  it('takes a model without a version for all that it has ever learnt', () => {
    assert.deepEqual(labels(reader.ancestors(2)), ['1', '3', '4', '4@1.s0', '5']);
    assert.deepEqual(labels(reader.descendants(4)), ['2@1.s1', '7']);
  });

  it('finds descendants as those of whom one is an ancestor', () => {
    const all = ['1', '2', '3', '4', '5', '7', '9', '2@1.s0', '2@1.s1', '4@1.s0', '4@1.s1'];
    const nameOf = (label: string) => (label.includes('@') ? label.replace('@', `@${RUN}.`) : Number(label));
    const isModel = (label: string) => label === '2' || label === '4';
    for (const a of all) {
      for (const b of all) {
        if (a === b || isModel(a) || isModel(b)) continue;
        const up = labels(reader.ancestors(nameOf(a))).includes(b);
        assert.equal(labels(reader.descendants(nameOf(b))).includes(a), up, `${a} from ${b}`);
      }
    }
    assert.deepEqual(told(reader.descendants(5)), ['1 2@1.s1', '2 4@1.s1']);
    assert.deepEqual(told(reader.descendants('2@step=0')), [
      '1 2@1.s1', '1 4@1.s0', '1 9 inferred', '2 4@1.s1', '2 7',
    ]); // prettier-ignore
  });

  it('gives only what the filters let through, and goes over the rest', () => {
    assert.deepEqual(labels(reader.ancestors(7, { kind: 'data' })), ['3']);
    assert.deepEqual(labels(reader.ancestors(7, { depth: 2 })), ['2@1.s0', '4', '4@1.s0']);
    assert.deepEqual(labels(reader.ancestors(7, { since: timeOf(3) })), ['2@1.s0', '4@1.s0']);
    assert.deepEqual(labels(reader.ancestors(7, { until: timeOf(1) })), ['1', '2']);
    assert.deepEqual(labels(reader.ancestors(7, { name: 'r3', rank: 0, run: RUN })), ['3']);
    assert.deepEqual(labels(reader.ancestors(7, { rank: 1 })), ['2', '4']);
    assert.deepEqual(labels(reader.ancestors(7, { tag: { loss: 1 } })), []);
    for (const options of [{ depth: -1 }, { depht: 1 }, { since: new Date(NaN) }, { kind: 'thing' }]) {
      assert.throws(() => reader.ancestors(7, options as never), { code: 'ERR_BRAID_FILTER_INVALID' });
    }
  });

  it('explains a dependence by one shortest chain, from whichever side', () => {
    const chain = reader.why(7, 1)!;
    assert.equal(chain.direction, 'from');
    assert.deepEqual(chain.steps.map(({ text }) => text), [
      'r7 [7]',
      'r7 [7] was derived from r4@2 (step 0) [4]',
      'r4@2 (step 0) [4] was updated by exposure to r2@1 (step 0) [2]',
      'r2@1 (step 0) [2] is a version of r2 [2]',
      'r2 [2] was derived from r1 [1]',
    ].map((text) => text.replace('r4@2', `r4@${reader.version('4@step=0')!.number}`))); // prettier-ignore
    assert.equal(reader.why(1, 7)!.direction, 'to');
    assert.equal(reader.why(7, 5), undefined);
    const maybe = reader.why(9, 3)!.steps.filter(({ inferred }) => inferred);
    assert.deepEqual(maybe.map(({ node }) => labelOf(node)), ['2@1.s0']); // prettier-ignore
  });

  it('explains it over what is not committed, too', () => {
    const unmade = readerOf(directory, [
      record(1, 'fact', 0, 'scan'),
      record(5, 'data', 2, 'made'),
      record(7, 'data', 2, 'other'),
      update(99, 0, 1, [[1, 'none']]),
      from(5, 99, step(0), 2),
      from(98, 1, 'none', 1),
      from(7, 98, 'none', 2),
    ]);
    try {
      const told = (id: number) => unmade.why(id, 1)!.steps.map(({ text }) => text);
      assert.deepEqual(told(5), [
        'made [5]',
        'made [5] was derived from (not committed)@1 (step 0) [99]',
        '(not committed)@1 (step 0) [99] was updated by exposure to scan [1]',
      ]);
      assert.deepEqual(told(7), [
        'other [7]',
        'other [7] was derived from a record that is not committed [98]',
        'a record that is not committed [98] was derived from scan [1]',
      ]);
      assert.deepEqual(
        Array.from(unmade.ancestors(5, { kind: 'model' }), ({ id, version }) => [id, version]),
        [[99, 1]],
      );
    } finally {
      unmade.close();
    }
  });

  it('says what two things share, and what one version has seen and another had not', () => {
    // 9 may have come from that version, and certainly has from the model.
    assert.deepEqual(reader.common(7, 9).map((row) => [labelOf(row), ...row.depths, row.inferred]), [['2@1.s0', 2, 1, true], ['2', 3, 1, undefined]]); // prettier-ignore
    assert.deepEqual(labels(reader.common('4@step=1', 7)), ['4@1.s0']);
    for (const [a, b] of [
      ['2@step=0', '2@step=1'],
      ['2@step=1', '2@step=0'],
    ]) {
      // prettier-ignore
      const { earlier, later, rows } = reader.diff(a, b);
      assert.deepEqual([labelOf(earlier), labelOf(later)], ['2@1.s0', '2@1.s1']);
      assert.deepEqual(labels(rows), ['4', '4@1.s0', '5']);
    }
  });

  it('says what each has seen of two that have diverged, whichever is asked about first', () => {
    const apart = readerOf(directory, [
      ...[1, 2, 3].map((id) => record(id, 'data', 0)),
      record(4, 'model', 0),
      record(6, 'data', 9),
      update(4, 0, 1, [[1, 'none']]),
      update(4, 1, 2, [[2, 'none']], 0),
      { type: 'update', model: 4, made: { attempt: 2, step: 2 }, time: 3, rank: 0, seen: step(0), exposures: [{ source: 3, version: 'none' }] }, // prettier-ignore
    ]);
    try {
      const numbers = [1, 2].map((step) => apart.version(4, { step })!.number);
      assert.deepEqual(numbers, [2, 3]);
      for (const [a, b] of [
        ['4@2', '4@3'],
        ['4@3', '4@2'],
      ]) {
        // prettier-ignore
        const { earlier, later, rows, earlierRows } = apart.diff(a, b);
        assert.deepEqual([earlier.version, later.version], [2, 3]);
        assert.deepEqual([labels(rows), labels(earlierRows!)], [['3'], ['2']]);
      }
      assert.deepEqual([apart.diff(6, 1).earlier.id, apart.diff(1, 6).earlier.id], [1, 1]);
      assert.deepEqual([apart.diff(2, 1).earlier.id, apart.diff(1, 2).earlier.id], [1, 1]);
      assert.equal(apart.diff('4@1', '4@3').earlierRows, undefined);
    } finally {
      apart.close();
    }
  });

  it('finds it soon where thousands may each come from any of thousands of versions', () => {
    const each = Array.from({ length: 4000 }, (_, i) => i);
    const large = readerOf(directory, [
      record(1, 'model', 0),
      ...each.map((i) => update(1, i, 1, [])),
      ...each.flatMap((i) => [record(5 + 2 * i, 'data', 2), from(5 + 2 * i, 1, 'unknown', 2)]),
      ...[2, 4].flatMap((id) => [record(id, 'data', 3), ...each.map((i) => from(id, 5 + 2 * i, 'none', 3, 1))]),
    ]);
    try {
      const started = performance.now();
      assert.equal(large.common(2, 4).length, 4000);
      assert.ok(performance.now() - started < 2000);
    } finally {
      large.close();
    }
  });

  it('finds what two things share where each comes into a cycle at another node', () => {
    // 1 is a scan; 2 and 3 are models that teach each other at the same step; 4 is what 2 has made, 5 what 3 has; 6 is of 1 alone.
    const shared = readerOf(directory, [
      record(1, 'fact', 0),
      record(2, 'model', 0),
      record(3, 'model', 0),
      update(2, 0, 1, [[3, step(0)], [1, 'none']]), // prettier-ignore
      update(3, 0, 1, [[2, step(0)]]),
      record(4, 'data', 2),
      from(4, 2, step(0), 2),
      record(5, 'data', 2),
      from(5, 3, step(0), 2),
      record(6, 'data', 2),
      from(6, 1, 'none', 2),
    ]);
    try {
      const rows = shared.common(4, 5).map((row) => [labelOf(row), ...row.depths]);
      assert.deepEqual(rows, [['2@1.s0', 1, 2], ['3@1.s0', 2, 1]]); // prettier-ignore
      assert.deepEqual(labels(shared.common(4, 6)), ['1']);
    } finally {
      shared.close();
    }
  });

  it('does not take a smaller step that was made later for what a larger one certainly went on from', () => {
    const again = readerOf(directory, [
      record(1, 'model', 0),
      update(1, 9, 1, []),
      update(1, 10, 2, [], 9),
      // Counted again from the start: 1 has seen 10.
      update(1, 1, 3, [], 10),
      update(1, 2, 4, [], 1),
    ]);
    try {
      assert.deepEqual(told(again.ancestors('1@step=2')), ['1 1', '1 1@1.s1', '2 1@1.s10', '3 1@1.s9']);
      assert.deepEqual(told(again.ancestors('1@step=10')), [
        '1 1',
        '1 1@1.s9',
        '2 1@1.s2 inferred',
        '3 1@1.s1 inferred',
      ]);
      assert.deepEqual(told(again.descendants('1@step=2')), [
        '1 1@1.s9 inferred',
        '2 1@1.s10 inferred',
        '3 1@1.s1 inferred',
      ]);
    } finally {
      again.close();
    }
  });

  it('can have several walks under way', () => {
    const [a, b] = [reader.ancestors(7), reader.ancestors(7)];
    const both = [];
    for (const row of a) both.push(labelOf(row), labelOf(b.next().value as LineageRow));
    assert.equal(b.next().done, true);
    assert.equal(both.length, 12);
    assert.deepEqual(both.filter((_, i) => i % 2 === 0), both.filter((_, i) => i % 2 === 1)); // prettier-ignore
  });

  it('finds versions by number, step, key, time, and when a record was made', () => {
    const key = `2@${RUN}.1.s1`;
    const { number } = reader.version(2, { step: 1 })!;
    for (const name of [
      `2@${number}`,
      '2@step=1',
      `2@step=1,run=${RUN.slice(0, 4)},attempt=1`,
      'name:r2@step=1',
      key,
      { key },
    ]) {
      // prettier-ignore
      assert.equal(reader.version(name)?.key, key);
      assert.equal(labelOf(reader.node(name)), '2@1.s1');
    }
    assert.equal(reader.version(2, { time: timeOf(6) })?.key, key);
    assert.equal(reader.version(2, { time: timeOf(5) })?.step, 0);
    assert.equal(reader.version(2, { when: 9 })?.step, 0);
    assert.equal(reader.version('2@when=name:r7')?.step, 1);
    assert.equal(reader.version('2@time=2026-01-01T00:00:05')?.step, 0);
    assert.equal(reader.version(2, { when: 1 }), undefined);
    assert.equal(reader.version(2, 77), undefined);
    const fails: [string, string][] = [
      ['2@77', 'ERR_BRAID_NO_SUCH_VERSION'],
      [`2@${RUN}.1.s77`, 'ERR_BRAID_NO_SUCH_VERSION'],
      ['2@latest', 'ERR_BRAID_VERSION_INVALID'],
      ['2@time=noon', 'ERR_BRAID_VERSION_INVALID'],
      ['77@1', 'ERR_BRAID_NO_SUCH_RECORD'],
      ['name:nobody', 'ERR_BRAID_NO_SUCH_RECORD'],
      ['seven', 'ERR_BRAID_ID_INVALID'],
    ];
    for (const [text, code] of fails) {
      assert.throws(() => reader.ancestors(text), (error: BraidError) => error.code === code, text); // prettier-ignore
    }
  });
});

describe('versions', function () {
  this.timeout(60_000);
  let directory: string;
  before(() => (directory = mkdtempSync(join(tmpdir(), 'braid-versions-'))));
  after(() => rmSync(directory, { recursive: true }));

  it('keep each exposure, with its version, and what each rank had seen', () => {
    const reader = readerOf(directory, [
      record(1, 'model', 0),
      record(2, 'data', 0),
      record(3, 'model', 0),
      update(3, 0, 1, []),
      update(1, 0, 1, [[2, 'none'], [2, 'none'], [3, step(0)]]), // prettier-ignore
      update(1, 5, 2, [[3, 'unknown']], 0),
      update(1, 5, 3, [[2, 'none']], 0, 1),
      update(1, 6, 4, [], 5),
      update(1, 6, 4, [], 0, 1),
    ]);
    const [first, second, third] = reader.versions(1);
    assert.deepEqual(
      first.exposures.map(({ id, version }) => [id, version?.key]),
      [[2, undefined], [2, undefined], [3, `3@${RUN}.1.s0`]], // prettier-ignore
    );
    assert.deepEqual(
      second.exposures.map(({ id, unknown, rank }) => [id, unknown, rank]),
      [[3, true, 0], [2, undefined, 1]], // prettier-ignore
    );
    assert.deepEqual(second.ranks, [0, 1]);
    assert.deepEqual(third.seen.map(({ step }) => step), [0, 5]); // prettier-ignore
    assert.deepEqual([third.run, third.attempt, third.time], [RUN, 1, timeOf(4)]);
    reader.close();
  });

  it('of an attempt that repeats steps are its own, and may come from those before', () => {
    const again = (n: number, time: number, source: number, seen?: { attempt: number; step: number }): Event =>
      ({ type: 'update', model: 1, made: step(n, 2), time, rank: 0, seen, exposures: [{ source, version: 'none' }] }); // prettier-ignore
    const events = [
      record(1, 'model', 0),
      record(2, 'data', 0),
      record(3, 'data', 0),
      record(5, 'data', 0),
      record(7, 'data', 0),
      update(1, 1, 1, [[2, 'none']]),
      update(1, 2, 2, [[3, 'none']], 1),
    ];
    const unsaid = readerOf(directory, [...events, again(2, 5, 5), again(3, 6, 7, step(2, 2))]);
    assert.deepEqual([...unsaid.versions(1)].map(({ attempt, step }) => [attempt, step]), [[1, 1], [1, 2], [2, 2], [2, 3]]); // prettier-ignore
    assert.throws(() => unsaid.ancestors('1@step=2'), { code: 'ERR_BRAID_VERSION_AMBIGUOUS' });
    assert.deepEqual(told(unsaid.ancestors('1@step=3')), [
      '1 1', '1 1@2.s2', '1 7', '2 1@1.s1 inferred', '2 1@1.s2 inferred', '2 5', '3 2 inferred', '3 3 inferred',
    ]); // prettier-ignore
    unsaid.close();
    // One that says which checkpoint it goes on from comes from that one alone.
    const said = readerOf(directory, [...events, again(2, 5, 5, step(1)), again(3, 6, 7, step(2, 2))]);
    assert.deepEqual(told(said.ancestors('1@step=3')), ['1 1', '1 1@2.s2', '1 7', '2 1@1.s1', '2 5', '3 2']);
    said.close();
  });

  it('are told apart by what each rank had seen', () => {
    const reader = readerOf(directory, [
      record(1, 'model', 0),
      record(3, 'data', 0),
      record(5, 'data', 0),
      record(2, 'data', 3),
      record(4, 'data', 3),
      update(1, 1, 1, [[3, 'none']]),
      update(1, 2, 2, [[5, 'none']], 1),
      from(2, 1, step(1), 3, 1),
      from(4, 1, step(2), 3, 1),
    ]);
    assert.deepEqual(labels(reader.ancestors(2)), ['1', '1@1.s1', '3']);
    assert.deepEqual(labels(reader.ancestors(4)), ['1', '1@1.s1', '1@1.s2', '3', '5']);
    assert.deepEqual(labels(reader.descendants(5)), ['1@1.s2', '4']);
    reader.close();
  });

  it('do not come from what was said of the model only by later updates, and do from what was said of it itself', () => {
    const reader = readerOf(directory, [
      record(1, 'model', 0),
      record(3, 'data', 0),
      record(5, 'data', 0),
      update(1, 1, 1, []),
      update(1, 2, 2, [[3, 'none'], [5, 'none']], 1), // prettier-ignore
      from(1, 5, 'none', 3),
    ]);
    assert.deepEqual(labels(reader.ancestors('1@step=1')), ['1', '5']);
    assert.deepEqual(labels(reader.ancestors('1@step=2')), ['1', '1@1.s1', '3', '5']);
    reader.close();
  });
});
