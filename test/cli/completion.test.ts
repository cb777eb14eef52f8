import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { braidInThread, makeDirectory } from './support.js';

const COMMANDS = ['create', 'print', 'search', 'tail', 'stats', 'lineage', 'graph', 'versions', 'why', 'common', 'diff', 'statement', 'check-statement', 'invalidate', 'revalidate', 'invalidations', 'export', 'import', 'upgrade', 'merge', 'lookup', 'extract', 'prune', 'verify', 'recover', 'call', 'serve', 'doctor', 'completion', 'help']; // prettier-ignore

/** What is typed, with the word under the cursor last; and what is offered. */
const CASES: readonly (readonly [typed: string, offered: readonly string[]])[] = [
  ['braid ', COMMANDS],
  ['braid c', ['call', 'check-statement', 'common', 'completion', 'create']],
  ['braid --v', ['--version']],
  ['braid print --k', ['--kind']],
  ['braid print run.db --kind ', ['data', 'fact', 'model', 'record']],
  ['braid print run.db --kind mo', ['model']],
  ['braid recover run.db --d', ['--dry-run']],
  ['braid call add_record', ['add_record_for_action_step', 'add_records']],
  ['braid completion ', ['bash', 'fish', 'zsh']],
  ['braid help ver', ['verify', 'versions']],
];

const has = (shell: string) => spawnSync(shell, ['-c', 'exit 0']).status === 0;

describe('braid completion', function () {
  this.timeout(60_000);
  const directory = makeDirectory();
  const scripts: Record<string, string> = {};
  before(async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { code, stdout, stderr } = await braidInThread(['completion', shell]);
      assert.deepEqual([code, stderr], [0, '']);
      scripts[shell] = join(directory.path, shell);
      writeFileSync(scripts[shell], stdout);
    }
    mkdirSync(join(directory.path, 'files'));
    writeFileSync(join(directory.path, 'files', 'run.db'), '');
  });
  after(() => directory.remove());

  const run = (shell: string, script: string, ...args: string[]) => {
    const { stdout, stderr, status } = spawnSync(shell, [...args, '-c', script], { encoding: 'utf8', cwd: join(directory.path, 'files') }); // prettier-ignore
    assert.deepEqual([status, stderr], [0, '']);
    return stdout.split('\n').filter((line) => line !== '').sort(); // prettier-ignore
  };

  /** As bash does it on a tab, with its own breaking of words at =. */
  const inBash = (typed: string) => {
    const words = typed.replaceAll('=', ' = ').split(/ +/).map((word) => `'${word}'`); // prettier-ignore
    return run(
      'bash',
      `source '${scripts.bash}'; COMP_WORDS=(${words.join(' ')}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
       $(complete -p braid | sed 's/.*-F \\([^ ]*\\).*/\\1/'); printf '%s\\n' "\${COMPREPLY[@]}"`,
      '--norc',
    );
  };

  for (const [typed, offered] of CASES) {
    it(`offers in bash what fits: ${typed}`, () => assert.deepEqual(inBash(typed), offered.toSorted()));
  }

  it('understands --option=value in bash, and leaves files to it', () => {
    assert.deepEqual(inBash('braid print run.db --kind=fa'), ['fact']);
    assert.deepEqual(inBash('braid print run.db --kind='), ['data', 'fact', 'model', 'record']);
    assert.deepEqual(inBash('braid print ru'), []);
    assert.deepEqual(inBash('braid recover run.db --spool '), []);
    assert.deepEqual(run('bash', `source '${scripts.bash}'; complete -p braid`), [
      'complete -o default -F _braid braid',
    ]);
  });

  it('offers every option of every command, as its help has them', async () => {
    for (const command of COMMANDS.filter((each) => each !== 'help')) {
      const { stdout } = await braidInThread([command, '--help']);
      const options = [...stdout.matchAll(/^ {2}(?:(-\w), )?(--[a-z-]+)/gm)].flatMap(([, short, long]) => (short ? [short, long] : [long])); // prettier-ignore
      assert.deepEqual(inBash(`braid ${command} -`), options.toSorted());
    }
  });

  it(`offers in fish what fits${has('fish') ? '' : ', skipped: there is no fish'}`, function () {
    if (!has('fish')) this.skip();
    for (const [typed, offered] of CASES) {
      // Options come with short ones, and a word may be followed by what it means.
      const found = run('fish', `source '${scripts.fish}'; complete -C '${typed}'`, '--no-config').map((line) => line.split('\t')[0]); // prettier-ignore
      assert.deepEqual(found, offered.toSorted(), typed);
    }
  });

  it(`has a script that zsh takes${has('zsh') ? '' : ', skipped: there is no zsh'}`, function () {
    if (!has('zsh')) this.skip();
    run('zsh', `autoload -Uz compinit; compinit -D -u; source '${scripts.zsh}'; (($+functions[_braid]))`, '-f');
  });

  it('knows no other shell, and is there as JSON', async () => {
    const { code, stderr } = await braidInThread(['completion', 'tcsh']);
    assert.equal(code, 2);
    assert.match(stderr, /Allowed choices are bash, zsh, fish/);
    const { stdout } = await braidInThread(['completion', 'bash', '--json']);
    const { shell, script } = JSON.parse(stdout) as { shell: string; script: string };
    assert.deepEqual([shell, script.split('\n')[0]], ['bash', '# bash completion of braid']);
  });
});
