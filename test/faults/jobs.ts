import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BraidReader } from 'braid-mpi';
import { descendants, endWithTest, killTree } from '../support/children.js';
import { vendorEnvironment, type RunOptions } from '../support/mpiexec.js';

export const program = (name: string) => fileURLToPath(new URL(`./${name}.rank.js`, import.meta.url));

const PATIENCE_MS = 30_000;

/** A job that is to be ended from outside. */
export class Job {
  stdout = '';
  stderr = '';
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #child;

  constructor(command: readonly string[], env: NodeJS.ProcessEnv) {
    const [name, ...args] = command;
    // A group of its own: what a terminal sends to all of it goes to nobody else.
    this.#child = endWithTest(spawn(name, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true }));
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.ended = once(this.#child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
    }));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Waits until stdout has so many matches. */
  async lines(pattern: RegExp, count: number): Promise<RegExpMatchArray[]> {
    const limit = performance.now() + PATIENCE_MS;
    for (;;) {
      const found = [...this.stdout.matchAll(new RegExp(pattern, 'gm'))];
      if (found.length >= count) return found;
      if (performance.now() > limit || this.#child.exitCode !== null) {
        throw new Error(`no ${String(pattern)} ${count} times:\n${this.stdout}\n${this.stderr}`);
      }
      await pause(10);
    }
  }

  /** The pids of its ranks: of what it started, what runs Node. */
  ranks(): number[] {
    return [this.pid, ...descendants(this.pid)].filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] === process.execPath;
      } catch {
        return false;
      }
    });
  }

  /** As a node that goes down, or a scheduler that has lost its patience. */
  async killRanks(): Promise<void> {
    for (const pid of this.ranks()) process.kill(pid, 'SIGKILL');
    await this.ended;
  }

  /** Ends what is left of it. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    killTree(this.#child);
    await this.ended;
  }
}

/**
 * All that was acknowledged is in the database, once, and no spool is left. A rank that was killed before it could say so
 * has one record more.
 */
export function assertNothingLost(path: string, others: readonly string[] = []): void {
  const reader = BraidReader.open(path);
  try {
    for (const run of reader.runs()) assert.equal(run.recorded, run.committed);
    const names = [...reader.records()].map(({ name }) => name);
    const acknowledged = readFileSync(`${path}.acknowledged`, 'utf8').trim().split('\n');
    const said = new Set(acknowledged);
    const unsaid = names.filter((name) => !said.has(name));
    assert.equal(new Set(unsaid.map((name) => name.split('-')[0])).size, unsaid.length, String(unsaid));
    assert.deepEqual(names.sort(), [...acknowledged, ...unsaid].sort());
  } finally {
    reader.close();
  }
  const left = readdirSync(dirname(path)).filter((name) => !others.includes(name));
  assert.deepEqual(left.sort(), ['run.db', 'run.db.acknowledged'], 'no spool is left');
}

/** The status of every run, the oldest first. */
export function statuses(path: string): string[] {
  const reader = BraidReader.open(path);
  try {
    return reader.runs().map(({ status }) => status);
  } finally {
    reader.close();
  }
}

/** Starts a program for Node by a launcher, or by itself where `launcher` is empty. */
export function startJob(launcher: readonly string[], file: string, { args = [], env = {} }: RunOptions): Job {
  return new Job([...launcher, process.execPath, file, ...args], {
    ...process.env,
    ...vendorEnvironment,
    BRAID_MPI: launcher.length === 0 ? 'off' : undefined,
    ...env,
  });
}
