import { extname } from 'node:path';
import { Option, type Command } from 'commander';
import { BraidError } from '../errors.js';
import {
  EXPORT_FORMATS,
  EXPORT_TABLES,
  type ExportFormat,
  type ExportOptions,
  type ExportTable,
  type SkippedFile,
} from '../export.js';
import { stopOnSignal } from './interrupt.js';
import { outputError, countText, plural, printable, writeJson, writeLines } from './output.js';
import type { ProgressLine } from './progress.js';
import { fullRunId } from './run-id.js';
import { jsonOption } from './usage.js';

interface Options {
  format?: ExportFormat;
  output?: string;
  post?: string;
  run?: string;
  table?: ExportTable;
  namespace?: string;
  ranks?: boolean;
  withFiles?: boolean;
  license?: string;
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
  '.zip': 'ro-crate',
};

/** Of files that could not be copied: more are counted only. */
const SKIPPED_SHOWN = 10;
const SKIPPED_KEPT = 1000;

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
    .option('--namespace <name>', 'openlineage: of jobs; default: OPENLINEAGE_NAMESPACE, or the cluster')
    .option('--ranks', 'openlineage: a run for each rank, too, as a child of its run')
    .option('--post <url>', 'openlineage: send the events to a server; OPENLINEAGE_API_KEY is its bearer token')
    .option('--with-files', 'ro-crate: copy the files that records have file: URIs of into it')
    .option('--license <uri>', 'ro-crate: its licence')
    .addOption(jsonOption('say what was written as one JSON document; needs --output or --post'))
    .addHelpText(
      'after',
      `
Examples:
  $ braid export run.db --format ndjson | head
  $ braid export run.db -o run.parquet
  $ braid export run.db --format csv --table derivations | head
  $ braid export run.db --format parquet --table all -o run-tables
  $ braid export run.db --post http://localhost:5000
  $ braid export run.db --with-files -o run.zip
`,
    )
    .action(exported);
}

async function exported(path: string, options: Options): Promise<void> {
  const { output, post, json } = options;
  if (json && output === undefined && post === undefined) {
    throw invalid('--json says what was written to a file: give --output, too');
  }
  const told = await stopOnSignal((signal, line) =>
    post === undefined ? toFile(path, options, line, signal) : posted(path, post, options, line, signal),
  ).catch((error: unknown) => {
    throw outputError(error as NodeJS.ErrnoException);
  });
  if (told) await (json ? writeJson(told.json) : writeLines(told.lines));
}

interface Told {
  json: object;
  lines: string[];
}

async function toFile(
  path: string,
  { output, run, table, namespace, ranks, withFiles, license, json, ...options }: Options,
  line: ProgressLine,
  signal: AbortSignal,
): Promise<Told | undefined> {
  const format = options.format ?? ENDINGS[extname(output ?? '').toLowerCase()];
  if (format === undefined) throw invalid(`give --format: one of ${EXPORT_FORMATS.join(', ')}`);
  const { exportDatabase } = await import('../export.js');
  const what = table === undefined ? 'records' : 'rows';
  let count = 0;
  const skipped: SkippedFile[] = [];
  let skippedCount = 0;
  const asked: ExportOptions = {
    format,
    table,
    run: run === undefined ? undefined : await fullRunId(path, run),
    namespace: format === 'openlineage' ? (namespace ?? process.env.OPENLINEAGE_NAMESPACE) : namespace,
    ranks,
    withFiles,
    license,
    signal,
    onProgress: ({ unit, done, total }) => {
      if (unit === undefined) count = done;
      line.show(() => `${countText(done)} of ${countText(total)} ${unit ?? what}`);
    },
    onSkipped: (file) => {
      if (++skippedCount <= SKIPPED_KEPT) skipped.push(file);
      if (json || skippedCount > SKIPPED_SHOWN) return;
      line.clear();
      process.stderr.write(`braid: not copied: ${printable(file.uri)} ${printable(file.why)}\n`);
    },
  };
  await exportDatabase(path, output ?? process.stdout, asked);
  line.clear();
  if (!json && skippedCount > SKIPPED_SHOWN)
    process.stderr.write(`braid: ${plural(skippedCount, 'file')} not copied\n`);
  if (output === undefined) return undefined;
  return {
    json: { output, format, table, [what]: count, ...(withFiles ? { skipped, skippedCount } : {}) },
    lines: [`written to ${output}: ${countText(count)} ${what}`],
  };
}

async function posted(
  path: string,
  url: string,
  { format = 'openlineage', output, run, table, namespace, ranks, withFiles, license }: Options,
  line: ProgressLine,
  signal: AbortSignal,
): Promise<Told> {
  if (format !== 'openlineage') throw invalid(`--post sends openlineage, and not ${format}`);
  if (output !== undefined) throw invalid('--post sends it, and --output writes it: give one of them');
  if (withFiles || license !== undefined || table !== undefined) {
    throw invalid('--table, --with-files and --license are of other formats');
  }
  const { postOpenLineage } = await import('../post.js');
  const report = await postOpenLineage(path, url, {
    run: run === undefined ? undefined : await fullRunId(path, run),
    namespace: namespace ?? process.env.OPENLINEAGE_NAMESPACE,
    ranks,
    apiKey: process.env.OPENLINEAGE_API_KEY,
    signal,
    onProgress: ({ done, total }) => line.show(() => `${countText(done)} of ${countText(total)} records`),
  });
  line.clear();
  return { json: report, lines: [`sent to ${report.url}: ${plural(report.events, 'event')}`] };
}

function invalid(message: string): BraidError {
  return new BraidError('ERR_BRAID_OPTION_INVALID', message);
}
