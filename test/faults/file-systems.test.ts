import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verify } from 'braid-mpi';
import { braid, query, startJob } from '../cli/support.js';
import { concurrently } from '../support/concurrently.js';
import { mpiexec, runAlone, vendors } from '../support/mpiexec.js';
import { program } from './jobs.js';
import { checkPromise } from './promise.js';

/** Those that are not here: what statfs would say, and what follows. None of them was tried itself. */
const FILE_SYSTEMS = [
  { name: 'nfs', type: 0x6969, local: false },
  { name: 'lustre', type: 0x0bd00bd0, local: false },
  { name: 'gpfs', type: 0x47504653, local: false },
  { name: 'zfs', type: 0x2fc12fc1, local: true },
  { name: 'one that nobody knows', type: 0x12345, local: false },
];

const ELSEWHERE = new URL('elsewhere.rank.js', import.meta.url).href;

describe('file systems that are not here, by what statfs says', function () {
  this.timeout(120_000);
  let directory: string;
  beforeEach(() => (directory = realpathSync(mkdtempSync(join(tmpdir(), 'braid-file-systems-')))));
  afterEach(() => rmSync(directory, { recursive: true }));

  /** A database there, and an environment whose temporary directory is on a disk of this machine. */
  const place = ({ name, type }: { name: string; type: number }) => {
    const [there, here] = ['there', 'here'].map((each) => join(directory, name, each));
    for (const each of [there, here]) mkdirSync(each, { recursive: true });
    const env = { TMPDIR: here, BRAID_TEST_STATFS: `${type}:${there}` };
    return { path: join(there, 'run.db'), there, here, env };
  };
  const statuses = (path: string) =>
    query<{ status: string }>(path, 'SELECT status FROM runs ORDER BY run_id').map(({ status }) => status);

  it('a job that is killed in the midst of a commit leaves a rollback journal, and the next brings all in', () =>
    concurrently(
      FILE_SYSTEMS.map((fileSystem) => [
        fileSystem.name,
        async () => {
          const { path, there, here, env } = place(fileSystem);
          const job = (...fault: string[]) =>
            runAlone(program('faults'), { args: [path, ...fault], env: { ...env, BRAID_MPI: 'off' } });
          const killed = await job('0', 'commit.inserted:5');
          assert.equal(killed.signal, 'SIGKILL', killed.stderr);
          const left = readdirSync(there).filter((each) => each !== 'run.db-told');
          const spools = `run.db-spool-${process.geteuid!()}`;
          assert.deepEqual(left, ['run.db', 'run.db-journal', ...(fileSystem.local ? [spools] : [])]);
          const temporary = join(here, `braid-spool-${process.geteuid!()}`);
          assert.equal(readdirSync(fileSystem.local ? join(there, spools) : temporary).length, 1);
          const next = await job();
          assert.deepEqual([next.code, next.stderr], [0, '']);
          assert.deepEqual(statuses(path), ['INCOMPLETE', 'COMPLETED']);
          assert.equal(existsSync(temporary), false);
          await checkPromise(path);
        },
      ]),
    ));

  it('two runs at once on one host both land whole on zfs', async () => {
    const { path, env } = place(FILE_SYSTEMS[3]);
    const job = () =>
      runAlone(program('faults'), { args: [path, '-', 'none', '2'], env: { ...env, BRAID_MPI: 'off' } });
    const runs = await Promise.all([job(), job()]);
    assert.deepEqual(runs.map(({ code }) => code), [0, 0], runs.map(({ stderr }) => stderr).join('\n')); // prettier-ignore
    await checkPromise(path);
  });

  it('the second of two runs is told to use a file of its own on a network, on every rank, before anything is written', async () => {
    const { path, there, here, env } = place(FILE_SYSTEMS[1]);
    const first = startJob(path, 'waiting', 10, env);
    const run = await first.line('run');
    await first.line('waiting');
    const before = [readFileSync(path), readdirSync(there), readdirSync(here, { recursive: true })];
    const second = await startJob(path, 'many', 10, env).ended;
    const jobs = [second.stderr];
    const [vendor] = vendors;
    if (vendor) jobs.push((await mpiexec(vendor, 2, program('faults'), { args: [path], env })).stderr);
    for (const stderr of jobs) assert.match(stderr, /file of your own[^]*code: 'ERR_BRAID_DB_SHARED'/);
    assert.ok(second.stderr.includes(run), second.stderr);
    if (vendor) assert.equal(jobs[1].match(/code: 'ERR_BRAID_DB_SHARED'/g)?.length, 2, jobs[1]);
    rmSync(`${path}-told`, { recursive: true, force: true });
    assert.deepEqual([readFileSync(path), readdirSync(there), readdirSync(here, { recursive: true })], before);

    // One that is dead, as this host can see, is in nobody's way.
    await first.kill();
    assert.equal((await startJob(path, 'many', 10, env).ended).code, 0);
    assert.deepEqual(statuses(path), ['INCOMPLETE', 'COMPLETED']);
    assert.equal(query<{ n: number }>(path, 'SELECT count(*) AS n FROM records')[0].n, 20);
    assert.deepEqual(verify(path).problems, []);
  });

  it('a run that keeps its spool in a temporary directory of its own, which others do not see, is not taken for dead', async () => {
    const { path, here, env } = place(FILE_SYSTEMS[0]);
    const first = startJob(path, 'waiting', 10, env);
    const run = await first.line('run');
    await first.line('waiting');
    // What a job of another mount namespace has by that name is another directory.
    renameSync(here, `${here}-of-the-first`);
    mkdirSync(here);
    const second = await startJob(path, 'many', 10, env).ended;
    assert.match(second.stderr, new RegExp(`${run}[^]*ERR_BRAID_DB_SHARED`));
    const recovered = await braid(['recover', path, '--json'], { env });
    assert.equal(recovered.code, 1);
    assert.match(recovered.stdout, /is not to be seen from here/);
    assert.deepEqual(statuses(path), ['RUNNING']);
    rmSync(here, { recursive: true });
    renameSync(`${here}-of-the-first`, here);
    first.child.stdin!.end();
    assert.equal((await first.ended).code, 0);
    assert.deepEqual(statuses(path), ['COMPLETED']);
    assert.deepEqual(verify(path).problems, []);
  });

  it('a run is resumed on another host than that where it was killed', async () => {
    const { path, env } = place(FILE_SYSTEMS[0]);
    const there = { ...env, NODE_OPTIONS: `--import=${ELSEWHERE}` };
    const first = startJob(path, 'waiting', 10, there);
    const run = await first.line('run');
    await first.line('waiting');
    await first.kill();
    const second = await startJob(path, 'many', 10, { ...env, BRAID_RESUME: run }).ended;
    assert.equal(second.code, 0, second.stderr);
    assert.deepEqual(statuses(path), ['COMPLETED']);
    assert.equal((await braid(['recover', path], { env: there })).code, 0);
    assert.equal(query<{ n: number }>(path, 'SELECT count(*) AS n FROM records')[0].n, 20);
    assert.deepEqual(verify(path).problems, []);
  });

  it('a run on another host, which can not be asked, is in the way until it is said to be dead', async () => {
    const { path, env } = place(FILE_SYSTEMS[0]);
    const other = startJob(path, 'waiting', 10, { ...env, NODE_OPTIONS: `--import=${ELSEWHERE}` });
    const run = await other.line('run');
    await other.line('waiting');
    await other.kill();
    const second = await startJob(path, 'many', 10, env).ended;
    assert.match(second.stderr, new RegExp(`on node-b does: .*--assume-dead ${run}\\n[^]*ERR_BRAID_DB_SHARED`));
    const recovered = await braid(['recover', path, '--assume-dead', run], { env });
    assert.equal(recovered.code, 0, recovered.stderr);
    assert.equal((await startJob(path, 'many', 10, env).ended).code, 0);
    assert.deepEqual(statuses(path), ['INCOMPLETE', 'COMPLETED']);
    assert.equal(query<{ n: number }>(path, 'SELECT count(*) AS n FROM records')[0].n, 20);
    assert.deepEqual(verify(path).problems, []);
  });
});
