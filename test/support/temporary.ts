/**
 * A temporary directory of the tests' own, for them and for what they start: the machine's may hold spools that other jobs
 * have left, and each recovery looks there.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

const directory = mkdtempSync(join(tmpdir(), 'braid-test-'));
// Some tests are other users, too.
chmodSync(directory, 0o1777);
process.env.TMPDIR = directory;
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
