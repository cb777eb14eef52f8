import { rm } from 'node:fs/promises';
import { extname } from 'node:path';
import { openSqlite } from '../store/sqlite.js';
import { CrateFiles } from './crate-files.js';
import { CrateMetadata, METADATA, type Part } from './crate-metadata.js';
import { folderWriter, zipWriter, type CrateWriter } from './crate-writer.js';
import { extractDatabase } from './extracting.js';
import type { ExportSelection, FileExporter } from './exporter.js';
import { provJson } from './prov/json.js';
import type { Source } from './source.js';
import { pieces } from './text.js';

/** How many pages of a database are copied at once. */
const BACKUP_PAGES = 2000;

const PROV = {
  name: 'provenance.prov.json',
  title: 'Provenance in PROV-JSON',
  encodingFormat: 'application/json',
  conformsTo: 'https://www.w3.org/submissions/prov-json/',
} as const;

/**
 * A Process Run Crate, as a folder or, by its name, a zip file: the database as of the same moment, or what of it a run has
 * recorded with all that this comes from; its provenance in PROV-JSON,
 * and what there is to say of its runs and files.
 */
export const roCrate: FileExporter = {
  async file(source, file, selection, output) {
    const { signal } = selection;
    const isZip = extname(output).toLowerCase() === '.zip';
    const writer = await (isZip ? zipWriter : folderWriter)(file, signal);
    try {
      const files = new CrateFiles(source, selection);
      const parts = [
        await database(source, writer, `${file}.db`, selection),
        {
          ...PROV,
          ...(await writer.put(PROV.name, pieces(provJson.text(source, selection)))),
        },
      ];
      if (selection.withFiles) await files.copy(writer, selection);
      await writer.put(METADATA, pieces(new CrateMetadata(source, files, parts, selection).text()));
      await writer.end();
      const total = source.countRecords(selection.run);
      selection.onProgress?.({ done: total, total });
    } catch (error) {
      await writer.abort();
      throw error;
    }
  },
};

async function database(
  source: Source,
  writer: CrateWriter,
  copy: string,
  { run, signal }: ExportSelection,
): Promise<Part> {
  const part = `${copy}.part`;
  try {
    await source.connection.db.backup(copy, {
      progress: () => {
        signal?.throwIfAborted();
        return BACKUP_PAGES;
      },
    });
    // It is to be one file, and readable where nothing can be written.
    const db = openSqlite(copy);
    db.pragma('journal_mode = DELETE');
    db.close();
    // Of the copy: what is committed meanwhile is in none of the parts.
    if (run !== undefined) await extractDatabase(copy, [], part, { run, signal }, source.path);
    return {
      name: 'provenance.db',
      title: 'Provenance as an SQLite database',
      encodingFormat: 'application/vnd.sqlite3',
      ...(await writer.move('provenance.db', run === undefined ? copy : part)),
    };
  } finally {
    for (const ending of ['', '-journal', '-wal', '-shm', '.part']) await rm(copy + ending, { force: true });
  }
}
