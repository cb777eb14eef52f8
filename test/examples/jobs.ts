import assert from 'node:assert/strict';
import type { BraidReader } from 'braid-mpi';
import { mpiexec, runAlone, vendors, type Run } from '../support/mpiexec.js';

/** A way to start an example. */
export interface Job {
  title: string;
  ranks: number;
  run: (args: string[], env?: Record<string, string>) => Promise<Run>;
}

/** Alone, and on several ranks of each MPI that is here: those of Open MPI are given, the ranks of others spin. */
export function jobsOf(program: string, ranksOfOpenMpi: readonly number[] = [2, 4]): Job[] {
  return [
    { title: 'alone', ranks: 1, run: (args, env) => runAlone(program, { args, env, timeoutMs: 60_000 }) },
    ...vendors.flatMap((vendor) =>
      (vendor.name === 'openmpi' ? ranksOfOpenMpi : [2]).map((ranks) => ({
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

/** The id of the one record of that name. */
export function idOf(reader: BraidReader, name: string): number {
  const found = [...reader.records({ name })];
  assert.equal(found.length, 1, name);
  return found[0].id;
}
