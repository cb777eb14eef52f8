import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ExportTable } from '../export.js';
import { BraidError } from '../errors.js';
import type { Exporter, ExportProgress, ExportSelection } from './exporter.js';
import type { Source } from './source.js';
import type { Table } from './table.js';
import { allTables, tableOf } from './tables.js';
import { writeText } from './text.js';

/** A format of one table: text, or a file of its own. */
export interface TextFormat {
  readonly ending: string;
  readonly text: (table: Table) => Iterable<string>;
}
export interface FileFormat {
  readonly ending: string;
  readonly write: (table: Table, file: string, signal?: AbortSignal) => Promise<void>;
}

/** Of all tables a file each, in a folder; else one table. */
export function flat(format: TextFormat | FileFormat, table: ExportTable): Exporter {
  if (table === 'all') {
    return {
      async file(source, folder, { run, onProgress, signal }) {
        const tables = allTables(source, run);
        const told = progress(tables.reduce((sum, { rowCount }) => sum + rowCount, 0), onProgress); // prettier-ignore
        mkdirSync(folder);
        for (const each of tables) {
          await write(format, told(each), join(folder, `${each.name}.${format.ending}`), signal);
        }
      },
    };
  }
  const one = (source: Source, { run, onProgress }: ExportSelection): Table => {
    const found = tableOf(source, table, run);
    if (found) return progress(found.rowCount, onProgress)(found);
    throw new BraidError(
      'ERR_BRAID_OPTION_INVALID',
      `${source.path} was made by Braid-DB, and has no ${table}: only records that a run of braid-mpi has made do`,
    );
  };
  if ('text' in format) return { text: (source, selection) => format.text(one(source, selection)) };
  return { file: (source, file, selection) => format.write(one(source, selection), file, selection.signal) };
}

function write(format: TextFormat | FileFormat, table: Table, file: string, signal?: AbortSignal): Promise<void> {
  return 'text' in format ? writeText(file, format.text(table), signal) : format.write(table, file, signal);
}

/** Tells of each row of the tables that it is given. */
function progress(
  total: number,
  onProgress: ((progress: ExportProgress) => void) | undefined,
): (table: Table) => Table {
  let done = 0;
  return (table) => ({
    ...table,
    *rows() {
      for (const row of table.rows()) {
        yield row;
        onProgress?.({ done: ++done, total });
      }
    },
  });
}
