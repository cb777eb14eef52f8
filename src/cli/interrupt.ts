import { constants } from 'node:os';
import { ProgressLine } from './progress.js';

/**
 * Runs what takes long, and ends it when the user, or the system, asks for that: with the exit code of the signal.
 *
 * @param run is told by an AbortSignal, and has a line for its progress.
 * @returns undefined if it was ended.
 */
export async function stopOnSignal<T>(
  run: (signal: AbortSignal, line: ProgressLine) => Promise<T>,
): Promise<T | undefined> {
  const stop = new AbortController();
  const line = new ProgressLine();
  const stopped = (signal: NodeJS.Signals) => {
    process.exitCode = 128 + constants.signals[signal];
    stop.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stopped);
  try {
    return await run(stop.signal, line);
  } catch (error) {
    if (stop.signal.aborted) return undefined;
    throw error;
  } finally {
    line.clear();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stopped);
  }
}
