import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** A launcher may end before the kernel is done with the ranks that it has killed: until then they have their locks. */
export async function unlocked(directory: string): Promise<void> {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const inodes = files.map((name) => statSync(join(directory, name), { throwIfNoEntry: false })?.ino);
  const isLocked = () => {
    const locks = readFileSync('/proc/locks', 'utf8');
    return inodes.some((inode) => inode !== undefined && locks.includes(`:${inode} `));
  };
  for (const end = performance.now() + 10_000; isLocked(); await pause(10)) {
    assert.ok(performance.now() < end, 'no rank is left');
  }
}
