/** How long a program has waited for one thing or another. What overlaps counts once. */
export class WaitClock {
  #waits = 0;
  #since = 0;
  #ms = 0;

  begin(): void {
    if (this.#waits++ === 0) this.#since = performance.now();
  }

  end(): void {
    if (--this.#waits === 0) this.#ms += performance.now() - this.#since;
  }

  /** So far, with what is being waited for. */
  get ms(): number {
    return this.#ms + (this.#waits > 0 ? performance.now() - this.#since : 0);
  }
}

/**
 * A promise that tells when its outcome is first asked for: what is awaited late was not waited for until then. `await`
 * calls `then` of whatever isn't a plain promise, as this is not.
 */
export class AskedPromise<T> extends Promise<T> {
  onAsked: (() => void) | undefined;

  /** What follows from it is a plain promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  override then<A = T, B = never>(
    fulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.onAsked?.();
    this.onAsked = undefined;
    return super.then(fulfilled, rejected);
  }
}
