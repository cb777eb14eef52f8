import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BraidReader, renderGraph } from 'braid-mpi';
import { braidInThread, makeDirectory, runJob } from './support.js';

describe('braid graph', function () {
  this.timeout(60_000);
  const directory = makeDirectory();
  const path = join(directory.path, 'run.db');
  let reader: BraidReader;
  before(async () => {
    await runJob(path, 'graph');
    reader = BraidReader.open(path);
  });
  after(() => {
    reader.close();
    directory.remove();
  });

  it('prints what the library draws', async () => {
    const { code, stdout, stderr } = await braidInThread([
      'graph',
      path,
      'name:model',
      '--as-of',
      'step=1',
      '--depth',
      '2',
    ]);
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(stdout, await renderGraph(reader.graph('name:model', { asOf: { step: 1 }, depth: 2 }), 'svg'));
  });

  it('writes the format that the file is named for, and leaves nothing beside it', async () => {
    const file = join(directory.path, 'out.mmd');
    const { code, stdout } = await braidInThread(['graph', path, 'name:scan-1', '--up', '--down', '-o', file]);
    assert.equal(code, 0);
    const graph = reader.graph('name:scan-1', { direction: 'both' });
    assert.equal(stdout, `written to ${file}: ${graph.nodes.length} nodes\n`);
    assert.equal(readFileSync(file, 'utf8'), await renderGraph(graph, 'mermaid'));
    assert.deepEqual(readdirSync(directory.path).filter((name) => name.includes('tmp')), []); // prettier-ignore
  });

  it('gives all of it as JSON, and folds where that is asked for', async () => {
    const whole = await braidInThread(['graph', path, 'name:peaks-2', '--json', '--down']);
    assert.deepEqual(JSON.parse(whole.stdout), JSON.parse(JSON.stringify(reader.graph('name:peaks-2', { direction: 'descendants' })))); // prettier-ignore
    const { stdout } = await braidInThread(['graph', path, 'name:peaks-2', '--format', 'json', '--limit', '6']);
    const { nodes, folds } = JSON.parse(stdout) as { nodes: unknown[]; folds: { name: string; count: number }[] };
    assert.ok(nodes.length + folds.length <= 6 && folds.some(({ name }) => name === 'scan-*'), stdout);
  });

  it('says what is wrong with what it was asked', async () => {
    const blocked = join(directory.path, 'blocked.svg');
    mkdirSync(blocked);
    const wrong: [number, string, ...string[]][] = [
      [1, 'ERR_BRAID_OUTPUT', '-o', blocked],
      [2, 'ERR_BRAID_OPTION_INVALID', '--limit', '5', '--no-fold'],
      [2, 'ERR_BRAID_OPTION_INVALID', '--json', '--format', 'dot'],
      [2, 'ERR_BRAID_VERSION_INVALID', '--as-of', 'yesterday'],
      [2, 'ERR_BRAID_USAGE', '--format', 'png'],
      [2, 'ERR_BRAID_USAGE', '--limit', '0'],
    ];
    for (const [code, error, ...args] of wrong) {
      const ended = await braidInThread(['graph', path, 'name:model', ...args]);
      assert.deepEqual([ended.code, ended.stdout], [code, ''], ended.stderr);
      assert.match(ended.stderr, new RegExp(`^(braid: |{"error":{"code":")${error}\\b`));
    }
    assert.deepEqual(readdirSync(directory.path).filter((name) => name.includes('tmp')), []); // prettier-ignore
  });
});
