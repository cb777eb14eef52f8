import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BraidData, BraidDB, BraidModel, BraidReader, follow, type Tag } from 'braid-mpi';
import { SimulatedWorld } from '../support/simulated-communicator.js';
import { braidInThread, makeDirectory } from './support.js';

/** What each model was updated with, step by step. */
const SERIES: Readonly<Record<string, readonly (readonly [step: number | undefined, value: Tag])[]>> = {
  constant: [0, 1, 2, 3].map((step) => [step, 0.25]),
  single: [[7, 0.125]],
  huge: [[0, -1e308], [1, 1e308], [2, 0]], // prettier-ignore
  narrow: [[0, 0.99999], [1, 0.999991], [2, 0.999992]], // prettier-ignore
  gap: [[0, 1], [1, 2], [1000, 3]], // prettier-ignore
  // As long as many columns, and one value of them all stands out.
  spike: Array.from({ length: 1000 }, (_, step) => [step, step === 501 ? 50 : 1]),
  stepless: [[undefined, 1], [undefined, 2]], // prettier-ignore
};
const RANKS = 3;

describe('braid versions', function () {
  this.timeout(60_000);
  const directory = makeDirectory();
  const path = join(directory.path, 'run.db');

  before(async () => {
    await Promise.all(
      new SimulatedWorld(RANKS, 7).comms.map(async (comm) => {
        const db = await BraidDB.open(path, { comm });
        if (db.isRoot) {
          for (const [name, updates] of Object.entries(SERIES)) {
            const model = new BraidModel(db, { name });
            for (const [step, value] of updates) model.update([], { step, tags: { loss: value } });
          }
          new BraidData(db, { name: 'twice', tags: { a: 1, __proto__x: 0 } }).addTag('a', 2);
        }
        const shared = await db.share(db.isRoot ? new BraidModel(db, { name: 'shared' }) : null);
        for (let step = 0; step < 3; step++) shared.update([], { step, tags: { loss: db.rank + step / 10, same: 1 } });
        if (db.isRoot) shared.at({ step: 1 }).invalidate({ cause: 'diverged' });
        await db.close();
      }),
    );
  });
  after(() => directory.remove());

  const stdoutOf = async (...args: string[]) => {
    const { code, stdout, stderr } = await braidInThread(args);
    assert.deepEqual([code, stderr], [0, '']);
    return stdout;
  };
  const jsonOf = async <T>(...args: string[]) =>
    (await stdoutOf(...args, '--json')).trimEnd().split('\n').map((line) => JSON.parse(line) as T); // prettier-ignore
  const plot = async (name: string) => {
    const svg = join(directory.path, `${name}.svg`);
    const text = await stdoutOf('versions', path, `name:${name}`, '--plot', 'loss', '-o', svg);
    return { chart: text.split('\n').slice(1, -4), axis: text.split('\n').at(-4)!, svg: readFileSync(svg, 'utf8') };
  };

  it('marks those that are invalid, and what goes on from them; and so does braid tail', async () => {
    const lines = (await stdoutOf('versions', path, 'name:shared')).split('\n');
    assert.deepEqual(lines.slice(1, 4).map((line) => line.slice(0, 12).trim()), ['@1', '@2 INVALID', '@3 INVALID']); // prettier-ignore
    const rows = await jsonOf<{ valid: boolean }>('versions', path, 'name:shared');
    assert.deepEqual(rows.map(({ valid }) => valid), [true, false, false]); // prettier-ignore
    const tail = (await stdoutOf('tail', path, '--all', '--until-end')).split('\n').filter((line) => line.includes(" shared@")); // prettier-ignore
    assert.deepEqual(tail.map((line) => line.includes('  INVALID  ')), [false, true, true]); // prettier-ignore
    const told: boolean[] = [];
    for await (const events of follow(path, { all: true, untilEnd: true })) {
      for (const event of events) if (event.type === 'version' && event.version.name === 'shared') told.push(event.version.valid); // prettier-ignore
    }
    assert.deepEqual(told, [true, false, false]);
  });

  it('are those of a model, by its id or its name; of anything else it is said that it is no model', async () => {
    const reader = BraidReader.open(path);
    try {
      const { id } = reader.node('name:shared');
      assert.deepEqual([...reader.versions('name:shared')], [...reader.versions(id)]);
      const twice = reader.node('name:twice').id;
      assert.equal(
        await stdoutOf('versions', path, 'name:twice'),
        `no versions: twice [${twice}] is data, not a model\n`,
      );
    } finally {
      reader.close();
    }
  });

  it('have nothing as JSON but what is told of versions', async () => {
    const [row] = await jsonOf<object>('versions', path, 'name:single');
    const told = ['attempt', 'exposures', 'key', 'model', 'number', 'ranks', 'run', 'seen', 'step', 'tags', 'time', 'uris', 'valid']; // prettier-ignore
    assert.deepEqual(Object.keys(row).sort(), told);
  });

  it('shows all values of a tag that has several, as the ranks of a version gave them', async () => {
    const reader = BraidReader.open(path);
    try {
      const [shared] = [...reader.records({ name: 'shared' })];
      const [first] = [...reader.versions(shared.id)];
      assert.deepEqual(first.tagValues?.loss.toSorted(), [0, 1, 2]);
      assert.deepEqual(Object.keys(first.tagValues), ['loss']);
      assert.equal(first.tags.loss, first.tagValues.loss.at(-1));
      assert.deepEqual(reader.node({ key: first.key }).tagValues, first.tagValues);
      const [twice] = [...reader.search('name=twice')];
      assert.deepEqual([twice.tags.a, twice.tagValues], [2, { a: [1, 2] }]);
      const [single] = [...reader.records({ name: 'single' })];
      assert.equal('tagValues' in single, false);
    } finally {
      reader.close();
    }
    const [header, first] = (await stdoutOf('versions', path, 'name:shared')).split('\n');
    assert.match(first.slice(header.indexOf('loss')), /^(0, 1, 2|0, 2, 1|1, 0, 2|1, 2, 0|2, 0, 1|2, 1, 0) +1$/);
    assert.match(await stdoutOf('search', path, 'name=twice'), /  a=1  a=2\b/);
    assert.match(await stdoutOf('print', path, '--name', 'twice'), /TAG: a = 1\n +TAG: a = 2\n/);
    const [row] = await jsonOf<{ tagValues: object }>('search', path, 'name=twice');
    assert.deepEqual(row.tagValues, { a: [1, 2] });
  });

  describe('draws', () => {
    it('a constant as a line at its value, and one point as a point', async () => {
      const constant = await plot('constant');
      assert.match(constant.chart[0], /^0\.2500 ┤•·+•·+•·+•$/);
      assert.equal(constant.chart.length, 2);
      const single = await plot('single');
      assert.deepEqual(single.chart, ['0.1250 ┤•', '       └─']);
      assert.equal(single.axis, '        step 7');
    });

    it('numbers as large as there are', async () => {
      const { chart, svg } = await plot('huge');
      assert.match(chart[0], /^ 1\.000e\+308 ┤ +·•·/);
      assert.match(chart.at(-2)!, /^-1\.000e\+308 ┤•/);
      assert.equal(chart.length, 13);
      assert.doesNotMatch(svg, /NaN|Infinity/);
      // From the lower left to the upper middle to the right.
      assert.match(svg, /<path d="M[\d.]+ 370L[\d.]+ 90L[\d.]+ 230"/);
    });

    it('what differs little with labels that differ', async () => {
      const { chart } = await plot('narrow');
      const labels = chart.slice(0, -1).map((line) => line.split(' ┤')[0]);
      assert.equal(new Set(labels).size, labels.length);
      assert.deepEqual([labels[0], labels.at(-1)], ['0.9999920', '0.9999900']);
    });

    it('by the step, where all have steps, and else by the number', async () => {
      const { chart, axis } = await plot('gap');
      assert.match(chart.at(-2)!, /^1\.000 ┤•/);
      assert.equal(chart[0].indexOf('•'), chart[0].indexOf('┤') + 64);
      assert.match(axis, /^ +step 0 +1000$/);
      assert.match((await plot('stepless')).axis, /^ +version 1 +2$/);
    });

    it('every spike, however many there are', async () => {
      const { chart } = await plot('spike');
      assert.match(chart[0], /^50\.00 ┤ {32}•$/);
      assert.equal([...chart.at(-2)!].filter((char) => char === '•').length, 64);
    });

    it('what all ranks gave', async () => {
      const { chart } = await plot('shared');
      assert.match(chart[0], /^ 2\.200 ┤.*•$/);
      assert.match(chart.at(-2)!, /^ *0\.?0* ┤•/);
    });
  });

  it('writes no SVG into a file whose name says otherwise', async () => {
    for (const [args, said] of [
      [['versions', path, 'name:gap', '--plot', 'loss'], /a plot is written as SVG alone/],
      [['graph', path, 'name:gap'], /there are svg, html, mermaid, dot, json/],
      [['graph', path, 'name:gap', '--format', 'dot'], /would not be \.png, but dot/],
    ] as const) {
      const file = join(directory.path, 'x.png');
      const { code, stderr } = await braidInThread([...args, '-o', file]);
      assert.equal(code, 2);
      assert.match(stderr, /^braid: ERR_BRAID_OPTION_INVALID: /);
      assert.match(stderr, said);
      assert.equal(existsSync(file), false);
    }
    const named = join(directory.path, 'x.svg');
    assert.equal((await braidInThread(['graph', path, 'name:gap', '--format', 'json', '-o', named])).code, 2);
    await stdoutOf('graph', path, 'name:gap', '-o', join(directory.path, 'epoch.12'));
  });
});
