import type { Command } from 'commander';
import type { BraidReader, RecordRow } from '../query/reader.js';
import type { Kind } from '../frame/format.js';
import { dateText, printable, styled, toJson, writeLines } from './output.js';
import { tagText, valuesOf } from './record-text.js';
import { jsonOption, kindOption } from './usage.js';

interface Options {
  run?: string;
  kind?: Kind;
  name?: string;
  json?: boolean;
}

/** How many derived records a line shows. */
const SHOWN = 20;

export function addPrint(program: Command): void {
  program
    .command('print')
    .summary('list records, as db-print of Braid-DB does')
    .description(
      'Prints a line for each record, with the ids of the records derived from it after the arrow, then its URIs and tags. ' +
        'Works on databases that Braid-DB has made, too. Times are UTC.',
    )
    .argument('<db>', 'database')
    .option('--run <run>', 'only records of this run; the first digits of its id are enough')
    .addOption(kindOption())
    .option('--name <name>', 'only records of this name')
    .addOption(jsonOption('print one JSON object a line, for each record'))
    .addHelpText('after', '\nExample:\n  $ braid print run.db --kind model\n')
    .action(async (path: string, { run, kind, name, json }: Options) => {
      const [{ BraidReader }, { findRun }] = await Promise.all([
        import('../query/reader.js'),
        import('../query/find.js'),
      ]);
      const reader = BraidReader.open(path);
      try {
        const records = reader.records({ kind, name, run: run === undefined ? undefined : findRun(reader, run) });
        await writeLines(json ? jsonLines(reader, records) : textLines(reader, records));
      } finally {
        reader.close();
      }
    });
}

function* jsonLines(reader: BraidReader, records: Iterable<RecordRow>): Iterable<string> {
  for (const record of records) yield toJson({ ...record, derived: derivedIds(reader, record.id) });
}

function* textLines(reader: BraidReader, records: Iterable<RecordRow>): Iterable<string> {
  for (const record of records) {
    const { id, name, time, uris, valid } = record;
    const derived = derivedIds(reader, id, SHOWN + 1);
    const shown = derived.slice(0, SHOWN).join(', ') + (derived.length > SHOWN ? ', …' : '');
    const mark = valid ? '' : `  ${styled('bad', 'INVALID')}`;
    yield `[${String(id).padStart(5)}] : ${printable(name).padEnd(16)} ${dateText(time)} <- [${shown}]${mark}`;
    for (const uri of uris) yield `          URI: ${printable(uri)}`;
    for (const key of Object.keys(record.tags)) {
      for (const value of valuesOf(record, key)) yield `          TAG: ${printable(key)} = ${tagText(value)}`;
    }
  }
}

function derivedIds(reader: BraidReader, id: number, limit = -1): number[] {
  return reader
    .query<{ id: number }>('SELECT derivation AS id FROM derivations WHERE record_id = ? ORDER BY 1 LIMIT ?', id, limit)
    .map((row) => row.id);
}
