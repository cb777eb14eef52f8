import assert from 'node:assert/strict';
import { mpiexec, runAlone, vendors, type Run } from '../support/mpiexec.js';

/** A way to start an example. */
export interface Job {
  title: string;
  ranks: number;
  run: (args: string[], env?: Record<string, string>) => Promise<Run>;
}

const RANKS = { openmpi: [2, 4], mpich: [2], mpiabi: [2] } as const;

/** Alone, and on several ranks of each MPI that is here. */
export function jobsOf(program: string): Job[] {
  return [
    { title: 'alone', ranks: 1, run: (args, env) => runAlone(program, { args, env, timeoutMs: 60_000 }) },
    ...vendors.flatMap((vendor) =>
      RANKS[vendor.name].map((ranks) => ({
        title: `${vendor.name}, np ${ranks}`,
        ranks,
        run: (args: string[], env?: Record<string, string>) =>
          mpiexec(vendor, ranks, program, { args, env, timeoutMs: 90_000 }),
      })),
    ),
  ];
}

/** What a job that ended well has printed. */
export async function outputOf(running: Promise<Run>): Promise<string> {
  const { code, timedOut, stdout, stderr } = await running;
  assert.equal(timedOut, false, stderr);
  assert.equal(code, 0, stderr);
  return stdout;
}
