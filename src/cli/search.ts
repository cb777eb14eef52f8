import type { Command } from 'commander';
import type { RecordRow } from '../query/reader.js';
import { toJson, writeLines } from './output.js';
import { recordLine } from './record-text.js';
import { jsonOption, wholeNumber } from './usage.js';

export function addSearch(program: Command): void {
  program
    .command('search')
    .summary('find records by name, kind, tags, URI, run, rank, time, validity')
    .description(
      'Prints a line for each record for which an expression holds. A word that is no field (name, uri, kind, run, rank, time, ' +
        'valid, invalid) is the key of a tag. In a value without quotes, * stands for any characters and ? for one.',
    )
    .argument('<db>', 'database')
    .argument('<expression>', 'what a record must have; in quotes, for the shell')
    .option('--limit <count>', 'not more than so many records', wholeNumber)
    .addOption(jsonOption('print one JSON object a line, for each record'))
    .addHelpText(
      'after',
      `
Examples:
  $ braid search run.db 'name=scan-*'
  $ braid search run.db 'loss<0.05 and epoch>=10' --limit 20
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

function* lines(records: Iterable<RecordRow>, text: (record: RecordRow) => string): Iterable<string> {
  for (const record of records) yield text(record);
}
