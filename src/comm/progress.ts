import type { Pollable } from './request.js';

/** How long it is tested in one turn of the loop, which by itself takes as long as some ten tests. */
const TURN_MS = 0.05;
/** How long the loop may be kept waiting, between two of its turns, where there is good reason to. */
const SLICE_MS = 0.5;
/**
 * After so many turns without a completion the loop is no longer polled at full speed: after 2 ms, or later where others
 * have the core meanwhile, to whom MPI gives it at each test. Those we wait for are among them, and have done little.
 */
const SPIN_TURNS = 40;
/** The pause between two tests from then on. */
const PAUSE_MS = 1;
/** What moves more slowly is no better off for being tested at full speed: 50 MB/s. */
const SLOWEST_BYTES_PER_MS = 50_000;

/** A request, as far as it is looked at here. */
interface Awaited {
  readonly done: boolean;
}

/**
 * Tests what is under way from the event loop.
 *
 * MPI has nothing to wait on but its own calls (no descriptor, no thread of its own), so somebody has to ask. At first
 * that is every turn of the loop, and for most of it: with a timer of 1 ms an 8-byte allreduce took 12 ms instead of
 * 10 µs. After a while without a completion it is a timer, which leaves the core to whoever we wait for.
 */
export class Progress {
  readonly #active = new Set<Pollable>();
  /** Those that wake the event loop themselves, and need asking only when it isn't running. */
  readonly #watched = new Set<Pollable>();
  #scheduled = false;
  #pause: NodeJS.Timeout | undefined;
  /** Turns since the last completion. */
  #idleTurns = 0;
  /** What is moving, and how long that may take. */
  #transfer: { request: Awaited; end: number } | undefined;
  /** When the loop is due; 0 if nobody has kept it waiting since its last turn. */
  #lingerEnd = 0;

  /** Tests `pollable` from now on, and keeps the process alive until it is removed. */
  add(pollable: Pollable): void {
    this.#active.add(pollable);
    this.#idleTurns = 0;
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

  /**
   * Tests everything once, now, or for a moment what is moving. For callers that keep the event loop waiting: recording in a
   * long synchronous loop. Between two of their calls MPI moves one piece of many.
   */
  poke(): void {
    let completed = false;
    for (const pollable of this.#watched) pollable.test();
    if (this.#isMoving()) return this.#test(SLICE_MS);
    for (const pollable of this.#active) completed = pollable.test() || completed;
    if (completed) this.#idleTurns = 0;
  }

  /**
   * Tests until `awaited` is done. Where it takes longer than the rest of the program can wait, the loop goes on with it: that
   * gets its turn after so many short waits, too.
   */
  linger(awaited: Awaited): void {
    let now = performance.now();
    if (this.#lingerEnd === 0) this.#lingerEnd = now + SLICE_MS;
    while (!awaited.done && this.#active.size > 0 && now < this.#lingerEnd) {
      this.#test(this.#lingerEnd - now);
      now = performance.now();
    }
  }

  /**
   * So many bytes are about to come or go by `request`: without pauses, in which nothing would move, for MPI moves most of
   * it in pieces, inside the tests.
   */
  attend(request: Awaited, bytes: number): void {
    const end = performance.now() + bytes / SLOWEST_BYTES_PER_MS;
    if (!this.#isMoving() || end > this.#transfer!.end) this.#transfer = { request, end };
  }

  #isMoving(): boolean {
    if (this.#transfer && (this.#transfer.request.done || performance.now() > this.#transfer.end))
      this.#transfer = undefined;
    return this.#transfer !== undefined;
  }

  /** Tests until something has completed, and not longer than `withinMs`. */
  #test(withinMs: number): void {
    let completed = false;
    for (const pollable of this.#active) completed = pollable.test(withinMs) || completed;
    if (completed) this.#idleTurns = 0;
  }

  #schedule(): void {
    if (this.#scheduled || this.#active.size === 0) return;
    this.#scheduled = true;
    const turn = () => {
      this.#scheduled = false;
      this.#pause = undefined;
      this.#lingerEnd = 0;
      this.#idleTurns++;
      this.#test(this.#isMoving() ? SLICE_MS : TURN_MS);
      this.#schedule();
    };
    if (this.#idleTurns < SPIN_TURNS || this.#isMoving()) setImmediate(turn);
    else this.#pause = setTimeout(turn, PAUSE_MS);
  }
}

/** The one of this process: MPI is called from one thread. */
export const progress = new Progress();
