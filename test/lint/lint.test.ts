import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { run } from '../support/mpiexec.js';

const checkout = fileURLToPath(new URL('../../../', import.meta.url));

describe('the sources', function () {
  this.timeout(400_000);

  it('pass ESLint, Prettier, and what is asked of native code', async () => {
    const { code, stdout, stderr } = await run('npm', ['run', '--silent', '--prefix', checkout, 'lint'], {
      timeoutMs: 390_000,
    });
    assert.equal(code, 0, `npm run lint\n${stdout}${stderr}`);
  });
});
