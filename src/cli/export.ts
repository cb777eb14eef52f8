import { extname } from 'node:path';
import { Option, type Command } from 'commander';
import { BraidError } from '../errors.js';
import { EXPORT_FORMATS, type ExportFormat } from '../export.js';
import { ClosedPipe, countText, writeJson, writeLines } from './output.js';
import { ProgressLine } from './progress.js';
import { jsonOption } from './usage.js';

interface Options {
  format?: ExportFormat;
  output?: string;
  run?: string;
  json?: boolean;
}

/** What the name of a file says, where nothing else does. */
const ENDINGS: Record<string, ExportFormat> = {
  '.ndjson': 'ndjson',
  '.jsonl': 'ndjson',
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
    .option('-o, --output <file>', 'file for it; standard output if left out, where the format is text')
    .option('--run <run>', 'only what this run has recorded: its id, or the beginning of it')
    .addOption(jsonOption('say what was written as one JSON document; needs --output'))
    .addHelpText(
      'after',
      `
Examples:
  $ braid export run.db --format ndjson | head
  $ braid export run.db -o run.ndjson
`,
    )
    .action(exported);
}

async function exported(path: string, { output, run, json, ...options }: Options): Promise<void> {
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
  let records = 0;
  try {
    await exportDatabase(path, output ?? process.stdout, {
      format,
      run: run === undefined ? undefined : await runOf(path, run),
      signal: stop.signal,
      onProgress: ({ done, total }) => {
        records = done;
        line.show(() => `${countText(done)} of ${countText(total)} records`);
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
    ? writeJson({ output, format, records })
    : writeLines([`written to ${output}: ${countText(records)} records`]));
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
