import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BRAID } from '../cli/support.js';
import { concurrently } from '../support/concurrently.js';
import { mpiexec, runAlone, vendors } from '../support/mpiexec.js';
import { acknowledged, checkPromise } from './promise.js';
import { TRIALS, SEED, randomOf } from '../support/trials.js';

const JOB = fileURLToPath(new URL('./faults.rank.js', import.meta.url));

/** How long a job takes where nobody disturbs it: kills fall into this time, and a little after. */
const JOB_MS = 900;

/** Trials that one test makes. */
const BATCH = 10;

describe(`jobs that are killed at any moment (${TRIALS} trials, BRAID_TEST_SEED=${SEED})`, function () {
  this.timeout(300_000);
  for (let first = 0; first < TRIALS; first += BATCH) {
    const trials = Array.from({ length: Math.min(BATCH, TRIALS - first) }, (_, i) => first + i);
    it(`lose nothing: trials ${first} to ${trials.at(-1)}`, () =>
      concurrently(trials.map((trial) => [`trial ${trial} of seed ${SEED}`, () => killTwice(trial)])));
  }
});

/** Two jobs on one database, of which the second begins with what the first has left, and then perhaps a recovery. */
async function killTwice(trial: number): Promise<void> {
  const random = randomOf(SEED, trial);
  const directory = mkdtempSync(join(tmpdir(), 'braid-random-'));
  const path = join(directory, 'run.db');
  try {
    await runAndKill(path, random);
    await runAndKill(path, random);
    if (random() < 0.3) await recoverAndKill(path, random);
    await checkPromise(path);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Runs a job, of which one rank, or all at once, are killed at some time after the first has begun. */
async function runAndKill(path: string, random: () => number): Promise<void> {
  const before = pids(path).length;
  const openedBefore = countOpened(path);
  const ranks = 1 + Math.floor(random() * 3);
  const vendor = vendors[Math.floor(random() * vendors.length)];
  const job =
    ranks === 1 || !vendor
      ? runAlone(JOB, { args: [path], timeoutMs: 30_000 })
      : mpiexec(vendor, ranks, JOB, { args: [path], timeoutMs: 30_000 });
  let ended = false;
  void job.finally(() => (ended = true));
  // Processes tell when they begin; the youngest are this job's.
  while (!ended && pids(path).length === before) await delay(5);
  await delay(random() * JOB_MS);
  const mine = pids(path).slice(before);
  const victims = random() < 0.2 ? mine : mine.slice(0, 1 + Math.floor(random() * mine.length)).slice(-1);
  for (const pid of victims) kill(pid);
  const { timedOut, stderr } = await job;
  // A launcher may wait for ever for a rank that has died in MPI_Init: not ours to mend, and nothing was recorded.
  assert.ok(!timedOut || countOpened(path) === openedBefore, `the job did not end: ${stderr}`);
}

function countOpened(path: string): number {
  return acknowledged(path).filter((lines) => lines.some((each) => 'opened' in each)).length;
}

/** The processes that have recorded into a database, in the order of their beginning. */
function pids(path: string): number[] {
  return acknowledged(path)
    .flatMap(([first]) => (first && 'started' in first ? [first] : []))
    .sort((a, b) => a.at - b.at)
    .map(({ started }) => started);
}

async function recoverAndKill(path: string, random: () => number): Promise<void> {
  const recovery = spawn(process.execPath, [BRAID, 'recover', path], { stdio: 'ignore' });
  const ended = new Promise((resolve) => recovery.on('close', resolve));
  await delay(random() * 400);
  recovery.kill('SIGKILL');
  await ended;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
