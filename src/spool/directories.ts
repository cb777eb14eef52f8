import { existsSync, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { bootId } from '../host.js';
import { fileSystemOf } from './file-system.js';

/** Beside the database, a directory of this user's own. */
function besideDatabase(path: string): string {
  return `${canonical(path)}-spool-${process.geteuid!()}`;
}

function inTemporary(): string {
  return join(canonical(tmpdir()), `braid-spool-${process.geteuid!()}`);
}

/** Whether a directory is one that we have named, and so have made, and may remove; what the user has named is the user's. */
export function isOfOurNaming(directory: string): boolean {
  return basename(directory).endsWith(`-spool-${process.geteuid!()}`);
}

/**
 * Where this process keeps its spool: as told, else beside the database if that is on this machine's own disk, else in
 * this node's temporary directory: a network file system would pay for every page, and can't promise that a mapped page
 * outlives the process.
 */
export function spoolDirectory(path: string, told: string | undefined): string {
  // Absolute: the database tells others of it, who look for it from elsewhere.
  if (told !== undefined) return canonical(told);
  return existsSync(dirname(path)) && fileSystemOf(dirname(path)).local ? besideDatabase(path) : inTemporary();
}

/** Where spools of a database may have been left on this machine; each directory once, by whatever names it is known. */
export function leftoverDirectories(path: string, told: readonly string[]): string[] {
  return [...new Set([...told.map(canonical), besideDatabase(path), inTemporary()])];
}

/** A path without links in it, as far as it is there. */
function canonical(path: string): string {
  const absolute = resolve(path);
  const there = nearest(absolute);
  return join(realpathSync(there), absolute.slice(there.length));
}

/** The path, or what it would be in. */
function nearest(path: string): string {
  let at = path;
  while (!existsSync(at)) at = dirname(at);
  return at;
}

/**
 * By what somebody who comes later can tell that it is the same directory: a `/tmp` may be another one for each service
 * and each job. It is told by what is there already and stays: one that we name comes and goes with its spools.
 */
export function anchorOf(directory: string): string {
  const at = nearest(isOfOurNaming(directory) ? dirname(directory) : directory);
  const { dev, ino } = statSync(at, { bigint: true });
  return [bootId(), dev, ino, at].join(':');
}

/** Whether we see what {@link anchorOf} has seen. A device may have another number after a reboot. */
export function seesAnchor(anchor: string): boolean {
  const [, boot, dev, ino, at] = /^(.*?):(.*?):(.*?):(.*)$/s.exec(anchor) ?? [];
  const stat = at === undefined ? undefined : statSync(at, { bigint: true, throwIfNoEntry: false });
  return stat !== undefined && String(stat.ino) === ino && (boot !== bootId() || String(stat.dev) === dev);
}
