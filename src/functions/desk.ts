import { setTimeout as sleep } from 'node:timers/promises';
import { BraidDB } from '../braid-db.js';
import { BraidError } from '../errors.js';
import { parseOptions, type OpenOptions } from '../options.js';
import { BraidReader } from '../query/reader.js';
import { recordAction, type StoredAction } from '../record/action.js';
import { BraidData } from '../record/data.js';
import { RECORDER } from '../record/recorder.js';
import { writeOnce } from '../store/write-once.js';
import type { PlannedTag } from './tags.js';

/** After which a database that was locked is tried again. */
const LOCKED_MS = 20;

/** A record that is to be made. */
export interface PlannedRecord {
  readonly name: string;
  readonly uris: string[];
  readonly tags: readonly PlannedTag[];
}

/** A database in which calls are carried out, one after the other, and committed as many at once as have come. */
export class Desk {
  readonly #reader: BraidReader | undefined;
  /** Recorded, and not yet committed: what the reader doesn't see. */
  readonly #pending = new Set<number>();
  /** By the call that is being carried out. */
  #made: number[] = [];
  #committing: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  private constructor(
    readonly db: BraidDB,
    private readonly own: boolean,
  ) {
    // That of a `BraidDB` would commit before each look-up.
    if (own && !db.reader.isOff) this.#reader = BraidReader.open(db.path);
  }

  /** @throws BraidError as `BraidDB.open` */
  static async open(path: string, options: OpenOptions): Promise<Desk> {
    const { BRAID_NAME: given } = process.env;
    const name = given === undefined || given === '' ? options.name : given;
    const db = await BraidDB.open(path, { mpi: 'off', ...options, name });
    try {
      return new Desk(db, true);
    } catch (error) {
      await db.close();
      throw error;
    }
  }

  /** Over a database that somebody else has opened. */
  static over(db: BraidDB): Desk {
    if (db.size === 1) return new Desk(db, false);
    throw new BraidError(
      'ERR_BRAID_OPTION_INVALID',
      'option db: the functions commit by themselves, which the ranks of a job must do together: give them the database of one process',
    );
  }

  get reader(): BraidReader {
    return this.#reader ?? this.db.reader;
  }

  /** Those of these ids that are records. */
  existing(ids: readonly number[]): Set<number> {
    // BRAID=off: nothing is there to look at, and nothing to be wrong about.
    if (this.reader.isOff) return new Set(ids);
    const known = new Set(ids.filter((id) => this.#pending.has(id)));
    const others = ids.filter((id) => !known.has(id));
    if (others.length === 0) return known;
    const rows = this.reader.query<{ id: number }>(
      'SELECT record_id AS id FROM records WHERE record_id IN (SELECT value FROM json_each(?))',
      JSON.stringify(others),
    );
    for (const { id } of rows) known.add(id);
    return known;
  }

  /** Carries out what a call does: all that it records is kept, or, if it throws, nothing of it. */
  perform<Result>(call: () => Result): Result {
    this.#made = [];
    const result = this.db[RECORDER].together(call);
    for (const id of this.#made) this.#pending.add(id);
    return result;
  }

  /** Records data that derives from `sources`, which are there. */
  record({ name, uris, tags }: PlannedRecord, sources: readonly number[] = []): BraidData {
    // Without a prototype: a tag can have any key.
    const natural = Object.create(null) as Record<string, PlannedTag['value']>;
    for (const { key, value, type } of tags) if (type === undefined) natural[key] = value;
    const record = new BraidData(this.db, { name, uris, tags: natural, derivedFrom: [...sources] });
    for (const { key, value, type } of tags) if (type !== undefined) record.addTag(key, value, type);
    this.#made.push(record.id);
    return record;
  }

  /** Keeps an action, by itself: it is of no record yet, and so of no run. */
  async addAction(action: StoredAction): Promise<void> {
    if (this.reader.isOff) return;
    // Another's lock is waited for without keeping the event loop, on which others are served.
    const end = performance.now() + parseOptions().busyMs;
    for (;;) {
      try {
        return writeOnce(this.db.path, 0, (store) => store.addAction(action));
      } catch (error) {
        if ((error as BraidError).code !== 'ERR_BRAID_DB_BUSY' || performance.now() > end) throw error;
      }
      await sleep(LOCKED_MS);
    }
  }

  /** Says what is to be done when a record is invalidated. */
  setAction(record: number, action: StoredAction): void {
    recordAction(this.db[RECORDER], record, action);
  }

  /** When it resolves, all that was recorded before it was called is committed: together with what others have recorded. */
  commit(): Promise<void> {
    this.#next ??= (this.#committing ?? Promise.resolve())
      .catch(() => {})
      .then(() => {
        this.#committing = this.#next;
        this.#next = undefined;
        return this.#flush();
      });
    return this.#next;
  }

  async #flush(): Promise<void> {
    const taken = [...this.#pending];
    await this.db.flush();
    for (const id of taken) this.#pending.delete(id);
  }

  /** Closes what it has opened itself. */
  async close(): Promise<void> {
    this.#reader?.close();
    if (this.own) await this.db.close();
  }
}
