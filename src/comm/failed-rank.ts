import { readSync, writeSync } from 'node:fs';
import process from 'node:process';
import { inspect } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { launchedRank, pmiSocket } from './launcher.js';
import { isMpiInitialized, launchOfThisProcess } from './mpi-runtime.js';

let watching = false;
let alone = false;

/**
 * Ends the job where this process, a rank of it, ends with a code other than 0 before it has started MPI: the others would
 * wait for it in MPI_Init. Launchers differ in what they make of such an end, and some go on.
 *
 * To be called when the package is imported: a program fails before its first call, too.
 */
export function watchForFailure(): void {
  if (watching || !isMainThread) return;
  watching = true;
  let thrown: { error: unknown } | undefined;
  process.on('uncaughtExceptionMonitor', (error) => (thrown = { error }));
  process.on('exit', (exitCode) => {
    // A parent sees 8 bits of it.
    const code = Number(process.exitCode ?? exitCode) & 0xff;
    if (code === 0 || alone || isMpiInitialized()) return;
    try {
      endJob(code, thrown);
    } catch {
      // No launcher, or one that doesn't answer any more.
    }
  });
}

/** This process records by itself: how it ends is no business of others that were started with it. */
export function isNoRank(): void {
  alone = true;
}

/**
 * Where the launcher speaks PMI-1, by its words, for which no library is needed. Others end the job by themselves, but for
 * Slurm with `--mpi=pmix` that was told not to.
 */
function endJob(code: number, thrown: { error: unknown } | undefined): void {
  const launch = launchOfThisProcess();
  const fd = pmiSocket(process.env);
  if (!launch || fd === undefined) return;
  const who = `rank ${launchedRank(process.env) ?? '?'} of ${launch.size ?? '?'}`;
  writeSync(2, `braid-mpi: ${who} exits with code ${code} before it has started MPI: ending the whole job\n`);
  // Node says it after this, and by then the launcher has killed us.
  if (thrown) writeSync(2, `${inspect(thrown.error)}\n`);
  writeSync(fd, 'cmd=init pmi_version=1 pmi_subversion=1\n');
  // Slurm drops what comes before it has answered that.
  readSync(fd, Buffer.alloc(256));
  writeSync(fd, `cmd=abort exitcode=${code}\n`);
}
