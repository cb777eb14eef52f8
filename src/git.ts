import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

export interface GitCommit {
  readonly commit: string;
  readonly branch?: string;
}

/** What `HEAD` and the like hold is a line; what is longer isn't one. */
const LINE_BYTES = 4096;
const PACKED_REFS_BYTES = 4 * 2 ** 20;

const COMMIT = /^[0-9a-f]{40}([0-9a-f]{24})?$/;
/** Of what git allows in a name, what can lead nowhere else and needs no quoting. */
const REF = /^ref: (refs\/(?!.*\.\.)[A-Za-z0-9._/+@#-]+)$/;

/**
 * The commit that a directory is at, read from git's files: no process is started. Undefined where that isn't known.
 *
 * Anybody may put a `.git` into a directory above, so it is trusted as git trusts it, if it is this user's or root's, and
 * nothing is given that isn't a commit and a branch: what is read ends in a database that others read.
 */
export function gitCommit(directory: string): GitCommit | undefined {
  try {
    for (let at = directory; ; at = dirname(at)) {
      const dot = join(at, '.git');
      const stat = lstatSync(dot, { throwIfNoEntry: false });
      if (stat) return readHead(stat.isDirectory() ? dot : linkedDirectory(dot));
      if (at === dirname(at)) return undefined;
    }
  } catch {
    return undefined;
  }
}

/** In a work tree or submodule `.git` is a file that says where the directory is. */
function linkedDirectory(dot: string): string {
  const [, path] = /^gitdir: (.+)$/.exec(line(dot) ?? '') ?? [];
  if (!path) throw new Error(`${dot} names no directory`);
  return resolve(dirname(dot), path);
}

function readHead(git: string): GitCommit | undefined {
  checkDirectory(git);
  const head = line(join(git, 'HEAD'));
  if (head === undefined) return undefined;
  if (COMMIT.test(head)) return { commit: head };
  const [, ref] = REF.exec(head) ?? [];
  if (!ref) return undefined;
  // Work trees share their refs.
  const common = resolve(git, line(join(git, 'commondir')) ?? '.');
  checkDirectory(common);
  const commit = line(join(common, ref)) ?? packedRef(common, ref);
  if (!commit || !COMMIT.test(commit)) return undefined;
  return { commit, branch: ref.replace(/^refs\/heads\//, '') };
}

function packedRef(common: string, ref: string): string | undefined {
  const lines = read(join(common, 'packed-refs'), PACKED_REFS_BYTES)?.split('\n');
  return lines?.find((each) => each.endsWith(` ${ref}`))?.slice(0, -ref.length - 1);
}

function line(path: string): string | undefined {
  return read(path, LINE_BYTES)?.trimEnd();
}

/**
 * A file's text; undefined where there is none. It is neither waited for a pipe's writer nor read to the end of a device.
 *
 * @throws of a file that isn't to be trusted: an older answer from elsewhere would be wrong.
 */
function read(path: string, mostBytes: number): string | undefined {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;
  let fd: number;
  try {
    fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const stat = fstatSync(fd);
    // A branch that was packed may leave the directory of others below its name.
    if (stat.isDirectory()) return undefined;
    if (!stat.isFile() || !isTrusted(stat) || stat.size > mostBytes) throw new Error(`${path} is not to be trusted`);
    const bytes = Buffer.alloc(stat.size);
    return bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}

function checkDirectory(path: string): void {
  const stat = lstatSync(path);
  if (!stat.isDirectory() || !isTrusted(stat)) throw new Error(`${path} is not to be trusted`);
}

function isTrusted({ uid }: Stats): boolean {
  return uid === 0 || uid === process.geteuid!();
}
