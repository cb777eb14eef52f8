import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidData, BraidDB, BraidReader } from 'braid-mpi';
import Database from 'better-sqlite3';

describe('indexes for searches', function () {
  this.timeout(60_000);
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-indexes-'));
    path = join(directory, 'run.db');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const read = <T>(get: (db: Database.Database) => T): T => {
    const db = new Database(path, { readonly: true });
    try {
      return get(db);
    } finally {
      db.close();
    }
  };
  const indexes = () =>
    read((db) =>
      db
        .prepare(
          "SELECT name FROM sqlite_schema WHERE type = 'index' AND name IN ('ix_records_name', 'ix_tags_key_value')",
        )
        .pluck()
        .all(),
    ).length;
  const plan = (query: string) =>
    read((db) => (db.prepare(`EXPLAIN QUERY PLAN ${query}`).all() as { detail: string }[]).map(({ detail }) => detail));

  const store = async (searchIndexes: boolean | undefined, count = 3) => {
    const db = await BraidDB.open(path, { searchIndexes });
    for (let i = 0; i < count; i++) new BraidData(db, { name: `scan-${i}`, tags: { loss: i / 10 } });
    return db;
  };

  it('are not there unless they are asked for', async () => {
    await (await store(undefined)).close();
    assert.equal(indexes(), 0);
  });

  it('are built when the run ends, used, and kept by the next', async () => {
    const db = await store(true);
    await db.flush();
    assert.equal(indexes(), 0);
    await db.close();
    assert.equal(indexes(), 2);
    assert.match(plan("SELECT record_id FROM records WHERE name = 'scan-1'").join(), /ix_records_name/);
    assert.match(plan("SELECT record_id FROM tags WHERE key = 'loss' AND value = '0.1'").join(), /ix_tags_key_value/);
    await (await store(undefined)).close();
    assert.equal(indexes(), 2);
    const found = (sql: string) => read((db) => db.prepare(sql).pluck().get());
    assert.equal(found("SELECT count(*) FROM records INDEXED BY ix_records_name WHERE name = 'scan-1'"), 2);
    assert.equal(found("SELECT count(*) FROM tags INDEXED BY ix_tags_key_value WHERE key = 'loss'"), 6);
    assert.equal(
      read((db) => db.pragma('integrity_check', { simple: true })),
      'ok',
    );
  });

  it('are built by the next run if one was killed before, and nobody needs them to read', async () => {
    const script = `
      import { BraidData, BraidDB } from 'braid-mpi';
      const db = await BraidDB.open(${JSON.stringify(path)});
      for (let i = 0; i < 3; i++) new BraidData(db, { name: 'scan-' + i, tags: { loss: i / 10 } });
      await db.flush();
      process.kill(process.pid, 'SIGKILL');`;
    const env = { ...process.env, BRAID_SEARCH_INDEXES: '1' };
    const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { env });
    assert.equal(signal, 'SIGKILL');
    assert.equal(indexes(), 0);
    const reader = BraidReader.open(path);
    assert.equal(reader.record(1)?.name, 'scan-0');
    reader.close();
    await (await store(undefined)).close();
    assert.equal(indexes(), 2);
  });

  it('wait for the last of the runs that record at once', async () => {
    const other = await BraidDB.open(path, { spoolDir: join(directory, 'other') });
    await (await store(true)).close();
    assert.equal(indexes(), 0);
    await other.close();
    assert.equal(indexes(), 2);
  });

  it('are asked for by 1 or 0 in the environment, and by nothing else', async () => {
    process.env.BRAID_SEARCH_INDEXES = 'yes';
    try {
      await assert.rejects(BraidDB.open(path), { code: 'ERR_BRAID_OPTION_INVALID', message: /BRAID_SEARCH_INDEXES/ });
    } finally {
      delete process.env.BRAID_SEARCH_INDEXES;
    }
  });
});
