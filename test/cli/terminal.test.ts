import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { endWithTest } from '../support/children.js';
import { BRAID, braidInThread, makeDirectory, runJob } from './support.js';

describe('what the command prints', function () {
  this.timeout(120_000);
  const directory = makeDirectory();
  const path = join(directory.path, 'graph.db');
  before(() => runJob(path, 'graph'));
  after(() => directory.remove());

  /** Every command that prints something of its own accord, and ends. */
  const PRINTING: readonly (readonly string[])[] = [
    ['print', path],
    ['search', path, 'valid'],
    ['tail', path, '--all', '--until-end'],
    ['stats', path],
    ['lineage', path, '4'],
    ['versions', path, '4'],
    ['why', path, '4', '1'],
    ['common', path, 'name:peaks-0', 'name:peaks-1'],
    ['diff', path, '4@1', '4@3'],
    ['statement', path, '4@2'],
    ['graph', path, '4'],
    ['invalidate', path, '4', '--cause', 'wrong', '--dry-run'],
    ['invalidations', path],
    ['export', path, '--format', 'csv'],
    ['upgrade', path],
    ['merge', join(directory.path, 'merged.db'), path],
    ['lookup', path, '4'],
    ['extract', path, '4', '-o', join(directory.path, 'part.db'), '--force'],
    ['prune', path, '--invalid', '--keep-needed', '--dry-run'],
    ['verify', path],
    ['recover', path],
    ['doctor', path],
    ['completion', 'bash'],
    ['help'],
    ['--version'],
    ['search', '--help'],
  ];

  for (const args of PRINTING) {
    const title = args.filter((arg) => !arg.startsWith(directory.path)).join(' ');
    it(`ends without a word when nobody reads it: ${title}`, async () => {
      const child = endWithTest(spawn(process.execPath, [BRAID, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }));
      // Before it has started to write.
      child.stdout.destroy();
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      const [code, signal] = (await once(child, 'close')) as [number, string | null];
      assert.deepEqual([code, signal, stderr], [0, null, '']);
    });
  }

  it('ends without a word when nobody reads its errors', async () => {
    const child = endWithTest(
      spawn(process.execPath, [BRAID, 'print', 'nowhere.db'], { stdio: ['ignore', 'pipe', 'pipe'] }),
    );
    child.stderr.destroy();
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 1);
  });

  it('is JSON for each command that prints, where JSON is asked for and it has no format of its own', async () => {
    for (const args of PRINTING.filter((args) => !/help|--version|export/.test(args.join()))) {
      const { code, stdout, stderr } = await braidInThread([...args, '--json']);
      assert.deepEqual([code, stderr], [0, ''], args[0]);
      const documents = [
        'print',
        'search',
        'tail',
        'lineage',
        'versions',
        'common',
        'diff',
        'invalidate',
        'invalidations',
      ].includes(args[0])
        ? stdout.trimEnd().split('\n')
        : [stdout];
      for (const each of documents) assert.equal(typeof JSON.parse(each), 'object', args[0]);
    }
  });

  /** As on a terminal, which `script` makes. */
  const onTerminal = (command: string, env: Record<string, string | undefined> = {}) => {
    const { stdout, status } = spawnSync('script', ['-qec', command, '/dev/null'], {
      encoding: 'utf8',
      env: { ...process.env, TERM: 'xterm-256color', CI: undefined, NO_COLOR: undefined, NODE_DISABLE_COLORS: undefined, FORCE_COLOR: undefined, ...env }, // prettier-ignore
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return { stdout, status };
  };
  const BRAID_ON = `'${process.execPath}' '${BRAID}'`;

  it(`has colours on a terminal only, and none if NO_COLOR is set`, function () {
    if (spawnSync('script', ['--version']).status !== 0) this.skip();
    const command = `${BRAID_ON} search '${path}' invalid`;
    assert.match(onTerminal(command).stdout, /\x1b\[31mINVALID\x1b\[39m/);
    assert.doesNotMatch(onTerminal(command, { NO_COLOR: '1' }).stdout, /\x1b/);
    assert.doesNotMatch(onTerminal(command, { TERM: 'dumb' }).stdout, /\x1b/);
    assert.doesNotMatch(onTerminal(`${command} | cat`).stdout, /\x1b/);
    assert.match(onTerminal(`${BRAID_ON} verify '${path}'`).stdout, /\x1b\[32mok \x1b\[39m/);
  });

  it('leaves no order to a terminal that is in a record', function () {
    if (spawnSync('script', ['--version']).status !== 0) this.skip();
    const { stdout } = onTerminal(`${BRAID_ON} search '${path}' 'name=twin and tag:line'`);
    assert.match(stdout, /line="two\\nlines \\u001b\[31m"/);
    assert.deepEqual(new Set(stdout.match(/\x1b\[\d+m/g)), new Set(['\x1b[2m', '\x1b[22m', '\x1b[31m', '\x1b[39m']));
    assert.deepEqual(stdout.match(/\x1b\[31m.*?\x1b/g), ['\x1b[31mINVALID\x1b']);
  });

  describe('on a slip of the finger', () => {
    const SLIPS: readonly (readonly [meant: string, ...args: string[]])[] = [
      ['verify', 'verfy', path],
      ['search', 'serch', path],
      ['statement', 'statment', path],
      ['check-statement', 'check-statment', path],
      ['tail', 'tial', path],
      ['--json', 'print', path, '--jsno'],
      ['--limit', 'search', path, 'valid', '--limt', '3'],
      ['--until-end', 'tail', path, '--untill-end'],
      ['--dry-run', 'recover', path, '--dryrun'],
    ];
    for (const [meant, ...args] of SLIPS) {
      it(`suggests ${meant}`, async () => {
        const { code, stdout, stderr } = await braidInThread(args);
        assert.deepEqual([code, stdout], [2, '']);
        assert.match(stderr, new RegExp(`^braid: ERR_BRAID_USAGE: .*\\(Did you mean ${meant}\\?\\)\n$`));
      });
    }

    it('suggests nothing where nothing is near', async () => {
      assert.doesNotMatch((await braidInThread(['frobnicate'])).stderr, /Did you mean/);
    });
  });
});
