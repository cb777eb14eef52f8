import type { Command } from 'commander';
import type { LineageRow, RecordRow } from '../query/reader.js';
import type { Kind } from '../frame/format.js';
import { dateText, printable, toJson, writeLines } from './output.js';
import { jsonOption, kindOption, wholeNumber } from './usage.js';

interface Options {
  down?: boolean;
  depth?: number;
  kind?: Kind;
  ever?: boolean;
  json?: boolean;
}

/** Deeper lines are not moved further to the right: their number says how deep they are. */
const INDENTED = 12;

export function addLineage(program: Command): void {
  program
    .command('lineage')
    .summary('show what a record comes from, or what came of it')
    .description(
      'Lists all that a record is derived from, directly or not, the nearest first; with --down, all that is derived from it. ' +
        'Each record is listed once, at its shortest distance. Derivations that ever were are followed, whatever their time.',
    )
    .argument('<db>', 'database')
    .argument('<record>', 'id of a record, or name:NAME where only one has that name')
    .option('--down', 'what is derived from it')
    .option('--depth <steps>', 'not further than so many steps', wholeNumber)
    .addOption(kindOption())
    .option('--ever', 'follow all derivations that ever were: what this version does in any case')
    .addOption(jsonOption('print one JSON object a line, the record itself first at depth 0'))
    .addHelpText(
      'after',
      '\nExamples:\n  $ braid lineage run.db 17\n  $ braid lineage run.db name:braggnn --down --depth 2\n',
    )
    .action(async (path: string, text: string, { down, depth, kind, ever, json }: Options) => {
      const [{ BraidReader }, { findRecord }] = await Promise.all([
        import('../query/reader.js'),
        import('../query/find.js'),
      ]);
      const reader = BraidReader.open(path);
      try {
        const id = findRecord(reader, text);
        const options = { depth, kind, ever };
        const rows = down ? reader.descendants(id, options) : reader.ancestors(id, options);
        await writeLines(lines({ ...reader.record(id)!, depth: 0 }, rows, json ? toJson : lineText));
      } finally {
        reader.close();
      }
    });
}

function* lines(self: LineageRow, rows: Iterable<LineageRow>, text: (row: LineageRow) => string): Iterable<string> {
  yield text(self);
  for (const row of rows) yield text(row);
}

function lineText(row: LineageRow): string {
  const { depth, id, kind, name, time, valid } = row;
  const indent = '  '.repeat(Math.min(depth, INDENTED));
  return `${String(depth).padStart(3)}  ${indent}[${id}] ${kind} ${printable(name)}  ${dateText(time)}${whose(row)}${valid ? '' : '  INVALID'}`;
}

function whose({ run, rank }: RecordRow): string {
  return run === undefined ? '' : `  run ${run.slice(0, 8)} rank ${rank}`;
}
