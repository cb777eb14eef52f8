import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { verify } from 'braid-mpi';
import { query, sql } from '../cli/support.js';
import { mpiexec, runAlone, vendors } from '../support/mpiexec.js';
import { program } from './jobs.js';
import { acknowledged, checkPromise } from './promise.js';

/** Records as Braid-DB does, by SQLite's next rowid, until its stdin ends; then says how many, and the first. */
const BRAID_DB = `
import select, sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60)
last, count = None, 0
print('ready', flush=True)
while not select.select([sys.stdin], [], [], 0.002)[0] or count == 0:
    time = '2026-01-02 03:04:05.678901'
    id = db.execute('INSERT INTO records (name, time) VALUES (?, ?)', ('braid-db-%d' % count, time)).lastrowid
    db.execute('INSERT INTO uris (record_id, uri) VALUES (?, ?)', (id, 'file:///braid-db-%d' % count))
    db.execute('INSERT INTO tags (record_id, key, value, tag_type) VALUES (?, ?, ?, ?)', (id, 'n', str(count), 2))
    if last is not None:
        db.execute('INSERT INTO derivations (record_id, derivation, time) VALUES (?, ?, ?)', (last, id, time))
    db.commit()
    last, count = id, count + 1
print(count, flush=True)
`;

const hasPython = spawnSync('python3', ['-c', 'import sqlite3']).status === 0;

describe('two runs on one file', function () {
  this.timeout(120_000);
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-two-runs-'));
    path = join(directory, 'run.db');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const JOB = program('faults');
  /** Begins to record when so many processes have opened the database. */
  const alone = (processes: number, fault = 'none') =>
    runAlone(JOB, { args: [path, fault === 'none' ? '-' : '0', fault, String(processes)], env: { BRAID_MPI: 'off' } });
  const closed = () => acknowledged(path).filter((lines) => lines.some((each) => 'closed' in each)).length;
  const [vendor] = vendors;
  (vendor ? it : it.skip)(
    `both land whole${vendor ? `, one of two ranks on ${vendor.name}` : ': no MPI is here'}`,
    async () => {
      const runs = await Promise.all([mpiexec(vendor, 2, JOB, { args: [path, '-', 'none', '4'] }), alone(4), alone(4)]);
      assert.deepEqual(runs.map(({ code }) => code), [0, 0, 0], runs.map(({ stderr }) => stderr).join('\n')); // prettier-ignore
      assert.equal(closed(), 4);
      assert.deepEqual([...(await checkPromise(path)).values()], ['COMPLETED', 'COMPLETED', 'COMPLETED']);
    },
  );

  (hasPython ? it : it.skip)(
    `both land whole while Braid-DB adds records of its own${hasPython ? '' : ': there is no python3 with sqlite3'}`,
    async () => {
      assert.equal((await alone(1)).code, 0);
      const python = spawn('python3', ['-c', BRAID_DB, path], { stdio: ['pipe', 'pipe', 'inherit'] });
      const lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]();
      assert.equal((await lines.next()).value, 'ready');
      const runs = await Promise.all([alone(3), alone(3)]);
      assert.deepEqual(runs.map(({ code }) => code), [0, 0], runs.map(({ stderr }) => stderr).join('\n')); // prettier-ignore
      python.stdin.end('stop');
      const n = Number((await lines.next()).value);
      // Until it has ended it has the database open, and the log stays.
      if (python.exitCode === null) await once(python, 'exit');
      assert.equal(closed(), 3);

      assert.deepEqual(verify(path).problems, []);
      const theirs = `SELECT record_id FROM records WHERE name LIKE 'braid-db-%'`;
      const [found] = query<Record<string, number>>(
        path,
        `SELECT count(*) AS records, count(DISTINCT name) AS names,
           (SELECT count(*) FROM uris WHERE record_id IN (${theirs}) AND uri LIKE '%/braid-db-%') AS uris,
           (SELECT count(*) FROM tags WHERE record_id IN (${theirs})) AS tags,
           (SELECT count(*) FROM derivations WHERE record_id IN (${theirs}) AND derivation IN (${theirs})) AS derivations
         FROM records WHERE name LIKE 'braid-db-%'`,
      );
      assert.ok(n > 10, `${n}`);
      assert.deepEqual(found, { records: n, names: n, uris: n, tags: n, derivations: n - 1 });
      // Without them it is what the runs were promised.
      sql(path, ['uris', 'tags', 'derivations', 'records'].map((table) => `DELETE FROM ${table} WHERE record_id IN (${theirs});`).join('')); // prettier-ignore
      await checkPromise(path);
    },
  );

  for (const fault of ['commit.inserted:3', 'capture.written:70', 'commit.committed:2']) {
    it(`one is killed at ${fault}, and the next open brings it in beside the other`, async () => {
      const [killed, other] = await Promise.all([alone(2, fault), alone(2)]);
      assert.equal(killed.signal, 'SIGKILL', killed.stderr);
      assert.equal(other.code, 0, other.stderr);
      const [next, beside] = await Promise.all([alone(4), alone(4)]);
      assert.deepEqual([next.code, beside.code], [0, 0], next.stderr + beside.stderr);
      const statuses = query<{ status: string }>(path, 'SELECT status FROM runs').map(({ status }) => status).sort(); // prettier-ignore
      assert.deepEqual(statuses, ['COMPLETED', 'COMPLETED', 'COMPLETED', 'INCOMPLETE']);
      assert.equal(closed(), 3);
      await checkPromise(path);
    });
  }
});
