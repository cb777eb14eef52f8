import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BraidDB, BraidData, BraidModel, BraidReader, recover, upgrade, verify } from 'braid-mpi';
import { endWithTest } from '../support/children.js';
import { braidInThread, makeBraidDbFile, makeDirectory, query, sql } from '../cli/support.js';

const uuid = (digit: string) => digit.repeat(32);

describe('upgrade', function () {
  this.timeout(60_000);
  const directory = makeDirectory();
  after(() => directory.remove());

  /**
   * As Braid-DB makes it: 1 is where all comes from; 2 was made before 4, from which it was derived later; 3 and 4 are of 1,
   * 5 of 2; 6 is alone. Then what was said against some.
   */
  const made = (more = '') => {
    const path = join(directory.path, `${Math.random().toString(36).slice(2)}.db`);
    makeBraidDbFile(path);
    sql(
      path,
      `DELETE FROM derivations; UPDATE records SET name = 'config' WHERE record_id = 1; UPDATE records SET name = 'model' WHERE record_id = 2;
       INSERT INTO records (record_id, name, time) VALUES (3, 'scan', '2026-01-02 05:04:05.000000'),
         (4, 'late scan', '2026-01-02 03:04:08.000000'), (5, 'peaks', '2026-01-02 03:04:09.000000'), (6, 'alone', '2026-01-02 03:04:10.000000');
       INSERT INTO derivations VALUES (1, 2, '2026-01-02 03:04:06.000000'), (1, 3, '2026-01-02 03:04:06.000000'),
         (1, 4, '2026-01-02 03:04:06.000000'), (4, 2, '2026-01-02 03:04:07.000000'), (2, 5, '2026-01-02 03:04:09.000000');
       ${more}`,
    );
    return path;
  };
  const invalid = (path: string) => {
    const reader = BraidReader.open(path);
    try {
      return [...reader.records()].filter(({ valid }) => !valid).map(({ id }) => [id, reader.invalidation(id)?.cause]);
    } finally {
      reader.close();
    }
  };
  const history = (path: string) => {
    const reader = BraidReader.open(path);
    try {
      return reader.invalidations().sort((a, b) => a.record - b.record);
    } finally {
      reader.close();
    }
  };
  /** Upgrades what was listed as invalidated before as it is afterwards. */
  const toSame = async (path: string) => {
    const before = history(path);
    const report = await upgrade(path);
    const undefinedLeftOut = (all: unknown) => JSON.parse(JSON.stringify(all)) as unknown;
    assert.deepEqual(undefinedLeftOut(before), undefinedLeftOut(history(path)));
    return report;
  };
  const sound = (path: string) => assert.deepEqual(verify(path).problems, []);
  const besides = (path: string) => readdirSync(dirname(path)).filter((name) => name.startsWith(basename(path))).toSorted(); // prettier-ignore

  it('infers kinds from what was derived when, and marks them', async () => {
    const path = made();
    chmodSync(path, 0o600);
    const report = await upgrade(path);
    assert.deepEqual(report.kinds, { fact: 1, data: 3, model: 1, record: 1 });
    assert.deepEqual([report.records, report.upgraded, report.backup], [6, true, `${path}.001.bak`]);
    assert.equal(statSync(report.backup!).mode, statSync(path).mode);
    sound(path);
    const reader = BraidReader.open(path);
    assert.deepEqual(
      [...reader.records()].map(({ name, kind, kindInferred }) => `${name}: ${kind}${kindInferred ? '?' : ''}`),
      ['config: fact?', 'model: model?', 'scan: data?', 'late scan: data?', 'peaks: data?', 'alone: record'],
    );
    assert.deepEqual([reader.record(1)?.uris, reader.record(2)?.tags], [['file:///first'], { n: 5 }]);
    assert.equal(reader.record(1)?.time.toISOString(), '2026-01-02T03:04:05.678Z');
    assert.match(JSON.stringify(reader.statement(5)), /the kind is inferred/);
    reader.close();
  });

  it('keeps a copy as it was, and each by a name of its own', async () => {
    const path = made();
    const before = readFileSync(path);
    await upgrade(path);
    // But for the counter of changes in its header.
    const [was, is] = [before, readFileSync(`${path}.001.bak`)].map((file) => file.subarray(100));
    assert.ok(is.equals(was));
    assert.equal((await upgrade(path)).upgraded, false);
    assert.deepEqual(besides(path), [basename(path), `${basename(path)}.001.bak`]);
  });

  it('is recorded into then, also of what was taken to be a fact', async () => {
    const path = made();
    const { database } = await upgrade(path);
    const db = await BraidDB.open(path, { mpi: 'off' });
    const model = BraidModel.ref(db, 1);
    const scan = new BraidData(db, { name: 'new scan', derivedFrom: 3 });
    model.update(scan, { step: 1 });
    new BraidData(db, { name: 'new peaks', derivedFrom: model });
    await db.close();
    sound(path);
    const reader = BraidReader.open(path);
    assert.ok(scan.id > 6);
    assert.deepEqual([...reader.ancestors('name:new peaks')].map(({ name, version }) => [name, version]).slice(0, 2), [['config', 1], ['new scan', undefined]]); // prettier-ignore
    assert.equal(reader.record(scan.id)?.kindInferred, undefined);
    reader.close();
    assert.equal(query<{ value: string }>(path, "SELECT value FROM meta WHERE key = 'uuid'")[0].value, database);
  });

  it('says again what was invalidated, for the first cause of each cascade', async () => {
    const path = made(`INSERT INTO invalidations VALUES ('${uuid('a')}', NULL, 'wrong', '2026-02-01 00:00:00.000000'),
        ('${uuid('b')}', '${uuid('a')}', 'for model', '2026-02-01 00:00:01.000000'),
        ('${uuid('c')}', '${uuid('b')}', 'for peaks', '2026-02-01 00:00:02.000000'),
        ('${uuid('d')}', NULL, 'alone', '2026-02-02 00:00:00.000000'),
        ('${uuid('e')}', NULL, 'taken back', '2026-02-03 00:00:00.000000');
      UPDATE records SET invalidation_id = '${uuid('a')}' WHERE record_id = 4;
      UPDATE records SET invalidation_id = '${uuid('b')}' WHERE record_id = 2;
      UPDATE records SET invalidation_id = '${uuid('c')}' WHERE record_id = 5;
      UPDATE records SET invalidation_id = '${uuid('d')}' WHERE record_id = 6`);
    const report = await toSame(path);
    assert.deepEqual([report.requests, report.invalidated], [2, 0]);
    sound(path);
    assert.deepEqual(invalid(path), [[2, 'wrong'], [4, 'wrong'], [5, 'wrong'], [6, 'alone']]); // prettier-ignore
    assert.equal(query(path, `SELECT 1 FROM invalidations WHERE id = '${uuid('e')}'`).length, 1);
    const reader = BraidReader.open(path);
    assert.deepEqual(reader.invalidations().map(({ record, cascade, time }) => [record, cascade, time.toISOString()]), [[4, true, '2026-02-01T00:00:00.000Z'], [6, true, '2026-02-02T00:00:00.000Z']]); // prettier-ignore
    reader.close();
    await braidInThread(['revalidate', path, '4', '--reason', 'it was right']);
    assert.deepEqual(invalid(path), [[6, 'alone']]);
    sound(path);
  });

  it('brings a cascade to what was derived later, and tells how many that are', async () => {
    const path = made(`INSERT INTO invalidations VALUES ('${uuid('a')}', NULL, 'wrong', '2026-02-01 00:00:00.000000'),
        ('${uuid('b')}', '${uuid('a')}', 'wrong', '2026-02-01 00:00:01.000000');
      UPDATE records SET invalidation_id = '${uuid('a')}' WHERE record_id = 4;
      UPDATE records SET invalidation_id = '${uuid('b')}' WHERE record_id = 2`);
    assert.equal((await upgrade(path, { dryRun: true })).invalidated, 1);
    assert.equal((await toSame(path)).invalidated, 1);
    assert.deepEqual(invalid(path).map(([id]) => id), [2, 4, 5]); // prettier-ignore
    sound(path);
  });

  it('leaves valid what was derived from a record that was invalidated alone', async () => {
    const path = made(`INSERT INTO invalidations VALUES ('${uuid('a')}', NULL, 'wrong', '2026-02-01 00:00:00.000000');
      UPDATE records SET invalidation_id = '${uuid('a')}' WHERE record_id = 2`);
    await toSame(path);
    assert.deepEqual(invalid(path), [[2, 'wrong']]);
    sound(path);
  });

  it('keeps invalid what is so by a chain that is in a circle, ends nowhere, or is shared', async () => {
    const path =
      made(`INSERT INTO invalidations VALUES ('${uuid('a')}', '${uuid('b')}', 'in a', '2026-02-01 00:00:00.000000'),
        ('${uuid('b')}', '${uuid('a')}', 'circle', '2026-02-01 00:00:00.000000'),
        ('${uuid('c')}', '${uuid('9')}', 'of nobody', '2026-02-01 00:00:00.000000'),
        ('${uuid('d')}', NULL, 'of two', '2026-02-01 00:00:00.000000');
      UPDATE records SET invalidation_id = '${uuid('a')}' WHERE record_id = 1;
      UPDATE records SET invalidation_id = '${uuid('c')}' WHERE record_id = 3;
      UPDATE records SET invalidation_id = '${uuid('d')}' WHERE record_id IN (5, 6);
      UPDATE records SET invalidation_id = '${uuid('8')}' WHERE record_id = 4`);
    await toSame(path);
    assert.deepEqual(invalid(path), [[1, 'in a'], [3, 'of nobody'], [4, 'not recorded'], [5, 'of two'], [6, 'of two']]); // prettier-ignore
    sound(path);
  });

  it('takes cycles and a record that is derived from itself', async () => {
    const path = made(
      `INSERT INTO derivations VALUES (5, 2, '2026-01-03 00:00:00.000000'), (6, 6, '2026-01-03 00:00:00.000000')`,
    );
    const { kinds } = await upgrade(path);
    assert.deepEqual(kinds, { fact: 1, data: 3, model: 2, record: 0 });
    sound(path);
  });

  it('keeps what somebody has added: indexes, and tables that name records', async () => {
    const path =
      made(`CREATE INDEX by_key ON tags (key); CREATE INDEX IX_tags_record_id ON tags (record_id); CREATE TABLE notes (record_id INTEGER REFERENCES records (record_id), note TEXT);
      INSERT INTO notes VALUES (1, 'kept')`);
    await upgrade(path);
    assert.deepEqual(query(path, 'SELECT note FROM notes JOIN records USING (record_id)'), [{ note: 'kept' }]);
    assert.deepEqual(query(path, `SELECT tbl_name FROM sqlite_schema WHERE name = 'by_key'`), [{ tbl_name: 'tags' }]);
    sound(path);
    assert.match(query<{ sql: string }>(path, `SELECT sql FROM sqlite_schema WHERE name = 'notes'`)[0].sql, /REFERENCES records/); // prettier-ignore
  });

  it('only says what it would do, for a dry run', async () => {
    const path = made();
    const before = readFileSync(path);
    const report = await upgrade(path, { dryRun: true });
    assert.deepEqual([report.kinds, report.dryRun, report.backup], [{ fact: 1, data: 3, model: 1, record: 1 }, true, undefined]); // prettier-ignore
    assert.deepEqual(readFileSync(path), before);
    assert.deepEqual(besides(path), [basename(path)]);
  });

  const REFUSED: readonly (readonly [title: string, more: string, message: RegExp])[] = [
    ['columns that are not known', 'ALTER TABLE records ADD COLUMN owner VARCHAR', /columns that are not known here: owner/],
    ['a table that lacks one', 'ALTER TABLE tags RENAME COLUMN tag_type TO type', /has no column tag_type/],
    ['a trigger', 'CREATE TRIGGER t AFTER INSERT ON records BEGIN SELECT 1; END', /views or triggers of somebody's \(t\)/],
    ['a view', 'CREATE VIEW v AS SELECT 1', /\(v\)/],
    ['ids that ours can not have', "INSERT INTO records (record_id, name, time) VALUES (-5, 'x', '2026-01-01 00:00:00')", /ids from -5/],
    ['values that must be there and are not', `DROP TABLE uris; CREATE TABLE uris (id INTEGER, record_id INTEGER, uri VARCHAR);
       INSERT INTO uris VALUES (1, 1, NULL)`, /table uris holds what ours can't: NOT NULL/],
  ]; // prettier-ignore
  for (const [title, more, message] of REFUSED) {
    it(`refuses ${title}, and leaves the file as it was`, async () => {
      const path = made(more);
      const before = readFileSync(path);
      for (const dryRun of [true, false]) {
        await assert.rejects(upgrade(path, { dryRun }), { code: 'ERR_BRAID_NOT_UPGRADABLE', message });
        await assert.rejects(upgrade(path, { dryRun }), ({ message }: Error) => message.startsWith(`${path} can't be`));
      }
      assert.deepEqual(readFileSync(path), before);
      assert.deepEqual(besides(path), [basename(path)]);
    });
  }

  it('refuses what is neither, and a newer one', async () => {
    const path = join(directory.path, 'other.db');
    sql(path, 'CREATE TABLE contacts (name TEXT)');
    await assert.rejects(upgrade(path), { code: 'ERR_BRAID_DB_FOREIGN' });
    await assert.rejects(upgrade(`${path}.none`), { code: 'ERR_BRAID_DB_NOT_FOUND' });
    const newer = made();
    await upgrade(newer);
    sql(newer, `UPDATE meta SET value = '999' WHERE key = 'schema_version'`);
    await assert.rejects(upgrade(newer), { code: 'ERR_BRAID_DB_NEWER' });
  });

  it('waits for who writes, and then says so', async () => {
    const path = made();
    const python = endWithTest(
      spawn(process.execPath, ['-e', `const db = require('better-sqlite3')(process.argv[1]); db.exec('BEGIN IMMEDIATE'); console.log('has it'); setInterval(() => {}, 1000);`, path]), // prettier-ignore
    );
    await once(python.stdout, 'data');
    await assert.rejects(upgrade(path, { busyMs: 200 }), { code: 'ERR_BRAID_DB_BUSY' });
    assert.equal(query(path, `SELECT 1 FROM sqlite_schema WHERE name = 'meta'`).length, 0);
    python.kill('SIGKILL');
    await once(python, 'close');
    assert.equal((await upgrade(path)).upgraded, true);
  });

  it('is undone where it is ended, and leaves no copy', async () => {
    const path = made();
    const before = readFileSync(path);
    const stop = new AbortController();
    const onProgress = ({ phase, done }: { phase: string; done: number }) => {
      if (phase === 'tables' && done > 6) stop.abort();
    };
    await assert.rejects(upgrade(path, { signal: stop.signal, onProgress }), { name: 'AbortError' });
    assert.deepEqual(readFileSync(path), before);
    assert.deepEqual(besides(path), [basename(path)]);
  });

  it('is undone where it is killed, at each step', async () => {
    for (let step = 1; ; step++) {
      const path = made();
      const before = query(path, 'SELECT * FROM records JOIN derivations USING (record_id)');
      const program = `
        import { upgrade } from 'braid-mpi';
        let steps = 0;
        await upgrade(process.argv[1], { onProgress: ({ phase }) => {
          if (phase === 'tables' && ++steps === ${step}) process.kill(process.pid, 'SIGKILL');
        } });`;
      const child = endWithTest(spawn(process.execPath, ['--input-type=module', '-e', program, path], { stdio: 'inherit' })); // prettier-ignore
      const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
      if (code === 0) {
        assert.ok(step > 6);
        break;
      }
      assert.equal(signal, 'SIGKILL');
      const backup = readdirSync(dirname(path)).find((name) => name === `${basename(path)}.001.bak`);
      assert.ok(backup);
      assert.deepEqual((await recover(path)).attempts, []);
      assert.deepEqual(query(path, 'SELECT * FROM records JOIN derivations USING (record_id)'), before);
      assert.equal((await upgrade(path)).backup, `${path}.002.bak`);
      sound(path);
    }
  });

  it('is what braid upgrade does', async () => {
    const path = made();
    const dry = await braidInThread(['upgrade', path, '--dry-run']);
    assert.deepEqual([dry.code, dry.stdout], [0, `${path} would be upgraded: 6 records\nkinds, inferred: 1 fact, 3 data, 1 model, 1 not known\n`]); // prettier-ignore
    const { stdout } = await braidInThread(['upgrade', path, '--json']);
    assert.deepEqual((JSON.parse(stdout) as { kinds: object }).kinds, { fact: 1, data: 3, model: 1, record: 1 });
    assert.ok(existsSync(`${path}.001.bak`));
    assert.match((await braidInThread(['upgrade', path])).stdout, /is a database of braid-mpi already\n$/);
    assert.match((await braidInThread(['search', path, 'kind=model'])).stdout, /^\[2\] model\? model/);
  });
});
