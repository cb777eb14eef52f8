import { statSync } from 'node:fs';
import type { Database, Statement } from 'better-sqlite3';
import { BraidError } from '../errors.js';

const MAGIC = 'SQLite format 3\0';
const HEADER_BYTES = 100;
/** In the header: the length of a page. */
const PAGE_BYTES = 16;
/** In the header: by what journal it is written, and read. */
const MODES = 18;
const WAL_MODES = 0x0202;
/** In the header: counts the changes of the file (with a log, not each), and is never less in a newer one. */
const CHANGE_COUNTER = 24;
/** In the header: how many pages the file has. */
const PAGES = 28;

/** The files of an open database, with their inodes: itself, and in WAL mode its log and the index of that. */
export type Inodes = ReadonlyMap<string, number>;

/** @throws BraidError ERR_BRAID_DB_REPLACED, if one of them was deleted, or another has its name */
export function checkInodes(inodes: Inodes): void {
  for (const [file, inode] of inodes) {
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat?.ino === inode) continue;
    throw new BraidError(
      'ERR_BRAID_DB_REPLACED',
      `${file} was ${stat ? 'replaced' : 'deleted'} while it was open: put it back; what is not committed stays in the spools`,
    );
  }
}

interface OpenedFiles {
  /** As the database was named, by which it must still be found. */
  readonly path: string;
  /** What that leads to. */
  readonly file: string;
  readonly uuid: string;
  readonly wal: boolean;
  /** Whether our extension is loaded. */
  readonly extended: boolean;
}

/**
 * The files of a database, as somebody else may change them while it is open. What is deleted or replaced would take
 * commits and show them to nobody. To what is overwritten in place SQLite, which has most of it in its cache and its log,
 * would add what it has, and nobody could read either of the two. Of what is cut, a part is lost.
 */
export class DatabaseFiles {
  readonly inodes: Inodes;
  readonly #db: Database;
  readonly #path: string;
  readonly #uuid: Buffer;
  readonly #wal: boolean;
  readonly #pageBytes: number;
  /** Reads the file itself; undefined without our extension, and then only names and lengths are looked at. */
  readonly #bytesAt: Statement | undefined;
  readonly #metaPage: Statement;
  /** The page that has the UUID; undefined before it was seen there, for a file may have it in its log at first. */
  #uuidPage: number | undefined;
  /** As they were when we last had the lock. */
  #changes: number | undefined;
  #bytes: number;

  constructor(db: Database, { path, file, uuid, wal, extended }: OpenedFiles) {
    this.#db = db;
    this.#path = path;
    this.#uuid = Buffer.from(uuid);
    this.#wal = wal;
    this.#pageBytes = db.pragma('page_size', { simple: true }) as number;
    this.#bytesAt = extended ? db.prepare('SELECT braid_file_bytes(?, ?)').pluck() : undefined;
    this.#metaPage = db.prepare(`SELECT rootpage FROM sqlite_schema WHERE name = 'meta'`).pluck();
    const names = wal ? [path, `${file}-wal`, `${file}-shm`] : [path];
    this.inodes = new Map(names.map((name) => [name, statSync(name).ino]));
    this.#bytes = statSync(path).size;
  }

  /** As `check`, and remembers what it has seen. Only with the lock: what others are about to change may be taken back. */
  look(): void {
    this.check();
    this.#changes = this.#counter();
    this.#bytes = statSync(this.#path).size;
  }

  /** A transaction of ours is in them. */
  committed(): void {
    const counter = this.#counter();
    // To the file itself, a log brings only what stays; without one, others may be at work in it again.
    if (this.#wal) this.#changes = counter;
    else if (this.#changesSince(counter) > 0) this.#changes = (this.#changes! + 1) >>> 0;
  }

  /** @throws BraidError ERR_BRAID_DB_REPLACED, ERR_BRAID_DB_CORRUPT */
  check(): void {
    checkInodes(this.inodes);
    const { size } = statSync(this.#path);
    const content = this.#contentInstead(size);
    if (content !== undefined) {
      throw new BraidError(
        'ERR_BRAID_DB_REPLACED',
        `${this.#path} was overwritten with ${content} while it was open: put back a copy of what it was, with the -wal ` +
          'file of that copy and no other; what is not committed stays in the spools',
      );
    }
    if (this.#isShort(size)) {
      throw new BraidError(
        'ERR_BRAID_DB_CORRUPT',
        `${this.#path} was cut to ${size} bytes while it was open: put a copy back; what is not committed stays in the spools`,
      );
    }
  }

  /** What has happened to them that no user of the connection can go on with. */
  harm(): BraidError | undefined {
    try {
      this.check();
      return undefined;
    } catch (error) {
      // What SQLite can't even count is its own error to tell.
      return error instanceof BraidError ? error : undefined;
    }
  }

  /**
   * What is committed to the log of a file that has lost its name is brought into the file while we still have both; of one
   * that was overwritten, what is there now gets nothing of it.
   */
  letGo(): void {
    try {
      const { size } = statSync(this.#path, { throwIfNoEntry: false }) ?? { size: this.#bytes };
      if (this.#contentInstead(size) === undefined) this.#db.pragma('wal_checkpoint(PASSIVE)');
      else this.#db.prepare('SELECT braid_keep_log()').get();
    } catch {
      // What can be saved is.
    }
  }

  /** What a file of `size` holds instead of this database, if it does. One that was cut holds what is left of it. */
  #contentInstead(size: number): string | undefined {
    const header = this.#header();
    if (!header) return undefined;
    if (header.toString('latin1', 0, MAGIC.length) !== MAGIC) return 'something that is no database';
    // 65536 is written as 1.
    const pageBytes = header.readUInt16BE(PAGE_BYTES);
    if (pageBytes !== (this.#pageBytes & 0xffff || 1)) return 'another database';
    const cut = header.readUInt32BE(PAGES) * this.#pageBytes > size;
    if (!cut && !this.#hasUuid()) return 'another database';
    // Nobody can take it out of WAL mode while we have it open.
    const closed = this.#wal && header.readUInt16BE(MODES) !== WAL_MODES;
    const older = this.#changesSince(header.readUInt32BE(CHANGE_COUNTER)) < 0;
    return closed || older || (!cut && this.#isShort(size)) ? 'a copy of itself of another time' : undefined;
  }

  /** Whether it has become shorter, and than it must be: somebody's VACUUM makes it as short as its pages are few. */
  #isShort(size: number): boolean {
    if (size >= this.#bytes) return false;
    const pages = Math.max(1, this.#db.pragma('page_count', { simple: true }) as number);
    return size < pages * this.#pageBytes;
  }

  #hasUuid(): boolean {
    if (this.#uuidPage !== undefined && this.#pageHasUuid(this.#uuidPage)) return true;
    // It may be on another page since somebody's VACUUM.
    const page = this.#pageOfMeta();
    if (page === undefined || !this.#pageHasUuid(page)) return this.#uuidPage === undefined;
    this.#uuidPage = page;
    return true;
  }

  #pageOfMeta(): number | undefined {
    try {
      return this.#metaPage.get() as number | undefined;
    } catch {
      // Of a file that is none of ours.
      return undefined;
    }
  }

  #pageHasUuid(page: number): boolean {
    return this.#read((page - 1) * this.#pageBytes, this.#pageBytes)?.includes(this.#uuid) ?? false;
  }

  #changesSince(counter: number | undefined): number {
    if (counter === undefined || this.#changes === undefined) return 0;
    // It begins anew after 2^32.
    return (counter - this.#changes) | 0;
  }

  #counter(): number | undefined {
    return this.#header()?.readUInt32BE(CHANGE_COUNTER);
  }

  #header(): Buffer | undefined {
    return this.#read(0, HEADER_BYTES);
  }

  #read(offset: number, count: number): Buffer | undefined {
    return (this.#bytesAt?.get(offset, count) as Buffer | null | undefined) ?? undefined;
  }
}
