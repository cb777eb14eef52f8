import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

function mount(directory: string, mib: number): string | undefined {
  mkdirSync(directory);
  const { status, error, stderr } = spawnSync(
    'mount',
    ['-t', 'tmpfs', '-o', `size=${mib}m,mode=700`, 'none', directory],
    {
      encoding: 'utf8',
    },
  );
  if (status === 0) return undefined;
  rmSync(directory, { recursive: true });
  return error?.message ?? stderr.trim();
}

function unmount(directory: string): void {
  // Lazily: a process that is about to end may have something of it open.
  spawnSync('umount', ['-l', directory]);
  rmSync(directory, { recursive: true, force: true });
}

/** Why no disk can be made here; undefined if one can. */
export function whyNoDisk(parent: string): string | undefined {
  const directory = join(parent, 'try');
  const why = mount(directory, 1);
  if (why === undefined) unmount(directory);
  return why;
}

/** Gives `run` a disk of its own. */
export async function withDisk(directory: string, mib: number, run: () => Promise<void>): Promise<void> {
  const why = mount(directory, mib);
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
