import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BraidDB, verify, type RecoverReport } from 'braid-mpi';
import { descendants } from '../support/children.js';
import { mpiexec, vendors } from '../support/mpiexec.js';
import { assertNothingLost, program, startJob as startRanks } from './jobs.js';
import { BRAID, braid, query, runJob, startJob } from '../cli/support.js';

const PROGRAM = fileURLToPath(new URL('hosts.rank.js', import.meta.url));

const namesIn = (path: string) =>
  query<{ name: string }>(path, 'SELECT name FROM records').map(({ name }) => name).sort(); // prettier-ignore
const statusIn = (path: string) => query<{ status: string }>(path, 'SELECT status FROM runs ORDER BY run_id').map(({ status }) => status); // prettier-ignore

/**
 * Of every file below a directory: its content, and when that was last changed. Without SQLite's index of the write-ahead
 * log, in which whoever reads takes a place.
 */
function stateOf(directory: string): [string, string, number][] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.endsWith('-shm'))
    .sort()
    .map((name) => {
      const stat = statSync(join(directory, name));
      const content = stat.isDirectory() ? '' : readFileSync(join(directory, name));
      return [name, createHash('sha256').update(content).digest('hex'), stat.mtimeMs];
    });
}

/**
 * Waits until a process has let go of its files: when all its threads have ended, though the launcher that is stopped doesn't
 * ask how.
 */
async function ended(pid: number): Promise<void> {
  const runs = () => {
    try {
      const [state] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1];
      return state !== 'Z' || readdirSync(`/proc/${pid}/task`).length > 1;
    } catch {
      return false;
    }
  };
  for (const end = performance.now() + 20_000; runs(); await pause(10)) {
    assert.ok(performance.now() < end, `process ${pid} goes on`);
  }
}

describe('recovery', function () {
  this.timeout(120_000);
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-recovery-'));
    path = join(directory, 'run.db');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** Kills a process that has recorded so many, and committed none. */
  const leave = async (count: number) => {
    const job = startJob(path, 'waiting', count);
    await job.line('waiting');
    await job.kill();
  };
  /** MPICH's launcher may add a banner of its own behind it, where a rank ends with another code than 0. */
  const reportIn = (stdout: string) => JSON.parse(stdout.slice(0, stdout.indexOf('\n}\n') + 2)) as RecoverReport;
  const expected = (count: number) => Array.from({ length: count }, (_, i) => `record-${i}`).sort();

  for (const vendor of vendors) {
    const job = (ranks: number, hosts: string, ...args: string[]) =>
      mpiexec(vendor, ranks, PROGRAM, {
        args: [join(directory, 'spools'), ...args],
        env: { HOSTS: hosts },
      });
    const spoolsOf = (host: string) => join(directory, 'spools', host);

    it(`brings in what every host has left, by mpiexec braid recover --mpi, on ${vendor.name}`, async () => {
      await job(3, 'node-a,node-b,node-b', 'die', path);
      assert.deepEqual(['node-a', 'node-b'].map((host) => readdirSync(spoolsOf(host)).length), [1, 2]); // prettier-ignore

      const before = stateOf(directory);
      const dry = await job(2, 'node-a,node-b', 'braid', 'recover', path, '--mpi', '--json', '--dry-run');
      assert.equal(dry.code, 0, dry.stderr);
      assert.deepEqual(stateOf(directory), before);
      const would = reportIn(dry.stdout);

      const run = await job(3, 'node-b,node-a,node-a', 'braid', 'recover', path, '--mpi', '--json');
      assert.equal(run.code, 0, run.stderr);
      const did = reportIn(run.stdout);
      assert.deepEqual([did.ops, did.records, did.left], [30, 30, []]);
      assert.deepEqual([would.ops, would.records, would.left], [did.ops, did.records, did.left]);
      assert.deepEqual(did.attempts[0].files.length, 3);
      assert.deepEqual(['node-a', 'node-b'].map((host) => readdirSync(spoolsOf(host))), [[], []]); // prettier-ignore
      assert.equal(new Set(namesIn(path)).size, 30);
      assert.equal(namesIn(path).length, 30);
      assert.deepEqual(verify(path).problems, []);
      assert.notEqual(statusIn(path)[0], 'RUNNING');
    });

    it(`leaves a host that was not asked alone, and names it, until told, on ${vendor.name}`, async () => {
      await job(3, 'node-a,node-b,node-c', 'die', path);
      const run = await job(
        2,
        'node-b,node-c',
        'braid',
        'recover',
        path,
        '--mpi',
        '--json',
        '--spool',
        spoolsOf('node-a'),
      );
      // Its root ran there, and may be writing to the database.
      assert.notEqual(run.code, 0);
      const { attempts, left } = reportIn(run.stdout);
      assert.deepEqual(attempts, []);
      assert.deepEqual(left.map(({ reason, host }) => [reason, host]), ['a', 'b', 'c'].map((node) => ['other-host', `node-${node}`])); // prettier-ignore
      assert.deepEqual(statusIn(path), ['RUNNING']);
      for (const host of ['node-a', 'node-b', 'node-c']) assert.equal(readdirSync(spoolsOf(host)).length, 1);
      const again = await job(
        2,
        'node-b,node-c',
        'braid',
        'recover',
        path,
        '--mpi',
        '--assume-dead',
        left[0].run!.slice(0, 8),
      );
      assert.equal(again.code, 0, again.stderr);
      assert.match(again.stdout, /brought 30 ops \(30 records\) of 1 dead run/);
      assert.equal(new Set(namesIn(path)).size, 30);
      assert.equal(namesIn(path).length, 30);
      assert.deepEqual(verify(path).problems, []);
    });

    it(`brings in what is here where only the root's host was asked, and names the rest until it is read, on ${vendor.name}`, async () => {
      await job(2, 'node-a,node-b', 'die', path);
      const hidden = join(directory, 'hidden');
      renameSync(spoolsOf('node-b'), hidden);
      const first = await job(1, 'node-a', 'braid', 'recover', path, '--json');
      assert.equal(first.code, 1, first.stderr);
      const { attempts, left } = reportIn(first.stdout);
      assert.deepEqual([attempts[0].records, attempts[0].status], [10, 'INCOMPLETE']);
      assert.deepEqual(left.map(({ reason, host, rank }) => [reason, host, rank]), [['other-host', 'node-b', 1]]); // prettier-ignore
      // It is named as long as it isn't read, and the ids that it may bring are given to nobody.
      const second = await job(1, 'node-a', 'braid', 'recover', path, '--json');
      assert.deepEqual([second.code, reportIn(second.stdout).left.length], [1, 1]);
      assert.match((await job(1, 'node-a', 'braid', 'verify', path)).stdout, /rank 1 ran on node-b/);
      await job(1, 'node-a', 'die', path);
      renameSync(hidden, spoolsOf('node-b'));
      const third = await job(2, 'node-a,node-b', 'braid', 'recover', path, '--mpi', '--json');
      assert.equal(third.code, 0, third.stderr);
      assert.equal(reportIn(third.stdout).left.length, 0);
      assert.equal(namesIn(path).length, 30);
      assert.deepEqual(verify(path).problems, []);
    });

    it(`leaves a run alone of which one rank lives, and another doesn't, on ${vendor.name}`, async () => {
      const job = startRanks([vendor.mpiexec, '-n', '2'], program('signals'), { args: [path, 'waiting'] });
      const pids = (await job.lines(/^ready (\d) (\d+)$/, 2)).sort().map(([, , pid]) => Number(pid));
      const spools = join(directory, `run.db-spool-${process.geteuid!()}`);
      const files = readdirSync(spools).sort();
      assert.equal(files.length, 2);
      const report = async (...options: string[]) => {
        const { code, stdout } = await braid(['recover', path, '--json', ...options]);
        return { code, ...(JSON.parse(stdout) as RecoverReport) };
      };
      // Of a rank that dies its launcher would tell the other.
      const launchers = [job.pid, ...descendants(job.pid)].filter((pid) => !pids.includes(pid));
      for (const pid of launchers) process.kill(pid, 'SIGSTOP');
      process.kill(pids[1], 'SIGKILL');
      await ended(pids[1]);
      for (const options of [['--dry-run'], [], ['--assume-dead', files[0].split('.')[0]]]) {
        const { code, attempts, left } = await report(...options);
        assert.deepEqual([code, attempts], [0, []]);
        assert.deepEqual(left.map(({ file, reason }) => [basename(file!), reason]).sort(), files.map((file) => [file, 'alive'])); // prettier-ignore
        assert.deepEqual(readdirSync(spools).sort(), files);
        assert.deepEqual([statusIn(path), namesIn(path)], [['RUNNING'], []]);
      }
      process.kill(pids[0], 'SIGKILL');
      await ended(pids[0]);
      assert.equal((await report()).records, 10);
      assert.deepEqual(statusIn(path), ['INCOMPLETE']);
      assertNothingLost(path);
      assert.deepEqual(verify(path).problems, []);
    });

    it(`tells every rank the same, a report or an error, on ${vendor.name}`, async () => {
      const missing = await job(2, 'node-a,node-b', 'library', join(directory, 'none.db'));
      assert.equal(missing.code, 0, missing.stderr);
      assert.equal(missing.stdout, '{"code":"ERR_BRAID_DB_NOT_FOUND"}\n'.repeat(2));
      const one = await job(2, 'node-a,node-b', 'braid', 'recover', join(directory, 'none.db'), '--mpi');
      assert.equal(one.stderr.match(/ERR_BRAID_DB_NOT_FOUND/g)?.length, 1, one.stderr);
      assert.notEqual(one.code, 0);

      await job(2, 'node-a,node-b', 'die', path);
      const nowhere = await job(2, 'node-a,node-b', 'library', path, join(directory, 'nowhere'));
      assert.equal(nowhere.stdout, '{"code":"ERR_BRAID_OPTION_INVALID"}\n'.repeat(2));
      const run = await job(2, 'node-a,node-b', 'library', path);
      const [first, second] = run.stdout.trim().split('\n').map((line) => JSON.parse(line) as RecoverReport); // prettier-ignore
      assert.deepEqual(first, second);
      assert.equal(first.records, 20);
    });
  }

  it('brings all in once where it is killed again and again, beside a run that lives', async () => {
    const count = 100_000;
    const live = startJob(path, 'waiting-flushes', 20);
    await live.line('flushed');
    await leave(count);
    let kills = 0;
    for (let ms = 60; ; ms += 45) {
      const child = spawn(process.execPath, [BRAID, 'recover', path], { stdio: 'ignore' });
      const ended = new Promise<NodeJS.Signals | null>((done) => child.on('close', (_, signal) => done(signal)));
      const timer = setTimeout(() => child.kill('SIGKILL'), ms);
      live.child.stdin!.write('flush\n');
      await live.line('flushed');
      const signal = await ended;
      clearTimeout(timer);
      if (signal === null) break;
      kills++;
    }
    assert.ok(kills >= 3, `${kills}`);
    const more = query<{ n: number }>(path, "SELECT count(*) AS n FROM records WHERE name LIKE '%.'")[0].n;
    assert.equal(more, 20 * (kills + 2));
    assert.deepEqual(namesIn(path).filter((name) => !name.endsWith('.')), expected(count)); // prettier-ignore
    assert.deepEqual(statusIn(path), ['RUNNING', 'INCOMPLETE']);
    await live.kill();
    assert.equal((await braid(['recover', path])).code, 0);
    assert.deepEqual(statusIn(path), ['INCOMPLETE', 'INCOMPLETE']);
    assert.deepEqual(verify(path).problems, []);
  });

  it('may be done by three at once, while one only looks and another opens the database', async () => {
    await leave(20_000);
    const open = async () => {
      const db = await BraidDB.open(path, { mpi: 'off' });
      await db.close();
    };
    const three = [1, 2, 3].map(() => braid(['recover', path]));
    const [results] = await Promise.all([Promise.all(three), braid(['recover', path, '--dry-run']), open()]);
    assert.deepEqual(results.map(({ code }) => code), [0, 0, 0]); // prettier-ignore
    // Whoever only looked may have been in the way of all.
    assert.equal((await braid(['recover', path])).code, 0);
    assert.deepEqual(namesIn(path), expected(20_000));
    assert.deepEqual(statusIn(path), ['INCOMPLETE', 'COMPLETED']);
    assert.deepEqual(verify(path).problems, []);
  });

  it('says in a dry run what the real one then does, and changes no byte and no time', async () => {
    await runJob(path, 'many', 5);
    await leave(3000);
    const before = stateOf(directory);
    const dry = JSON.parse((await braid(['recover', path, '--dry-run', '--json'])).stdout) as RecoverReport;
    assert.deepEqual(stateOf(directory), before);
    const real = JSON.parse((await braid(['recover', path, '--json'])).stdout) as RecoverReport;
    assert.deepEqual({ ...dry, dryRun: false }, real);
    assert.equal(real.records, 3000);
  });

  it('leaves no run RUNNING, whenever a job is killed that begins', async () => {
    await runJob(path, 'many', 1);
    for (let ms = 20; ms <= 200; ms += 15) {
      const job = startJob(path, 'waiting', 3);
      await new Promise((done) => setTimeout(done, ms));
      await job.kill();
    }
    assert.equal((await braid(['recover', path])).code, 0);
    assert.ok(statusIn(path).every((status) => status !== 'RUNNING'), String(statusIn(path))); // prettier-ignore
    assert.equal(existsSync(`${path}-spool-${process.geteuid!()}`), false);
    assert.deepEqual(verify(path).problems, []);
  });

  it("brings the names of a spool to the disk with durability: 'node', too, through all directories that it makes", () => {
    const spoolDir = join(directory, 'one', 'two');
    const script = `
      import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      const { fsyncSync } = fs;
      fs.fsyncSync = (fd) => (console.log(fs.readlinkSync('/proc/self/fd/' + fd)), fsyncSync(fd));
      syncBuiltinESMExports();
      const { BraidDB } = await import('braid-mpi');
      await BraidDB.open(${JSON.stringify(path)}, { durability: process.argv[1], spoolDir: ${JSON.stringify(spoolDir)} });`;
    const synced = (durability: string) =>
      spawnSync(process.execPath, ['--input-type=module', '-e', script, durability], { encoding: 'utf8' }).stdout;
    assert.equal(synced('node'), `${spoolDir}\n${join(directory, 'one')}\n${directory}\n`);
    assert.equal(synced('process'), '');
  });
});
