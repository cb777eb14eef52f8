/** When a user begins to wonder, and how often the line changes then. */
const PATIENCE_MS = 500;
const REFRESH_MS = 100;

/** One line on a terminal's stderr that says how far a long command is. Nothing anywhere else, and nothing if it is short. */
export class ProgressLine {
  readonly #shown = process.stderr.isTTY;
  #next = performance.now() + PATIENCE_MS;
  #length = 0;

  show(text: () => string): void {
    if (!this.#shown || performance.now() < this.#next) return;
    this.#next = performance.now() + REFRESH_MS;
    const line = text().slice(0, (process.stderr.columns ?? 80) - 1);
    process.stderr.write(`\r${line.padEnd(this.#length)}`);
    this.#length = line.length;
  }

  clear(): void {
    if (this.#length > 0) process.stderr.write(`\r${' '.repeat(this.#length)}\r`);
    this.#length = 0;
  }
}
