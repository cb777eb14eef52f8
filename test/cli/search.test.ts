import assert from 'node:assert/strict';
import { join } from 'node:path';
import { braidInThread, makeBraidDbFile, makeDirectory, runJob } from './support.js';

describe('braid search', function () {
  this.timeout(60_000);
  const directory = makeDirectory();
  const path = join(directory.path, 'graph.db');
  before(() => runJob(path, 'graph'));
  after(() => directory.remove());

  const names = async (...args: string[]) => {
    const { code, stdout, stderr } = await braidInThread(['search', ...args, '--json']);
    assert.deepEqual([code, stderr], [0, '']);
    return stdout === '' ? [] : stdout.trimEnd().split('\n').map((line) => (JSON.parse(line) as { name: string }).name); // prettier-ignore
  };

  it('prints a JSON object for each record', async () => {
    assert.deepEqual(await names(path, 'name=scan-* or kind=model'), ['model', 'model', 'model', 'model', 'scan-0', 'scan-1', 'scan-2']); // prettier-ignore
    assert.deepEqual(await names(path, 'kind=model and kind!=version'), ['model']);
    assert.deepEqual(await names(path, 'loss<0.6 and step>=1'), ['model', 'model']);
    assert.deepEqual(await names(path, 'energy>12 and on=true'), ['config']);
    assert.deepEqual(await names(path, 'not valid'), ['twin']);
    assert.deepEqual(await names(path, 'name=scan-*', '--limit', '2'), ['scan-0', 'scan-1']);
    assert.deepEqual(await names(path, 'energy>13'), []);
  });

  it('prints a line for each, with its tags', async () => {
    const { code, stdout, stderr } = await braidInThread(['search', path, 'tag:energy or invalid']);
    assert.deepEqual([code, stderr], [0, '']);
    const time = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}`;
    const of = `  ${time}  run [0-9a-f]{8} rank 0`;
    const [config, twin, ...more] = stdout.split('\n');
    assert.match(config, new RegExp(`^\\[1\\] fact config${of}  energy=12.4  on=true$`));
    assert.match(twin, new RegExp(`^\\[2\\] fact twin${of}  INVALID  text="1"  line="two`));
    assert.ok(twin.endsWith(String.raw`  line="two\nlines \u001b[31m"  big=1152921504606846976`), twin);
    assert.deepEqual(more, ['']);
  });

  it('prints a line for each version, by which it can be named', async () => {
    const { code, stdout, stderr } = await braidInThread(['search', path, 'loss<0.6']);
    assert.deepEqual([code, stderr], [0, '']);
    const lines = stdout.trimEnd().split('\n');
    assert.match(lines[0], /^\[4\] model model@2 step 1 {2}\d{4}-.* {2}run [0-9a-f]{8} rank 0 {2}loss=0\.5$/);
    assert.match(lines[1], /^\[4\] model model@3 step 2 {2}.* {2}loss=0\.3333/);
    assert.equal(lines.length, 2);
  });

  it('shows where an expression is wrong', async () => {
    const { code, stdout, stderr } = await braidInThread(['search', path, 'ü="a\tb" and loss 0.05']);
    assert.deepEqual([code, stdout], [2, '']);
    const [message, expression, mark, ...rest] = stderr.split('\n');
    assert.match(message, /^braid: ERR_BRAID_SEARCH_INVALID: at character 18: a comparison .* must follow loss$/);
    assert.equal(expression, '  ü="a\\tb" and loss 0.05');
    assert.equal(mark.indexOf('^'), expression.indexOf('0.05'));
    assert.deepEqual(rest, ['']);
  });

  it('says so as JSON where JSON is asked for', async () => {
    const { code, stderr } = await braidInThread(['search', path, 'loss<', '--json']);
    assert.equal(code, 2);
    const { error } = JSON.parse(stderr) as { error: { code: string; message: string; position: number } };
    assert.deepEqual([error.code, error.position], ['ERR_BRAID_SEARCH_INVALID', 5]);
  });

  it('searches a file that Braid-DB has made', async () => {
    const theirs = join(directory.path, 'braid-db.db');
    makeBraidDbFile(theirs);
    assert.deepEqual(await names(theirs, 'n>=5 and n<5.5'), ['second']);
    assert.deepEqual(await names(theirs, 'uri=file:* and time<2026-01-03 and kind=record'), ['first']);
    assert.deepEqual(await names(theirs, 'run=* or rank>=0'), []);
    assert.deepEqual(await names(theirs, 'not (run=* or rank>=0)'), ['first', 'second']);
  });
});
