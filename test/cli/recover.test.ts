import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { BraidDB, recover, verify, type RecoverReport } from '#src/index.js';
import { inspect } from '#src/inspection.js';
import { BRAID, braid, makeDirectory, query, runJob, sql, startJob, type Job } from './support.js';

const spoolsOf = (path: string) => `${path}-spool-${process.geteuid!()}`;
const namesIn = (path: string) => query<{ name: string }>(path, 'SELECT name FROM records').map(({ name }) => name);
const statusIn = (path: string) => query<{ status: string }>(path, 'SELECT status FROM runs ORDER BY run_id').map(({ status }) => status); // prettier-ignore

/** Waits until so many records are acknowledged, then kills. Returns the highest number that was. */
async function killAfter(job: Job, count: number, signal: NodeJS.Signals = 'SIGKILL'): Promise<number> {
  for (let i = 0; i < count; i++) await job.line('recorded');
  job.child.kill(signal);
  const { stdout } = await job.ended;
  const whole = stdout.slice(0, stdout.lastIndexOf('\n'));
  return Number(/\d+$/.exec(whole)![0]);
}

/** All records from 0 through `last`, each once; one more may have been recorded and not told. */
function holdsAll(path: string, last: number): void {
  const numbers = namesIn(path)
    .map((name) => Number(name.slice('record-'.length)))
    .sort((a, b) => a - b);
  assert.deepEqual(
    numbers,
    Array.from(numbers, (_, i) => i),
  );
  assert.ok(numbers.length === last + 1 || numbers.length === last + 2, `${numbers.length} of ${last + 1}`);
  assert.equal(query(path, 'SELECT * FROM tags').length, numbers.length);
}

/** Changes a file's bytes in place. */
function edit(file: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(file);
  change(bytes);
  writeFileSync(file, bytes);
}

/** Where in a spool a record's id is, by the record's name. */
const idOf = (bytes: Buffer, name: string) => bytes.indexOf(name) - 20;

/**
 * Options for a Node that stops in `BraidDB.open`, until a line comes on its stdin: before it locks its spool, before it
 * gives it its name, or between the spool and the run in the database.
 */
function pausesAt(point: 'lock' | 'link' | 'context'): string {
  return `--import=data:text/javascript,${encodeURIComponent(`
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    let paused = false;
    const pause = () => {
      if (paused) return;
      paused = true;
      fs.writeSync(1, 'paused\\n');
      for (let line = false; !line;) {
        try {
          line = fs.readSync(0, Buffer.alloc(10)) > 0;
        } catch {
          // Nothing has come yet.
        }
      }
    };
    const { openSync, linkSync } = fs;
    const { cwd } = process;
    if (${point === 'lock'}) fs.openSync = (file, ...rest) => { const fd = openSync(file, ...rest); if (String(file).endsWith('.making')) pause(); return fd; };
    if (${point === 'link'}) fs.linkSync = (...args) => { pause(); return linkSync(...args); };
    if (${point === 'context'}) process.cwd = () => { if (new Error().stack.includes('at captureContext')) pause(); return cwd(); };
    syncBuiltinESMExports();
  `)}`;
}

describe('recover', function () {
  this.timeout(120_000);
  const directory = makeDirectory();
  let next = 0;
  const newPath = () => join(directory.path, `${++next}.db`);
  const report = async (...args: string[]) => {
    const { code, stdout, stderr } = await braid(['recover', '--json', ...args]);
    assert.equal(stderr, '');
    return { code, ...(JSON.parse(stdout) as RecoverReport) };
  };
  after(() => directory.remove());

  for (const [title, flushEvery, count] of [
    ['before its first flush', 0, 500],
    ['in the middle of flushes', 7, 300],
    ['with a spool of several segments', 0, 30_000],
  ] as const) {
    it(`brings in all that a killed process has acknowledged, each once: ${title}`, async () => {
      const path = newPath();
      const last = await killAfter(startJob(path, 'endless', flushEvery), count);
      if (flushEvery === 0) {
        const [problem] = verify(path).problems;
        assert.equal(problem.check, 'spools');
        assert.ok(problem.count >= 2 * (last + 1), problem.message);
      }
      const found = await report(path);
      assert.equal(found.code, 0);
      assert.deepEqual(found.attempts.map(({ status }) => status), ['INCOMPLETE']); // prettier-ignore
      holdsAll(path, last);
      assert.equal(found.ops, found.records * 2);
      assert.deepEqual(found.left, []);
      assert.deepEqual(statusIn(path), ['INCOMPLETE']);
      assert.deepEqual(verify(path).problems, []);
      assert.equal(existsSync(spoolsOf(path)), false);

      const again = await report(path);
      assert.deepEqual([again.code, again.attempts, again.ops], [0, [], 0]);
      holdsAll(path, last);
    });
  }

  it('calls a process KILLED that a signal has ended', async () => {
    const path = newPath();
    const last = await killAfter(startJob(path, 'endless'), 100, 'SIGTERM');
    assert.equal((await braid(['recover', path])).code, 0);
    holdsAll(path, last);
    assert.deepEqual(statusIn(path), ['KILLED']);
    assert.deepEqual(verify(path).problems, []);
  });

  it('happens by itself when the database is opened again', async () => {
    const path = newPath();
    const last = await killAfter(startJob(path, 'endless'), 100);
    const db = await BraidDB.open(path, { mpi: 'off' });
    await db.close();
    holdsAll(path, last);
    assert.deepEqual(statusIn(path), ['INCOMPLETE', 'COMPLETED']);
    assert.deepEqual(verify(path).problems, []);
  });

  it('gives back the ids that a recovered run has not used', async () => {
    const path = newPath();
    await runJob(path, 'unclosed', 5);
    await braid(['recover', path]);
    await runJob(path, 'many', 2);
    assert.deepEqual(query<{ id: number }>(path, 'SELECT record_id AS id FROM records').map(({ id }) => id), [1, 2, 3, 4, 5, 6, 7]); // prettier-ignore
    assert.deepEqual(verify(path).problems, []);
  });

  it('only says what it would do in a dry run, and changes no byte', async () => {
    const path = newPath();
    await runJob(path, 'unclosed', 50);
    const [spool] = readdirSync(spoolsOf(path)).map((name) => join(spoolsOf(path), name));
    const before = [readFileSync(path), readFileSync(spool)];
    const found = await report(path, '--dry-run');
    assert.deepEqual([found.code, found.dryRun, found.records], [0, true, 50]);
    assert.deepEqual(found.attempts[0].files, [spool]);
    assert.deepEqual([readFileSync(path), readFileSync(spool)], before);
    assert.match(
      (await braid(['recover', path, '--dry-run'])).stdout,
      /would bring 50 ops \(50 records\) of 1 dead run into/,
    );
    assert.deepEqual([readFileSync(path), readFileSync(spool)], before);
    assert.equal((await braid(['stats', path])).code, 1);
    assert.match(
      (await braid(['stats', path])).stdout,
      /no rank of it is alive \(50 ops wait in spools\): braid recover/,
    );
    assert.match((await braid(['recover', path])).stdout, /brought 50 ops \(50 records\) of 1 dead run into/);
    assert.equal((await braid(['stats', path])).code, 0);
  });

  it('leaves a run alone that lives', async () => {
    const path = newPath();
    const job = startJob(path, 'waiting', 20);
    const run = await job.line('run');
    await job.line('waiting');
    const found = await report(path, '--assume-dead', run);
    assert.deepEqual([found.code, found.attempts], [0, []]);
    assert.deepEqual(found.left.map(({ reason, run: of }) => [reason, of]), [['alive', run]]); // prettier-ignore
    assert.match((await braid(['recover', path])).stdout, /left alone: .*: its rank lives\n/);
    const [{ liveness }] = (
      JSON.parse((await braid(['stats', path, '--json'])).stdout) as { runs: { liveness: string }[] }
    ).runs;
    assert.equal(liveness, 'alive');
    job.child.stdin!.end();
    assert.equal((await job.ended).code, 0);
    assert.deepEqual(statusIn(path), ['COMPLETED']);
    assert.equal(namesIn(path).length, 20);
  });

  it('recovers a dead run beside one that lives', async () => {
    const path = newPath();
    const job = startJob(path, 'waiting', 20);
    await job.line('waiting');
    const dead = startJob(path, 'endless', 5);
    const last = await killAfter(dead, 50);
    assert.equal((await report(path)).code, 0);
    holdsAll(path, last);
    job.child.stdin!.end();
    assert.equal((await job.ended).code, 0);
    assert.deepEqual(statusIn(path), ['COMPLETED', 'INCOMPLETE']);
    assert.deepEqual(verify(path).problems, []);
  });

  it('reports the spool of another database, and brings it into none', async () => {
    const path = newPath();
    const other = newPath();
    const spools = join(directory.path, 'shared-spools');
    await runJob(path, 'many', 3);
    await runJob(other, 'unclosed', 7, { BRAID_SPOOL_DIR: spools });
    const found = await report(path, '--spool', spools);
    assert.deepEqual([found.code, found.attempts], [0, []]);
    assert.equal(found.left[0].reason, 'other-database');
    assert.ok(found.left[0].why.includes(other));
    assert.equal(namesIn(path).length, 3);
    // Its own database knows where it was.
    assert.equal((await report(other)).records, 7);
    // The directory is the user's, who has named it.
    assert.deepEqual(readdirSync(spools), []);
  });

  it('looks where a relative spool directory was, from wherever it is called', async () => {
    const path = newPath();
    const spools = join(directory.path, 'relative-spools');
    mkdirSync(spools);
    const before = process.cwd();
    process.chdir(directory.path);
    try {
      await runJob(path, 'unclosed', 4, { BRAID_SPOOL_DIR: 'relative-spools' });
    } finally {
      process.chdir(before);
    }
    assert.equal((await report(path)).records, 4);
  });

  it('leaves alone what the database knows no run of', async () => {
    const path = newPath();
    await runJob(path, 'many', 1);
    const copy = newPath();
    copyFileSync(path, copy);
    await runJob(path, 'unclosed', 7);
    renameSync(path, `${path}.moved`);
    const found = await report(copy, '--spool', spoolsOf(path));
    assert.deepEqual([found.code, found.attempts], [1, []]);
    assert.equal(found.left[0].reason, 'unknown-run');
    renameSync(`${path}.moved`, path);
    assert.equal((await report(path)).records, 7);
  });

  it('leaves to a database what is its own, whatever copies of it there are', async () => {
    const path = newPath();
    await runJob(path, 'many', 1);
    await runJob(path, 'unclosed', 7, { BRAID_SPOOL_DIR: join(directory.path, 'of-the-original') });
    const copy = newPath();
    copyFileSync(path, copy);
    const found = await report(copy);
    assert.deepEqual([found.attempts, found.left.map(({ reason }) => reason)], [[], ['other-database']]);
    assert.match(found.left[0].why, /of which this database is a copy/);
    assert.equal((await report(path)).records, 7);
    assert.deepEqual(verify(path).problems, []);
  });

  it('takes a directory for one, by whatever names it is known', async () => {
    const real = join(directory.path, 'real');
    const link = join(directory.path, 'link');
    mkdirSync(real);
    symlinkSync(real, link);
    await runJob(join(link, 'run.db'), 'unclosed', 7);
    const found = await report(join(real, 'run.db'), '--spool', join(link, `run.db-spool-${process.geteuid!()}`));
    assert.deepEqual([found.code, found.records, found.left], [0, 7, []]);
    assert.deepEqual(statusIn(join(real, 'run.db')), ['INCOMPLETE']);
  });

  it('never gives the id of a lost record to another', async () => {
    const path = newPath();
    const job = startJob(path, 'waiting', 40);
    await job.line('waiting');
    await job.kill();
    const [spool] = readdirSync(spoolsOf(path)).map((name) => join(spoolsOf(path), name));
    edit(spool, (bytes) => bytes.fill(0, idOf(bytes, 'record-39'), idOf(bytes, 'record-39') + 8));
    // The recovery that finds the loss is killed, and the next one has to know of it.
    const env = { BRAID_FAULTS: 'recover.committed' };
    assert.equal((await braid(['recover', path], { env })).signal, 'SIGKILL');
    const found = await report(path);
    assert.deepEqual([found.code, found.attempts[0].lost.length, found.attempts[0].kept.length], [1, 1, 1]);
    await runJob(path, 'many', 1);
    const [{ end, next }] = query<{ end: number; next: number }>(
      path,
      'SELECT min(id_end) AS end, (SELECT max(record_id) FROM records) AS next FROM attempts',
    );
    assert.equal(next, end + 1);
  });

  it('leaves a run of another host alone, until it is told that it is dead', async () => {
    const path = newPath();
    await runJob(path, 'many', 1);
    sql(
      path,
      `UPDATE runs SET status = 'RUNNING'; UPDATE attempts SET status = 'RUNNING'; UPDATE ledger SET host = 'node-7', settled = 0`,
    );
    const found = await report(path);
    assert.deepEqual([found.code, found.left.map(({ reason, host }) => [reason, host])], [1, [['other-host', 'node-7']]]); // prettier-ignore
    assert.deepEqual(statusIn(path), ['RUNNING']);
    assert.match((await braid(['stats', path])).stdout, /runs on another host, or died there/);
    const run = found.left[0].run!;
    assert.equal((await report(path, '--assume-dead', run.slice(0, 6))).code, 0);
    assert.deepEqual(statusIn(path), ['INCOMPLETE']);
  });

  it('lists what is lost of a damaged spool, and says so', async () => {
    const path = newPath();
    const job = startJob(path, 'endless');
    await killAfter(job, 30_000);
    const [spool] = readdirSync(spoolsOf(path)).map((name) => join(spoolsOf(path), name));
    // In the ops of the first frame, which is sealed: there is more than one segment.
    writeSync(openSync(spool, 'r+'), 'damage', 8192);
    const before = readFileSync(spool);
    const found = await report(path);
    assert.equal(found.code, 1);
    assert.deepEqual(found.attempts[0].kept, [`${spool}.damaged`]);
    assert.ok(before.equals(readFileSync(`${spool}.damaged`)));
    assert.deepEqual((await report(path)).attempts, []);
    assert.deepEqual(found.attempts[0].lost.map(({ rank, frame }) => [rank, frame]), [[0, 1]]); // prettier-ignore
    assert.ok(found.records > 0);
    assert.deepEqual(verify(path).problems.map(({ check }) => check), ['gaps']); // prettier-ignore
    // What the spool said: the commit, which only sees that a frame is missing, would put it down to the database.
    const gaps = query(path, 'SELECT rank, frame, reason FROM ledger_gaps');
    assert.deepEqual(gaps, [{ rank: 0, frame: 1, reason: 'its CRC does not fit its bytes' }]);
    assert.equal(found.attempts[0].lost[0].reason, gaps[0].reason);
  });

  /** A killed run of which nothing was committed, and its spool. */
  const killed = async () => {
    const path = newPath();
    const last = await killAfter(startJob(path, 'endless'), 100);
    const [name] = readdirSync(spoolsOf(path));
    return { path, last, spool: join(spoolsOf(path), name) };
  };

  it('brings in all of a spool of which either half of the header is damaged', async () => {
    for (const half of [0, 2048]) {
      const { path, last, spool } = await killed();
      edit(spool, (bytes) => bytes.fill(0x5a, half, half + 2048));
      const found = await report(path);
      assert.deepEqual([found.code, found.left, found.attempts[0].lost], [0, [], []]);
      holdsAll(path, last);
      assert.deepEqual(verify(path).problems, []);
    }
  });

  it('names a spool of which both are damaged, and leaves it as it is', async () => {
    const { path, spool } = await killed();
    edit(spool, (bytes) => [80, 2048 + 80].forEach((at) => (bytes[at] ^= 1)));
    const before = readFileSync(spool);
    const found = await report(path);
    assert.equal(found.code, 1);
    const damaged = found.left.filter(({ file }) => file === spool);
    assert.deepEqual(damaged.map(({ reason }) => reason), ['damaged']); // prettier-ignore
    assert.match(damaged[0].why, /whose it is can't be told/);
    assert.ok(before.equals(readFileSync(spool)));
  });

  it('brings in all behind a damaged segment header, and all but the frame in which a bit has flipped', async () => {
    const path = newPath();
    const job = startJob(path, 'endless');
    await killAfter(job, 30_000);
    const [spool] = readdirSync(spoolsOf(path)).map((name) => join(spoolsOf(path), name));
    const names = (bytes: Buffer) => new Set(bytes.toString('latin1').match(/record-\d+/g)).size;
    const recorded = names(readFileSync(spool));
    edit(spool, (bytes) => {
      bytes[4096 + 64 + 33] ^= 4; // the number of the frame in the first segment
      bytes[4096 + 2 ** 20 + 2] ^= 4; // the header of the second
    });
    const found = await report(path);
    assert.equal(found.code, 1);
    assert.deepEqual(found.attempts[0].lost, [{ rank: 0, frame: 1, reason: 'a damaged frame header' }]);
    assert.ok(found.records > recorded / 3 && found.records < recorded, `${found.records} of ${recorded}`);
    assert.deepEqual(query(path, 'SELECT frame, reason FROM ledger_gaps'), [{ frame: 1, reason: 'a damaged frame header' }]); // prettier-ignore
  });

  for (const by of ['braid recover', 'the next open']) {
    it(`brings in the other runs when what one has left makes no sense: by ${by}`, async () => {
      const path = newPath();
      const spoolDirs = [1, 2, 3].map((i) => `${path}-spools-${i}`);
      await runJob(path, 'many', 1);
      const jobs = spoolDirs.map((directory) => startJob(path, 'waiting', 100, { BRAID_SPOOL_DIR: directory }));
      const runs = await Promise.all(
        jobs.map(async (job) => {
          const run = await job.line('run');
          await job.line('waiting');
          return run;
        }),
      );
      for (const job of jobs) {
        await job.kill();
      }
      const [first, second] = spoolDirs.map((directory) => join(directory, readdirSync(directory)[0]));
      // In the first an id that is taken, which only the database can know; in the second an op that makes no sense.
      edit(first, (bytes) =>
        bytes.copy(bytes, idOf(bytes, 'record-50'), idOf(bytes, 'record-49'), idOf(bytes, 'record-49') + 8),
      );
      edit(second, (bytes) => bytes.fill(0, idOf(bytes, 'record-70'), idOf(bytes, 'record-70') + 8));
      if (by === 'braid recover') {
        const found = await report(path);
        assert.equal(found.code, 1);
        const byRun = new Map(found.attempts.map((attempt) => [attempt.run, attempt]));
        assert.deepEqual(runs.map((run) => byRun.get(run)!.records), [0, 70, 100]); // prettier-ignore
        assert.deepEqual(runs.map((run) => byRun.get(run)!.lost.length), [1, 1, 0]); // prettier-ignore
        assert.deepEqual(runs.map((run) => byRun.get(run)!.kept), [[`${first}.damaged`], [`${second}.damaged`], []]); // prettier-ignore
        assert.deepEqual(found.left, []);
      } else {
        const { stderr } = await runJob(path, 'many', 0);
        for (const file of [first, second]) assert.ok(stderr.includes(`${file}.damaged is kept`), stderr);
      }
      assert.deepEqual([first, second].map(existsSync), [false, false]);
      assert.deepEqual(readdirSync(spoolDirs[2]), []);
      assert.equal(namesIn(path).length, 1 + 70 + 100);
      assert.ok(statusIn(path).slice(1, 4).every((status) => status === 'INCOMPLETE')); // prettier-ignore
      assert.deepEqual(verify(path).problems.map(({ check }) => check), ['gaps', 'gaps']); // prettier-ignore
    });
  }

  it('lists what a database that was put back from a copy has lost, in the middle and at the end', async () => {
    for (const mode of ['more', 'nothing more']) {
      const path = newPath();
      const job = startJob(path, 'waiting-flushes', 3000);
      await job.line('flushed');
      // What the write-ahead log holds belongs to it.
      sql(path, `VACUUM INTO '${path}-copy'`);
      for (let i = 0; i < 3; i++) {
        job.child.stdin!.write('flush\n');
        await job.line('flushed');
      }
      if (mode === 'more') {
        job.child.stdin!.write('record\n');
        await job.line('recorded');
      }
      await job.kill();
      for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
      copyFileSync(`${path}-copy`, path);
      const before = namesIn(path).length;
      const found = await report(path);
      assert.equal(found.code, 1);
      assert.equal(namesIn(path).length, before + found.records);
      assert.ok(found.attempts[0].lost.length > 0);
      assert.match(found.attempts[0].lost[0].reason, /missing: was the database put back from an older copy/);
      assert.ok(existsSync(found.attempts[0].kept[0]));
      assert.deepEqual(verify(path).problems.map(({ check }) => check), ['gaps']); // prettier-ignore
    }
  });

  it('leaves a run alone whose spools are not to be seen from here', async () => {
    const path = newPath();
    mkdirSync(`${path}-private`);
    const job = startJob(path, 'waiting', 5, { BRAID_SPOOL_DIR: `${path}-private/spools` });
    const run = await job.line('run');
    await job.line('waiting');
    // As for one who has another /tmp.
    renameSync(`${path}-private`, `${path}-hidden`);
    const found = await report(path);
    assert.deepEqual([found.code, found.attempts], [1, []]);
    assert.deepEqual(found.left.map(({ reason, run: of }) => [reason, of]), [['unreadable', run]]); // prettier-ignore
    assert.match(found.left[0].why, /not to be seen from here.*--assume-dead/);
    await runJob(path, 'many', 1);
    assert.deepEqual(statusIn(path), ['RUNNING', 'COMPLETED']);
    renameSync(`${path}-hidden`, `${path}-private`);
    job.child.stdin!.end();
    assert.equal((await job.ended).code, 0);
    assert.deepEqual(statusIn(path), ['COMPLETED', 'COMPLETED']);
  });

  it('ends a run whose spools were beside the database, and are gone', async () => {
    const path = newPath();
    const job = startJob(path, 'waiting', 5);
    await job.line('waiting');
    await job.kill();
    rmSync(spoolsOf(path), { recursive: true });
    assert.deepEqual((await report(path)).attempts.map(({ status }) => status), ['INCOMPLETE']); // prettier-ignore
  });

  it('waits for nobody who only looks for long, and says who it is', async () => {
    const path = newPath();
    await runJob(path, 'unclosed', 5);
    const { leftovers } = inspect(path);
    try {
      // Those who look don't see each other.
      assert.equal((await report(path, '--dry-run')).records, 5);
      const found = await report(path);
      assert.deepEqual([found.code, found.attempts], [0, []]);
      assert.deepEqual(found.left.map(({ reason, why }) => [reason, why]), [['busy', 'it is being examined']]); // prettier-ignore
      assert.match(
        (await runJob(path, 'many', 1)).stderr,
        /left for the next open, or braid recover: it is being examined/,
      );
    } finally {
      leftovers.release();
    }
    assert.equal((await report(path)).records, 5);
  });

  for (const point of ['lock', 'link'] as const) {
    for (const dryRun of [true, false]) {
      it(`lets a run begin beside a ${dryRun ? 'dry run' : 'recovery'} that comes before its ${point}`, async () => {
        const path = newPath();
        const spools = `${path}-starting`;
        await runJob(path, 'many', 1);
        const job = startJob(path, 'waiting', 20, { BRAID_SPOOL_DIR: spools, NODE_OPTIONS: pausesAt(point) });
        await job.line('paused');
        assert.equal(readdirSync(spools).length, 1);
        const found = await report(path, '--spool', spools, ...(dryRun ? ['--dry-run'] : []));
        assert.deepEqual([found.code, found.attempts, found.left], [0, [], []]);
        assert.equal(readdirSync(spools).length, dryRun || point === 'link' ? 1 : 0);
        job.child.stdin!.write('go\n');
        await job.line('waiting');
        assert.equal(readdirSync(spools).length, 1);
        await job.kill();
        assert.equal((await report(path)).records, 20);
        assert.equal(namesIn(path).length, 21);
      });
    }
  }

  it('deletes what a run has left that was killed while it made its spool', async () => {
    for (const point of ['lock', 'link'] as const) {
      const path = newPath();
      await runJob(path, 'many', 1);
      const job = startJob(path, 'waiting', 20, { NODE_OPTIONS: pausesAt(point) });
      await job.line('paused');
      await job.kill();
      assert.equal(readdirSync(spoolsOf(path)).length, 1);
      assert.deepEqual([(await report(path, '--dry-run')).code, readdirSync(spoolsOf(path)).length], [0, 1]);
      assert.deepEqual([(await report(path)).code, existsSync(spoolsOf(path))], [0, false]);
    }
  });

  it('lets a run be resumed that was killed between its spool and its attempt, and deletes what that has left', async () => {
    const path = newPath();
    const job = startJob(path, 'many', 1);
    const run = await job.line('run');
    await job.ended;
    const killed = async () => {
      const resumed = startJob(path, 'many', 1, { BRAID_RESUME: run, NODE_OPTIONS: pausesAt('context') });
      await resumed.line('paused');
      await resumed.kill();
      assert.deepEqual(readdirSync(spoolsOf(path)), [`${run}.2.0.spool`]);
    };
    await killed();
    assert.deepEqual([(await report(path, '--dry-run')).left, readdirSync(spoolsOf(path)).length], [[], 1]);
    assert.deepEqual([(await report(path)).left, existsSync(spoolsOf(path))], [[], false]);
    await killed();
    await runJob(path, 'many', 1);
    assert.equal(existsSync(spoolsOf(path)), false);
    await killed();
    await runJob(path, 'many', 1, { BRAID_RESUME: run });
    assert.equal(query(path, 'SELECT * FROM attempts').length, 3);
    assert.deepEqual(verify(path).problems, []);
  });

  it('reports a file that is no spool, and goes on', async () => {
    const path = newPath();
    await runJob(path, 'unclosed', 3);
    writeSync(openSync(join(spoolsOf(path), `${'a'.repeat(32)}.1.0.spool`), 'w'), 'x'.repeat(5000));
    const found = await report(path);
    assert.equal(found.code, 1);
    assert.deepEqual(found.left.map(({ reason }) => reason), ['damaged']); // prettier-ignore
    assert.equal(namesIn(path).length, 3);
  });

  it('leaves what others keep in a directory, whatever it is called', async () => {
    const path = newPath();
    const spools = join(directory.path, 'of-others');
    mkdirSync(spools);
    await runJob(path, 'many', 1);
    for (const name of ['empty.spool', 'yarn.spool', 'cake.making', `${'a'.repeat(32)}.1.0.spool.making`]) {
      writeFileSync(join(spools, name), name.startsWith('yarn') ? Buffer.alloc(8192) : '');
    }
    mkdirSync(join(directory.path, 'empty'));
    const found = await report(path, '--spool', spools, '--spool', join(directory.path, 'empty'));
    assert.deepEqual([found.code, found.left], [0, []]);
    assert.equal(readdirSync(spools).length, 4);
    assert.deepEqual(readdirSync(join(directory.path, 'empty')), []);
  });

  it('refuses a spool directory that is not there, and a run that is none', async () => {
    const path = newPath();
    await runJob(path, 'many', 1);
    const spool = await braid(['recover', path, '--spool', join(directory.path, 'nowhere')]);
    assert.equal(spool.code, 2);
    assert.match(spool.stderr, /ERR_BRAID_OPTION_INVALID/);
    const run = await braid(['recover', path, '--assume-dead', 'ffff']);
    assert.equal(run.code, 1);
    assert.match(run.stderr, /ERR_BRAID_NO_SUCH_RUN/);
    await assert.rejects(recover(path, { assumeDead: 'f'.repeat(32) }), { code: 'ERR_BRAID_NO_SUCH_RUN' });
    await assert.rejects(recover(newPath()), { code: 'ERR_BRAID_DB_NOT_FOUND' });
  });

  it('can be interrupted while it commits, says so, and is completed by the next', async () => {
    const path = newPath();
    const last = await killAfter(startJob(path, 'endless'), 50);
    const holder = new Database(path);
    holder.exec('BEGIN IMMEDIATE');
    const child = spawn(process.execPath, [BRAID, 'recover', path], { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const ended = once(child, 'close');
    // By then it waits for the database.
    await pause(1_000);
    child.kill('SIGINT');
    const interrupted = performance.now();
    assert.deepEqual(await ended, [130, null]);
    assert.ok(performance.now() - interrupted < 5_000, 'it does not wait for the lock');
    assert.match(stderr, /^braid: interrupted\. Nothing is lost: .* run the same again\n$/);
    holder.close();
    assert.deepEqual(namesIn(path), []);
    assert.equal((await braid(['recover', path])).code, 0);
    holdsAll(path, last);
    assert.ok(!existsSync(spoolsOf(path)));
  });

  it('may be done by two at once', async () => {
    const path = newPath();
    const last = await killAfter(startJob(path, 'endless', 11), 2000);
    const both = await Promise.all([braid(['recover', path]), braid(['recover', path])]);
    assert.deepEqual(both.map(({ code }) => code), [0, 0]); // prettier-ignore
    // Whoever came second found it done, or under way.
    await braid(['recover', path]);
    holdsAll(path, last);
    assert.deepEqual(verify(path).problems, []);
  });

  it('tells a library user how far it is', async () => {
    const path = newPath();
    const job = startJob(path, 'endless');
    await killAfter(job, 100);
    const phases: string[] = [];
    await recover(path, { roundBytes: 1, onProgress: ({ phase }) => phases.push(phase) });
    assert.deepEqual([...new Set(phases)], ['scan', 'commit']);
  });
});
