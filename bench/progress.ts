/** Says on stderr what is being measured and how long that will go on: a line that changes, or, in a log, one of each repeat. */
export class Progress {
  readonly #started = performance.now();
  #shown = '';

  get elapsedSeconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  /** @param leftSeconds what is still to come, about. */
  show(what: string, leftSeconds: number, detail: string): void {
    const times = `${clock(this.elapsedSeconds)} of about ${clock(this.elapsedSeconds + leftSeconds)}`;
    if (process.stderr.isTTY) {
      const width = (process.stderr.columns ?? 80) - 1;
      process.stderr.write(`\r\x1b[K${`${times}  ${what}: ${detail}`.slice(0, width)}`);
    } else if (what !== this.#shown) {
      process.stderr.write(`${times}  ${what}\n`);
    }
    this.#shown = what;
  }

  /** A line that stays. */
  say(line: string): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    process.stderr.write(`${line}\n`);
  }

  clear(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }
}

function clock(seconds: number): string {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}
