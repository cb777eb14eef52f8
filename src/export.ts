import { createWriteStream, existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BraidError } from './errors.js';
import type { Exporter, ExportProgress } from './exchange/exporter.js';

export type { ExportProgress } from './exchange/exporter.js';

export type ExportFormat = 'ndjson' | 'prov-json' | 'provn' | 'turtle';

/** Each is loaded when it is asked for: who records exports nothing. */
const EXPORTERS: Record<ExportFormat, () => Promise<Exporter>> = {
  ndjson: async () => (await import('./exchange/ndjson.js')).ndjson,
  'prov-json': async () => (await import('./exchange/prov/json.js')).provJson,
  provn: async () => (await import('./exchange/prov/provn.js')).provN,
  turtle: async () => (await import('./exchange/prov/turtle.js')).turtle,
};

/** All there are. */
export const EXPORT_FORMATS = Object.keys(EXPORTERS) as readonly ExportFormat[];

export interface ExportOptions {
  format: ExportFormat;
  /** Only what this run has recorded, by its id. */
  run?: string;
  onProgress?: (progress: ExportProgress) => void;
  /** Ends it; what was there before stays. */
  signal?: AbortSignal;
}

/** How much text is handed on at once. */
const PIECE_CHARS = 2 ** 16;

/**
 * Writes a database, ours or Braid-DB's, in a format of other tools: as of one moment, and however large it is in bounded
 * memory. A file is written beside the one that is named and gets its name when it is whole.
 *
 * @param output the file, or folder, to make; or, for formats that are text, a stream.
 * @throws BraidError ERR_BRAID_OPTION_INVALID, ERR_BRAID_OUTPUT, ERR_BRAID_DB_…
 */
export async function exportDatabase(path: string, output: string | Writable, options: ExportOptions): Promise<void> {
  const { format, signal, ...selection } = options;
  if (!(format in EXPORTERS)) {
    throw new BraidError(
      'ERR_BRAID_OPTION_INVALID',
      `format must be one of ${EXPORT_FORMATS.join(', ')}, not ${String(format)}`,
    );
  }
  const [exporter, { Source }] = await Promise.all([EXPORTERS[format](), import('./exchange/source.js')]);
  const source = Source.open(path);
  try {
    if (typeof output === 'string') {
      await beside(output, async (file) => {
        if ('file' in exporter) await exporter.file(source, file, selection);
        else
          await pipeline(pieces(exporter.text(source, selection)), createWriteStream(file, { flags: 'wx' }), {
            signal,
          });
      });
    } else if ('text' in exporter) {
      await pipeline(pieces(exporter.text(source, selection)), output, { signal, end: false });
    } else {
      throw new BraidError('ERR_BRAID_OPTION_INVALID', `${format} is no text, and needs a file to be written to`);
    }
  } finally {
    source.close();
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

function pieces(text: Iterable<string>): Readable {
  return Readable.from(joined(text), { objectMode: false });
}

function* joined(text: Iterable<string>): Iterable<Buffer> {
  let piece = '';
  for (const part of text) {
    piece += part;
    if (piece.length < PIECE_CHARS) continue;
    yield Buffer.from(piece);
    piece = '';
  }
  if (piece !== '') yield Buffer.from(piece);
}
