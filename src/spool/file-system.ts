import { statfsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
import { isMainThread, workerData } from 'node:worker_threads';

/** What statfs's `type` means for a database and for a spool. Magic numbers from statfs(2) and linux/magic.h. */
export interface FileSystem {
  readonly name: string;
  /** Whether its files are this machine's alone: a spool may lie there. */
  readonly local: boolean;
  /**
   * Whether SQLite's write-ahead log is safe there: it shares mapped memory between processes, and where each page is
   * written to a new place, as on btrfs, a full disk is a SIGBUS in it.
   */
  readonly wal: boolean;
}

const KNOWN = new Map<number, FileSystem>([
  [0xef53, { name: 'ext4', local: true, wal: true }],
  [0x58465342, { name: 'xfs', local: true, wal: true }],
  [0x9123683e, { name: 'btrfs', local: true, wal: false }],
  [0x01021994, { name: 'tmpfs', local: true, wal: true }],
  [0x794c7630, { name: 'overlay', local: true, wal: false }],
  [0x2fc12fc1, { name: 'zfs', local: true, wal: false }],
  [0xf2f52010, { name: 'f2fs', local: true, wal: false }],
  [0x6969, { name: 'nfs', local: false, wal: false }],
  [0x0bd00bd0, { name: 'lustre', local: false, wal: false }],
  [0x47504653, { name: 'gpfs', local: false, wal: false }],
  [0x19830326, { name: 'beegfs', local: false, wal: false }],
  [0x00c36400, { name: 'ceph', local: false, wal: false }],
  [0xfe534d42, { name: 'smb2', local: false, wal: false }],
  [0xff534d42, { name: 'cifs', local: false, wal: false }],
  [0x65735546, { name: 'fuse', local: false, wal: false }],
]);

/**
 * What a test has statfs answer: BRAID_TEST_STATFS=TYPE:DIRECTORY, for what lies below that directory. The thread that
 * writes the database is told by the one that starts it: its environment is empty.
 */
export const injectedStatfs: string | undefined = isMainThread
  ? process.env.BRAID_TEST_STATFS
  : (workerData as { BRAID_TEST_STATFS?: string } | null)?.BRAID_TEST_STATFS;

function injectedType(path: string): number | undefined {
  if (injectedStatfs === undefined) return undefined;
  const [type, directory] = injectedStatfs.split(':');
  return `${resolve(path)}/`.startsWith(`${directory}/`) ? Number(type) : undefined;
}

/** The file system that holds `path`, or its directory if there is no such file yet. Unknown ones count as not local. */
export function fileSystemOf(path: string): FileSystem & { freeBytes: number } {
  let stat;
  try {
    stat = statfsSync(path);
  } catch {
    stat = statfsSync(dirname(path));
  }
  const type = injectedType(path) ?? stat.type;
  const known = KNOWN.get(type) ?? { name: `0x${type.toString(16)}`, local: false, wal: false };
  return { ...known, freeBytes: stat.bavail * stat.bsize };
}
