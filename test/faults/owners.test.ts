import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { verify } from 'braid-mpi';
import { braid, query, runJob, startJob } from '../cli/support.js';
import { run } from '../support/mpiexec.js';

const JOB = fileURLToPath(new URL('../cli/job.js', import.meta.url));
const NOBODY = 65534;
const USERS = [65533, NOBODY];

const isRoot = process.getuid!() === 0;
const hasSetpriv = spawnSync('setpriv', ['--version']).status === 0;
const asRoot = isRoot ? it : it.skip;
const asTwo = isRoot && hasSetpriv ? it : it.skip;
const unlessTwo = isRoot && hasSetpriv ? '' : ': takes root and setpriv';
const unlessRoot = isRoot ? '' : ': takes root';

const mode = (path: string) => (lstatSync(path).mode & 0o7777).toString(8);

describe('owners', function () {
  this.timeout(60_000);
  let directory: string;
  let path: string;
  let spools: string;
  beforeEach(() => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), 'braid-owners-')));
    path = join(directory, 'run.db');
    spools = `${path}-spool-${process.geteuid!()}`;
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const refused = async (spoolDir?: string) => {
    const env: Record<string, string> = spoolDir === undefined ? {} : { BRAID_SPOOL_DIR: spoolDir };
    const { code, stderr } = await startJob(path, 'many', 1, env).ended;
    assert.notEqual(code, 0);
    assert.match(stderr, /ERR_BRAID_SPOOL_FOREIGN/);
  };

  it('a spool is 0600 in a directory that is made as 0700, whatever the umask is', async () => {
    const umask = process.umask(0);
    const job = startJob(path, 'waiting', 1);
    process.umask(umask);
    await job.line('waiting');
    assert.equal(mode(spools), '700');
    assert.deepEqual(readdirSync(spools).map((name) => mode(join(spools, name))), ['600']); // prettier-ignore
    job.child.stdin!.end();
    assert.equal((await job.ended).code, 0);
  });

  it('a directory that is a link, or that others may write to, is refused', async () => {
    mkdirSync(join(directory, 'elsewhere'), { mode: 0o700 });
    symlinkSync(join(directory, 'elsewhere'), spools);
    await refused();
    rmSync(spools);
    for (const bits of [0o770, 0o1777]) {
      mkdirSync(spools);
      chmodSync(spools, bits);
      await refused(bits === 0o770 ? undefined : spools);
      rmSync(spools, { recursive: true });
    }
    assert.deepEqual(readdirSync(join(directory, 'elsewhere')), []);
    // One in it that is made is the user's own.
    mkdirSync(join(directory, 'scratch'));
    chmodSync(join(directory, 'scratch'), 0o1777);
    await runJob(path, 'many', 1, { BRAID_SPOOL_DIR: join(directory, 'scratch', 'mine') });
  });

  asRoot(`a directory of somebody else is refused${unlessRoot}`, async () => {
    mkdirSync(spools, { mode: 0o700 });
    chownSync(spools, NOBODY, NOBODY);
    await refused();
  });

  it('what is no spool, by a name of one, holds nobody up and stays as it is', async () => {
    await runJob(path, 'many', 1);
    mkdirSync(spools, { mode: 0o700 });
    const at = (name: string) => join(spools, `${'0'.repeat(32)}.1.${name}`);
    for (const ending of ['spool', 'spool.making']) {
      assert.equal(spawnSync('mkfifo', [at(`0.${ending}`)]).status, 0);
      mkdirSync(at(`1.${ending}`));
      symlinkSync(path, at(`2.${ending}`));
      symlinkSync('/dev/zero', at(`3.${ending}`));
      if (isRoot) spawnSync('mknod', [at(`4.${ending}`), 'c', '1', '5']);
    }
    const before = readdirSync(spools).map((name) => [name, lstatSync(join(spools, name)).ino]);
    await runJob(path, 'many', 1);
    const commands = [['recover', '--dry-run'], ['recover'], ['verify'], ['doctor'], ['stats']];
    const all = await Promise.all(commands.map(([name, ...args]) => braid([name, path, ...args])));
    assert.deepEqual(all.filter(({ code }) => code === null), []); // prettier-ignore
    const { stdout } = await braid(['recover', path, '--json']);
    const { left } = JSON.parse(stdout) as { left: { reason: string }[] };
    assert.deepEqual([...new Set(left.map(({ reason }) => reason))], ['unreadable']);
    assert.equal(left.length, before.filter(([name]) => String(name).endsWith('.spool')).length);
    assert.deepEqual(readdirSync(spools).map((name) => [name, lstatSync(join(spools, name)).ino]), before); // prettier-ignore
    assert.equal(query<{ n: number }>(path, 'SELECT count(*) AS n FROM records')[0].n, 2);
  });

  asRoot(`a spool of somebody else in a directory of ours is neither brought in nor deleted${unlessRoot}`, async () => {
    await runJob(path, 'unclosed', 5);
    const [name] = readdirSync(spools);
    const spool = join(spools, name);
    const making = (owner: string) => `${spool}.${(owner === 'ours' ? 'a' : 'b').repeat(36)}.making`;
    for (const owner of ['theirs', 'ours']) writeFileSync(making(owner), '');
    for (const theirs of [spool, making('theirs')]) chownSync(theirs, NOBODY, NOBODY);
    const before = readFileSync(spool);
    for (const bring of [() => runJob(path, 'many', 0), () => braid(['recover', path])]) {
      await bring();
      assert.deepEqual(readdirSync(spools).sort(), [name, basename(making('theirs'))]);
      assert.ok(readFileSync(spool).equals(before));
      assert.equal(query<{ n: number }>(path, 'SELECT count(*) AS n FROM records')[0].n, 0);
    }
    for (const theirs of [spool, making('theirs')]) chownSync(theirs, 0, 0);
    await runJob(path, 'many', 0);
    assert.equal(query<{ n: number }>(path, 'SELECT count(*) AS n FROM records')[0].n, 5);
    assert.equal(existsSync(spools), false);
  });

  it('a link by the name under which a spool is made is not followed', async () => {
    await runJob(path, 'many', 1);
    const [{ uuid }] = query<{ uuid: string }>(path, 'SELECT uuid FROM runs');
    mkdirSync(spools, { mode: 0o700 });
    const victim = join(directory, 'victim');
    const link = join(spools, `${uuid}.2.0.spool.guessed.making`);
    symlinkSync(victim, link);
    // Nobody can guess that name; here it isn't random.
    const guessed = `
      import crypto from 'node:crypto';
      import { syncBuiltinESMExports } from 'node:module';
      crypto.randomUUID = () => 'guessed';
      syncBuiltinESMExports();`;
    const env = {
      BRAID_RESUME: uuid,
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(guessed)}`,
    };
    for (const content of [undefined, 'precious']) {
      if (content !== undefined) writeFileSync(victim, content);
      const { code, stderr } = await startJob(path, 'many', 1, env).ended;
      assert.notEqual(code, 0);
      assert.match(stderr, /EEXIST.*guessed\.making/);
      assert.equal(existsSync(victim) ? readFileSync(victim, 'utf8') : undefined, content);
      assert.ok(lstatSync(link).isSymbolicLink());
    }
  });

  asTwo(`two users of a group record into one database, each by a directory of their own${unlessTwo}`, async () => {
    const shared = join(directory, 'shared');
    mkdirSync(shared);
    chownSync(shared, 0, NOBODY);
    chmodSync(shared, 0o2770);
    chmodSync(directory, 0o755);
    const db = join(shared, 'run.db');
    const jobOf = (uid: number, ...args: string[]) => {
      const script = 'umask 007; exec "$@"';
      const user = ['--reuid', String(uid), '--regid', String(NOBODY), '--clear-groups'];
      return run('setpriv', [...user, 'sh', '-c', script, 'sh', process.execPath, JOB, db, ...args], {
        env: { HOME: shared, TMPDIR: shared },
        timeoutMs: 30_000,
      });
    };
    assert.equal((await jobOf(USERS[0], 'many', '1')).code, 0);
    chmodSync(db, 0o660);
    for (let round = 0; round < 2; round++) {
      const runs = await Promise.all(USERS.map((uid) => jobOf(uid, 'many', '50')));
      assert.deepEqual(runs.map(({ code }) => code), [0, 0], runs.map(({ stderr }) => stderr).join('\n')); // prettier-ignore
    }
    // One who leaves a spool leaves it in a directory of their own, and it is for them to bring it in.
    const left = await jobOf(NOBODY, 'unclosed', '5');
    const theirs = `${db}-spool-${NOBODY}`;
    assert.deepEqual([mode(theirs), lstatSync(theirs).uid], ['2700', NOBODY], left.stderr);
    assert.equal((await jobOf(USERS[0], 'many', '1')).code, 0);
    assert.equal(readdirSync(theirs).length, 1);
    assert.equal((await jobOf(NOBODY, 'many', '1')).code, 0);
    assert.equal(query<{ n: number }>(db, 'SELECT count(*) AS n FROM records')[0].n, 208);
    assert.deepEqual(verify(db).problems, []);
  });
});
