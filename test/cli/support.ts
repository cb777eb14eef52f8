import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { text as readAll } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { endWithTest } from '../support/children.js';

const root = dirname(createRequire(import.meta.url).resolve('braid-mpi/package.json'));
export const BRAID = join(root, 'dist', 'cli', 'braid.js');
const JOB = fileURLToPath(new URL('job.js', import.meta.url));

/** Not a rank of whatever runs the tests, and with nothing of the user's settings. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('BRAID')));

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

function ended(child: ChildProcess): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

export interface BraidOptions {
  env?: Record<string, string>;
  cwd?: string;
}

/** Runs the command-line tool. */
export function braid(args: readonly string[], options: BraidOptions = {}): Promise<Ended> {
  const child = endWithTest(
    spawn(process.execPath, [BRAID, ...args], {
      cwd: options.cwd,
      env: { ...env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
  return ended(child);
}

/**
 * The same program in a thread of this process, for Node takes longer to start a process than the tool to answer. Not for
 * what is of a process: kills, locks, the current directory, variables that native code reads.
 */
export async function braidInThread(args: readonly string[]): Promise<Ended> {
  const worker = new Worker(BRAID, { argv: [...args], env, stdin: true, stdout: true, stderr: true });
  worker.stdin!.end();
  const [stdout, stderr, [code]] = await Promise.all([
    readAll(worker.stdout),
    readAll(worker.stderr),
    once(worker, 'exit') as Promise<[number]>,
  ]);
  return { code, signal: null, stdout, stderr };
}

export interface Job {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** The rest of the first line that begins with `word`, of those not yet asked for. */
  line(word: string): Promise<string>;
  /** By SIGKILL; it has ended when this resolves. */
  kill(): Promise<Ended>;
}

/** Starts a recording job; see job.ts. */
export function startJob(path: string, mode: string, count = 0, jobEnv: Record<string, string> = {}): Job {
  const child = endWithTest(
    spawn(process.execPath, [JOB, path, mode, String(count)], {
      env: { ...env, ...jobEnv },
      stdio: ['pipe', 'pipe', 'pipe'],
    }),
  );
  const whole = ended(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    ended: whole,
    async line(word) {
      for (;;) {
        const { value, done } = (await lines.next()) as { value: string; done?: boolean };
        if (done) throw new Error(`the job ended before it said '${word}': ${(await whole).stderr}`);
        if (value.startsWith(`${word} `) || value === word) return value.slice(word.length + 1);
      }
    },
    kill() {
      child.kill('SIGKILL');
      return whole;
    },
  };
}

/** Runs a recording job to its end. */
export async function runJob(path: string, mode: string, count = 0, jobEnv?: Record<string, string>): Promise<Ended> {
  const result = await startJob(path, mode, count, jobEnv).ended;
  if (result.code !== 0) throw new Error(`job ${mode}: ${result.code} ${result.signal}\n${result.stderr}`);
  return result;
}

/** A directory for one test, removed by `remove`. */
export function makeDirectory(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'braid-cli-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Runs SQL on a file, as somebody with a shell could. */
export function sql(path: string, text: string): void {
  const db = new Database(path);
  db.pragma('foreign_keys = OFF');
  db.exec(text);
  db.close();
}

export function query<Row>(path: string, text: string): Row[] {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare(text).all() as Row[];
  } finally {
    db.close();
  }
}

/** A database as Braid-DB's Python code makes it. */
export function makeBraidDbFile(path: string): void {
  sql(
    path,
    `CREATE TABLE invalidations (id CHAR(32) NOT NULL PRIMARY KEY, root_invalidation CHAR(32) REFERENCES invalidations (id),
       cause VARCHAR NOT NULL, time DATETIME NOT NULL);
     CREATE TABLE invalidation_actions (action_type VARCHAR(14), params JSON, id CHAR(32) NOT NULL PRIMARY KEY,
       name VARCHAR NOT NULL, cmd VARCHAR NOT NULL);
     CREATE TABLE records (record_id INTEGER NOT NULL PRIMARY KEY, name VARCHAR NOT NULL, time DATETIME NOT NULL,
       invalidation_id CHAR(32) REFERENCES invalidations (id),
       invalidation_action_id CHAR(32) REFERENCES invalidation_actions (id));
     CREATE TABLE derivations (record_id INTEGER NOT NULL REFERENCES records, derivation INTEGER NOT NULL REFERENCES records,
       time DATETIME NOT NULL, PRIMARY KEY (record_id, derivation));
     CREATE TABLE uris (id INTEGER NOT NULL PRIMARY KEY, record_id INTEGER NOT NULL REFERENCES records, uri VARCHAR NOT NULL);
     CREATE INDEX ix_uris_record_id ON uris (record_id);
     CREATE TABLE tags (id INTEGER NOT NULL PRIMARY KEY, record_id INTEGER NOT NULL REFERENCES records, key VARCHAR NOT NULL,
       value VARCHAR NOT NULL, tag_type INTEGER NOT NULL);
     INSERT INTO records (record_id, name, time) VALUES (1, 'first', '2026-01-02 03:04:05.678901'), (2, 'second', '2026-01-02 03:04:06.000000');
     INSERT INTO derivations VALUES (1, 2, '2026-01-02 03:04:06.000000');
     INSERT INTO uris (record_id, uri) VALUES (1, 'file:///first');
     INSERT INTO tags (record_id, key, value, tag_type) VALUES (2, 'n', '5', 2);`,
  );
}
