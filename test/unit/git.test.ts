import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, lchownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gitCommit } from '#src/git.js';

const COMMIT = 'c0ffee'.padEnd(40, '0');
const OTHER = 'd0ffee'.padEnd(40, '0');
const NOBODY = 65534;

const isRoot = process.getuid!() === 0;

describe('the commit of a program', () => {
  let root: string;
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'braid-git-'))));
  afterEach(() => rmSync(root, { recursive: true }));

  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const replace = (path: string, make: (at: string) => void) => {
    rmSync(join(root, path), { recursive: true, force: true });
    make(join(root, path));
  };
  const fifo = (path: string) => assert.equal(spawnSync('mkfifo', [path]).status, 0);
  const zeros = (path: string) => symlinkSync('/dev/zero', path);
  /** As `git init` and a commit leave it. */
  const repository = (at = '.') => {
    write(join(at, '.git/HEAD'), 'ref: refs/heads/main\n');
    write(join(at, '.git/refs/heads/main'), `${COMMIT}\n`);
  };

  it('is read from git: loose, packed, detached, of SHA-256, from a directory below', () => {
    write('deep/down/program.js', '');
    assert.equal(gitCommit(join(root, 'deep/down')), undefined);
    write('.git/HEAD', 'ref: refs/heads/main\n');
    write('.git/packed-refs', `# pack-refs\n${COMMIT} refs/heads/main\n^${OTHER}\n${OTHER} refs/heads/a/main\n`);
    // What git leaves where a branch main/x was.
    mkdirSync(join(root, '.git/refs/heads/main'), { recursive: true });
    assert.deepEqual(gitCommit(join(root, 'deep/down')), { commit: COMMIT, branch: 'main' });
    rmSync(join(root, '.git/refs/heads/main'), { recursive: true });
    write('.git/refs/heads/main', `${OTHER}\n`);
    assert.deepEqual(gitCommit(root), { commit: OTHER, branch: 'main' });
    write('.git/HEAD', `${COMMIT}\n`);
    assert.deepEqual(gitCommit(root), { commit: COMMIT });
    write('.git/HEAD', `${'5'.repeat(64)}\n`);
    assert.deepEqual(gitCommit(root), { commit: '5'.repeat(64) });
  });

  it('is that of a work tree, by the refs of its repository', () => {
    repository();
    write('.git/worktrees/w/HEAD', 'ref: refs/heads/fix/#12\n');
    write('.git/worktrees/w/commondir', '../..\n');
    write('.git/refs/heads/fix/#12', `${OTHER}\n`);
    write('w/.git', `gitdir: ${join(root, '.git/worktrees/w')}\n`);
    assert.deepEqual(gitCommit(join(root, 'w')), { commit: OTHER, branch: 'fix/#12' });
    write('w/.git', 'gitdir: ../.git/worktrees/w\n');
    assert.deepEqual(gitCommit(join(root, 'w')), { commit: OTHER, branch: 'fix/#12' });
  });

  it('is not what another file holds that HEAD leads to', () => {
    write('secret', 'a private key\n');
    write('commit', `${COMMIT}\n`);
    for (const head of [
      'ref: ../secret',
      'ref: ../commit',
      'ref: refs/../../commit',
      `ref: ${join(root, 'commit')}`,
      'ref: refs/heads/x\0',
      'refs/heads/main',
      'a private key',
      COMMIT.slice(1),
      `${COMMIT}\na private key`,
      '',
    ]) {
      repository();
      write('.git/HEAD', `${head}\n`);
      assert.equal(gitCommit(root), undefined, head);
    }
    // By a link, as HEAD or as a branch, or in the place of a commit.
    for (const file of ['HEAD', 'refs/heads/main']) {
      repository();
      replace(`.git/${file}`, (at) => symlinkSync(join(root, 'commit'), at));
      assert.equal(gitCommit(root), undefined, file);
      unlinkSync(join(root, '.git', file));
    }
    repository();
    write('.git/refs/heads/main', 'a private key\n');
    assert.equal(gitCommit(root), undefined);
    rmSync(join(root, '.git/refs'), { recursive: true });
    write('.git/packed-refs', 'a private key refs/heads/main\n');
    assert.equal(gitCommit(root), undefined);
  });

  it('is not waited for: a pipe, a device, or a file without an end is no git', function () {
    this.timeout(10_000);
    const long = (path: string) => writeFileSync(path, `${COMMIT}\n`.repeat(2 ** 17));
    for (const make of [fifo, zeros, long]) {
      for (const file of ['.git', '.git/HEAD', '.git/refs/heads/main', '.git/commondir', '.git/packed-refs']) {
        rmSync(join(root, '.git'), { recursive: true, force: true });
        repository();
        if (file.endsWith('packed-refs')) rmSync(join(root, '.git/refs'), { recursive: true });
        replace(file, make);
        assert.equal(gitCommit(root), undefined, `${make.name} ${file}`);
      }
    }
  });

  const asRoot = isRoot ? it : it.skip;
  asRoot(`is not taken from somebody else's .git${isRoot ? '' : ': takes root'}`, () => {
    const giveAway = (path: string) => lchownSync(join(root, path), NOBODY, NOBODY);
    for (const path of ['.git', '.git/HEAD', '.git/refs/heads/main']) {
      repository();
      assert.equal(gitCommit(root)?.commit, COMMIT);
      giveAway(path);
      assert.equal(gitCommit(root), undefined, path);
      rmSync(join(root, '.git'), { recursive: true });
    }
    repository();
    write('w/.git', `gitdir: ${join(root, '.git')}\n`);
    assert.equal(gitCommit(join(root, 'w'))?.commit, COMMIT);
    giveAway('w/.git');
    assert.equal(gitCommit(join(root, 'w')), undefined);
    chownSync(join(root, 'w/.git'), 0, 0);
    giveAway('.git');
    assert.equal(gitCommit(join(root, 'w')), undefined);
  });
});
