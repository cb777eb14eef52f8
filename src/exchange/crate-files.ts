import { constants, statSync } from 'node:fs';
import { lstat, open, realpath, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { CrateWriter } from './crate-writer.js';
import { noteUsed } from './elsewhere.js';
import type { ExportSelection } from './exporter.js';
import { host } from '../host.js';
import { locationOf, type FileLocation } from './location.js';
import type { Source } from './source.js';

/** What a crate says of something that a record has a URI of. */
export interface CrateFile {
  readonly file_id: number;
  readonly uri: string;
  /** What the crate calls it: its path there, or its URI, of a folder with a slash at the end. */
  readonly id: string;
  readonly folder: number;
  /** The first that has it. */
  readonly record_id: number;
  readonly version_id: number | null;
  /** Its path in the crate, if it is there. */
  readonly copied: string | null;
  readonly bytes: number | null;
  readonly sha256: string | null;
}

/** Parameters are facts that are in no file. */
export type Role = 'object' | 'result' | 'parameter';
const ROLES: Record<Role, number> = { object: 0, result: 1, parameter: 2 };

/** How many are asked for at once. */
const BATCH = 256;

/** Not files, whatever they look like. */
const NO_FILES = /^\/(proc|sys|dev)\//;

const TABLES = `
DROP TABLE IF EXISTS temp.crate_files;
DROP TABLE IF EXISTS temp.crate_uses;
CREATE TEMP TABLE crate_files (
  file_id INTEGER PRIMARY KEY, uri TEXT NOT NULL UNIQUE, record_id INTEGER NOT NULL, version_id INTEGER,
  folder INTEGER NOT NULL, copied TEXT, bytes INTEGER, sha256 TEXT,
  id TEXT AS (ifnull(copied, iif(folder AND uri NOT LIKE '%/', uri || '/', uri)))
);
-- \`item\` is a file, or of parameters a record.
CREATE TEMP TABLE crate_uses (run_id INTEGER, role INTEGER, item INTEGER, PRIMARY KEY (run_id, role, item)) WITHOUT ROWID;
`;

/**
 * The files that the records of a database have URIs of, each once, and what runs have used and made of them: in tables of this
 * connection, for there may be millions.
 */
export class CrateFiles {
  constructor(
    private readonly source: Source,
    { run }: ExportSelection,
  ) {
    const { db } = source.connection;
    const { ours } = source.layout;
    db.function('crate_uri', { deterministic: true }, (uri) => crateUri(String(uri)) ?? null);
    db.function('crate_folder', (uri) => Number(isFolder(String(uri))));
    db.exec(TABLES);
    noteUsed(source, run);
    const insert = (sql: string, ...values: unknown[]) => db.prepare(sql).run(...values);
    const files = (from: string, id: string, version: string, ...values: unknown[]) =>
      insert(
        `INSERT INTO temp.crate_files (uri, record_id, version_id, folder)
         SELECT crate_uri(x.uri) AS u, ${id}, ${version}, crate_folder(x.uri) FROM ${from} AND u IS NOT NULL
         ON CONFLICT DO UPDATE SET folder = max(folder, excluded.folder)`,
        ...values,
      );
    const record = 'x.record_id';
    if (run === undefined) {
      files('main.uris x WHERE true', record, 'NULL');
      if (ours)
        files(`main.version_uris x JOIN main.versions v USING (version_id) WHERE true`, 'v.model_id', 'x.version_id');
    }
    if (!ours) return;
    const ofRun = 'a.run_id IN (SELECT run_id FROM main.runs WHERE uuid = ifnull(?, uuid))';
    const made = `main.attempts a JOIN main.records r ON r.record_id > a.id_base AND r.record_id <= a.id_end`;
    const versions = `main.versions v JOIN main.attempts a USING (attempt_id) JOIN main.version_uris x USING (version_id)`;
    const used = 'temp.used a JOIN main.records r USING (record_id)';
    if (run !== undefined) {
      for (const from of [made, used])
        files(`${from} JOIN main.uris x USING (record_id) WHERE ${ofRun}`, 'record_id', 'NULL', run);
      files(`${versions} WHERE ${ofRun}`, 'v.model_id', 'x.version_id', run);
    }
    const uses = (role: string | number, from: string) =>
      insert(
        `INSERT OR IGNORE INTO temp.crate_uses SELECT a.run_id, ${role}, f.file_id
         FROM ${from} JOIN temp.crate_files f ON f.uri = crate_uri(x.uri) WHERE ${ofRun}`,
        run ?? null,
      );
    // Facts are used, and all else is made.
    uses(`iif(r.kind = 1, ${ROLES.object}, ${ROLES.result})`, `${made} JOIN main.uris x USING (record_id)`);
    uses(ROLES.object, `${used} JOIN main.uris x USING (record_id)`);
    uses(ROLES.result, versions);
    for (const from of [made, used]) {
      insert(
        `INSERT OR IGNORE INTO temp.crate_uses SELECT a.run_id, ${ROLES.parameter}, r.record_id FROM ${from}
         WHERE r.kind = 1 AND NOT EXISTS (SELECT 1 FROM main.uris x WHERE x.record_id = r.record_id) AND ${ofRun}`,
        run ?? null,
      );
    }
  }

  /** All of them. */
  *all(): IterableIterator<CrateFile> {
    for (let after = 0; ;) {
      const batch = this.source.connection.all<CrateFile>(
        'SELECT * FROM temp.crate_files WHERE file_id > ? ORDER BY file_id LIMIT ?',
        after,
        BATCH,
      );
      yield* batch;
      if (batch.length < BATCH) return;
      after = batch.at(-1)!.file_id;
    }
  }

  get count(): number {
    return this.source.connection.column<number>('SELECT count(*) FROM temp.crate_files')[0];
  }

  /** The `@id` of all that a run has used, or made. */
  *ofRun(run: number, role: Role): IterableIterator<string> {
    const sql =
      role === 'parameter'
        ? `SELECT 'x', item FROM temp.crate_uses WHERE run_id = ? AND role = ?`
        : `SELECT f.id, copied FROM temp.crate_uses JOIN temp.crate_files f ON f.file_id = item
           WHERE run_id = ? AND role = ?`;
    const rows = this.source.connection.stream(sql, [run, ROLES[role]], (row: readonly [string, unknown]) => row);
    for (const [id, second] of rows) yield role === 'parameter' ? parameterId(second as number) : id;
  }

  has(run: number, role: Role): boolean {
    const sql = 'SELECT 1 FROM temp.crate_uses WHERE run_id = ? AND role = ? LIMIT 1';
    return this.source.connection.column<number>(sql, run, ROLES[role]).length > 0;
  }

  /** Records that are in several files, each once, with the `@id` of those. */
  *collections(): IterableIterator<readonly [record: number, ids: string]> {
    yield* this.source.connection.stream(
      `SELECT x.record_id, json_group_array(DISTINCT f.id) AS ids
       FROM main.uris x JOIN temp.crate_files f ON f.uri = crate_uri(x.uri)
       GROUP BY x.record_id HAVING count(DISTINCT f.file_id) > 1`,
      [],
      (row: readonly [number, string]) => row,
    );
  }

  /** Facts that are in no file. */
  *parameters(): IterableIterator<readonly [record: number]> {
    const sql = `SELECT DISTINCT item FROM temp.crate_uses WHERE role = ${ROLES.parameter} ORDER BY item`;
    yield* this.source.connection.stream(sql, [], (row: readonly [number]) => row);
  }

  /** Copies those that are files of this host, and tells of each that can't be. */
  async copy(writer: CrateWriter, { onProgress, onSkipped, signal }: ExportSelection): Promise<void> {
    const total = this.count;
    let done = 0;
    const within = new Folders();
    const note = this.source.connection.db.prepare(
      'UPDATE temp.crate_files SET copied = ?, bytes = ?, sha256 = ? WHERE file_id = ?',
    );
    for (const { file_id, uri } of this.all()) {
      signal?.throwIfAborted();
      const found = await openFile(uri, within);
      if (typeof found === 'string') onSkipped?.({ uri, why: found });
      else if (found) {
        const { handle, path, modified } = found;
        try {
          const { bytes, sha256 } = await writer.put(
            `files${path}`,
            handle.createReadStream({ autoClose: false }),
            modified,
          );
          note.run(`files${encoded(path)}`, bytes, sha256, file_id);
        } finally {
          await handle.close();
        }
      }
      onProgress?.({ unit: 'files', done: ++done, total });
    }
  }
}

export function parameterId(record: number): string {
  return `#record-${record}`;
}

/**
 * What a crate calls it where it isn't a part of it: one for each place, however it was written, and a reference that RFC 3986
 * takes. That of a file has no slash at its end.
 */
export function crateUri(uri: string): string | undefined {
  const location = locationOf(uri);
  if (!location) return undefined;
  const { file } = location;
  if (file) {
    const path = file.path.replace(/\/+$/, '');
    return path === '' ? undefined : `file://${file.host ?? ''}${file.decoded ? encoded(path) : escaped(path)}`;
  }
  const { protocol, host: authority, pathname, search, hash } = new URL(uri);
  const slashes = uri.slice(protocol.length).startsWith('//') || authority !== '' ? '//' : '';
  // Without user and password.
  return `${protocol}${slashes}${authority}${escaped(pathname)}${escaped(search)}${hash.slice(0, 1)}${escaped(hash.slice(1))}`;
}

/** Characters that a URI can't have, or not there, which the WHATWG's URLs leave as they are. */
function escaped(part: string): string {
  return part.replace(/%(?![\da-fA-F]{2})|[^\w.~:/?@!$&'()*+,;=%-]/gu, (character) => encodeURIComponent(character));
}

/** Whether it says so, or is one here. */
function isFolder(uri: string): boolean {
  if (uri.endsWith('/')) return true;
  const file = locationOf(uri)?.file;
  if (!file) return false;
  if (file.path.endsWith('/')) return true;
  if (whyNotHere(file) !== undefined) return false;
  try {
    return statSync(file.path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    // Who may not look doesn't know.
    return false;
  }
}

/** Why a file can't be one that is looked at here. */
function whyNotHere({ path, decoded, host: elsewhere }: FileLocation): string | undefined {
  if (elsewhere !== undefined && elsewhere !== host) return `is on ${elsewhere}`;
  // Such a name leads elsewhere than it says, and would do so in the crate.
  const parts = path.replace(/\/+$/, '').slice(1).split('/');
  if (!decoded || /[\0\\]/.test(path) || parts.some((part) => ['', '.', '..'].includes(part))) {
    return 'has a name that is not safe';
  }
  return NO_FILES.test(path) ? 'is no regular file' : undefined;
}

/** Folders of which it is known whether one may go down to them: the last, for files come folder by folder. */
class Folders {
  #last = '';
  #leaves = false;

  /**
   * Whether a link on the way to it leads out of the folder that it is in: what is named to be in one is nowhere else. (So
   * `/home` may be a link, and `data/newest`.)
   */
  async leave(folder: string): Promise<boolean> {
    if (folder === this.#last) return this.#leaves;
    let leaves = false;
    for (let path = folder; !leaves && path !== '/'; path = dirname(path)) {
      if (!(await lstat(path)).isSymbolicLink()) continue;
      const around = await realpath(dirname(path));
      leaves = !`${await realpath(path)}/`.startsWith(around === '/' ? '/' : `${around}/`);
    }
    [this.#last, this.#leaves] = [folder, leaves];
    return leaves;
  }
}

interface Opened {
  handle: FileHandle;
  path: string;
  modified: Date;
}

/**
 * Opens a file to copy it: this one and no other, and nothing that isn't one. Undefined for what is no file of any host; why
 * not, where it can't be copied.
 */
async function openFile(uri: string, folders: Folders): Promise<Opened | string | undefined> {
  const file = locationOf(uri)?.file;
  if (!file) return undefined;
  const why = whyNotHere(file);
  if (why !== undefined) return why;
  const { path } = file;
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;
  let handle: FileHandle;
  try {
    if (await folders.leave(dirname(path))) return 'is behind a symbolic link that leads out of its folder';
    handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why: Record<string, string> = {
      ENOENT: 'is not there',
      ENOTDIR: 'is not there',
      ELOOP: 'is a symbolic link',
      EACCES: 'may not be read',
      EPERM: 'may not be read',
      ENAMETOOLONG: 'has a name that is too long',
      ENXIO: 'is no regular file',
    };
    return why[code ?? ''] ?? message;
  }
  const stat = await handle.stat();
  if (stat.isFile()) return { handle, path, modified: stat.mtime };
  await handle.close();
  return stat.isDirectory() ? 'is a folder' : 'is no regular file';
}

/** A path as a part of a URI. */
function encoded(path: string): string {
  return path.toWellFormed().split('/').map(encodeURIComponent).join('/');
}
