import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { BraidData, BraidDB, BraidReader, type BraidError } from 'braid-mpi';
import { mpiexec, vendors } from '../support/mpiexec.js';

const program = (name: string) => fileURLToPath(new URL(`./${name}.rank.js`, import.meta.url));

describe('opening a database', function () {
  this.timeout(60_000);
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-open-'));
    path = join(directory, 'run.db');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const rejects = (
    code: string,
    message: RegExp,
    run: () => Promise<unknown> = () => BraidDB.open(path, { mpi: 'off' }),
  ) =>
    assert.rejects(run, (error: BraidError) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      return true;
    });

  it('refuses what is no SQLite database, and leaves it as it was', async () => {
    writeFileSync(path, 'a text that somebody needs\n'.repeat(100));
    await rejects('ERR_BRAID_DB_NOT_SQLITE', /run\.db/);
    assert.throws(() => BraidReader.open(path), { code: 'ERR_BRAID_DB_NOT_SQLITE' });
  });

  it('refuses a database of a newer schema, of other tables, and one that Braid-DB has made', async () => {
    const db = await BraidDB.open(path, { mpi: 'off' });
    await db.close();
    const raw = new Database(path);
    raw.exec("UPDATE meta SET value = '999' WHERE key = 'schema_version'");
    raw.close();
    await rejects('ERR_BRAID_DB_NEWER', /999/);
    assert.throws(() => BraidReader.open(path), { code: 'ERR_BRAID_DB_NEWER' });

    path = join(directory, 'other.db');
    const other = new Database(path);
    other.exec('CREATE TABLE contacts (name TEXT)');
    other.close();
    await rejects('ERR_BRAID_DB_FOREIGN', /other tables/);

    path = join(directory, 'braid.db');
    const braid = new Database(path);
    braid.exec(`CREATE TABLE records (record_id INTEGER NOT NULL PRIMARY KEY, name VARCHAR NOT NULL, time DATETIME NOT NULL, invalidation_id CHAR(32), invalidation_action_id CHAR(32));
      CREATE TABLE derivations (record_id INTEGER NOT NULL, derivation INTEGER NOT NULL, time DATETIME NOT NULL, PRIMARY KEY (record_id, derivation));
      CREATE TABLE uris (id INTEGER NOT NULL PRIMARY KEY, record_id INTEGER NOT NULL, uri VARCHAR NOT NULL);
      CREATE TABLE tags (id INTEGER NOT NULL PRIMARY KEY, record_id INTEGER NOT NULL, key VARCHAR NOT NULL, value VARCHAR NOT NULL, tag_type INTEGER NOT NULL);
      INSERT INTO records VALUES (1, 'a', '2024-05-06 07:08:09.123456', NULL, NULL), (2, 'b', '2024-05-06 07:08:10', NULL, NULL);
      INSERT INTO derivations VALUES (1, 2, '2024-05-06 07:08:10.000000');
      INSERT INTO tags VALUES (1, 2, 'n', '5', 2), (2, 2, 'x', '0.5', 3), (3, 2, 's', 'text', 1);`);
    braid.close();
    await rejects('ERR_BRAID_DB_FOREIGN', /Braid-DB.*can be read/);
    const reader = BraidReader.open(path);
    assert.deepEqual(reader.record(1)?.time, new Date('2024-05-06T07:08:09.123Z'));
    assert.deepEqual(reader.record(2)?.tags, { n: 5, x: 0.5, s: 'text' });
    assert.equal(reader.record(2)?.kind, 'record');
    assert.deepEqual(
      [...reader.ancestors(2)].map(({ id, depth }) => [id, depth]),
      [[1, 1]],
    );
    assert.deepEqual(reader.runs(), []);
    reader.close();
  });

  it('waits for another writer only so long, and names the likely cause', async () => {
    const first = await BraidDB.open(path, { mpi: 'off' });
    await first.close();
    const holder = new Database(path);
    holder.exec('BEGIN IMMEDIATE');
    await rejects('ERR_BRAID_DB_BUSY', /sqlite3 shell|another/, () => BraidDB.open(path, { mpi: 'off', busyMs: 50 }));
    holder.exec('ROLLBACK');
    holder.close();
    const again = await BraidDB.open(path, { mpi: 'off', busyMs: 50 });
    await again.close();
  });

  it('keeps what it could not commit, and commits it with the next flush', async () => {
    const db = await BraidDB.open(path, { mpi: 'off', busyMs: 50 });
    new BraidData(db, { name: 'kept' });
    const holder = new Database(path);
    holder.exec('BEGIN IMMEDIATE');
    await rejects('ERR_BRAID_DB_BUSY', /locked/, () => db.flush());
    await rejects('ERR_BRAID_DB_BUSY', /locked/, () => db.close());
    new BraidData(db, { name: 'recorded meanwhile' });
    holder.exec('ROLLBACK');
    holder.close();
    assert.equal((await db.flush()).records, 2);
    await db.close();
  });

  it('lets two runs record into one file at once, with ids of their own, while Braid-DB adds records', async () => {
    const [one, two] = await Promise.all([BraidDB.open(path, { mpi: 'off' }), BraidDB.open(path, { mpi: 'off' })]);
    const braid = new Database(path, { timeout: 10_000 });
    const add = braid.prepare("INSERT INTO records (name, time) VALUES ('of Braid-DB', '2026-01-01 00:00:00.000000')");
    const ids = new Set<number>();
    for (let i = 0; i < 20; i++) {
      for (const db of [one, two]) ids.add(new BraidData(db, { name: `d${i}` }).id);
      ids.add(Number(add.run().lastInsertRowid));
      await Promise.all([one.flush(), two.flush()]);
    }
    braid.close();
    assert.equal(ids.size, 60);
    await one.close();
    await two.close();
    const reader = BraidReader.open(path);
    assert.deepEqual(
      [...reader.records()].map(({ id }) => id),
      [...ids].sort((a, b) => a - b),
    );
    assert.equal([...reader.records({ run: one.runId })].length, 20);
    assert.equal([...reader.records({ run: two.runId, rank: 0 })].length, 20);
    assert.deepEqual(
      reader.runs().map(({ status }) => status),
      ['COMPLETED', 'COMPLETED'],
    );
    reader.close();
  });

  it('notices that the file was deleted under it', async () => {
    const db = await BraidDB.open(path, { mpi: 'off' });
    new BraidData(db, { name: 'd' });
    rmSync(path);
    await rejects('ERR_BRAID_DB_REPLACED', /deleted/, () => db.flush());
    await rejects('ERR_BRAID_DB_REPLACED', /deleted/, () => db.close());
  });

  it('goes on where the thread that writes has died, in a flush or while the program reads', async () => {
    const threads: Worker[] = [];
    const added = (worker: Worker) => threads.push(worker);
    process.on('worker', added);
    try {
      const db = await BraidDB.open(path, { mpi: 'off' });
      const { reader } = db;
      new BraidData(db, { name: 'zero' });
      await db.flush();
      new BraidData(db, { name: 'one' });
      void threads[0].terminate();
      await rejects('ERR_BRAID_DB', /the thread that writes/, () => db.flush());
      assert.equal((await db.flush()).records, 1);
      new BraidData(db, { name: 'two' });
      void threads[1].terminate();
      // A read commits first, and waits for that without the event loop.
      assert.throws(() => [...reader.records()], { code: 'ERR_BRAID_DB' });
      assert.equal([...reader.records()].length, 3);
      await db.close();
    } finally {
      process.off('worker', added);
    }
    const reader = BraidReader.open(path);
    assert.deepEqual(
      reader.runs().map(({ status, recorded, committed }) => ({ status, recorded, committed })),
      [{ status: 'COMPLETED', recorded: 3, committed: 3 }],
    );
    reader.close();
  });

  /** What was deleted under a process that ends without close(), and what it then says of its records. */
  for (const [what, gone, says] of [
    [
      'its spool',
      (name: string) => name.includes('-spool'),
      /Its spool .* was deleted under it, and with it what is not/,
    ],
    [
      'its database',
      (name: string) => name === 'run.db',
      /run\.db was deleted under it\. What is not yet committed is in/,
    ],
  ] as const) {
    it(`tells a process that ends without close() the truth where ${what} was deleted`, () => {
      const names = `(await import('node:fs')).readdirSync(${JSON.stringify(directory)})`;
      const script = `import { BraidDB, BraidData } from 'braid-mpi';
        import { rmSync } from 'node:fs';
        const db = await BraidDB.open(${JSON.stringify(path)});
        new BraidData(db, { name: 'd' });
        const gone = ${String(gone)};
        for (const name of ${names}) if (gone(name)) rmSync(${JSON.stringify(directory)} + '/' + name, { recursive: true });`;
      const args = ['--input-type=module', '-e', script];
      const { stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
      assert.match(stderr, says);
      assert.doesNotMatch(stderr, /Nothing is lost/);
    });
  }

  it('refuses a worker thread, and says where to record', async () => {
    const index = new URL('../../dist/index.js', new URL('../', import.meta.url));
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       import(${JSON.stringify(index.href)}).then(({ BraidDB }) => BraidDB.open(${JSON.stringify(path)}))
         .then(() => parentPort.postMessage('opened'), ({ code, message }) => parentPort.postMessage(code + ' ' + message));`,
      { eval: true },
    );
    const answer = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    assert.match(String(answer), /^ERR_BRAID_WRONG_THREAD .*main thread/);
    await worker.terminate();
  });

  it("says why there is no MPI where it is asked for with mpi: 'on'", () => {
    const script = `import { BraidDB } from 'braid-mpi';
      BraidDB.open(${JSON.stringify(path)}, { mpi: 'on' }).then(() => console.log('opened'), (e) => console.log(e.code));`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { ...process.env, BRAID_MPI: 'off' },
    });
    assert.equal(stdout, 'ERR_BRAID_MPI_UNAVAILABLE\n');
  });

  it("leaves a signal to the program's own handler", () => {
    const script = `import { BraidDB, BraidData } from 'braid-mpi';
      const db = await BraidDB.open(${JSON.stringify(path)});
      process.on('SIGINT', async () => { new BraidData(db, { name: 'in the handler' }); await db.close(); console.log('closed'); process.exit(7); });
      process.kill(process.pid, 'SIGINT');
      setTimeout(() => {}, 10_000);`;
    const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    assert.deepEqual([stdout, status], ['closed\n', 7]);
    const reader = BraidReader.open(path);
    assert.equal(reader.runs()[0].status, 'COMPLETED');
    reader.close();
  });

  it('ends by SIGINT with 130, and one process has committed all', () => {
    const script = `import { BraidDB, BraidData } from 'braid-mpi';
      const db = await BraidDB.open(${JSON.stringify(path)});
      new BraidData(db, { name: 'before' });
      process.kill(process.pid, 'SIGINT');
      setTimeout(() => {}, 10_000);`;
    const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    assert.equal(status, 130);
    const reader = BraidReader.open(path);
    assert.equal(reader.runs()[0].status, 'KILLED');
    assert.equal([...reader.records()].length, 1);
    reader.close();
  });

  for (const vendor of vendors) {
    for (const [stage, waits, ends] of [
      [
        'start',
        /rank 0 has waited 100 ms in MPI_Init for other ranks: all 2 must start MPI/,
        /rank 0 ends the job: not all 2 ranks have started MPI within 500 ms \(abortMs\)/,
      ],
      ['open', /rank 0 has waited 100 ms in open\(\) for other ranks/, /rank 0 ends the job: not all of the 2 ranks/],
      [
        'flush',
        /rank 0 has waited 100 ms in flush\(\) for rank 1\n/,
        /rank 0 ends the job: rank 1 did not come to flush/,
      ],
      [
        'gather',
        /rank 0 has waited 100 ms in flush\(\) for rank 1\n/,
        /rank 0 ends the job: rank 1 did not go on with flush/,
      ],
      [
        'root',
        /rank 1 has waited 100 ms in flush\(\) for rank 0 or a rank that it waits for\n/,
        /rank 1 ends the job: rank 0 or a rank that it waits for did not come to flush\(\) within 500 ms/,
      ],
    ] as const) {
      it(`says whom it waits for in ${stage}, and ends the job where it may, on ${vendor.name}`, async () => {
        const run = await mpiexec(vendor, 2, program('stall'), { args: [path, stage] });
        assert.notEqual(run.code, 0);
        assert.equal(run.timedOut, false);
        assert.match(run.stderr, waits);
        assert.match(run.stderr, ends);
      });
    }

    it(`ends the job where a rank exits from a flush that the others do not come to, on ${vendor.name}`, async () => {
      const env = { BRAID_MPI_EXIT_WAIT_MS: '200' };
      const run = await mpiexec(vendor, 2, program('stall'), { args: [path, 'exit'], env });
      assert.notEqual(run.code, 0);
      assert.equal(run.timedOut, false);
      assert.match(run.stderr, /rank 1 ends the job: it exits while its flush\(\) is under way/);
    });

    // Host names by rank: one host has the root and rank 2, the other rank 1; or the root is alone on its own.
    for (const [what, odd] of [
      ['nodes', '0'],
      ['nodes', '1'],
      ['containers', '1'],
    ]) {
      it(`brings in what ${what} have left in a directory that both see, rank ${odd} on its own, on ${vendor.name}`, async () => {
        const args = [path, join(directory, 'spools'), odd, what];
        const killed = await mpiexec(vendor, 3, program('hosts'), { args: [...args, 'die'] });
        assert.equal(killed.timedOut, false, killed.stderr);
        const run = await mpiexec(vendor, 3, program('hosts'), { args: [...args, 'close'] });
        assert.equal(run.code, 0, run.stderr);
        assert.equal(run.stderr, '');
        const reader = BraidReader.open(path);
        const names = [...reader.records()].map(({ name }) => name);
        assert.deepEqual(names.sort(), ['close-0', 'close-1', 'close-2', 'die-0', 'die-1', 'die-2']);
        reader.close();
      });
    }

    it(`lets a child process of a rank record alone, on ${vendor.name}`, async () => {
      const run = await mpiexec(vendor, 2, program('child'), { args: [directory] });
      assert.equal(run.code, 0, run.stderr);
      assert.deepEqual(run.stdout.trim().split('\n').sort(), ['child of 0: 0 of 1', 'child of 1: 0 of 1']);
    });
  }
});
