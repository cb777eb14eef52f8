import type { Database, Statement } from 'better-sqlite3';
import { BraidError } from '../errors.js';
import { faultPoint } from '../fault.js';
import { FRAME_HEADER_BYTES } from '../frame/format.js';
import type { FrameHeader } from '../frame/header.js';
import { ActionCode } from '../frame/format.js';
import { ACTION_TYPES, type Invalidations } from './invalidation.js';
import { gapOf, holesIn, rangesOf } from './ledger.js';
import { VersionNumbering } from './numbering.js';
import {
  crcDamage,
  piecesOf,
  placeFrames,
  sameOwner,
  withDamage,
  type FreshFrame,
  type Piece,
  type PlacedFrame,
} from './pieces.js';
import { soundOps, type IdBlock, type RoundTable, type RoundTables } from './round-tables.js';
import { sqliteCode } from './sqlite.js';
import type { RunReport } from '../run-report.js';
import type { Transactions } from './transactions.js';

/** What was brought into the database. */
export interface CommitTotals {
  records: number;
  ops: number;
  bytes: number;
}

/** What is known of an attempt of which a round brings something. */
export interface AttemptSoFar {
  /** Ops that each rank has recorded. */
  readonly recorded: readonly number[];
  /** What that has cost, to be kept. */
  readonly report?: RunReport;
}

/** A frame that can't be brought in, for what is in it. */
export interface RefusedFrame {
  readonly rank: number;
  readonly frame: number;
  readonly reason: string;
}

/** What one commit brought into the database, and what of its round is damaged, and now listed as gaps. */
export interface CommitResult extends CommitTotals {
  refused: RefusedFrame[];
}

/** The id of a version that a row of a round's table names by the columns with `prefix`; NULL where it names none. */
function versionId(model: string, row: string, prefix = ''): string {
  const column = (name: string) => `${row}.${prefix}${name}`;
  const attempt = `(SELECT attempt_id FROM attempts JOIN runs USING (run_id)
    WHERE uuid = ${column('run')} AND attempt = ${column('attempt')})`;
  return `(
    SELECT version_id FROM versions WHERE model_id = ${model} AND attempt_id = ${attempt} AND step = ${column('step')}
    UNION ALL
    SELECT version_id FROM versions WHERE model_id = ${model} AND attempt_id = ${attempt} AND step IS NULL
      AND rank = ${column('rank')} AND ordinal = ${column('ordinal')} AND ${column('step')} IS NULL
  )`;
}

/**
 * A round into the tables. `@base` is the number of updates before it. The tables named `braid_round_…` are the round,
 * decoded: virtual tables of our SQLite extension, or temporary ones that prepared statements have filled.
 */
const INSERTS: [roundTable: RoundTable, sql: string][] = [
  [
    'records',
    `INSERT INTO records (record_id, name, time, kind) SELECT record_id, name, time, kind FROM braid_round_records`,
  ],
  ['uris', `INSERT INTO uris (record_id, uri) SELECT record_id, uri FROM braid_round_uris`],
  [
    'tags',
    `INSERT INTO tags (record_id, key, value, tag_type, boolean) SELECT record_id, key, value, tag_type, boolean FROM braid_round_tags`,
  ],
  // Of a pair that is said again the first time is kept; but where the source's version isn't known, the last: any version up
  // to then may be meant.
  [
    'derivations',
    `INSERT INTO derivations (record_id, derivation, time, unversioned, stated)
     SELECT record_id, derivation, time, unversioned, stated FROM braid_round_derivations WHERE true
     ON CONFLICT DO UPDATE SET unversioned = max(unversioned, excluded.unversioned), stated = max(stated, excluded.stated),
       time = iif(excluded.stated AND excluded.unversioned, max(time, excluded.time), time)
     WHERE excluded.unversioned > unversioned OR excluded.stated > stated
       OR excluded.stated AND excluded.unversioned AND excluded.time > time`,
  ],
  // A version may be named by one rank before the frame of the rank that makes it has come: whoever names it first adds it.
  [
    'versions',
    `INSERT OR IGNORE INTO versions (model_id, attempt_id, step, rank, ordinal)
     SELECT v.model_id, a.attempt_id, v.step, v.rank, v.ordinal FROM braid_round_versions v
     CROSS JOIN runs r ON r.uuid = v.run CROSS JOIN attempts a ON a.run_id = r.run_id AND a.attempt = v.attempt`,
  ],
  [
    'derivation_versions',
    `INSERT OR IGNORE INTO derivation_versions (derivation, record_id, version_id)
     SELECT derivation, record_id, version_id FROM (
       SELECT d.derivation, d.record_id, ${versionId('d.record_id', 'd')} AS version_id FROM braid_round_derivation_versions d
     ) WHERE version_id IS NOT NULL`,
  ],
  [
    'updates',
    `INSERT INTO updates (update_id, version_id, rank, time, seen)
     SELECT @base + u.update_index, ${versionId('u.model_id', 'u')}, u.recorder, u.time, ${versionId('u.model_id', 'u', 'seen_')}
     FROM braid_round_updates u`,
  ],
  [
    'exposures',
    `INSERT INTO exposures (update_id, ordinal, source_id, version_id, unversioned)
     SELECT @base + e.update_index, e.rowid, e.source_id, ${versionId('e.source_id', 'e')}, e.unversioned
     FROM braid_round_exposures e`,
  ],
  [
    'version_uris',
    `INSERT OR IGNORE INTO version_uris (version_id, uri) SELECT u.version_id, x.uri
     FROM braid_round_version_uris x CROSS JOIN updates u ON u.update_id = @base + x.update_index`,
  ],
  [
    'version_tags',
    `INSERT INTO version_tags (version_id, rank, key, value, tag_type, boolean)
     SELECT u.version_id, u.rank, x.key, x.value, x.tag_type, x.boolean
     FROM braid_round_version_tags x CROSS JOIN updates u ON u.update_id = @base + x.update_index`,
  ],
  [
    'invalidations',
    `INSERT INTO invalidation_requests (id, record_id, version_id, cascade, cause, time)
     SELECT id, record_id, version_id, cascade, cause, time FROM (
       SELECT x.*, ${versionId('x.record_id', 'x')} AS version_id FROM braid_round_invalidations x
     ) WHERE run IS NULL OR version_id IS NOT NULL`,
  ],
  // Whoever says the same action says its id, too.
  [
    'invalidation_actions',
    `INSERT OR IGNORE INTO invalidation_actions (action_type, params, id, name, cmd)
     SELECT iif(action_type = ${ActionCode.shell}, '${ACTION_TYPES.shell}', '${ACTION_TYPES.event}'), params, id, name, cmd
     FROM braid_round_invalidation_actions`,
  ],
  [
    'invalidation_actions',
    `INSERT OR IGNORE INTO record_actions (record_id, time, action_id)
     SELECT record_id, time, id FROM braid_round_invalidation_actions`,
  ],
];

/**
 * Commits rounds of frames, each once: the one function that flush and recovery share. Holds the prepared statements of
 * one connection.
 */
export class Committer {
  readonly #tables: RoundTables;
  readonly #transactions: Transactions;
  readonly #inserts: { table: RoundTable; statement: Statement }[];
  readonly #numbering: VersionNumbering;
  readonly #invalidations: Invalidations;
  readonly #updateCount: Statement;
  readonly #ledgerRow: Statement;
  readonly #moveLedger: Statement;
  readonly #setReport: Statement;
  readonly #gaps: Statement;
  readonly #addGap: Statement;

  constructor(db: Database, tables: RoundTables, transactions: Transactions, invalidations: Invalidations) {
    this.#tables = tables;
    this.#transactions = transactions;
    this.#inserts = INSERTS.map(([table, sql]) => ({ table, statement: db.prepare(sql) }));
    this.#numbering = new VersionNumbering(db);
    this.#invalidations = invalidations;
    this.#updateCount = db.prepare('SELECT ifnull(max(update_id), 0) + 1 FROM updates').pluck();
    this.#ledgerRow = db.prepare(
      `SELECT attempt_id AS attemptId, frame, id_base AS idBase, id_end AS idEnd, size
       FROM ledger JOIN attempts USING (attempt_id) JOIN runs USING (run_id)
       WHERE uuid = ? AND attempt = ? AND rank = ?`,
    );
    this.#moveLedger = db.prepare(
      `UPDATE ledger SET committed = committed + @ops, records = records + @records, bytes = bytes + @bytes, frame = @frame,
         recorded = max(recorded, committed + @ops, @recorded)
       WHERE attempt_id = @attemptId AND rank = @rank`,
    );
    this.#setReport = db.prepare('UPDATE attempts SET report = ? WHERE attempt_id = ?');
    this.#gaps = db
      .prepare('SELECT DISTINCT frame FROM ledger_gaps WHERE attempt_id = ? AND rank = ? AND frame > ? ORDER BY frame')
      .pluck();
    this.#addGap = db.prepare(
      'INSERT OR IGNORE INTO ledger_gaps (attempt_id, rank, frame, reason) VALUES (@attemptId, @rank, @frame, @reason)',
    );
  }

  /**
   * Brings the frames of a round that the ledger doesn't know yet into the tables, in one transaction. Damaged ones stay out
   * and are listed as gaps: what was written can't be had from anywhere.
   *
   * @param round sealed frames, one after another.
   * @param of where the round is of one attempt.
   * @throws BraidError ERR_BRAID_FRAME_DAMAGED, if where frames begin and end can't be told; ERR_BRAID_LEDGER
   */
  commit(round: Buffer, of?: AttemptSoFar): CommitResult {
    const frames = placeFrames(round).map((frame) => withDamage(frame, crcDamage(round, frame)));
    const insert = (frames: PlacedFrame[]) => this.#transaction(() => this.#insert(round, frames, of));
    try {
      return insert(frames);
    } catch (error) {
      if (!isOfContent(error)) throw error;
      // The CRC of a frame that was damaged before it was sealed fits all the same.
      const looked = frames.map((frame) => withDamage(frame, this.#decodeDamage(round, frame)));
      if (looked.every(({ damage }, i) => damage === frames[i].damage)) throw error;
      return insert(looked);
    }
  }

  /**
   * As `commit`, of frames that dead ranks have left and can't send again. If the database refuses what is in them, they are
   * taken one by one, each in a transaction of its own; the ones refused are listed as gaps.
   *
   * @throws what has other causes: a full disk, a locked file
   */
  salvage(round: Buffer): CommitResult {
    try {
      return this.commit(round);
    } catch (error) {
      if (!isOfContent(error)) throw error;
    }
    const total: CommitResult = { records: 0, ops: 0, bytes: 0, refused: [] };
    for (const frame of placeFrames(round)) {
      const { at, header } = frame;
      try {
        const result = this.commit(round.subarray(at, at + FRAME_HEADER_BYTES + header.bytes));
        total.records += result.records;
        total.ops += result.ops;
        total.bytes += result.bytes;
        for (const each of result.refused) total.refused.push(each);
      } catch (error) {
        if (!isOfContent(error)) throw error;
        const damage = (error as Error).message;
        // One of a rank that the ledger doesn't know has no place where it could be listed.
        if (!isOfLedger(error)) this.#transaction(() => this.#moveLedgers([{ ...frame, damage }], undefined));
        total.refused.push({ rank: header.rank, frame: header.sequence, reason: damage });
      }
    }
    return total;
  }

  #transaction<T>(write: () => T): T {
    const result = this.#transactions.run(() => {
      faultPoint('commit.begun');
      const written = write();
      faultPoint('commit.inserted');
      return written;
    });
    faultPoint('commit.committed');
    return result;
  }

  /** Why a frame whose CRC fits can't be brought in. */
  #decodeDamage(round: Buffer, { at, header, damage }: PlacedFrame): string | undefined {
    if (damage !== undefined) return damage;
    const row = this.#ledgerRowOf(header);
    try {
      for (const op of soundOps(round, at, header, row && blockOf(row, header))) void op;
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  #ledgerRowOf({ run, attempt, rank }: FrameHeader): LedgerRow | undefined {
    return this.#ledgerRow.get(run, attempt, rank) as LedgerRow | undefined;
  }

  #insert(round: Buffer, frames: PlacedFrame[], of: AttemptSoFar | undefined): CommitResult {
    const { fresh, refused } = this.#moveLedgers(frames, of?.recorded);
    if (of?.report && frames.length > 0) {
      this.#setReport.run(JSON.stringify(of.report), this.#ledgerRowOf(frames[0].header)!.attemptId);
    }
    const ops = fresh.reduce((sum, { header }) => sum + header.ops, 0);
    const records = fresh.reduce((sum, { header }) => sum + header.records, 0);
    const bytes = fresh.reduce((sum, { header }) => sum + FRAME_HEADER_BYTES + header.bytes, 0);
    if (fresh.length === 0) return { records, ops, bytes, refused };
    const first = this.#updateCount.get() as number;
    const watch = this.#invalidations.watch();
    let updates = false;
    try {
      const pieces = piecesOf(round, fresh);
      // Each is decoded while the one before is inserted.
      for (let more = this.#prepare(pieces); more;) {
        const filled = this.#tables.load();
        more = this.#prepare(pieces);
        this.#insertPiece(filled);
        watch?.piece(filled);
        updates ||= filled.has('updates');
      }
    } finally {
      this.#tables.free();
    }
    // Of the round as a whole: the order of versions is that of their times in it.
    if (updates) this.#numbering.run(first);
    watch?.end(first);
    this.#invalidations.settle(watch !== undefined);
    return { records, ops, bytes, refused };
  }

  /** Returns false if there are no more. */
  #prepare(pieces: Iterator<Piece>): boolean {
    const next = pieces.next();
    if (next.done) return false;
    this.#tables.prepare(next.value.bytes, next.value.blocks);
    return true;
  }

  #insertPiece(filled: ReadonlySet<RoundTable>): void {
    const base = this.#updateCount.get() as number;
    for (const { table, statement } of this.#inserts) {
      if (!filled.has(table)) continue;
      if (UPDATE_TABLES.has(table)) statement.run({ base });
      else statement.run();
    }
  }

  /** Moves each rank's watermark over its frames, lists the damaged ones, and gives those that lay above it. */
  #moveLedgers(
    frames: PlacedFrame[],
    recorded: readonly number[] | undefined,
  ): { fresh: FreshFrame[]; refused: RefusedFrame[] } {
    const fresh: FreshFrame[] = [];
    const refused: RefusedFrame[] = [];
    for (let first = 0; first < frames.length;) {
      const { run, attempt, rank } = frames[first].header;
      let end = first + 1;
      while (end < frames.length && sameOwner(frames[first].header, frames[end].header)) end++;
      const row = this.#ledgerRowOf(frames[first].header);
      if (!row) {
        throw new BraidError(
          'ERR_BRAID_LEDGER',
          `the database knows no rank ${rank} of attempt ${attempt} of run ${run}`,
        );
      }
      const mine = frames.slice(first, end).filter(({ header }) => header.sequence > row.frame);
      mine.forEach(({ header }, i) => {
        if (i > 0 && header.sequence <= mine[i - 1].header.sequence) {
          throw new BraidError('ERR_BRAID_FRAME_DAMAGED', `frame ${header.sequence} of rank ${rank} is out of order`);
        }
      });
      if (mine.length > 0) {
        for (const { header, damage } of mine) {
          if (damage === undefined) continue;
          this.#addGap.run({ attemptId: row.attemptId, rank, frame: header.sequence, reason: damage });
          refused.push({ rank, frame: header.sequence, reason: damage });
        }
        const sound = mine.filter(({ damage }) => damage === undefined);
        this.#listHoles(
          { ...row, rank },
          mine.map(({ header }) => header.sequence),
        );
        this.#moveLedger.run({
          attemptId: row.attemptId,
          rank,
          frame: mine.at(-1)!.header.sequence,
          ops: sound.reduce((sum, { header }) => sum + header.ops, 0),
          records: sound.reduce((sum, { header }) => sum + header.records, 0),
          bytes: sound.reduce((sum, { header }) => sum + FRAME_HEADER_BYTES + header.bytes, 0),
          recorded: recorded?.[rank] ?? 0,
        });
        // Not as arguments, of which a stack holds so many: a round may have as many frames as fit into it.
        const block = blockOf(row, frames[first].header);
        for (const frame of sound) fresh.push({ ...frame, block });
      }
      first = end;
    }
    return { fresh, refused };
  }

  /** Lists what is missing between a rank's watermark and its newest frame, unless it is known to be lost. */
  #listHoles({ attemptId, rank, frame }: { attemptId: number; rank: number; frame: number }, fresh: number[]): void {
    const last = fresh.at(-1)!;
    if (last - frame === fresh.length) return;
    const listed = this.#gaps.all(attemptId, rank, frame) as number[];
    const known = [...fresh, ...listed].sort((a, b) => a - b);
    for (const hole of holesIn(rangesOf(known), frame + 1, last)) this.#addGap.run({ attemptId, rank, ...gapOf(hole) });
  }
}

const UPDATE_TABLES = new Set<RoundTable>(['updates', 'exposures', 'version_uris', 'version_tags']);

interface LedgerRow {
  readonly attemptId: number;
  readonly frame: number;
  readonly idBase: number;
  readonly idEnd: number;
  readonly size: number;
}

/** The block's end is where the attempt gave back what it hadn't used: beyond it, ids may be those of the next run. */
function blockOf({ idBase, idEnd, size }: LedgerRow, { rank }: FrameHeader): IdBlock {
  return { first: idBase + 1 + rank, last: idEnd, step: size };
}

/** Whether a commit failed for what is in its frames, and not for want of space, or of the lock. */
function isOfContent(error: unknown): boolean {
  if (error instanceof BraidError) return error.code === 'ERR_BRAID_FRAME_DAMAGED' || isOfLedger(error);
  // SQLITE_ERROR is what our extension says of a frame that it can't decode.
  return /^SQLITE_(ERROR|CONSTRAINT|MISMATCH|TOOBIG)/.test(sqliteCode(error) ?? '');
}

function isOfLedger(error: unknown): boolean {
  return error instanceof BraidError && error.code === 'ERR_BRAID_LEDGER';
}
