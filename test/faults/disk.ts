import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a disk of a test is: of how many MiB it is at least, and how one is made in a file. A tmpfs needs none. */
const FILE_SYSTEMS = {
  tmpfs: { mib: 1, make: undefined },
  ext4: { mib: 8, make: ['mkfs.ext4', '-q', '-F'] },
  // Below that size mkfs.xfs refuses.
  xfs: { mib: 300, make: ['mkfs.xfs', '-q'] },
  btrfs: { mib: 112, make: ['mkfs.btrfs', '-q', '--mixed'] },
} as const;
export type FileSystemName = keyof typeof FILE_SYSTEMS;

function mount(directory: string, fileSystem: FileSystemName, mib: number): string | undefined {
  const { mib: least, make } = FILE_SYSTEMS[fileSystem];
  mkdirSync(directory);
  let why: string | undefined;
  if (make) {
    const image = imageOf(directory);
    writeFileSync(image, '');
    truncateSync(image, Math.max(mib, least) * 2 ** 20);
    why =
      command(make[0], ...make.slice(1), image) ?? command('mount', '-o', 'loop', '-t', fileSystem, image, directory);
    if (why === undefined) chmodSync(directory, 0o700);
  } else {
    why = command('mount', '-t', 'tmpfs', '-o', `size=${mib}m,mode=700`, 'none', directory);
  }
  if (why !== undefined) remove(directory);
  return why;
}

/** What went wrong, if anything did. */
function command(name: string, ...args: string[]): string | undefined {
  const { status, error, stderr } = spawnSync(name, args, { encoding: 'utf8' });
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
}

const imageOf = (directory: string) => `${directory}.img`;

function remove(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  rmSync(imageOf(directory), { force: true });
}

function unmount(directory: string): void {
  // Lazily: a process that is about to end may have something of it open.
  spawnSync('umount', ['-l', directory]);
  remove(directory);
}

/** Why no such disk can be made here; undefined if one can. */
export function whyNoDisk(fileSystem: FileSystemName): string | undefined {
  const parent = mkdtempSync(join(tmpdir(), 'braid-disk-'));
  try {
    const directory = join(parent, 'try');
    const why = mount(directory, fileSystem, 1);
    if (why === undefined) unmount(directory);
    return why;
  } finally {
    rmSync(parent, { recursive: true });
  }
}

/** Gives `run` a disk of its own, of at least so many MiB. */
export async function withDisk(
  directory: string,
  fileSystem: FileSystemName,
  mib: number,
  run: () => Promise<void>,
): Promise<void> {
  const why = mount(directory, fileSystem, mib);
  if (why !== undefined) throw new Error(why);
  try {
    await run();
  } finally {
    unmount(directory);
  }
}

/** Fills a disk but for `leave` bytes. */
export function fill(directory: string, leave = 0): void {
  const spare = join(directory, 'spare');
  if (leave > 0) write(spare, leave);
  write(join(directory, 'ballast'), Infinity);
  rmSync(spare, { force: true });
}

/** What somebody does when the disk is full. */
export function free(directory: string): void {
  rmSync(join(directory, 'ballast'));
}

function write(file: string, bytes: number): void {
  const fd = openSync(file, 'w');
  try {
    for (const page = Buffer.alloc(4096, 1); bytes > 0; bytes -= page.length) writeSync(fd, page);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(fd);
  }
}
