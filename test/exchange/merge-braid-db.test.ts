import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidData, BraidDB, extract, invalidate, merge, upgrade, type MergeReport } from 'braid-mpi';
import { braidInThread, makeBraidDbFile, query, sql } from '../cli/support.js';
import { reading } from './support.js';
import { contentOf, problemsOf } from './tables.js';

const counts = (report: MergeReport) => Object.fromEntries(Object.entries(report).filter(([, count]) => typeof count === 'number' && count > 0)); // prettier-ignore

describe('merging what Braid-DB has made', function () {
  this.timeout(60_000);
  let directory: string;
  let theirs: string;
  let count = 0;
  const file = () => join(directory, `${count++}.db`);
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-theirs-'));
    theirs = file();
    makeBraidDbFile(theirs);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const recorded = async (path: string) => {
    const db = await BraidDB.open(path);
    new BraidData(db, { name: 'ours' });
    await db.close();
  };
  const ALL = { records: 2, derivations: 1, uris: 1, tags: 1 };

  it('takes it as it is, again and again, and finds its records by their ids', async () => {
    const bytes = readFileSync(theirs);
    const out = file();
    await recorded(out);
    assert.deepEqual(counts(await merge(out, theirs, { dryRun: true })), ALL);
    const { code, stdout } = await braidInThread(['merge', out, theirs]);
    assert.equal(code, 0);
    assert.match(stdout, /: 2 records, 1 derivation, 1 URI, 1 tag\n/);
    const is = contentOf(out);
    assert.deepEqual(counts(await merge(out, theirs)), {});
    assert.deepEqual(contentOf(out), is);
    assert.deepEqual(problemsOf(out), []);
    assert.ok(readFileSync(theirs).equals(bytes));
    assert.deepEqual(readdirSync(directory).filter((name) => name.includes('tmp')), []); // prettier-ignore
    const uuid = reading(out, (reader) => {
      assert.deepEqual([reader.byOrigin(theirs, 1), reader.byOrigin(theirs, 2)], [2, 3]);
      assert.deepEqual([reader.record(3)?.kind, reader.record(3)?.kindInferred], ['data', true]);
      return reader.origins(3)[0].database;
    });
    // Over another database, too; with more of them than are read at once; and when it is upgraded.
    const others: string[] = [];
    for (let i = 0; i < 9; i++) await recorded(others[others.push(file()) - 1]);
    const over = file();
    await merge(over, out);
    assert.deepEqual(counts(await merge(over, [...others, theirs])), { runs: 9, records: 9 });
    assert.equal((await upgrade(theirs)).database, uuid);
    for (const path of [out, over]) {
      assert.deepEqual(counts(await merge(path, [theirs, `${theirs}.001.bak`])), {});
      assert.deepEqual(problemsOf(path), []);
    }
  });

  it('adds what Braid-DB has added to it since', async () => {
    const out = file();
    sql(theirs, "INSERT INTO records (record_id, name, time) VALUES (3, 'alone', '2026-01-02 03:04:07.000000')");
    await merge(out, theirs);
    const id = 'a'.repeat(32);
    const shared = 'b'.repeat(32);
    sql(theirs, `INSERT INTO records (record_id, name, time) VALUES (4, 'new', '2026-01-02 03:04:08.000000'), (5, 'x', '2026-01-02 03:04:09.000000');
      INSERT INTO derivations VALUES (2, 3, '2026-01-02 03:04:08.000000'), (4, 2, '2026-01-02 03:04:08.000000');
      INSERT INTO invalidations VALUES ('${id}', NULL, 'wrong', '2026-01-03 00:00:00.000000'), ('${shared}', NULL, 'both', '2026-01-03 00:00:00.000000');
      INSERT INTO invalidation_actions VALUES ('SHELL_COMMAND', '{}', '${id}', 'act', 'true');
      UPDATE records SET invalidation_action_id = '${id}' WHERE record_id = 1;
      UPDATE records SET invalidation_id = '${id}' WHERE record_id = 2;
      UPDATE records SET invalidation_id = '${shared}' WHERE record_id IN (1, 5)`); // prettier-ignore
    const added = counts(await merge(out, theirs));
    assert.deepEqual([added.records, added.derivations, added.actions], [2, 2, 1]);
    assert.deepEqual(counts(await merge(out, theirs)), {});
    assert.deepEqual(problemsOf(out), []);
    reading(out, (reader) => {
      const rows = Array.from(reader.records(), ({ name, kind, valid }) => [name, kind, valid]);
      assert.deepEqual(rows, [['first', 'fact', false], ['second', 'model', false], ['alone', 'data', true], ['new', 'fact', true], ['x', 'record', false]]); // prettier-ignore
    });
    assert.equal(
      query(out, `SELECT 1 FROM records WHERE record_id = 1 AND invalidation_action_id = '${id}'`).length,
      1,
    );
    // It is what an upgrade makes of it.
    const copy = file();
    copyFileSync(theirs, copy);
    await upgrade(copy);
    assert.deepEqual(counts(await merge(out, copy)), {});
  });

  it('extracts from it, what can be merged with it', async () => {
    const bytes = readFileSync(theirs);
    const [first, second, out] = [file(), file(), file()];
    assert.equal((await extract(theirs, 'name:first', first)).records, 1);
    const { code, stderr } = await braidInThread(['extract', theirs, '2', '-o', second]);
    assert.deepEqual([code, stderr], [0, '']);
    for (const path of [first, second]) assert.deepEqual(problemsOf(path), []);
    assert.deepEqual(Array.from(reading(second, (reader) => Array.from(reader.records(), ({ name }) => name))), ['first', 'second']); // prettier-ignore
    await invalidate(second, 1, { cause: 'wrong' });
    await merge(out, [first, second]);
    assert.deepEqual(counts(await merge(out, theirs)), {});
    reading(out, (reader) => assert.deepEqual([reader.byOrigin(theirs, 1), reader.record(2)?.valid], [1, false]));
    assert.ok(readFileSync(theirs).equals(bytes));
    assert.deepEqual(readdirSync(directory).filter((name) => name.includes('tmp')), []); // prettier-ignore
  });

  it('refuses what would be lost, and tells an empty one from another', async () => {
    const out = file();
    const was = () => readdirSync(directory).toSorted();
    const before = was();
    sql(theirs, 'CREATE VIEW theirs AS SELECT 1');
    await assert.rejects(merge(out, theirs), { code: 'ERR_BRAID_NOT_UPGRADABLE' });
    await assert.rejects(extract(theirs, 1, out), { code: 'ERR_BRAID_NOT_UPGRADABLE' });
    assert.deepEqual(was(), before);
    sql(theirs, 'DROP VIEW theirs; DELETE FROM derivations; DELETE FROM uris; DELETE FROM tags; DELETE FROM records');
    const other = file();
    copyFileSync(theirs, other);
    assert.deepEqual(counts(await merge(out, [theirs, other])), {});
    assert.notEqual((await upgrade(theirs)).database, (await upgrade(other)).database);
  });
});
