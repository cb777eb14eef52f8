import type { Command } from 'commander';
import type { LineageOptions } from '../query/reader.js';
import { rowLine } from './node-text.js';
import { toJson, writeLines } from './output.js';
import {
  jsonOption,
  kindOption,
  lastTimeArgument,
  NODE_HELP,
  tagArgument,
  timeArgument,
  wholeNumber,
} from './usage.js';

interface Options extends LineageOptions {
  down?: boolean;
  json?: boolean;
}

export function addLineage(program: Command): void {
  program
    .command('lineage')
    .summary('show what a record or a version comes from, or what came of it')
    .description(
      'Lists all that a record, or a version of a model, is derived from, directly or not, the nearest first; with --down, ' +
        'all that is derived from it. What a model learnt after a version is not shown for what that version made. What may ' +
        'be an ancestor, and is not known to be, comes last and is marked as inferred. Each is listed once, at its shortest distance.',
    )
    .argument('<db>', 'database')
    .argument('<record>', 'a record or a version, see below')
    .option('--down', 'what is derived from it')
    .option('--depth <steps>', 'not further than so many steps', wholeNumber)
    .option('--ever', 'follow all derivations that ever were, whatever had been seen when')
    .addOption(kindOption())
    .option('--name <name>', 'only records of this name')
    .option('--run <run>', 'only what this run has made; the first digits of its id are enough')
    .option('--rank <rank>', 'only what this rank has made', wholeNumber)
    .option('--tag <key=value>', 'only what has this tag; may be given again', tagArgument)
    .option('--since <time>', 'only what is not older; UTC, unless it says otherwise', timeArgument)
    .option('--until <time>', 'only what is not newer; a day, or a second, to its end', lastTimeArgument)
    .addOption(jsonOption('print one JSON object a line, the record itself first at depth 0'))
    .addHelpText(
      'after',
      `${NODE_HELP}
Examples:
  $ braid lineage run.db 17
  $ braid lineage run.db name:braggnn@step=12 --kind data
  $ braid lineage run.db name:braggnn --down --depth 2
`,
    )
    .action(async (path: string, text: string, { down, json, run, ...filter }: Options) => {
      const [{ BraidReader }, { findRun }] = await Promise.all([
        import('../query/reader.js'),
        import('../query/find.js'),
      ]);
      const reader = BraidReader.open(path);
      try {
        const self = reader.node(text);
        const options = { ...filter, run: run === undefined ? undefined : findRun(reader, run) };
        const rows = down ? reader.descendants(text, options) : reader.ancestors(text, options);
        await writeLines(lines(self, rows, json ? toJson : rowLine));
      } finally {
        reader.close();
      }
    });
}

function* lines<Row>(self: Row, rows: Iterable<Row>, text: (row: Row) => string): Iterable<string> {
  yield text(self);
  for (const row of rows) yield text(row);
}
