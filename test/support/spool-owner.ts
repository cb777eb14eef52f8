import process from 'node:process';
import { bootId, host } from '#src/host.js';
import type { SpoolOwner } from '#src/spool/spool-file.js';

/** Whose a spool is that no run has begun. */
export const spoolOwner: SpoolOwner = {
  database: 'd'.repeat(32),
  path: '/x/run.db',
  run: '0123456789abcdef0123456789abcdef',
  attempt: 1,
  rank: 0,
  size: 1,
  host,
  boot: bootId(),
  pid: process.pid,
  created: 0,
};
