import Mocha from 'mocha';

/**
 * Mocha's own report, then what was skipped (a missing MPI says so in the title), and a plain last line that programs
 * can read.
 */
export default class SummaryReporter extends Mocha.reporters.Spec {
  readonly #skipped: string[] = [];

  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    runner.on('pending', (test) => this.#skipped.push(test.fullTitle()));
  }

  override epilogue(): void {
    super.epilogue();
    const { passes, failures, pending } = this.stats;
    if (this.#skipped.length > 0) Mocha.reporters.Base.consoleLog(`Skipped:\n  ${this.#skipped.join('\n  ')}\n`);
    Mocha.reporters.Base.consoleLog(`${passes} passed, ${failures} failed, ${pending} skipped`);
  }
}
