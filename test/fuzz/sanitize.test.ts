import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';

const root = path.dirname(createRequire(import.meta.url).resolve('braid-mpi/package.json'));

describe('the native parts', () => {
  it('pass their tests under the sanitizers, and leave no memory behind', function () {
    if (!path.isAbsolute(spawnSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout.trim())) {
      this.test!.title += " (needs GCC's libasan: scripts/setup --dev)";
      this.skip();
    }
    this.timeout(240_000);
    const tests = ['core', 'hostile', 'sqlite-extension'].map((name) => `dist-dev/test/native/${name}.test.js`);
    const { status, stderr, stdout } = spawnSync(path.join(root, 'scripts/sanitize'), tests, { encoding: 'utf8' });
    assert.equal(status, 0, `${stdout.slice(-2000)}\n${stderr.slice(-4000)}`);
  });
});
