import type { RecorderCommunicator } from '../comm/communicator.js';
import type { Patience } from '../options.js';

/** How what is waited for is told. Asked for when the time has come, since until then it changes. */
export interface Wait {
  /** Follows "rank 0 has waited 30000 ms". */
  readonly stalled: () => string;
  /** Follows "rank 0 ends the job:". */
  readonly ended: () => string;
}

/** A wait under way. */
interface Watched {
  readonly patience: Patience;
  readonly wait: Wait;
  readonly graceMs: number;
  readonly since: number;
  /** It has been said that this one takes long. */
  said: boolean;
}

/**
 * Watches one wait after another: says what is waited for after `stallMs`, and ends the job after `abortMs`.
 *
 * Almost all are over in microseconds, in which setting and clearing timers would be a good part. So a timer stays set when
 * its wait is over, and looks how long the one of then has taken.
 */
export class WaitWatch {
  readonly #comm: RecorderCommunicator;
  #watched: Watched | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerDue = Infinity;

  constructor(comm: RecorderCommunicator) {
    this.#comm = comm;
  }

  /** @param graceMs how much later it ends the job, where another rank can say better why. */
  begin(patience: Patience, wait: Wait, graceMs = 0): void {
    this.#watched = { patience, wait, graceMs, since: performance.now(), said: false };
    this.#arm(this.#watched);
  }

  end(): void {
    this.#watched = undefined;
  }

  #arm(watched: Watched): void {
    const due = dueOf(watched);
    if (due >= this.#timerDue || due === Infinity) return;
    clearTimeout(this.#timer);
    this.#timerDue = due;
    this.#timer = setTimeout(() => this.#look(), Math.max(0, Math.ceil(due - performance.now()))).unref();
  }

  #look(): void {
    this.#timer = undefined;
    this.#timerDue = Infinity;
    const watched = this.#watched;
    if (!watched) return;
    const { patience, wait, graceMs, since } = watched;
    const { stallMs, abortMs } = patience;
    // A timer may come up to a millisecond before the clock says so.
    const waitedMs = performance.now() - since + 1;
    if (!watched.said && waitedMs >= stallMs) {
      watched.said = true;
      this.#say(`has waited ${stallMs} ms ${wait.stalled()}`);
    }
    if (abortMs !== undefined && waitedMs >= abortMs + graceMs) {
      this.#say(`ends the job: ${wait.ended()} within ${abortMs} ms (abortMs)`);
      this.#watched = undefined;
      this.#comm.abort(1);
    }
    this.#arm(watched);
  }

  #say(what: string): void {
    process.stderr.write(`braid-mpi: rank ${this.#comm.rank} ${what}\n`);
  }
}

/** When there is something to say or to do about it. */
function dueOf({ patience: { stallMs, abortMs }, graceMs, since, said }: Watched): number {
  return since + Math.min(said ? Infinity : stallMs, abortMs === undefined ? Infinity : abortMs + graceMs);
}
