import type { Command } from 'commander';
import type { NodeRow } from '../query/reader.js';
import { toJson, writeLines } from './output.js';
import { recordLine } from './record-text.js';
import { jsonOption, wholeNumber } from './usage.js';

export function addSearch(program: Command): void {
  program
    .command('search')
    .summary('find records and versions by name, kind, tags, URI, run, rank, time, step, validity')
    .description(
      'Prints a line for each record, and each version of a model, for which an expression holds; kind=version is of versions alone. ' +
        'A word that is no field (name, uri, kind, run, rank, time, step, valid, invalid) is the key of a tag. In a value without quotes, * stands for any characters and ? for one.',
    )
    .argument('<db>', 'database')
    .argument('<expression>', 'what a record or version must have; in quotes, for the shell')
    .option('--limit <count>', 'not more than so many records and versions', wholeNumber)
    .addOption(jsonOption('print one JSON object a line, for each record and version'))
    .addHelpText(
      'after',
      `
Examples:
  $ braid search run.db 'name=scan-*'
  $ braid search run.db 'loss<0.05 and epoch>=10' --limit 20
  $ braid search run.db 'kind=version and name=braggnn and step>=100'
  $ braid search run.db 'kind=model and not (invalid or run=8861a738)'
  $ braid search run.db 'uri=file:///data/* and rank=3 and time>=2026-07-28'
  $ braid search run.db 'detector="eiger 2" or tag:calibrated' --json

Comparisons: = != < <= > >=, and ~ (like a pattern, also in quotes).
`,
    )
    .action(async (path: string, expression: string, { limit, json }: { limit?: number; json?: boolean }) => {
      const { BraidReader } = await import('../query/reader.js');
      const reader = BraidReader.open(path);
      try {
        await writeLines(lines(reader.search(expression, { limit }), json ? toJson : recordLine));
      } finally {
        reader.close();
      }
    });
}

function* lines(records: Iterable<NodeRow>, text: (record: NodeRow) => string): Iterable<string> {
  for (const record of records) yield text(record);
}
