import { randomUUID } from 'node:crypto';
import type { Database, Statement } from 'better-sqlite3';
import { BraidError, type BraidErrorCode } from '../errors.js';
import { MAX_ID } from '../frame/format.js';
import { Committer, type AttemptSoFar, type CommitResult } from './commit.js';
import type { Invalidated } from './causes.js';
import { DatabaseFiles, type Inodes } from './database-files.js';
import { attemptState, openAttempts, type AttemptState, type OpenAttempt, type Place } from './ledger.js';
import { addAction, beginActionRun, endActionRun, invalidate, revalidate, type ActionEnd, type ActionRun } from './edits.js'; // prettier-ignore
import { Invalidations, type Revalidated, type Target } from './invalidation.js';
import { LockWait, isBusy } from './lock-wait.js';
import type { StoredAction } from '../record/action.js';
import type { RunReport } from '../run-report.js';
import { checkPath, openForWriting } from './open-for-writing.js';
import { realPath } from './real-path.js';
import { ExtensionTables } from './round-tables.js';
import { buildSearchIndexes, lacksSearchIndexes, wantSearchIndexes } from './search-indexes.js';
import { adopt, noteLookedThrough } from './adopting.js';
import { leaveWal } from './settle.js';
import { explainWriteError, type Writer } from './sqlite-error.js';
import { Transactions } from './transactions.js';
import { timeText } from '../time.js';

export type RunStatus = 'RUNNING' | 'COMPLETED' | 'FAILED' | 'KILLED' | 'INCOMPLETE';

export interface StoreOptions {
  readonly path: string;
  /** How long to wait for another writer's lock. */
  readonly busyMs: number;
  /** `statements` leaves the extension out: for tests, and where it can't be loaded. */
  readonly commit?: 'extension' | 'statements';
  /** Not to be made if it isn't there: what is done to it makes no sense with a new one. */
  readonly existing?: boolean;
  /** Default: `flush`. */
  readonly writer?: Writer;
  /** Its journal stays what it is: nothing is to be kept of what is done. */
  readonly asIs?: boolean;
}

export interface OpenedStore {
  /** Of the database. */
  readonly uuid: string;
  /** Whether readers and the writer don't block each other. */
  readonly wal: boolean;
  /** How rounds are decoded, and why not by the extension if not. */
  readonly commit: 'extension' | 'statements';
  readonly commitReason?: string;
  readonly inodes: Inodes;
}

export interface RunInit {
  readonly run: string;
  readonly attempt: number;
  readonly name?: string;
  readonly context: object;
  /** By rank. */
  readonly ranks: readonly Omit<Place, 'rank'>[];
  /** No other run may be RUNNING, but those that are known to be over, as `RUN.ATTEMPT`. */
  readonly sole?: { readonly fileSystem: string; readonly over: readonly string[] };
  /** Whether the database is to have indexes for searches when the run has ended. */
  readonly searchIndexes?: boolean;
}

export interface BegunRun {
  readonly run: string;
  readonly attempt: number;
  readonly base: number;
  readonly count: number;
}

interface AttemptRow {
  readonly attempt_id: number;
  readonly run_id: number;
  readonly id_base: number;
  readonly id_end: number;
}

/** Why indexes may wait for another writer to build them. */
const UNFINISHED = new Set<BraidErrorCode>(['ERR_BRAID_DB_FULL', 'ERR_BRAID_DB_BUSY']);

/** Ids that each rank of a run may give out. */
const IDS_PER_RANK = 2 ** 32;

/** The database, as its one writer sees it. Synchronous: it lives in a worker thread, or in a command. */
export class Store {
  readonly opened: OpenedStore;
  readonly #db: Database;
  readonly #path: string;
  readonly #writer: Writer;
  readonly #wait: LockWait;
  readonly #files: DatabaseFiles;
  readonly #transactions: Transactions;
  readonly #committer: Committer;
  /** Undefined without our extension, which makes checkpoints in a thread of its own. */
  readonly #endCheckpoints: Statement | undefined;
  readonly #invalidations: Invalidations;
  /** What `commit` took, all in all; and `finishIndexes`, if it had something to build. */
  #commitMs = 0;
  #indexMs: number | undefined;

  /**
   * Opens the database, and makes it if there is none.
   *
   * @param ending whether the process is to end, and another's lock is not worth waiting for.
   * @throws BraidError ERR_BRAID_DB_IS_DIRECTORY, ERR_BRAID_DB_UNWRITABLE, ERR_BRAID_DB_NOT_SQLITE, ERR_BRAID_DB_FOREIGN, ERR_BRAID_DB_NEWER, ERR_BRAID_DB_BUSY, ERR_BRAID_DB_FULL
   */
  constructor(options: StoreOptions, ending?: () => boolean) {
    const { path, busyMs } = options;
    this.#path = path;
    this.#writer = options.writer ?? 'flush';
    this.#wait = new LockWait(busyMs, ending);
    const file = realPath(path);
    checkPath(path, file);
    try {
      const { db, uuid, wal, tables, reason } = this.#wait.for(() => openForWriting(file, options, this.#wait));
      this.#db = db;
      try {
        const extended = tables instanceof ExtensionTables;
        this.#files = new DatabaseFiles(db, { path, file, uuid, wal, extended });
        this.#transactions = new Transactions(db, this.#wait, this.#files);
        this.#invalidations = new Invalidations(db);
        this.#committer = new Committer(db, tables, this.#transactions, this.#invalidations);
        this.#endCheckpoints = extended ? db.prepare('SELECT braid_checkpoint_end()') : undefined;
        const commit = extended ? 'extension' : 'statements';
        this.opened = { uuid, wal, commit, commitReason: reason, inodes: this.#files.inodes };
      } catch (error) {
        db.close();
        throw error;
      }
    } catch (error) {
      throw explainWriteError(error, path, this.#writer);
    }
  }

  /** The name of a new run's first attempt, or of the next one of the run to resume. Nothing is written yet. */
  nextAttempt(resume?: string): { run: string; attempt: number } {
    if (resume === undefined) return { run: randomUUID().replaceAll('-', ''), attempt: 1 };
    const last = this.#read(() =>
      this.#db.prepare('SELECT max(attempt) FROM attempts JOIN runs USING (run_id) WHERE uuid = ?').pluck().get(resume),
    ) as number | null;
    if (last === null) {
      throw new BraidError(
        'ERR_BRAID_NO_SUCH_RUN',
        `${this.#path} has no run ${resume} to resume: braid stats lists its runs`,
      );
    }
    return { run: resume, attempt: last + 1 };
  }

  /**
   * Writes a run's header, or that of a new attempt of it, and reserves its ids.
   *
   * @throws BraidError ERR_BRAID_RUN_ALIVE, ERR_BRAID_DB_SHARED
   */
  beginRun({ run, attempt, name, context, ranks, sole, searchIndexes }: RunInit): BegunRun {
    return this.#write(() => {
      const db = this.#db;
      // Two may come to resume a run at the same moment, each with a spool in another place.
      if (this.#attempt(run, attempt)) {
        throw new BraidError(
          'ERR_BRAID_RUN_ALIVE',
          `another process has begun attempt ${attempt} of run ${run}. Wait until it has ended, or end it`,
        );
      }
      // In the transaction: of two that begin at once the second sees the first.
      if (sole) this.#checkSole(sole);
      if (searchIndexes) wantSearchIndexes(db);
      const started = timeText(Date.now() * 1000);
      db.prepare(
        `INSERT INTO runs (uuid, name, status, started) VALUES (?, ?, 'RUNNING', ?)
         ON CONFLICT (uuid) DO UPDATE SET status = 'RUNNING', ended = NULL`,
      ).run(run, name ?? null, started);
      adopt(db, this.#invalidations);
      const size = ranks.length;
      const count = size * IDS_PER_RANK;
      const base = this.#reserveIds(count);
      const attemptId = db
        .prepare(
          `INSERT INTO attempts (run_id, attempt, size, status, started, id_base, id_end, context)
           SELECT run_id, ?, ?, 'RUNNING', ?, ?, ?, ? FROM runs WHERE uuid = ?`,
        )
        .run(attempt, size, started, base, base + count, JSON.stringify(context), run).lastInsertRowid;
      const insertRank = db.prepare(
        'INSERT INTO ledger (attempt_id, rank, host, spool, anchor) VALUES (?, ?, ?, ?, ?)',
      );
      ranks.forEach(({ host, spool, anchor }, rank) => insertRank.run(attemptId, rank, host, spool, anchor));
      return { run, attempt, base, count };
    });
  }

  /** Does several of these in one transaction. */
  atOnce<T>(write: () => T): T {
    return this.#write(write);
  }

  /** The first run of which something was noted; of none, undefined. */
  runNoted(member: string, value: string): string | undefined {
    const sql = `SELECT uuid FROM attempts JOIN runs USING (run_id) WHERE context ->> ? = ? ORDER BY attempt_id`;
    return this.#read(() => this.#db.prepare(sql).pluck().get(member, value)) as string | undefined;
  }

  /** Commits a round; see `Committer.commit`. */
  commit(round: Uint8Array, of?: AttemptSoFar): CommitResult {
    const bytes = Buffer.from(round.buffer, round.byteOffset, round.byteLength);
    const started = performance.now();
    try {
      return this.#explained(() => this.#committer.commit(bytes, of && { ...of, report: this.#told(of.report) }));
    } finally {
      this.#commitMs += performance.now() - started;
    }
  }

  /** Commits what dead ranks have left; see `Committer.salvage`. */
  salvage(round: Uint8Array): CommitResult {
    const bytes = Buffer.from(round.buffer, round.byteOffset, round.byteLength);
    return this.#explained(() => this.#committer.salvage(bytes));
  }

  /**
   * Ends an attempt, and with it its run if it is the last one; gives back the ids that it hasn't used. One that has lost
   * something is INCOMPLETE, though it was closed.
   */
  endAttempt(run: string, attempt: number, end: RunStatus, recorded?: readonly number[], report?: RunReport): void {
    this.#write(() => {
      const db = this.#db;
      const ended = timeText(Date.now() * 1000);
      const row = this.#attempt(run, attempt);
      const lost = db.prepare('SELECT 1 FROM ledger_gaps WHERE attempt_id = ?').get(row.attempt_id);
      const status = end === 'COMPLETED' && lost ? 'INCOMPLETE' : end;
      db.prepare('UPDATE attempts SET status = ?, ended = ?, report = ifnull(?, report) WHERE attempt_id = ?').run(
        status,
        ended,
        report ? JSON.stringify(this.#told(report)) : null,
        row.attempt_id,
      );
      db.prepare(
        `UPDATE runs SET status = ?, ended = ? WHERE run_id = ? AND NOT EXISTS (SELECT 1 FROM attempts WHERE run_id = runs.run_id AND attempt > ?)`,
      ).run(status, ended, row.run_id, attempt);
      const setRecorded = db.prepare('UPDATE ledger SET recorded = max(recorded, ?) WHERE attempt_id = ? AND rank = ?');
      recorded?.forEach((ops, rank) => setRecorded.run(ops, row.attempt_id, rank));
      if (end === 'COMPLETED') this.#settle(row, 'all');
    });
  }

  /** See `invalidate` in edits.ts. */
  invalidate(targets: readonly Target[], cause: string, cascade: boolean): Invalidated & { ids: string[] } {
    return this.#write(() => {
      adopt(this.#db, this.#invalidations);
      const invalidated = invalidate(this.#invalidations, targets, cause, cascade);
      noteLookedThrough(this.#db);
      return invalidated;
    });
  }

  /**
   * See `revalidate` in edits.ts.
   *
   * @throws BraidError ERR_BRAID_NOT_INVALIDATED
   */
  revalidate(targets: readonly Target[], reason: string, some = false): Revalidated & { ids: string[] } {
    return this.#write(() => {
      adopt(this.#db, this.#invalidations);
      return revalidate(this.#db, this.#invalidations, targets, reason, some);
    });
  }

  /** See `adopt` in adopting.ts: of all that there is. */
  adoptAll(): number {
    return this.#write(() => adopt(this.#db, this.#invalidations, true));
  }

  /** Keeps an invalidation action that no record has yet. */
  addAction(action: StoredAction): void {
    this.#write(() => addAction(this.#db, action));
  }

  /** See `beginActionRun` in edits.ts. */
  beginActionRun(run: ActionRun): number | undefined {
    return this.#write(() => beginActionRun(this.#db, run));
  }

  /** Keeps what came of an invalidation action. */
  endActionRun(id: number, end: ActionEnd): void {
    this.#write(() => endActionRun(this.#db, id, end));
  }

  /**
   * Builds the indexes for searches where that is due: when a run has ended, or one that was killed is recovered. Only `close`,
   * and what takes no temporary tables, may come after it. Gives whether there was something to build.
   */
  finishIndexes(): boolean {
    const db = this.#db;
    if (!this.#read(() => lacksSearchIndexes(db))) return false;
    const started = performance.now();
    db.pragma('temp_store = FILE');
    try {
      this.#write(() => buildSearchIndexes(db));
    } catch (error) {
      // All that was recorded is there, and found without: the next writer builds them.
      if (!(error instanceof BraidError && UNFINISHED.has(error.code))) throw error;
    }
    this.#indexMs = performance.now() - started;
    return true;
  }

  /** Takes back an attempt that has recorded nothing; its run is again what the attempt before says. */
  dropAttempt(run: string, attempt: number): void {
    this.#write(() => {
      const db = this.#db;
      const row = this.#attempt(run, attempt);
      this.#giveBackIds(row);
      db.prepare('DELETE FROM ledger WHERE attempt_id = ?').run(row.attempt_id);
      db.prepare('DELETE FROM attempts WHERE attempt_id = ?').run(row.attempt_id);
      db.prepare(
        `UPDATE runs SET (status, ended) =
           (SELECT status, ended FROM attempts WHERE run_id = runs.run_id ORDER BY attempt DESC LIMIT 1)
         WHERE run_id = ?`,
      ).run(row.run_id);
    });
  }

  /**
   * Notes that nothing more can come of these ranks. When that is so of all, and nothing of the attempt is lost, the ids that
   * it hasn't used can be given to others.
   */
  settle(run: string, attempt: number, ranks: readonly number[] | 'all'): void {
    this.#write(() => this.#settle(this.#attempt(run, attempt), ranks));
  }

  /** Lists frames that are lost; not those that are committed already. */
  addGaps(run: string, attempt: number, rank: number, gaps: readonly { frame: number; reason: string }[]): void {
    this.#write(() => {
      const { attempt_id } = this.#attempt(run, attempt);
      const insert = this.#db.prepare(
        `INSERT OR IGNORE INTO ledger_gaps (attempt_id, rank, frame, reason)
         SELECT attempt_id, rank, @frame, @reason FROM ledger
         WHERE attempt_id = @attempt_id AND rank = @rank AND (@frame = 0 OR @frame > ledger.frame)`,
      );
      for (const gap of gaps) insert.run({ ...gap, attempt_id, rank });
    });
  }

  /** What the database says of an attempt; undefined if it knows none such. */
  attemptState(run: string, attempt: number): AttemptState | undefined {
    return this.#read(() => attemptState(this.#db, run, attempt));
  }

  /** See {@link openAttempts}. */
  openAttempts(): OpenAttempt[] {
    return this.#read(() => openAttempts(this.#db));
  }

  /** Closes the database; as one file, if nobody else has it open. */
  close(): void {
    if (this.#db.open) this.#endCheckpoints?.get();
    if (this.#db.open && !this.#files.harm()) leaveWal(this.#db);
    this.release();
  }

  /** Lets the database go as it is: another connection goes on with it, or nothing has come of it. */
  release(): void {
    if (this.#db.open) this.#endCheckpoints?.get();
    if (this.#db.open && this.#files.harm()) this.#files.letGo();
    this.#db.close();
  }

  /** A report with what only this thread knows. */
  #told(report: RunReport | undefined): RunReport | undefined {
    return report && { ...report, commitMs: this.#commitMs, indexMs: this.#indexMs };
  }

  #write<T>(write: () => T): T {
    return this.#explained(() => this.#transactions.run(write));
  }

  #read<T>(read: () => T): T {
    return this.#explained(() => this.#wait.for(read));
  }

  #explained<T>(call: () => T): T {
    try {
      return call();
    } catch (cause) {
      // Whatever SQLite says of files that aren't ours any more, this is why. Those that are locked are somebody's.
      const harm = isBusy(cause) ? undefined : this.#files.harm();
      if (harm?.code === 'ERR_BRAID_DB_REPLACED') this.#files.letGo();
      throw harm ?? explainWriteError(cause, this.#path, this.#writer);
    }
  }

  #checkSole({ fileSystem, over }: NonNullable<RunInit['sole']>): void {
    const path = this.#path;
    const other = this.openAttempts().find(
      ({ run, attempt, status }) => status === 'RUNNING' && !over.includes(`${run}.${attempt}`),
    );
    if (!other) return;
    const where = other.places[0].host;
    throw new BraidError(
      'ERR_BRAID_DB_SHARED',
      `${path} is on a file system (${fileSystem}) on which one run at a time can record, and run ${other.run} on ${where} ` +
        'does: record into a file of your own, to be merged afterwards. If that run is dead, braid recover ' +
        `${path} on ${where} ends it, or, from elsewhere, with --assume-dead ${other.run}`,
    );
  }

  #attempt(run: string, attempt: number): AttemptRow {
    return this.#db
      .prepare(
        'SELECT attempt_id, run_id, id_base, id_end FROM attempts JOIN runs USING (run_id) WHERE uuid = ? AND attempt = ?',
      )
      .get(run, attempt) as AttemptRow;
  }

  #reserveIds(count: number): number {
    const base = this.#db
      .prepare(
        `SELECT max(ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'records'), 0), ifnull((SELECT max(record_id) FROM records), 0))`,
      )
      .pluck()
      .get() as number;
    if (base + count > MAX_ID) {
      throw new BraidError(
        'ERR_BRAID_IDS_EXHAUSTED',
        `${this.#path} has no ${count} ids left (highest ${base}): record into a new file`,
      );
    }
    // sqlite_sequence has no unique index, so an upsert is not to be had.
    const raised = this.#db
      .prepare(`UPDATE sqlite_sequence SET seq = ? WHERE name = 'records'`)
      .run(BigInt(base + count));
    if (raised.changes === 0)
      this.#db.prepare(`INSERT INTO sqlite_sequence (name, seq) VALUES ('records', ?)`).run(BigInt(base + count));
    return base;
  }

  #settle(row: AttemptRow, ranks: readonly number[] | 'all'): void {
    const db = this.#db;
    const settle = db.prepare('UPDATE ledger SET settled = 1 WHERE attempt_id = ? AND (rank = ? OR ? IS NULL)');
    if (ranks === 'all') settle.run(row.attempt_id, null, null);
    else for (const rank of ranks) settle.run(row.attempt_id, rank, rank);
    const wanting = db
      .prepare(
        `SELECT 1 FROM ledger WHERE attempt_id = @id AND NOT settled UNION ALL SELECT 1 FROM ledger_gaps WHERE attempt_id = @id`,
      )
      .get({ id: row.attempt_id });
    // An id of what is lost may stand in somebody's derivations: it must never be another's.
    if (!wanting) this.#giveBackIds(row);
  }

  #giveBackIds({ attempt_id, id_base, id_end }: AttemptRow): void {
    const used = this.#db
      .prepare('SELECT ifnull(max(record_id), ?) FROM records WHERE record_id BETWEEN ? AND ?')
      .pluck()
      .get(id_base, id_base + 1, id_end) as number;
    const returned = this.#db
      .prepare(`UPDATE sqlite_sequence SET seq = ? WHERE name = 'records' AND seq = ?`)
      .run(BigInt(used), id_end);
    // Even an end that somebody else's block follows is worth knowing: ids above it are nobody's.
    if (returned.changes > 0)
      this.#db.prepare('UPDATE attempts SET id_end = ? WHERE attempt_id = ?').run(used, attempt_id);
  }
}
