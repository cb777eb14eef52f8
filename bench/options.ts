/** The command line of the harness. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { nearest } from './nearest.js';
import type { Trial } from './trial.js';

export interface Options {
  readonly only: readonly string[];
  readonly repeat: number;
  readonly records: number;
  readonly seconds: number;
  readonly mpi?: string;
  readonly json?: string;
  readonly report?: string;
  readonly out?: string;
  readonly quick: boolean;
  readonly long: boolean;
  readonly check: boolean;
  readonly list: boolean;
}

/** What was asked for can't be understood, or can't be done together. */
export class UsageError extends Error {}

/** Undefined where help was asked for, and has been printed. */
export function readOptions(args: readonly string[], vendors: readonly string[]): Options | undefined {
  const command = new Command('npm run bench --')
    .description('Measures what recording costs, against what else could be done with the same bytes and rows.')
    .option('--only <names...>', 'trials whose names begin so')
    .addOption(numeric('--repeat <n>', 'how often each side is run (5; 3 with --quick)', 1, 1000))
    .addOption(
      numeric('--records <n>', 'of a trial, where its sides say no other (100,000; 20,000 with --quick)', 1, 1e8),
    )
    .option('--quick', 'end within 3 minutes: smaller, fewer repeats, and without what takes long', false)
    .option('--long', 'also the trials that take very long', false)
    .addOption(numeric('--seconds <n>', 'how long the jobs of the overhead trials take', 1, 86_400).default(60))
    .addOption(new Option('--mpi <name>', 'whose MPI, where there are several').choices([...vendors]))
    .option('--json <file>', 'write the results')
    .option('--report <file>', 'measure nothing: report what is in such a file, be it of another machine')
    .option('--out <dir>', 'write report.md and plots in SVG (with --report: default is the name of the file)')
    .option('--check', 'exit with 1 where a target is missed', false)
    .option('--list', 'print what there is to be measured, and end', false)
    .helpOption('-h, --help', 'print this')
    .addHelpText(
      'after',
      `
Files are written below TMPDIR: its disk is measured.
Exit codes: 0 fine, 1 a trial failed or a target was missed, 2 wrong usage, 130 interrupted.

For example:
  npm run bench -- --only capture gather --repeat 9 --json results.json --out report
  npm run bench -- --quick --check
  npm run bench -- --report results.json`,
    )
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  try {
    command.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw new UsageError(error.message.replace(/^error: /, ''));
  }
  const given = command.opts<Partial<Options> & Pick<Options, 'quick' | 'long' | 'seconds' | 'check' | 'list'>>();
  if (given.quick && given.long) throw new UsageError('--quick and --long do not go together');
  const [repeat, records] = given.quick ? [3, 20_000] : [5, 100_000];
  return { ...given, only: given.only ?? [], repeat: given.repeat ?? repeat, records: given.records ?? records };
}

function numeric(flags: string, description: string, least: number, most: number): Option {
  return new Option(flags, description).argParser((text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  });
}

/**
 * Those whose names begin with one of `only`, or all.
 *
 * @throws UsageError where there is none of such a name, with the one that was meant, perhaps
 */
export function selected(trials: readonly Trial[], only: readonly string[]): readonly Trial[] {
  if (only.length === 0) return trials;
  const begins = ({ name }: Trial, word: string) => name.toLowerCase().startsWith(word.toLowerCase());
  for (const word of only) {
    if (trials.some((trial) => begins(trial, word))) continue;
    const names = trials.map(({ name }) => name);
    throw new UsageError(`there is no trial "${word}": did you mean "${nearest(word, names)}"? --list prints them all`);
  }
  return trials.filter((trial) => only.some((word) => begins(trial, word)));
}
