import process from 'node:process';
import Mocha from 'mocha';

/**
 * Mocha's own report, then what was skipped (a missing MPI says so in the title), and a plain last line that programs
 * can read. Linting, which `scripts/test` has done before, counts as one test in it.
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
    const lint = process.env.BRAID_TEST_LINT;
    if (this.#skipped.length > 0) Mocha.reporters.Base.consoleLog(`Skipped:\n  ${this.#skipped.join('\n  ')}\n`);
    if (lint === 'failed') Mocha.reporters.Base.consoleLog('Lint failed: see above.\n');
    const passed = passes + Number(lint === 'passed');
    const failed = failures + Number(lint === 'failed');
    Mocha.reporters.Base.consoleLog(`${passed} passed, ${failed} failed, ${pending} skipped`);
  }
}
