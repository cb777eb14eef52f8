import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BraidError } from './errors.js';
import type { Exporter, ExportProgress } from './exchange/exporter.js';
import type { FileFormat, TextFormat } from './exchange/flat.js';

export type { ExportProgress } from './exchange/exporter.js';

export type ExportFormat = 'csv' | 'ndjson' | 'parquet' | 'prov-json' | 'provn' | 'turtle';

/** What the formats of tables can write: one table; `joined`, a row a record with its tags as columns; or `all`. */
export const EXPORT_TABLES = [
  'joined', 'records', 'derivations', 'uris', 'tags', 'versions', 'version_uris', 'version_tags', 'updates', 'exposures',
  'derivation_versions', 'invalidations', 'requests', 'actions', 'action_runs', 'runs', 'ranks', 'all',
] as const; // prettier-ignore
export type ExportTable = (typeof EXPORT_TABLES)[number];

/** Each is loaded when it is asked for: who records exports nothing. */
const EXPORTERS: Record<ExportFormat, (table?: ExportTable) => Promise<Exporter>> = {
  csv: (table = 'joined') => flat(import('./exchange/csv.js').then(({ csv }) => csv), table),
  ndjson: (table) =>
    table === undefined
      ? import('./exchange/ndjson.js').then(({ ndjson }) => ndjson)
      : flat(import('./exchange/ndjson.js').then(({ ndjsonTable }) => ndjsonTable), table),
  parquet: (table = 'joined') => flat(import('./exchange/parquet.js').then(({ parquet }) => parquet), table),
  'prov-json': () => import('./exchange/prov/json.js').then(({ provJson }) => provJson),
  provn: () => import('./exchange/prov/provn.js').then(({ provN }) => provN),
  turtle: () => import('./exchange/prov/turtle.js').then(({ turtle }) => turtle),
}; // prettier-ignore

/** Those that have tables. */
const OF_TABLES: readonly ExportFormat[] = ['csv', 'ndjson', 'parquet'];

/** All there are. */
export const EXPORT_FORMATS = Object.keys(EXPORTERS) as readonly ExportFormat[];

export interface ExportOptions {
  format: ExportFormat;
  /** Only what this run has recorded, by its id. */
  run?: string;
  /**
   * What of it, for the formats that have tables: default `joined`, and of ndjson a line for each record as `reader.record`
   * gives it. `all` makes a folder, with a file for each table.
   */
  table?: ExportTable;
  onProgress?: (progress: ExportProgress) => void;
  /** Ends it; what was there before stays. */
  signal?: AbortSignal;
}

/**
 * Writes a database, ours or Braid-DB's, in a format of other tools: as of one moment, and however large it is in bounded
 * memory. A file is written beside the one that is named and gets its name when it is whole.
 *
 * @param output the file, or folder, to make; or, for formats that are text, a stream.
 * @throws BraidError ERR_BRAID_OPTION_INVALID, ERR_BRAID_OUTPUT, ERR_BRAID_DB_…
 */
export async function exportDatabase(path: string, output: string | Writable, options: ExportOptions): Promise<void> {
  const { format, table, ...selection } = options;
  const { signal } = selection;
  if (!(format in EXPORTERS)) {
    throw new BraidError(
      'ERR_BRAID_OPTION_INVALID',
      `format must be one of ${EXPORT_FORMATS.join(', ')}, not ${String(format)}`,
    );
  }
  if (table !== undefined) checkTable(format, table);
  const [exporter, { Source }, { pieces, writeText }] = await Promise.all([
    EXPORTERS[format](table),
    import('./exchange/source.js'),
    import('./exchange/text.js'),
  ]);
  const source = Source.open(path);
  try {
    if (typeof output === 'string') {
      await beside(output, async (file) => {
        if ('file' in exporter) await exporter.file(source, file, selection);
        else await writeText(file, exporter.text(source, selection), signal);
      });
    } else if ('text' in exporter) {
      await pipeline(pieces(exporter.text(source, selection)), output, { signal, end: false });
    } else {
      throw new BraidError(
        'ERR_BRAID_OPTION_INVALID',
        `${table === 'all' ? 'a folder of tables' : format} is no text, and needs a name to be written to`,
      );
    }
  } finally {
    source.close();
  }
}

async function flat(format: Promise<TextFormat | FileFormat>, table: ExportTable): Promise<Exporter> {
  const { flat } = await import('./exchange/flat.js');
  return flat(await format, table);
}

function checkTable(format: ExportFormat, table: ExportTable): void {
  if (!OF_TABLES.includes(format)) {
    throw new BraidError('ERR_BRAID_OPTION_INVALID', `${format} has no tables: ${OF_TABLES.join(', ')} have`);
  }
  if (!EXPORT_TABLES.includes(table)) {
    throw new BraidError('ERR_BRAID_OPTION_INVALID', `table must be one of ${EXPORT_TABLES.join(', ')}, not ${String(table)}`); // prettier-ignore
  }
}

/** Whoever reads it has the old one or the new one, and a full disk spoils none. */
async function beside(output: string, write: (file: string) => Promise<void>): Promise<void> {
  const file = `${output}.${process.pid}.tmp`;
  try {
    await write(file);
    if (existsSync(output) && statSync(file).isDirectory()) {
      throw new BraidError('ERR_BRAID_OUTPUT', `${output} exists already: name a folder that doesn't, or remove it`);
    }
    renameSync(file, output);
  } catch (error) {
    rmSync(file, { recursive: true, force: true });
    if (error instanceof BraidError || (error as Error).name === 'AbortError') throw error;
    const { message } = error as Error;
    throw new BraidError('ERR_BRAID_OUTPUT', `${output} can't be written: ${message}`, { cause: error });
  }
}
