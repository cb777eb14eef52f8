import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BraidError } from './errors.js';
import type { Exporter, ExportSelection } from './exchange/exporter.js';
import type { FileFormat, TextFormat } from './exchange/flat.js';
import { writeBeside } from './output-file.js';

export type { ExportProgress, SkippedFile } from './exchange/exporter.js';

export type ExportFormat = 'csv' | 'ndjson' | 'parquet' | 'prov-json' | 'provn' | 'turtle' | 'openlineage' | 'ro-crate';

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
  openlineage: () => import('./exchange/openlineage.js').then(({ openLineage }) => openLineage),
  'ro-crate': () => import('./exchange/crate.js').then(({ roCrate }) => roCrate),
}; // prettier-ignore

/** Those that have tables. */
const OF_TABLES: readonly ExportFormat[] = ['csv', 'ndjson', 'parquet'];

/** All there are. */
export const EXPORT_FORMATS = Object.keys(EXPORTERS) as readonly ExportFormat[];

export interface ExportOptions extends ExportSelection {
  format: ExportFormat;
  /**
   * What of it, for the formats that have tables: default `joined`, and of ndjson a line for each record as `reader.record`
   * gives it. `all` makes a folder, with a file for each table.
   */
  table?: ExportTable;
}

/** What only one format has. */
const OF_FORMAT = {
  namespace: 'openlineage',
  ranks: 'openlineage',
  withFiles: 'ro-crate',
  license: 'ro-crate',
} as const;

/**
 * Writes a database, ours or Braid-DB's, in a format of other tools: as of one moment, and however large it is in bounded
 * memory. A file is written beside the one that is named and gets its name when it is whole; a database is never replaced.
 *
 * @param output the file, or folder, to make; or, for formats that are text, a stream.
 * @throws BraidError ERR_BRAID_OPTION_INVALID, ERR_BRAID_OUTPUT, ERR_BRAID_DB_…
 */
export async function exportDatabase(path: string, output: string | Writable, options: ExportOptions): Promise<void> {
  const { format, table, ...selection } = options;
  const { signal } = selection;
  checkOptions(options);
  const [exporter, { Source }, { pieces, writeText }] = await Promise.all([
    EXPORTERS[format](table),
    import('./exchange/source.js'),
    import('./exchange/text.js'),
  ]);
  const source = Source.open(path);
  try {
    if (typeof output === 'string') {
      await writeBeside(output, async (file) => {
        if ('file' in exporter) await exporter.file(source, file, selection, output);
        else await writeText(file, exporter.text(source, selection), signal);
      });
    } else if ('text' in exporter) {
      await pipeline(pieces(exporter.text(source, selection)), output, { signal, end: false });
    } else {
      throw invalid(`${table === 'all' ? 'a folder of tables' : format} is no text, and needs a name to be written to`);
    }
  } finally {
    source.close();
  }
}

async function flat(format: Promise<TextFormat | FileFormat>, table: ExportTable): Promise<Exporter> {
  const { flat } = await import('./exchange/flat.js');
  return flat(await format, table);
}

function checkOptions({ format, table, ...options }: ExportOptions): void {
  if (!(format in EXPORTERS))
    throw invalid(`format must be one of ${EXPORT_FORMATS.join(', ')}, not ${String(format)}`);
  if (table !== undefined) {
    if (!OF_TABLES.includes(format)) throw invalid(`${format} has no tables: ${OF_TABLES.join(', ')} have`);
    if (!EXPORT_TABLES.includes(table)) {
      throw invalid(`table must be one of ${EXPORT_TABLES.join(', ')}, not ${String(table)}`);
    }
  }
  for (const [name, of] of Object.entries(OF_FORMAT)) {
    if (options[name as keyof typeof OF_FORMAT] && format !== of)
      throw invalid(`${name} is of ${of}, not of ${format}`);
  }
  if (options.license !== undefined && !URL.canParse(options.license)) {
    throw invalid(`license must be a URI, such as https://spdx.org/licenses/CC-BY-4.0, not ${options.license}`);
  }
}

function invalid(message: string): BraidError {
  return new BraidError('ERR_BRAID_OPTION_INVALID', message);
}
