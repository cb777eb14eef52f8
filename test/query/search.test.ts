import assert from 'node:assert/strict';
import { join } from 'node:path';
import { BraidData, BraidDB, BraidReader, BraidSearchError, type BraidError, type RecordRow } from 'braid-mpi';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { makeDirectory } from '../cli/support.js';
import { expression, type Found } from './expressions.js';
import { NAMES, recordAll, recordAllAsBraidDb, SHARED } from './searched.js';
import { LONG } from '../support/trials.js';

const RUNS = LONG ? 200 : 60;

describe('search', function () {
  this.timeout(120_000);
  const directory = makeDirectory();
  const readers: { title: string; reader: BraidReader; all: Found[] }[] = [];

  before(async () => {
    for (const [title, searchIndexes] of [
      ['a database', false],
      ['a database with search indexes', true],
    ] as const) {
      const path = join(directory.path, `${title}.db`);
      const all = await recordAll(path, searchIndexes);
      readers.push({ title, reader: BraidReader.open(path), all });
    }
    const theirs = join(directory.path, 'braid-db.db');
    const all = recordAllAsBraidDb(theirs, readers[0].reader.path, readers[0].all);
    readers.push({ title: 'a file of Braid-DB', reader: BraidReader.open(theirs), all });
  });
  after(() => {
    for (const { reader } of readers) reader.close();
    directory.remove();
  });

  /** The ids of records, and the keys of versions. */
  const label = ({ id, key }: { id: number; key?: string }) => key ?? id;
  const ids = (reader: BraidReader, text: string, limit?: number) => [...reader.search(text, { limit })].map(label);

  it('finds what an obviously right evaluation finds, in the order of ids, with indexes and without', () => {
    const runs = [...new Set(readers[0].all.map(({ run }) => run!.id))];
    let found = 0;
    fc.assert(
      fc.property(expression(runs), ({ text, holds }) => {
        for (const { title, reader, all } of readers) {
          const expected = all.filter(holds).map(label);
          assert.deepEqual(ids(reader, text), expected, `${title}: ${text}`);
          found += expected.length;
        }
      }),
      { numRuns: RUNS },
    );
    assert.ok(found > RUNS, 'the expressions find something');
  });

  it('finds versions by what they have of their own, and their model by what it has', () => {
    const [{ reader }] = readers;
    const of = (text: string) => [...reader.search(text)];
    const [model] = of(`kind=model and name=${SHARED} and kind!=version and run=first`);
    const versions = of(`kind=version and name=${SHARED} and run=first`);
    assert.deepEqual(
      versions.map(({ id, kind, name, version, step, rank }) => [id, kind, name, version, step, rank]),
      [0, 1, 2, 3].map((step) => [model.id, 'model', SHARED, step + 1, step, step === 0 ? 0 : undefined]),
    );
    for (const { depth, ...node } of versions.map(({ key }) => reader.node({ key: key! }))) {
      assert.equal(depth, 0);
      assert.deepEqual(of(`kind=version and name=${SHARED} and step=${node.step} and run=first`), [node]);
    }
  });

  it('needs no index where a condition can hold for no version', () => {
    for (const { reader } of readers) {
      assert.deepEqual(ids(reader, 'kind=version and kind!=version'), []);
      assert.equal(ids(reader, 'name=scan-1 or (valid and kind!=version and step=3)').length > 0, true);
    }
  });

  it('gives whole records, and not more than the limit', () => {
    for (const { reader, all } of readers) {
      const [first] = [...reader.search(`name=${NAMES[0]}`)];
      assert.deepEqual(first, reader.record(first.id));
      const every = all.map(label);
      assert.deepEqual(ids(reader, 'valid or invalid'), every);
      for (const limit of [0, 1, 7, every.length + 1]) {
        assert.deepEqual(ids(reader, 'valid or invalid', limit), every.slice(0, limit));
      }
      for (const limit of [-1, 0.5, NaN, '1' as unknown as number]) {
        assert.throws(() => reader.search('valid', { limit }), { code: 'ERR_BRAID_OPTION_INVALID' });
      }
    }
  });

  it('streams: another can begin while one is under way', () => {
    const [{ reader, all }] = readers;
    const one = reader.search('valid or invalid');
    const other = reader.search('valid or invalid');
    for (const { id } of all) {
      assert.equal((one.next().value as RecordRow).id, id);
      assert.equal((other.next().value as RecordRow).id, id);
    }
    assert.deepEqual([one.next().done, other.next().done], [true, true]);
  });

  it('takes what looks like SQL for what it is: text', () => {
    const HOSTILE = [
      `x' OR 1=1 --`,
      `x"; DROP TABLE records; --`,
      `'||(SELECT name FROM sqlite_schema)||'`,
      '?1',
      '@kind',
      `\\' OR 1=1`,
      'records.name',
      '[a-z]*',
      '%',
    ];
    for (const { reader, all } of readers) {
      for (const text of HOSTILE) {
        const quoted = `"${text.replace(/[\\"]/g, '\\$&')}"`;
        for (const made of [
          `name=${quoted}`,
          `uri~${quoted}`,
          `${quoted}=1`,
          `run=${quoted}`,
          `loss=${quoted}`,
          `tag:${quoted}`,
        ]) {
          assert.deepEqual(ids(reader, made), all.filter(({ name }) => made.startsWith('name') && name === text).map(label), made); // prettier-ignore
        }
        try {
          // As it is it may be no expression, but it does nothing.
          ids(reader, text);
        } catch (error) {
          assert.equal((error as BraidError).code, 'ERR_BRAID_SEARCH_INVALID', text);
        }
      }
      assert.equal(ids(reader, 'valid or invalid').length, all.length);
    }
  });

  it('reads any text as an expression, or says where it is none, and nothing else', () => {
    const [{ reader }] = readers;
    const pieces = fc.constantFrom(
      ...'()=!<>~"\' *?\\',
      'and ',
      'or ',
      'not ',
      'name',
      'rank',
      'time',
      'valid',
      'tag:',
      '1',
      'x',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces, { maxLength: 12 }).map((all) => all.join('')),
        ),
        (text) => {
          try {
            ids(reader, text, 3);
          } catch (error) {
            assert.ok(error instanceof BraidSearchError, (error as Error).stack);
            assert.equal(error.expression, text);
            assert.ok(error.position >= 0 && error.position <= text.length);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  describe('points at the place', () => {
    /** The place is where the first ^ of the line below would be. */
    const WRONG: readonly (readonly [text: string, position: number, message: RegExp])[] = [
      ['', 0, /nothing to search for/],
      ['   ', 0, /nothing to search for/],
      ['loss', 4, /a comparison .* must follow loss/],
      ['loss 0.05', 5, /a comparison .* must follow loss/],
      ['loss<', 5, /a value must come here, and not the end/],
      ['loss<)', 5, /a value must come here, and not \)/],
      ['loss<0.05 epoch>=10', 10, /'and' or 'or' must come before epoch/],
      ['loss<0.05 and', 13, /a condition must come here, and not the end/],
      ['and loss<0.05', 0, /a condition must come before 'and'/],
      ['loss<0.05 or or epoch=1', 13, /a condition must come before 'or'/],
      ['(loss<0.05', 0, /this \( is never closed/],
      ['(loss<0.05 epoch=1)', 11, /'and', 'or' or \) must come before epoch/],
      ['loss<0.05)', 9, /this \) closes nothing/],
      ['name="scan', 5, /this " is never closed/],
      ['name=\'scan"', 5, /this ' is never closed/],
      ['loss<>3', 4, /<> is no comparison/],
      ['name<scan', 4, /name is not compared by <, but by =, !=, ~/],
      ['kind=thing', 5, /a kind is record, fact, data, model, version, not thing/],
      ['kind~mod*', 4, /kind is not compared by ~/],
      ['rank=two', 5, /a rank is a whole number, not two/],
      ['step>1.5', 5, /a step is a whole number, not 1.5/],
      ['rank>=-1', 6, /a rank is a whole number, not -1/],
      ['time<noon', 5, /a time is written .*, not noon/],
      ['time=2026-02-31', 5, /a time is written/],
      ['time=2026-07-28 09:30', 16, /'and' or 'or' must come before 09:30/],
      ['valid=true', 5, /valid stands alone; of a tag of that name write tag:valid/],
      ['on<true', 3, /true has no order/],
      ['loss<1e999', 5, /1e999 is too large/],
      ['tag:', 0, /the key of a tag must follow tag:/],
      ['tag: "loss"', 0, /the key of a tag must follow tag:/],
      ['not', 3, /a condition must come here, and not the end/],
      [`${'('.repeat(200)}valid`, 100, /more than 100 levels deep/],
      [`${'not '.repeat(200)}valid`, 400, /more than 100 levels deep/],
      ['x'.repeat(20_000), 10_000, /at most 10000 characters, this has 20000/],
      ['"😀"=1 😀', 7, /at character 7: 'and' or 'or' must come before 😀/],
    ];
    for (const [text, position, message] of WRONG) {
      it(text.length > 40 ? `${text.slice(0, 20)}…` : JSON.stringify(text), () => {
        assert.throws(
          () => readers[0].reader.search(text),
          (error) => {
            assert.ok(error instanceof BraidSearchError);
            assert.equal(error.code, 'ERR_BRAID_SEARCH_INVALID');
            assert.match(error.message, message);
            assert.equal(error.position, position);
            assert.equal(error.expression, text);
            return true;
          },
        );
      });
    }
  });

  it('takes expressions as long and as deep as it allows', () => {
    for (const { reader, all } of readers) {
      const long = Array.from({ length: 900 }, (_, i) => `a=${i}`).join(' or ');
      assert.deepEqual(ids(reader, `valid or invalid or ${long}`).length, all.length);
      const named = Array.from({ length: 400 }, (_, i) => `name=n${i}`).join(' or ');
      assert.deepEqual(ids(reader, named), []);
      const deep = (inner: string, i: number): string => (i === 0 ? inner : deep(`not (${inner} and loss<1)`, i - 1));
      ids(reader, deep('valid', 49));
      ids(reader, `${'not '.repeat(99)}(valid)`);
    }
  });

  it('tells apart what only looks alike', async () => {
    const path = join(directory.path, 'alike.db');
    const db = await BraidDB.open(path, { mpi: 'off', searchIndexes: true });
    const values = [true, false, 1, 0, '1', 'true', 2n ** 53n + 1n, 2n ** 53n, 1.5, 'scan*', 'scan-1'];
    const made = values.map((value) => new BraidData(db, { name: 'each', tags: { of: value } }).id);
    await db.close();
    const FOUND: readonly (readonly [text: string, ...values: unknown[]])[] = [
      ['of=true', true],
      ['of!=true', false],
      ['of=1', 1],
      ['of!=1', 0, 2n ** 53n + 1n, 2n ** 53n, 1.5],
      ['of="1"', '1'],
      ['of="true"', 'true'],
      ['of=9007199254740993', 2n ** 53n + 1n],
      ['of>9007199254740992', 2n ** 53n + 1n],
      ['of<1.5000001 and of>1', 1.5],
      ['of=scan*', 'scan*', 'scan-1'],
      ['of="scan*"', 'scan*'],
      ['not of=*', true, false, 1, 0, 2n ** 53n + 1n, 2n ** 53n, 1.5],
    ];
    const reader = BraidReader.open(path);
    try {
      for (const [text, ...expected] of FOUND) {
        assert.deepEqual(ids(reader, text), made.filter((_, i) => expected.includes(values[i])), text); // prettier-ignore
      }
    } finally {
      reader.close();
    }
  });

  it('never finds a number that is none, as only Python writes them', () => {
    const path = join(directory.path, 'nan.db');
    recordAllAsBraidDb(path, readers[0].reader.path, readers[0].all);
    const db = new Database(path);
    const [{ id }] = readers[0].all;
    for (const value of ['nan', 'inf', '-inf']) {
      db.prepare(`INSERT INTO tags (record_id, key, value, tag_type) VALUES (?, 'strange', ?, 3)`).run(id, value);
    }
    db.close();
    const reader = BraidReader.open(path);
    try {
      assert.deepEqual(ids(reader, 'strange<1 or strange>=1 or strange!=1'), []);
      assert.deepEqual(ids(reader, 'tag:strange'), [id]);
    } finally {
      reader.close();
    }
  });

  it('reads what a run has recorded and not yet flushed, in one process', async () => {
    const db = await BraidDB.open(join(directory.path, 'live.db'), { mpi: 'off' });
    const { id } = new BraidData(db, { name: 'fresh', tags: { loss: 0.01 } });
    assert.deepEqual(ids(db.reader, 'loss<0.05'), [id]);
    await db.close();
  });
});
