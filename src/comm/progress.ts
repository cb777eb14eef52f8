import type { Pollable } from './request.js';

/** After so long without a completion the loop is no longer polled at full speed. */
const SPIN_MS = 2;
/** The pause between two tests from then on. */
const PAUSE_MS = 1;

/**
 * Tests what is under way from the event loop.
 *
 * MPI has nothing to wait on but its own calls (no descriptor, no thread of its own), so somebody has to ask. At first
 * that is every turn of the loop: with a timer of 1 ms an 8-byte allreduce took 12 ms instead of 10 µs. After 2 ms
 * without a completion it is a timer, which leaves the core to whoever we wait for.
 */
export class Progress {
  readonly #active = new Set<Pollable>();
  /** Those that wake the event loop themselves, and need asking only when it isn't running. */
  readonly #watched = new Set<Pollable>();
  #scheduled = false;
  #pause: NodeJS.Timeout | undefined;
  #lastCompletion = 0;

  /** Tests `pollable` from now on, and keeps the process alive until it is removed. */
  add(pollable: Pollable): void {
    this.#active.add(pollable);
    this.#lastCompletion = performance.now();
    if (this.#pause) {
      // What has just begun may be complete in microseconds: it doesn't wait for the end of a pause.
      clearTimeout(this.#pause);
      this.#pause = undefined;
      this.#scheduled = false;
    }
    this.#schedule();
  }

  /** Tests `pollable` in `poke` only. */
  watch(pollable: Pollable): void {
    this.#watched.add(pollable);
  }

  remove(pollable: Pollable): void {
    this.#active.delete(pollable);
    this.#watched.delete(pollable);
  }

  /** Tests everything once, now. For callers that keep the event loop waiting: recording in a long synchronous loop. */
  poke(): void {
    let completed = false;
    for (const pollable of this.#watched) pollable.test();
    for (const pollable of this.#active) completed = pollable.test() || completed;
    if (completed) this.#lastCompletion = performance.now();
  }

  #schedule(): void {
    if (this.#scheduled || this.#active.size === 0) return;
    this.#scheduled = true;
    const turn = () => {
      this.#scheduled = false;
      this.#pause = undefined;
      this.poke();
      this.#schedule();
    };
    if (performance.now() - this.#lastCompletion < SPIN_MS) setImmediate(turn);
    else this.#pause = setTimeout(turn, PAUSE_MS);
  }
}

/** The one of this process: MPI is called from one thread. */
export const progress = new Progress();
