import type { Command } from 'commander';
import type { ExtractReport, PruneOptions, PruneReport } from '../index.js';
import { stopOnSignal } from './interrupt.js';
import { countsText } from './merge.js';
import { countText, plural, printable, writeJson, writeLines } from './output.js';
import { fullRunId } from './run-id.js';
import { jsonOption, NODE_HELP, timeArgument } from './usage.js';

export function addExtract(program: Command): void {
  program
    .command('extract')
    .summary('make a database of its own of a record, or a run, with all that it comes from')
    .description(
      'Makes a database of its own of records, or versions of models, or of all that a run has recorded, with all that they come from as braid lineage shows it: their runs, ' +
        'versions and updates, and what was said against them. Ids stay what they are, and it can be merged again.',
    )
    .argument('<db>', 'database')
    .argument('[records...]', 'records or versions, see below')
    .requiredOption('-o, --output <file>', 'database to make')
    .option('--run <run>', 'all that this run has recorded: its id, or the beginning of it')
    .option('--ever', 'with all derivations that ever were, whatever had been seen when')
    .option('--force', 'put it in the place of a file that is there')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `${NODE_HELP}\nExamples:\n  $ braid extract run.db name:braggnn@step=12 -o paper.db\n  $ braid extract run.db --run 8861a738 -o run-1.db\n`,
    )
    .action(async (path: string, records: string[], { output, json, ever, force, run }: ExtractFlags) => {
      const { extract } = await import('../extract.js');
      const id = run === undefined ? undefined : await fullRunId(path, run);
      const report = await stopOnSignal((signal, line) =>
        extract(path, records, output, {
          ever,
          force,
          run: id,
          signal,
          onProgress: ({ table, done, total }) =>
            line.show(() => (total > 0 ? `${countText(done)} of ${countText(total)} ${table}` : table)),
        }),
      );
      if (report) await (json ? writeJson(report) : writeLines([extractedLine(report)]));
    });
}

interface ExtractFlags {
  output: string;
  run?: string;
  ever?: boolean;
  force?: boolean;
  json?: boolean;
}

function extractedLine(report: ExtractReport): string {
  return `written to ${printable(report.output)}: ${countsText(report)}`;
}

export function addPrune(program: Command): void {
  program
    .command('prune')
    .summary('cut what is old, or invalid, or of a run, and needed by nothing that stays')
    .description(
      'Cuts records and versions of models out of a database, with all that is said of them: those for which all that is given holds. ' +
        'If something that is kept derives from them, or may, it cuts nothing and says what. Runs stay listed, and no id is given out again.',
    )
    .argument('<db>', 'database')
    .option('--before <time>', 'what was made before this time', timeArgument)
    .option('--run <run>', 'what this run has recorded: its id, or the beginning of it')
    .option('--invalid', 'what is invalid')
    .option('--keep-needed', 'leave what something that is kept derives from, and cut the rest')
    .option('--dry-run', 'say what would be cut, and cut nothing')
    .option('--vacuum', 'give the room back to the file system')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ braid prune run.db --invalid --before 2026-01-01 --dry-run\n  $ braid prune run.db --run 8861a738 --vacuum\n',
    )
    .action(async (path: string, { run, json, ...options }: PruneFlags) => {
      const { prune } = await import('../prune.js');
      const id = run === undefined ? undefined : await fullRunId(path, run);
      const report = await stopOnSignal((signal, line) =>
        prune(path, { ...options, run: id, signal, onProgress: ({ table }) => line.show(() => `cutting: ${table}`) }),
      );
      if (report) await (json ? writeJson(report) : writeLines(prunedLines(report)));
    });
}

interface PruneFlags extends Omit<PruneOptions, 'busyMs' | 'onProgress' | 'signal'> {
  json?: boolean;
}

function* prunedLines(report: PruneReport): Iterable<string> {
  const { path, dryRun, needed } = report;
  const cut = countsText(report);
  if (cut === '') yield `nothing to cut from ${path}`;
  else yield `${dryRun ? 'would cut' : 'cut'} from ${path}: ${cut}`;
  if (needed > 0)
    yield `left, for what derives from them: ${plural(needed, 'record or version', 'records and versions')}`;
}
