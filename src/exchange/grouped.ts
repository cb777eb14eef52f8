/** Rows that come in the order of a key, taken a key at a time by somebody who asks in the same order. */
export class Grouped<Row extends readonly [key: number, ...rest: unknown[]]> {
  readonly #rows: Iterator<Row>;
  #next: Row | undefined;

  constructor(rows: Iterable<Row>) {
    this.#rows = rows[Symbol.iterator]();
    this.#advance();
  }

  /** Those of a key, which is larger than the one before. */
  *of(key: number): IterableIterator<Row> {
    while (this.#next && this.#next[0] < key) this.#advance();
    while (this.#next?.[0] === key) {
      yield this.#next;
      this.#advance();
    }
  }

  /** Whoever takes rows of it closes it in the end: a connection that is busy can't be closed. */
  close(): void {
    this.#rows.return?.();
  }

  #advance(): void {
    const { value, done } = this.#rows.next() as IteratorResult<Row, undefined>;
    this.#next = done ? undefined : value;
  }
}
