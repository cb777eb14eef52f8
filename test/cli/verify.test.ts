import assert from 'node:assert/strict';
import { copyFileSync, openSync, readFileSync, writeSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { BraidDB, BraidReader, verify, type VerifyCheck } from 'braid-mpi';
import { braidInThread, makeDirectory, runJob, sql, startJob } from './support.js';

/** What somebody could do to a database, and what is then found. */
const DAMAGES: readonly (readonly [title: string, sql: string, check: VerifyCheck, message: RegExp, ids?: number[]])[] = [
  ['a table is gone', 'DROP TABLE exposures', 'schema', /exposures is missing/],
  ['a column is gone', 'ALTER TABLE tags DROP COLUMN boolean', 'schema', /tags lacks column boolean/],
  ['a record is gone', 'DELETE FROM records WHERE record_id = 10', 'ledger', /says 10 records are committed, the tables hold 9/],
  ['a source is gone', 'DELETE FROM records WHERE record_id = 2', 'references', /sources of derivations: 1/, [2]],
  ['a derived record never came', `INSERT INTO derivations (record_id, derivation, time) VALUES (1, 99, '2026-01-01 00:00:00.000000')`, 'references', /derived in derivations: 1/, [99]],
  ['a URI of nobody', `INSERT INTO uris (record_id, uri) VALUES (98, 'x')`, 'references', /owners of URIs: 1/, [98]],
  ['a tag of nobody', `INSERT INTO tags (record_id, key, value, tag_type) VALUES (97, 'a', 'b', 1)`, 'references', /owners of tags: 1/, [97]],
  ['an exposure to nobody', 'UPDATE exposures SET source_id = 96 WHERE update_id = 1', 'references', /sources of updates: 1/, [96]],
  ['a version of nobody', 'UPDATE versions SET model_id = 95', 'references', /models of versions: 1/, [95]],
  ['an update of no version', 'UPDATE updates SET version_id = 94 WHERE update_id = 1', 'references', /updates whose version_id is in no row of versions: 1/, [1]],
  ['a version of a fact', 'UPDATE versions SET model_id = 1', 'versions', /facts or data with versions/, [1]],
  ['a version that was never made', 'INSERT INTO versions (model_id, attempt_id, step) VALUES (4, 1, 77)', 'versions', /named and never made/, [4]],
  ['a version without its number', 'UPDATE versions SET number = NULL', 'versions', /has no number/, [4]],
  ['more committed than recorded', 'UPDATE ledger SET committed = committed + 5', 'ledger', /more than the \d+ recorded/],
  ['less committed than recorded', 'UPDATE ledger SET recorded = recorded + 5', 'ledger', /the run is COMPLETED: what its spool still has comes by braid recover on \S+$/],
  ['less committed than recorded, and a gap', `UPDATE ledger SET recorded = recorded + 5; INSERT INTO ledger_gaps VALUES (1, 0, 3, 'lost')`, 'ledger', /the run is COMPLETED: the rest is lost, as its gaps say, and comes by no recovery/],
  ['a watermark that was reset', 'UPDATE ledger SET frame = 0', 'ledger', /through frame 0/],
  ['a rank without a ledger', 'DELETE FROM ledger', 'ledger', /has 1 ranks, and 0 in the ledger/],
  ['a gap', `INSERT INTO ledger_gaps VALUES (1, 0, 3, 'its CRC does not fit')`, 'gaps', /rank 0 .* has lost frame 3: its CRC/],
  ['an id of no run', `INSERT INTO records (record_id, name, time, kind) VALUES (500, 'x', '2026-01-01 00:00:00.000000', 2)`, 'ids', /records with an id of no run: 1/, [500]],
  ['a sequence that was reset', `UPDATE sqlite_sequence SET seq = 3 WHERE name = 'records'`, 'ids', /is at 3, below the highest id 10/],
  ['a status that is none', `UPDATE attempts SET status = 'DONE'`, 'runs', /status that is none/],
  ['a run and an attempt that differ', `UPDATE runs SET status = 'RUNNING'`, 'runs', /another status/],
  ['a time that is none', `UPDATE records SET time = 'yesterday' WHERE record_id = 3`, 'values', /time that is none/, [3]],
  ['a tag that is none', `UPDATE tags SET value = 'x', tag_type = 2 WHERE record_id = 2`, 'values', /does not fit/, [2]],
]; // prettier-ignore

describe('verify', function () {
  this.timeout(120_000);
  const directory = makeDirectory();
  const sound = join(directory.path, 'sound.db');
  let copies = 0;
  const copy = () => {
    const path = join(directory.path, `${++copies}.db`);
    copyFileSync(sound, path);
    return path;
  };
  before(() => runJob(sound, 'graph'));
  after(() => directory.remove());

  it('finds nothing wrong with what was recorded', async () => {
    const { code, stdout } = await braidInThread(['verify', sound]);
    assert.equal(code, 0);
    assert.match(stdout, /is sound\n$/);
    assert.doesNotMatch(stdout, /BAD/);
    const report = JSON.parse((await braidInThread(['verify', sound, '--json'])).stdout) as ReturnType<typeof verify>;
    assert.deepEqual(report.problems, []);
    assert.equal(report.checked.length, 12);
  });

  it('misses nothing of a database that was made before others could be merged into it', async () => {
    const path = copy();
    sql(path, 'DROP TABLE merged_ranges; DROP TABLE joined_models; DROP TABLE omissions');
    const bytes = readFileSync(path);
    assert.deepEqual(verify(path).problems, []);
    assert.deepEqual(readFileSync(path), bytes);
    const tables = () => {
      const reader = BraidReader.open(path);
      try {
        return reader.query(
          "SELECT name FROM sqlite_schema WHERE name IN ('merged_ranges', 'joined_models', 'omissions')",
        ).length;
      } finally {
        reader.close();
      }
    };
    assert.equal(tables(), 0);
    // The next run makes what it lacks.
    await (await BraidDB.open(path)).close();
    assert.equal(tables(), 3);
    assert.deepEqual(verify(path).problems, []);
    sql(path, 'DROP TABLE omissions');
    assert.match(verify(path).problems[0].message, /omissions is missing/);
  });

  for (const [title, damage, check, message, ids] of DAMAGES) {
    it(`finds what is wrong: ${title}`, () => {
      const path = copy();
      sql(path, damage);
      const found = verify(path).problems.filter((problem) => problem.check === check && message.test(problem.message));
      assert.equal(found.length, 1, JSON.stringify(verify(path).problems));
      if (ids) assert.deepEqual(found[0].ids, ids);
    });
  }

  it('names the first of many, and how many they are', () => {
    const path = copy();
    const values = Array.from({ length: 1000 }, (_, i) => `(${5000 + i}, 'x')`).join();
    sql(path, `INSERT INTO uris (record_id, uri) VALUES ${values}`);
    const [{ count, ids }] = verify(path).problems;
    assert.equal(count, 1000);
    assert.deepEqual(
      ids,
      Array.from({ length: 20 }, (_, i) => 5000 + i),
    );
  });

  it('finds a damaged page, and goes on', async () => {
    const path = copy();
    const fd = openSync(path, 'r+');
    writeSync(fd, Buffer.alloc(2048, 0xab), 0, 2048, 4096 * 10);
    closeSync(fd);
    const { code, stdout } = await braidInThread(['verify', path]);
    assert.equal(code, 1);
    assert.match(stdout, /BAD {2}integrity/);
    assert.match(stdout, /has \d+ problems?\n$/);
    const print = await braidInThread(['print', path]);
    assert.equal(print.code, 1);
    assert.match(print.stderr, /^braid: ERR_BRAID_DB_CORRUPT: .*braid verify.*\n$/);
  });

  it('takes what a run that lives may yet bring for no problem', async () => {
    const path = join(directory.path, 'live.db');
    const job = startJob(path, 'waiting', 3);
    await job.line('waiting');
    const { code, stdout } = await braidInThread(['verify', path]);
    assert.equal(code, 0, stdout);
    job.child.stdin!.end();
    assert.equal((await job.ended).code, 0);
  });
});
