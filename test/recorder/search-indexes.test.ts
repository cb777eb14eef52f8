import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidData, BraidDB, BraidReader, invalidate, recover } from 'braid-mpi';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { roundNumber, roundedNumber } from '#src/store/search-indexes.js';

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
          `SELECT name FROM sqlite_schema WHERE type = 'index'
             AND name IN ('ix_records_name', 'ix_tags_key_string', 'ix_tags_key_number',
               'ix_version_tags_key_string', 'ix_version_tags_key_number')`,
        )
        .pluck()
        .all(),
    ).length;
  const plan = (query: string) =>
    read((db) => (db.prepare(`EXPLAIN QUERY PLAN ${query}`).all() as { detail: string }[]).map(({ detail }) => detail));

  const store = async (searchIndexes: boolean | undefined, count = 3) => {
    const db = await BraidDB.open(path, { searchIndexes });
    for (let i = 0; i < count; i++) new BraidData(db, { name: `scan-${i}`, tags: { loss: i / 10, phase: `p${i}` } });
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
    assert.equal(indexes(), 5);
    assert.match(plan("SELECT record_id FROM records WHERE name = 'scan-1'").join(), /ix_records_name/);
    const string = "key = 'phase' AND value = 'p1' AND tag_type = 1";
    assert.match(
      plan(`SELECT record_id FROM tags WHERE ${string}`).join(),
      /ix_tags_key_string \(key=\? AND value=\?\)/,
    );
    const number = `key = 'loss' AND tag_type IN (2, 3) AND ${roundedNumber('value')} <= 0.1`;
    assert.match(
      plan(`SELECT record_id FROM tags WHERE ${number}`).join(),
      /ix_tags_key_number \(key=\? AND <expr><\?\)/,
    );
    await (await store(undefined)).close();
    assert.equal(indexes(), 5);
    const found = (sql: string) => read((db) => db.prepare(sql).pluck().get());
    assert.equal(found("SELECT count(*) FROM records INDEXED BY ix_records_name WHERE name = 'scan-1'"), 2);
    assert.equal(found(`SELECT count(*) FROM tags INDEXED BY ix_tags_key_string WHERE ${string}`), 2);
    assert.equal(found(`SELECT count(*) FROM tags INDEXED BY ix_tags_key_number WHERE ${number}`), 4);
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
    assert.equal(indexes(), 5);
  });

  it('are built by a recovery, or by whoever else writes, if a run was killed while it built them', async () => {
    for (const write of [() => recover(path), () => invalidate(path, 1, { cause: 'was misaligned' })]) {
      for (const file of [path, `${path}-wal`, `${path}-shm`]) rmSync(file, { force: true });
      // It is closed when the run has ended, and has none: as whoever is killed then leaves it.
      const script = `
        import { BraidData, BraidDB } from 'braid-mpi';
        const db = await BraidDB.open(${JSON.stringify(path)}, { searchIndexes: true });
        new BraidData(db, { name: 'scan', tags: { loss: 0.5 } });
        await db.close();`;
      const env = { ...process.env, BRAID_FAULTS: 'close.completed' };
      const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { env });
      assert.equal(signal, 'SIGKILL');
      rmSync(`${path}-spool-0`, { recursive: true, force: true });
      assert.equal(indexes(), 0);
      await write();
      assert.equal(indexes(), 5);
    }
  });

  it('hold numbers rounded as they are compared, in their order, and so that a last bit makes no difference', () => {
    const db = new Database(':memory:');
    const inSql = db.prepare(`SELECT ${roundedNumber('value')} FROM (SELECT ? AS value)`).pluck();
    const finite = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(0, 5e-324, 1.7e308, 2 ** 63),
    );
    fc.assert(
      fc.property(finite, finite, (one, other) => {
        const [low, high] = [Math.min(one, other), Math.max(one, other)];
        assert.ok(roundNumber(low) <= roundNumber(high));
        assert.equal(inSql.get(String(one)), roundNumber(one) + 0);
        assert.ok(Math.abs(roundNumber(one) - one) <= Math.abs(one) * 2 ** -25);
      }),
      { numRuns: 1000 },
    );
    const next = 0.1 + 2 ** -56;
    assert.notEqual(next, 0.1);
    assert.equal(roundNumber(next), roundNumber(0.1));
    db.close();
  });

  it('wait for the last of the runs that record at once', async () => {
    const other = await BraidDB.open(path, { spoolDir: join(directory, 'other') });
    await (await store(true)).close();
    assert.equal(indexes(), 0);
    await other.close();
    assert.equal(indexes(), 5);
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
