import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidDB, BraidData, BraidFact, BraidModel, BraidReader, type BraidError, type RecordRow } from 'braid-mpi';
import { braidInThread, sql } from '../cli/support.js';

describe('what a reader is asked about', function () {
  this.timeout(60_000);
  let directory: string;
  let path: string;
  let reader: BraidReader;
  let key: string;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'braid-names-'));
    path = join(directory, 'run.db');
    const db = await BraidDB.open(path);
    const fact = new BraidFact(db, { name: 'fact' });
    const model = new BraidModel(db, { name: 'm', derivedFrom: fact });
    ({ key } = model.update(new BraidData(db, { name: 'scan' }), { step: 1 }));
    model.update(fact, { step: 2 });
    new BraidData(db, { name: 'made', derivedFrom: model });
    await db.close();
    reader = BraidReader.open(path);
  });
  after(() => {
    reader.close();
    rmSync(directory, { recursive: true });
  });

  const codeOf = (ask: () => unknown) => {
    try {
      const answer = ask();
      // What comes as an iterator may find out only when it is read.
      if (typeof (answer as Iterator<unknown>)?.next === 'function') (answer as Iterator<unknown>).next();
      return 'none';
    } catch (error) {
      return (error as BraidError).code;
    }
  };

  it('is a record of no known kind where somebody has written a kind that there is not', () => {
    const other = join(directory, 'kinds.db');
    copyFileSync(path, other);
    sql(other, 'UPDATE records SET kind = 1.5');
    const odd = BraidReader.open(other);
    try {
      const told = (rows: Iterable<RecordRow>) =>
        Array.from(rows, ({ name, kind, valid }) => `${name} ${kind} ${valid}`);
      assert.deepEqual(
        told(odd.records()).sort(),
        ['fact', 'm', 'made', 'scan'].map((name) => `${name} record true`),
      );
      assert.equal(odd.node({ key }).kind, 'record');
    } finally {
      odd.close();
    }
  });

  it('is an id that a record can have, or a name, and else an error by its code', () => {
    const asks: Record<string, (node: never) => unknown> = {
      ancestors: (node) => reader.ancestors(node),
      ancestorsEver: (node) => reader.ancestors(node, { ever: true }),
      descendants: (node) => reader.descendants(node),
      why: (node) => reader.why(1, node),
      whyOf: (node) => reader.why(node, 1),
      common: (node) => reader.common(node, 1),
      diff: (node) => reader.diff(1, node),
      statement: (node) => reader.statement(node),
      graph: (node) => reader.graph(node),
      node: (node) => reader.node(node),
      affected: (node) => reader.affected(node),
      invalidation: (node) => reader.invalidation(node),
      versions: (node) => reader.versions(node),
      version: (node) => reader.version(node, 1),
    };
    const ids: Record<string, (id: never) => unknown> = {
      record: (id) => reader.record(id),
      sources: (id) => reader.sources(id),
      derived: (id) => reader.derived(id),
      origins: (id) => reader.origins(id),
      byOrigin: (id) => reader.byOrigin('x', id),
    };
    for (const bad of [NaN, -1, 0, 1.5, 2 ** 53, Infinity, '', undefined, null, {}, [], 1n, true] as never[]) {
      for (const [name, ask] of Object.entries({ ...asks, ...ids })) {
        // None, or some, are no nodes that are no nodes.
        if (name === 'affected' && Array.isArray(bad)) continue;
        assert.equal(codeOf(() => ask(bad)), 'ERR_BRAID_ID_INVALID', `${name}(${typeof bad} ${String(bad)})`); // prettier-ignore
      }
    }
    for (const [name, ask] of Object.entries(asks)) {
      assert.equal(
        codeOf(() => ask(99 as never)),
        'ERR_BRAID_NO_SUCH_RECORD',
        name,
      );
      assert.equal(
        codeOf(() => ask(2 as never)),
        'none',
        name,
      );
    }
    assert.equal(reader.record(99), undefined);
    for (const text of ['', 'x', '2@', `x${key}`]) {
      assert.equal(
        codeOf(() => reader.ancestors({ key: text })),
        'ERR_BRAID_VERSION_INVALID',
        text,
      );
    }
    assert.equal(
      codeOf(() => reader.ancestors({ key: key.replace('.s1', '.s7') })),
      'ERR_BRAID_NO_SUCH_VERSION',
    );
    assert.equal(
      codeOf(() => reader.ancestors({ key })),
      'none',
    );
    for (const bad of [5, undefined, null, {}] as never[]) assert.equal(codeOf(() => reader.search(bad)), 'ERR_BRAID_SEARCH_INVALID'); // prettier-ignore
  });

  it('is a version by what it says in any order, or an error that says what is wrong', async () => {
    const resumable = join(directory, 'resumed.db');
    let db = await BraidDB.open(resumable);
    const run = db.runId;
    const model = new BraidModel(db, { name: 'm@1' });
    const scan = new BraidData(db, { name: 'scan' });
    new BraidData(db, { name: 'twin' });
    new BraidModel(db, { name: 'twin' }).update(scan, { step: 1 });
    model.update(scan, { step: 1 });
    await db.close();
    db = await BraidDB.open(resumable, { resume: run });
    BraidModel.ref(db, model.id).update(scan.id, { step: 1 });
    await db.close();
    const resumed = BraidReader.open(resumable);
    try {
      const numberOf = (name: string) => resumed.version(name)?.number;
      const digits = run.slice(0, 8);
      for (const order of [`step=1,run=${digits},attempt=2`, `attempt=2,step=1`, `run=${digits},attempt=2,step=1`]) {
        assert.equal(numberOf(`name:m@1@${order}`), 2, order);
      }
      assert.equal(
        codeOf(() => numberOf('1@step=1')),
        'ERR_BRAID_VERSION_AMBIGUOUS',
      );
      // A scan has that name, too, but no versions.
      assert.deepEqual(Array.from(resumed.versions('name:twin'), ({ number }) => number), [1]); // prettier-ignore
      assert.equal(resumed.version('name:twin', 1)?.step, 1);
      assert.equal(
        codeOf(() => resumed.ancestors('name:twin')),
        'ERR_BRAID_RECORD_AMBIGUOUS',
      );
      const wrong = ['step=x', 'step=-1', 'step=', 'run=8861', 'attempt=2', 'step=1,step=2', 'step=1,rank=2', 'step=1,', 'step=1,run=XYZ', 'step=1,attempt=0', '-1', '0', '1.5', '99999999999999999999', 'time=2026-02-30', 'time=', 'latest']; // prettier-ignore
      for (const name of wrong) {
        for (const model of ['1', 'name:m@1']) {
          assert.equal(codeOf(() => resumed.ancestors(`${model}@${name}`)), 'ERR_BRAID_VERSION_INVALID', `${model}@${name}`); // prettier-ignore
        }
      }
      for (const which of [
        NaN,
        -1,
        0,
        1.5,
        2 ** 53,
        '1',
        null,
        {},
        { step: -1 },
        { step: 1, run: 5 },
        { step: 1, attempt: 0.5 },
        { time: 'now' },
        { time: new Date(NaN) },
      ] as never[]) {
        assert.equal(
          codeOf(() => resumed.version(1, which)),
          'ERR_BRAID_VERSION_INVALID',
          JSON.stringify(which),
        );
      }
      assert.equal(
        codeOf(() => resumed.ancestors('name:nobody@step=x')),
        'ERR_BRAID_VERSION_INVALID',
      );
      assert.equal(
        codeOf(() => resumed.ancestors('name:nobody@home')),
        'ERR_BRAID_NO_SUCH_RECORD',
      );
      // A version is of a model, whatever else has its name.
      assert.equal(numberOf('name:twin@1'), 1);
      assert.throws(() => resumed.ancestors('name:twin'), /two records are named twin \(3, 4\): name one/);
    } finally {
      resumed.close();
    }
    const listed = await braidInThread(['versions', resumable, 'name:twin']);
    assert.deepEqual([listed.code, listed.stdout.split('\n').length], [0, 3]);
  });

  it('is a time to the end of what is written', async () => {
    const at = (text: string) => new Date(`2026-03-04T${text}Z`);
    const timed = join(directory, 'timed.db');
    const db = await BraidDB.open(timed);
    const model = new BraidModel(db, { name: 'm', time: at('00:00:00') });
    for (const time of ['09:30:05.250', '09:30:05.750', '09:31:00.000', '23:59:59.999']) {
      model.update(new BraidData(db, { name: time, time: at(time) }), { time: at(time) });
    }
    new BraidData(db, { name: 'next day', time: new Date('2026-03-05T00:00:00Z') });
    await db.close();
    const read = BraidReader.open(timed);
    try {
      const numbers = ['2026-03-04 09:30:05.250', '2026-03-04 09:30:05', '2026-03-04T09:30:05Z', '2026-03-04 09:31', '2026-03-04', '2026-03'].map((time) => read.version(`1@time=${time}`)?.number); // prettier-ignore
      assert.deepEqual(numbers, [1, 2, 2, 3, 4, 4]);
    } finally {
      read.close();
    }
    const list = await braidInThread(['versions', timed, '1', '--json']);
    assert.equal(list.stdout.split('\n').length, 5);
    const names = async (...args: string[]) => (await braidInThread(['lineage', timed, '1', '--kind', 'data', '--json', ...args])).stdout.split('\n').slice(1, -1).length; // prettier-ignore
    assert.equal(await names('--until', '2026-03-04'), 4);
    assert.equal(await names('--until', '2026-03-03'), 0);
    assert.equal(await names('--until', '2026-03-04T09:30:05'), 2);
    assert.equal(await names('--since', '2026-03-04', '--until', '2026-03-04T09:30'), 2);
    assert.equal((await braidInThread(['lineage', timed, '1', '--until', '2026-02-30'])).code, 2);
  });

  it('is told on lines of their own where a table has a title of several, and that nothing differs', async () => {
    const odd = join(directory, 'odd.db');
    const db = await BraidDB.open(odd);
    new BraidModel(db, { name: 'm' }).update(new BraidData(db, { name: 'd' }), { tags: { 'two\nlines': 1 } });
    await db.close();
    const [titles, row] = (await braidInThread(['versions', odd, 'name:m'])).stdout.split('\n');
    assert.match(titles, /two\\nlines/);
    assert.equal(titles.indexOf('two'), row.indexOf('1', titles.indexOf('two')));
    const same = await braidInThread(['diff', odd, 'name:m@1', 'name:m@1']);
    assert.equal(same.stdout.split('\n')[2], 'they are the same');
    const other = await braidInThread(['diff', path, 'name:fact', 'name:fact']);
    assert.equal(other.stdout.split('\n')[2], 'they are the same');
    const json = await braidInThread(['diff', odd, 'name:m@1', 'name:m@1', '--json']);
    assert.equal(json.stdout.trimEnd().split('\n').length, 2);
  });

  it('is not answered any more when it is closed, nor told as if all had been', async () => {
    const large = join(directory, 'large.db');
    const db = await BraidDB.open(large);
    const fact = new BraidFact(db, { name: 'fact' });
    const model = new BraidModel(db, { name: 'm' });
    for (let i = 0; i < 1000; i++) new BraidData(db, { name: `d-${i}`, derivedFrom: fact });
    for (let step = 0; step < 1000; step++) model.update(fact, { step });
    await db.close();
    const closed = BraidReader.open(large);
    const underWay = [closed.records(), closed.search('not name=x'), closed.descendants(1), closed.versions(2)];
    for (const rows of underWay) assert.equal(rows.next().done, false);
    const notBegun = closed.ancestors(2);
    closed.close();
    closed.close();
    // What was read ahead may still come, and no end of it.
    for (const rows of [...underWay, notBegun]) assert.equal(codeOf(() => [...rows]), 'ERR_BRAID_CLOSED'); // prettier-ignore
    for (const ask of [
      () => closed.record(1),
      () => closed.runs(),
      () => closed.origins(1),
      () => closed.statement(1),
    ]) {
      assert.equal(codeOf(ask), 'ERR_BRAID_CLOSED', String(ask));
    }
  });
});
