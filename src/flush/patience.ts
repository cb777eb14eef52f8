import type { RecorderCommunicator } from '../comm/communicator.js';
import type { Patience } from '../options.js';

/** How what is waited for is told. Asked for when the time has come, since until then it changes. */
export interface Wait {
  /** Follows "rank 0 has waited 30000 ms". */
  readonly stalled: () => string;
  /** Follows "rank 0 ends the job:". */
  readonly ended: () => string;
}

/**
 * Says what is waited for after `stallMs`, and ends the job after `abortMs`. Returns what stops it.
 *
 * @param graceMs how much later it ends the job, where another rank can say better why.
 */
export function watchWait(
  comm: RecorderCommunicator,
  { stallMs, abortMs }: Patience,
  { stalled, ended }: Wait,
  graceMs = 0,
): () => void {
  const say = (what: string) => process.stderr.write(`braid-mpi: rank ${comm.rank} ${what}\n`);
  const stall = setTimeout(() => say(`has waited ${stallMs} ms ${stalled()}`), stallMs).unref();
  const abort =
    abortMs === undefined
      ? undefined
      : setTimeout(() => {
          say(`ends the job: ${ended()} within ${abortMs} ms (abortMs)`);
          comm.abort(1);
        }, abortMs + graceMs).unref();
  return () => {
    clearTimeout(stall);
    clearTimeout(abort);
  };
}
