import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidDB, BraidData, BraidFact, BraidModel, BraidReader, type BraidError } from 'braid-mpi';

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
