import { spawn } from 'node:child_process';

export type Outcome = 'succeeded' | 'failed' | 'timeout' | 'refused' | 'interrupted';

/** What came of something that was done. */
export interface Came {
  readonly outcome: Outcome;
  /** The exit status of a program, or the status of an answer. */
  readonly status?: number;
  /** The first 16 KiB of what came back; or why it was refused, or failed. */
  readonly output: string;
}

export const OUTPUT_BYTES = 16 * 1024;

/** The beginning of some output, as text that SQLite can hold. */
export function textOf(bytes: Buffer): string {
  return bytes.subarray(0, OUTPUT_BYTES).toString('utf8').replaceAll('\0', '\uFFFD');
}

/** How long a process that something has left behind may keep its output open. */
const LEFT_BEHIND_MS = 500;
/** How long a process group has after SIGTERM. */
const GRACE_MS = 2000;

/**
 * Runs a program, without a shell, in a process group of its own that is ended with all in it when its time is over, or when
 * `signal` says so.
 */
export function runProgram(
  command: string,
  args: readonly string[],
  { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal },
): Promise<Came> {
  return new Promise((resolve) => {
    let child: ReturnType<typeof spawn>;
    try {
      child = spawn(command, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'], shell: false });
    } catch (error) {
      return resolve({ outcome: 'failed', output: (error as Error).message });
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    const take = (chunk: Buffer) => {
      if (bytes < OUTPUT_BYTES) chunks.push(chunk);
      bytes += chunk.length;
    };
    child.stdout!.on('data', take);
    child.stderr!.on('data', take);
    let ended: 'timeout' | 'interrupted' | undefined;
    let killing: NodeJS.Timeout | undefined;
    const end = (why: 'timeout' | 'interrupted') => {
      ended ??= why;
      killGroup(child.pid, 'SIGTERM');
      killing ??= setTimeout(() => killGroup(child.pid, 'SIGKILL'), GRACE_MS);
    };
    const timer = setTimeout(() => end('timeout'), timeoutMs);
    const interrupt = () => end('interrupted');
    signal?.addEventListener('abort', interrupt);
    const finish = (status: number | null, failure?: string) => {
      clearTimeout(timer);
      clearTimeout(killing);
      signal?.removeEventListener('abort', interrupt);
      if (ended) killGroup(child.pid, 'SIGKILL');
      child.stdout!.destroy();
      child.stderr!.destroy();
      const output = failure ?? textOf(Buffer.concat(chunks));
      const outcome = ended ?? (status === 0 ? 'succeeded' : 'failed');
      resolve({ outcome, status: status ?? undefined, output });
    };
    child.on('error', (error) => finish(null, error.message));
    const over = (status: number | null, killedBy: string | null) =>
      finish(status, status === null && !ended ? `ended by ${killedBy}` : undefined);
    child.on('close', over);
    child.on('exit', (status, killedBy) => setTimeout(() => over(status, killedBy), LEFT_BEHIND_MS));
  });
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It is gone.
  }
}
