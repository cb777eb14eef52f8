import { setTimeout as delay } from 'node:timers/promises';
import { liveness } from './liveness.js';
import { BraidReader, type RecordRow } from './query/reader.js';
import { toTags, VERSION_INVALIDATION, VERSION_TAGS } from './query/rows.js';
import { RUN_STATES, toRunState } from './query/runs.js';
import type { Tag, Tags } from './record/tags.js';
import { parseTime } from './time.js';

/** A run as it is after a change of its status or of its attempts. */
export type FollowedRun = ReturnType<typeof toRunState> & {
  /** Of one that is RUNNING in the database: nobody of it is alive. Looked for with `untilEnd`, on this host. */
  liveness?: 'dead';
};

/** A version as it is when its first update is committed. */
export interface FollowedVersion {
  /** Of the model. */
  model: number;
  /** Undefined while the model itself is not committed, as where another rank has made it. */
  name?: string;
  number: number;
  step?: number;
  time?: Date;
  tags: Tags;
  /** All values of each key that has several different ones. */
  tagValues?: Record<string, Tag[]>;
  /** Whether neither it nor its model has been invalidated. */
  valid: boolean;
}

/** What has been committed. */
export type FollowEvent =
  | { type: 'record'; record: RecordRow }
  | { type: 'version'; version: FollowedVersion }
  | { type: 'run'; run: FollowedRun };

export interface FollowOptions {
  /** Begin with all that is there. Default: with the runs that are RUNNING, and with what comes. */
  all?: boolean;
  /** How often the database is looked at, in milliseconds. Default 500. */
  intervalMs?: number;
  /** End when nothing has been committed for so long. */
  untilIdleMs?: number;
  /**
   * End when all runs have ended of which it has told, one at least; those that have died on this host have. Of one that ran
   * elsewhere that shows when it is recovered.
   */
  untilEnd?: boolean;
  /** Ends it. */
  signal?: AbortSignal;
}

/** How long after a commit, or after it was last looked, it is looked whether runs are dead; twice as long after each time. */
const LOOK_MS = 2000;
const MOST_LOOK_MS = 30_000;

/** So many rows are read at once. */
const BATCH = 1000;

/**
 * Tells what is committed to a database, from now on: a batch for each time that something was. Each must be read to its end
 * before the next is asked for. Whether anybody has committed is asked of SQLite's `data_version`, which reads a counter.
 *
 * @throws BraidError as `BraidReader.open`
 */
export async function* follow(
  path: string,
  { all = false, intervalMs = 500, untilIdleMs = Infinity, untilEnd = false, signal }: FollowOptions = {},
): AsyncGenerator<Iterable<FollowEvent>> {
  const reader = BraidReader.open(path);
  try {
    const changes = new Changes(reader, all);
    let seen: number | undefined;
    let changed = performance.now();
    let look = { at: changed + LOOK_MS, next: LOOK_MS };
    while (!signal?.aborted) {
      const [{ data_version: version }] = reader.query<{ data_version: number }>('PRAGMA data_version');
      if (version !== seen) {
        seen = version;
        changed = performance.now();
        look = { at: changed + LOOK_MS, next: LOOK_MS };
        yield changes.next();
      }
      if (untilEnd && changes.running && performance.now() >= look.at) {
        const dead = deadRuns(path);
        if (changes.haveDied(dead)) yield changes.died(dead);
        const next = Math.min(2 * look.next, MOST_LOOK_MS);
        look = { at: performance.now() + next, next };
      }
      const idleMs = performance.now() - changed;
      if (idleMs >= untilIdleMs || (untilEnd && changes.ended)) return;
      // An abort is an end like the others.
      await delay(Math.min(intervalMs, untilIdleMs - idleMs), undefined, { signal }).catch(() => {});
    }
  } finally {
    reader.close();
  }
}

function deadRuns(path: string): ReadonlySet<string> {
  return new Set([...liveness(path)].filter(([, run]) => run.liveness === 'dead').map(([id]) => id));
}

/** What has been told of a database. */
class Changes {
  readonly #reader: BraidReader;
  readonly #runs = new Map<string, FollowedRun>();
  /** Whether a run was told of. */
  #told = false;
  /** By attempt and rank: how many of its records have been told of, and the id after the last of them. */
  readonly #ranks = new Map<string, { records: number; next: number }>();
  /** The last record of a file of Braid-DB, where ids go up with each commit. */
  #lastRecord = 0;
  #lastVersion = 0;
  /** Versions that were named before and not made: they have no number yet. */
  #named: number[] = [];

  constructor(reader: BraidReader, all: boolean) {
    this.#reader = reader;
    if (all) return;
    if (!reader.layout.ours) {
      [{ last: this.#lastRecord }] = reader.query<{ last: number }>(
        'SELECT ifnull(max(record_id), 0) AS last FROM records',
      );
      return;
    }
    for (const run of this.#allRuns()) if (run.status !== 'RUNNING') this.#runs.set(run.id, run);
    for (const rank of this.#ledger()) {
      const last = rank.lossy ? this.#lastOf(rank) : rank.first + (rank.records - 1) * rank.size;
      this.#ranks.set(rank.key, { records: rank.records, next: last + rank.size });
    }
    [{ last: this.#lastVersion }] = reader.query<{ last: number }>(
      'SELECT ifnull(max(version_id), 0) AS last FROM versions',
    );
    this.#named = reader.query<{ id: number }>('SELECT version_id AS id FROM versions WHERE number IS NULL').map(({ id }) => id); // prettier-ignore
  }

  /** Whether all runs told of have ended, one at least. */
  get ended(): boolean {
    return this.#told && !this.running;
  }

  /** Whether a run that was told of goes on, as far as is known. */
  get running(): boolean {
    return this.#told && this.#living().length > 0;
  }

  /** Whether there is one among these of which it was not told. */
  haveDied(dead: ReadonlySet<string>): boolean {
    return this.#living().some(({ id }) => dead.has(id));
  }

  /** What is new, and that these are dead. */
  *died(dead: ReadonlySet<string>): Iterable<FollowEvent> {
    yield* this.next();
    for (const living of this.#living().filter(({ id }) => dead.has(id))) {
      const run: FollowedRun = { ...living, liveness: 'dead' };
      this.#runs.set(run.id, run);
      yield { type: 'run', run };
    }
  }

  #living(): FollowedRun[] {
    return [...this.#runs.values()].filter(({ status, liveness }) => status === 'RUNNING' && liveness === undefined);
  }

  /** What is new: runs that have begun, records, versions, and then runs that have ended. */
  *next(): Iterable<FollowEvent> {
    if (!this.#reader.layout.ours) {
      yield* this.#braidDbRecords();
      return;
    }
    // First, so that all is there of those that have ended.
    const runs = this.#changedRuns();
    for (const run of runs) if (run.status === 'RUNNING') yield { type: 'run', run };
    yield* this.#records();
    yield* this.#versions();
    for (const run of runs) if (run.status !== 'RUNNING') yield { type: 'run', run };
  }

  #changedRuns(): FollowedRun[] {
    const runs = this.#allRuns();
    const changed = runs.filter((run) => {
      const known = this.#runs.get(run.id);
      return known?.status !== run.status || known.attempts !== run.attempts;
    });
    for (const run of changed) this.#runs.set(run.id, run);
    if (changed.length > 0) this.#told = true;
    return changed;
  }

  #allRuns(): FollowedRun[] {
    return this.#reader.query<Parameters<typeof toRunState>[0]>(RUN_STATES).map(toRunState);
  }

  #ledger(): LedgerRank[] {
    return this.#reader.query<LedgerRank>(
      `SELECT attempt_id || '.' || rank AS key, l.records, a.size, a.id_base + 1 + l.rank AS first, a.id_end AS "end",
         EXISTS (SELECT 1 FROM ledger_gaps g WHERE g.attempt_id = l.attempt_id AND g.rank = l.rank) AS lossy
       FROM ledger l JOIN attempts a USING (attempt_id) ORDER BY attempt_id, rank`,
    );
  }

  /** The last record of a rank of which some are lost. */
  #lastOf({ first, size, end }: LedgerRank): number {
    const [{ last }] = this.#reader.query<{ last: number | null }>(
      'SELECT max(record_id) AS last FROM records WHERE record_id >= ? AND record_id <= ? AND (record_id - ?) % ? = 0',
      first,
      end,
      first,
      size,
    );
    return last ?? first - size;
  }

  /**
   * Ids of ranks interleave, and so a new record may have a lower id than an old one; but those of one rank go up with each
   * commit, and the ledger says how many of it there are.
   */
  *#records(): Iterable<FollowEvent> {
    for (const { key, records, size, first, end } of this.#ledger()) {
      const told = this.#ranks.get(key) ?? { records: 0, next: first };
      this.#ranks.set(key, told);
      while (told.records < records) {
        const ids = this.#recordsFrom(told.next, size, end, Math.min(BATCH, records - told.records));
        for (const id of ids) {
          told.records++;
          told.next = id + size;
          yield { type: 'record', record: this.#reader.record(id)! };
        }
        if (ids.length === 0) break;
      }
    }
  }

  /** Ids without a record are of what was lost. */
  #recordsFrom(next: number, size: number, end: number, count: number): number[] {
    return this.#reader
      .query<{ id: number }>(
        `WITH RECURSIVE walk (id) AS (
           VALUES (?) UNION ALL
           SELECT id + ? FROM walk WHERE id < (SELECT max(record_id) FROM records WHERE record_id <= ?)
         )
         SELECT record_id AS id FROM walk CROSS JOIN records ON record_id = walk.id LIMIT ?`,
        next,
        size,
        end,
        count,
      )
      .map(({ id }) => id);
  }

  *#braidDbRecords(): Iterable<FollowEvent> {
    for (;;) {
      const ids = this.#reader.query<{ id: number }>(
        `SELECT record_id AS id FROM records WHERE record_id > ? ORDER BY record_id LIMIT ${BATCH}`,
        this.#lastRecord,
      );
      if (ids.length === 0) return;
      for (const { id } of ids) {
        this.#lastRecord = id;
        yield { type: 'record', record: this.#reader.record(id)! };
      }
    }
  }

  *#versions(): Iterable<FollowEvent> {
    const named = this.#named;
    this.#named = [];
    const ids = JSON.stringify(named);
    yield* this.#made(this.#versionsWhere('v.version_id IN (SELECT value FROM json_each(?))', ids, named.length));
    for (;;) {
      const rows = this.#versionsWhere('v.version_id > ?', this.#lastVersion, BATCH);
      if (rows.length === 0) return;
      this.#lastVersion = rows.at(-1)!.id;
      yield* this.#made(rows);
    }
  }

  *#made(rows: readonly VersionOfTable[]): Iterable<FollowEvent> {
    for (const { id, model, name, number, step, time, tags, valid } of rows) {
      if (number === null) {
        this.#named.push(id);
        continue;
      }
      const version = {
        model,
        name: name ?? undefined,
        number,
        step: step ?? undefined,
        time: time === null ? undefined : parseTime(time),
        ...toTags(tags),
        valid: valid === 1,
      };
      yield { type: 'version', version };
    }
  }

  #versionsWhere(condition: string, value: unknown, limit: number): VersionOfTable[] {
    return this.#reader.query<VersionOfTable>(
      `SELECT v.version_id AS id, v.model_id AS model, r.name, v.number, v.step, v.time, ${VERSION_TAGS} AS tags,
         ${VERSION_INVALIDATION} IS NULL AS valid
       FROM versions v LEFT JOIN records r ON r.record_id = v.model_id WHERE ${condition} ORDER BY v.version_id LIMIT ?`,
      value,
      limit,
    );
  }
}

interface LedgerRank {
  readonly key: string;
  readonly records: number;
  readonly size: number;
  /** The id of its first record. */
  readonly first: number;
  /** The last id of its attempt. */
  readonly end: number;
  readonly lossy: number;
}

interface VersionOfTable {
  readonly id: number;
  readonly model: number;
  readonly name: string | null;
  readonly number: number | null;
  readonly step: number | null;
  readonly time: string | null;
  readonly tags: string;
  readonly valid: number;
}
