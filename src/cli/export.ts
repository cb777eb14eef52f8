import { extname } from 'node:path';
import { Option, type Command } from 'commander';
import { BraidError } from '../errors.js';
import { EXPORT_FORMATS, EXPORT_TABLES, type ExportFormat, type ExportTable } from '../export.js';
import { ClosedPipe, countText, writeJson, writeLines } from './output.js';
import { ProgressLine } from './progress.js';
import { jsonOption } from './usage.js';

interface Options {
  format?: ExportFormat;
  output?: string;
  run?: string;
  table?: ExportTable;
  json?: boolean;
}

/** What the name of a file says, where nothing else does. */
const ENDINGS: Record<string, ExportFormat> = {
  '.csv': 'csv',
  '.ndjson': 'ndjson',
  '.jsonl': 'ndjson',
  '.parquet': 'parquet',
  '.provn': 'provn',
  '.ttl': 'turtle',
};

export function addExport(program: Command): void {
  program
    .command('export')
    .summary('write a database in a format of other tools')
    .description('Writes a database, ours or one that Braid-DB has made, in a format of other tools.')
    .argument('<db>', 'database')
    .addOption(new Option('--format <format>', 'default: as the ending of --output says').choices(EXPORT_FORMATS))
    .option('-o, --output <file>', 'file, or folder, for it; standard output if left out, where the format is text')
    .addOption(
      new Option(
        '--table <table>',
        'of csv, ndjson and parquet: one table; joined, a row for each record with a column for each tag (the default); ' +
          'or all, which makes a folder of files',
      ).choices(EXPORT_TABLES),
    )
    .option('--run <run>', 'only what this run has recorded: its id, or the beginning of it')
    .addOption(jsonOption('say what was written as one JSON document; needs --output'))
    .addHelpText(
      'after',
      `
Examples:
  $ braid export run.db --format ndjson | head
  $ braid export run.db -o run.parquet
  $ braid export run.db --format csv --table derivations | head
  $ braid export run.db --format parquet --table all -o run-tables
`,
    )
    .action(exported);
}

async function exported(path: string, { output, run, table, json, ...options }: Options): Promise<void> {
  const format = options.format ?? ENDINGS[extname(output ?? '').toLowerCase()];
  if (format === undefined) {
    throw new BraidError('ERR_BRAID_OPTION_INVALID', `give --format: one of ${EXPORT_FORMATS.join(', ')}`);
  }
  if (json && output === undefined) {
    throw new BraidError('ERR_BRAID_OPTION_INVALID', '--json says what was written to a file: give --output, too');
  }
  const stop = new AbortController();
  const interrupted = (signal: NodeJS.Signals) => {
    process.exitCode = 128 + (signal === 'SIGINT' ? 2 : 15);
    stop.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupted);
  const { exportDatabase } = await import('../export.js');
  const line = new ProgressLine();
  const what = table === undefined ? 'records' : 'rows';
  let count = 0;
  try {
    await exportDatabase(path, output ?? process.stdout, {
      format,
      table,
      run: run === undefined ? undefined : await runOf(path, run),
      signal: stop.signal,
      onProgress: ({ done, total }) => {
        count = done;
        line.show(() => `${countText(done)} of ${countText(total)} ${what}`);
      },
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') throw new ClosedPipe();
    if (stop.signal.aborted) return;
    throw error;
  } finally {
    line.clear();
  }
  if (output === undefined) return;
  await (json
    ? writeJson({ output, format, table, [what]: count })
    : writeLines([`written to ${output}: ${countText(count)} ${what}`]));
}

async function runOf(path: string, text: string): Promise<string> {
  const [{ BraidReader }, { findRun }] = await Promise.all([import('../query/reader.js'), import('../query/find.js')]);
  const reader = BraidReader.open(path);
  try {
    return findRun(reader, text);
  } finally {
    reader.close();
  }
}
