import type { Command } from 'commander';
import type { VerifyProblem, VerifyReport } from '../query/verify.js';
import { plural, printable, styled, writeJson, writeLines } from './output.js';
import { jsonOption } from './usage.js';

export function addVerify(program: Command): void {
  program
    .command('verify')
    .summary('check that a database is sound and complete')
    .description(
      'Checks that SQLite finds the file sound, that its tables hold what the ledger says was committed, and that what rows ' +
        'name exists. Reads only; a job may be recording meanwhile. Exit code 1: there are problems.',
    )
    .argument('<db>', 'database')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ braid verify run.db && cp run.db /archive/\n')
    .action(async (path: string, { json }: { json?: boolean }) => {
      const { verify } = await import('../verify.js');
      const report = verify(path);
      if (report.problems.length > 0) process.exitCode = 1;
      await (json ? writeJson(report) : writeLines(textLines(report)));
    });
}

function* textLines({ path, madeBy, checked, problems }: VerifyReport): Iterable<string> {
  for (const { check, what } of checked) {
    const found = problems.filter((problem) => problem.check === check);
    yield `${found.length === 0 ? styled('good', 'ok ') : styled('bad', 'BAD')}  ${check.padEnd(10)}  ${what}`;
    for (const problem of found) yield `     ${' '.repeat(10)}  ${problemText(problem)}`;
  }
  const what = madeBy === 'braid-db' ? ' (made by Braid-DB)' : '';
  yield problems.length === 0 ? `${path}${what} is sound` : `${path}${what} has ${plural(problems.length, 'problem')}`;
}

function problemText({ message, count, ids }: VerifyProblem): string {
  const shown = ids ? ` (${ids.join(', ')}${count > ids.length ? ', …' : ''})` : '';
  return `- ${printable(message)}${shown}`;
}
