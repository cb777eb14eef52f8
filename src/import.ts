import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { BraidError } from './errors.js';
import { checkText } from './frame/encoder.js';

export interface ImportProgress {
  /** Records that are recorded. */
  done: number;
  /** Of so many. */
  total: number;
}

export interface ImportOptions {
  /** What the document is called. The name of its file, if left out. */
  name?: string;
  /** How long to wait for another writer of the database, in milliseconds. Default 60,000. */
  busyMs?: number;
  onProgress?: (progress: ImportProgress) => void;
}

export interface ImportReport {
  /** That has recorded it, as 32 hex digits; of a document that was imported before, the one that did it then. */
  run: string;
  /** Whether it was imported now. */
  imported: boolean;
  records: number;
  versions: number;
  derivations: number;
  invalidations: number;
}

/**
 * Records a PROV-JSON document of another tool, or of ours, as a run of its own: all of it, in one transaction, or nothing. The
 * same document again is no error, and changes nothing.
 *
 * @param path of the database, which is made if there is none.
 * @param document a file, or what it holds, piece by piece.
 * @throws BraidError ERR_BRAID_IMPORT_INVALID, ERR_BRAID_IMPORT_TOO_LARGE, ERR_BRAID_IMPORT_UNREADABLE, ERR_BRAID_TEXT_INVALID, ERR_BRAID_TOO_LARGE, ERR_BRAID_DB_…
 */
export async function importDocument(
  path: string,
  document: string | AsyncIterable<Uint8Array>,
  { name, busyMs = 60_000, onProgress }: ImportOptions = {},
): Promise<ImportReport> {
  const [{ importProvJson }, { mostDocumentBytes }] = await Promise.all([
    import('./exchange/prov/import.js'),
    import('./exchange/prov/parse-json.js'),
  ]);
  if (name !== undefined) checkText(name, 'the name of a document');
  const called = name ?? (typeof document === 'string' ? basename(document) : 'document');
  const pieces = typeof document === 'string' ? createReadStream(document) : document;
  const bytes = await whole(pieces as AsyncIterable<Uint8Array>, called, mostDocumentBytes());
  return importProvJson(path, bytes, called, busyMs, onProgress);
}

async function whole(pieces: AsyncIterable<Uint8Array>, name: string, mostBytes: number): Promise<Uint8Array> {
  const read: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const piece of pieces) {
      bytes += piece.length;
      if (bytes > mostBytes) break;
      read.push(piece);
    }
  } catch (cause) {
    const { message } = cause as Error;
    throw new BraidError('ERR_BRAID_IMPORT_UNREADABLE', `${name} can't be read: ${message}`, { cause });
  }
  if (bytes <= mostBytes) return Buffer.concat(read);
  throw new BraidError(
    'ERR_BRAID_IMPORT_TOO_LARGE',
    `${name} has more than ${Math.floor(mostBytes / 2 ** 20)} MiB, which this process has no memory for: raise it by ` +
      'NODE_OPTIONS=--max-old-space-size=MIB, to 32 times its size, or export it in parts; databases of ours are merged',
  );
}
