import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

let boot: string | undefined;

/** The kernel's boot id: what was locked before a reboot is locked no more. */
export function bootId(): string {
  boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return boot;
}

export const host = hostname();
