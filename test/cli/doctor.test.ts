import assert from 'node:assert/strict';
import { chmodSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mpiexec, vendors } from '../support/mpiexec.js';
import { BRAID, braid, makeBraidDbFile, makeDirectory } from './support.js';

interface Report {
  findings: { area: string; name: string; level: string; value: string; advice?: string }[];
}

describe('doctor', function () {
  this.timeout(120_000);
  const directory = makeDirectory();
  const path = join(directory.path, 'run.db');
  after(() => directory.remove());

  const find = (text: string, area: string, name: string) => {
    const { findings } = JSON.parse(text) as Report;
    const found = findings.find((finding) => finding.area === area && finding.name === name);
    assert.ok(found, `${area} ${name} in ${text}`);
    return found;
  };

  it('looks at all that a job stands on, and leaves no trace', async () => {
    const { code, stdout, stderr } = await braid(['doctor', path]);
    assert.deepEqual([code, stderr], [0, ''], stdout);
    for (const title of ['Software', 'MPI', 'Database', 'Spool of this process', 'System']) {
      assert.match(stdout, new RegExp(`^${title}$`, 'm'));
    }
    assert.match(stdout, /A job can record here\.\n$/);
    const json = (await braid(['doctor', path, '--json'])).stdout;
    assert.equal(find(json, 'software', 'node').value, process.version);
    assert.equal(find(json, 'mpi', 'launcher').value, 'none: this process runs alone');
    assert.equal(find(json, 'spool', 'directory').value, `${path}-spool-${process.geteuid!()}`);
    assert.equal(find(json, 'database', 'file').value, `${path}, to be made`);
  });

  it('says where a job would stop', async () => {
    const theirs = join(directory.path, 'theirs.db');
    makeBraidDbFile(theirs);
    const text = join(directory.path, 'text.db');
    writeFileSync(text, 'not a database, but long enough to be one '.repeat(100));
    for (const file of [theirs, text, directory.path, join(directory.path, 'no', 'where.db')]) {
      const { code, stdout } = await braid(['doctor', file]);
      assert.equal(code, 1, stdout);
      assert.match(stdout, /FAIL {2}(file|directory)/);
    }
  });

  it('tells of a spool directory that can not be used, and of options that can not be', async () => {
    const file = join(directory.path, 'file');
    writeFileSync(file, '');
    chmodSync(file, 0o600);
    const wrong = await braid(['doctor', path, '--json'], { env: { BRAID_SPOOL_DIR: join(file, 'spool') } });
    assert.equal(wrong.code, 1);
    assert.equal(find(wrong.stdout, 'spool', 'directory').level, 'fail');
    const option = await braid(['doctor', path, '--json'], { env: { BRAID_ROUND_BYTES: 'many' } });
    assert.equal(option.code, 1);
    assert.match(find(option.stdout, 'spool', 'options').advice!, /BRAID_ROUND_BYTES/);
  });

  it('tells what a full disk does to a spool, by the file system', async () => {
    for (const [type, level, advice] of [
      [0xef53, 'ok', /^undefined$/],
      [0x01021994, 'note', /lives in memory/],
      [0x9123683e, 'note', /SIGBUS/],
      [0x6969, 'warn', /BRAID_SPOOL_DIR/],
    ] as const) {
      const env = {
        BRAID_SPOOL_DIR: join(directory.path, 'spools'),
        BRAID_TEST_STATFS: `${type}:${realpathSync(directory.path)}`,
      };
      const found = find((await braid(['doctor', path, '--json'], { env })).stdout, 'spool', 'filesystem');
      assert.equal(found.level, level, found.value);
      assert.match(String(found.advice), advice);
    }
  });

  for (const vendor of vendors) {
    it(`tells of the MPI that is up, once for all ranks: ${vendor.name}`, async () => {
      const { code, stdout, stderr } = await mpiexec(vendor, 2, BRAID, { args: ['doctor', path, '--json'] });
      assert.equal(code, 0, stderr);
      assert.match(find(stdout, 'mpi', 'ranks').value, /^rank 0 of 2/);
      assert.equal(find(stdout, 'mpi', 'thread_level').level, 'ok');
      assert.match(find(stdout, 'mpi', vendor.name).value, /used here/);
    });
  }
});
