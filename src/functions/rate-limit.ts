/** Above so many clients those that have been quiet are forgotten. */
const MANY = 1000;

/** How many requests a second each client may make: a bucket of tokens that fills at that rate, and holds those of one second. */
export class RateLimit {
  readonly #perSecond: number;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Takes one; or says after how many seconds there is one. */
  wait(client: string, now = performance.now()): number {
    if (this.#buckets.size > MANY) this.#forget(now);
    const bucket = this.#buckets.get(client) ?? { tokens: this.#perSecond, at: now };
    bucket.tokens = this.#filled(bucket, now);
    bucket.at = now;
    this.#buckets.set(client, bucket);
    if (bucket.tokens < 1) return (1 - bucket.tokens) / this.#perSecond;
    bucket.tokens--;
    return 0;
  }

  #filled({ tokens, at }: { tokens: number; at: number }, now: number): number {
    return Math.min(this.#perSecond, tokens + ((now - at) / 1000) * this.#perSecond);
  }

  #forget(now: number): void {
    for (const [client, bucket] of this.#buckets) {
      if (this.#filled(bucket, now) >= this.#perSecond) this.#buckets.delete(client);
    }
  }
}
