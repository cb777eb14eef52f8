import type { Command } from 'commander';
import type { InvalidationHistory } from '../query/reader.js';
import { actionLines } from './invalidate.js';
import { dateText, printable, styled, toJson, writeLines } from './output.js';
import { jsonOption, NODE_HELP } from './usage.js';

export function addInvalidations(program: Command): void {
  program
    .command('invalidations')
    .summary('list what was ever said against records and versions')
    .description(
      'Lists the invalidations of a database, the oldest first: of what, when and why; what came of the actions of records; ' +
        'and what was taken back, and why. Each is the root of all that became invalid by it.',
    )
    .argument('<db>', 'database')
    .argument(
      '[record]',
      'only of this record and its versions, or this version, and what makes it invalid now; see below',
    )
    .addOption(jsonOption('print one JSON object a line, for each invalidation'))
    .addHelpText(
      'after',
      `${NODE_HELP}\nExamples:\n  $ braid invalidations run.db\n  $ braid invalidations run.db name:braggnn@3\n`,
    )
    .action(async (path: string, record: string | undefined, { json }: { json?: boolean }) => {
      const { BraidReader } = await import('../query/reader.js');
      const reader = BraidReader.open(path);
      try {
        const all = reader.invalidations(record);
        await writeLines(json ? all.map((each) => toJson(each)) : textLines(all));
      } finally {
        reader.close();
      }
    });
}

function* textLines(all: readonly InvalidationHistory[]): Iterable<string> {
  if (all.length === 0) yield 'no invalidations';
  for (const { record, name, version, step, cause, time, cascade, revalidated, actions } of all) {
    const of = `[${record}] ${printable(name ?? '(not committed)')}${version === undefined ? '' : `@${version}`}`;
    const parts = [
      styled('faint', dateText(time)),
      `${of}${step === undefined ? '' : ` step ${step}`}`,
      printable(cause),
    ];
    if (!cascade) parts.push('(not what derives from it)');
    yield parts.join('  ');
    for (const action of actions) yield* actionLines(action);
    if (revalidated) yield `  taken back ${dateText(revalidated.time)}: ${printable(revalidated.reason)}`;
  }
}
