/** One side, once: a process or a job of its own, in a directory of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { endWithTest, killTree } from '../test/support/children.js';
import { vendorEnvironment, type TestVendor } from '../test/support/mpiexec.js';
import type { Figures } from './results.js';

/** Where everything is written that is gone afterwards. */
export const scratch = mkdtempSync(join(tmpdir(), 'braid-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }));

/** How long a launcher that is asked to end has for its ranks. */
const GRACE_MS = 3000;

export interface Launch {
  /** Program and arguments; `{directory}` is the one it gets. */
  readonly command: readonly string[];
  readonly ranks?: number;
  readonly vendor?: TestVendor;
  readonly env?: Readonly<Record<string, string>>;
  readonly limitMs: number;
}

let running: ChildProcess | undefined;
let interrupted = false;

/** Ends what is running, and lets nothing begin any more. */
export function interrupt(): void {
  interrupted = true;
  if (!running) return;
  // By its launcher, which knows what it has put where; by force if that takes long.
  const child = running;
  child.kill('SIGTERM');
  setTimeout(() => killTree(child), GRACE_MS).unref();
}

export class Interrupted extends Error {}

/** Runs it to its end. Gives the figures of its last line, and what it took from the launch to the end. */
export async function launch({ command, ranks, vendor, env, limitMs }: Launch): Promise<Figures> {
  if (interrupted) throw new Interrupted();
  const directory = mkdtempSync(join(scratch, 'side-'));
  const own = command.map((each) => each.replace('{directory}', directory));
  const [program, ...args] = ranks ? [vendor!.mpiexec, '-n', String(ranks), ...own] : own;
  try {
    const started = performance.now();
    const { stdout, stderr, ended } = await toItsEnd(program, args, environment(directory, ranks, env), limitMs);
    const wallMs = performance.now() - started;
    if (interrupted) throw new Interrupted();
    if (ended !== undefined) throw new Error(`${ended}\n${lastLines(stderr + stdout)}`);
    return { ...figuresOf(stdout), wallMs };
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}

/** Nothing of the user's settings, nor a rank of whatever runs this; and leftovers of jobs that are killed stay in here. */
function environment(directory: string, ranks = 1, own: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(BRAID|OMPI_(?!MCA|ALLOW)|PMI)/.test(name));
  const env: NodeJS.ProcessEnv = { ...Object.fromEntries(inherited), ...vendorEnvironment, TMPDIR: directory, ...own };
  // Tests share their cores with each other. A rank that has one to itself waits as jobs do: without giving it away.
  if (ranks <= availableParallelism()) delete env.OMPI_MCA_mpi_yield_when_idle;
  return env;
}

interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  /** How, if not well. */
  readonly ended?: string;
}

function toItsEnd(program: string, args: readonly string[], env: NodeJS.ProcessEnv, limitMs: number): Promise<Ended> {
  // A group of its own: a Ctrl-C at the terminal is for the harness, which ends it.
  const child = endWithTest(spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true }));
  running = child;
  let [stdout, stderr, late] = ['', '', false];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const timer = setTimeout(() => {
    late = true;
    killTree(child);
  }, limitMs);
  return new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const how = late ? `did not end within ${limitMs / 1000} s` : `ended with ${signal ?? `exit code ${code}`}`;
      resolve({ stdout, stderr, ended: code === 0 && !late ? undefined : how });
    });
  }).finally(() => {
    clearTimeout(timer);
    running = undefined;
  });
}

/** What a program may tell: a number, or several by name; `value` is the one without. Examples tell nothing. */
function figuresOf(stdout: string): Figures {
  const last = stdout.trimEnd().split('\n').at(-1)!;
  let told: unknown;
  try {
    told = JSON.parse(last);
  } catch {
    return {};
  }
  if (typeof told === 'number') return { value: told };
  if (typeof told !== 'object' || told === null) return {};
  const named = Object.entries(told as Record<string, unknown>);
  return Object.fromEntries(named.filter((each): each is [string, number] => typeof each[1] === 'number'));
}

function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-30).join('\n');
}
