import type { Database, Statement } from 'better-sqlite3';
import { damaged, decodeFrame, type DecodedOp } from '../frame/decoder.js';
import {
  FRAME_HEADER_BYTES,
  TagType,
  type SourceVersion,
  type TagTypeCode,
  type VersionName,
} from '../frame/format.js';
import { readFrameHeader, type FrameHeader } from '../frame/header.js';
import { timeText } from '../time.js';

/** The tables of a decoded round, as `native/sqlite` declares them, and their columns. */
export const ROUND_TABLES = {
  records: ['record_id', 'name', 'time', 'kind'],
  uris: ['record_id', 'uri'],
  tags: ['record_id', 'key', 'value', 'tag_type', 'boolean'],
  derivations: ['record_id', 'derivation', 'time', 'unversioned', 'stated'],
  derivation_versions: ['record_id', 'derivation', 'run', 'attempt', 'step', 'rank', 'ordinal'],
  versions: ['model_id', 'run', 'attempt', 'step', 'rank', 'ordinal'],
  updates: [
    'update_index', 'model_id', 'run', 'attempt', 'step', 'rank', 'ordinal', 'time', 'recorder',
    'seen_run', 'seen_attempt', 'seen_step', 'seen_rank', 'seen_ordinal',
  ],
  exposures: ['update_index', 'source_id', 'unversioned', 'run', 'attempt', 'step', 'rank', 'ordinal'],
  version_uris: ['update_index', 'uri'],
  version_tags: ['update_index', 'key', 'value', 'tag_type', 'boolean'],
  invalidations: ['id', 'record_id', 'cascade', 'time', 'cause', 'run', 'attempt', 'step', 'rank', 'ordinal'],
  invalidation_actions: ['id', 'record_id', 'action_type', 'time', 'name', 'cmd', 'params'],
} as const; // prettier-ignore
export type RoundTable = keyof typeof ROUND_TABLES;

/** The ids that a frame's rank gives out: the first, and every step-th after it, through the last. */
export interface IdBlock {
  readonly first: number;
  readonly last: number;
  readonly step: number;
}

/** A way to have a round as tables named `braid_round_…` in a connection. */
export interface RoundTables {
  /** Says which round comes next, with the ids of each of its frames, so that it can be decoded meanwhile. It stays in place until `load`. */
  prepare(round: Buffer, blocks: readonly IdBlock[]): void;
  /** Puts that one, decoded, in the place of the one before. Returns the tables that aren't empty. */
  load(): Set<RoundTable>;
  free(): void;
}

/** By our extension: virtual tables over the bytes, and no JavaScript for a row. */
export class ExtensionTables implements RoundTables {
  readonly #prepare: Statement;
  readonly #load: Statement;
  readonly #free: Statement;
  readonly #filled: Statement;

  constructor(db: Database, extension: string) {
    db.loadExtension(extension);
    this.#prepare = db.prepare('SELECT braid_round_prepare(?, ?)');
    this.#load = db.prepare('SELECT braid_round_load()');
    this.#free = db.prepare('SELECT braid_round_free()');
    const tables = Object.keys(ROUND_TABLES);
    this.#filled = db
      .prepare(
        tables.map((name) => `SELECT '${name}' WHERE EXISTS (SELECT 1 FROM braid_round_${name})`).join(' UNION ALL '),
      )
      .pluck();
  }

  prepare(round: Buffer, blocks: readonly IdBlock[]): void {
    const numbers = new Float64Array(blocks.length * 3);
    blocks.forEach(({ first, last, step }, i) => numbers.set([first, last, step], i * 3));
    this.#prepare.get(round, Buffer.from(numbers.buffer));
  }

  load(): Set<RoundTable> {
    this.#load.get();
    return new Set(this.#filled.all() as RoundTable[]);
  }

  free(): void {
    this.#free.get();
  }
}

type Row = (string | number | null)[];

/**
 * By prepared statements into temporary tables: the oracle that the extension is tested against, and the fallback where
 * it can't be loaded.
 */
export class StatementTables implements RoundTables {
  readonly #db: Database;
  readonly #inserts: Map<RoundTable, Statement>;
  #next: Parameters<typeof decodeRound> | undefined;

  constructor(db: Database) {
    this.#db = db;
    const tables = Object.entries(ROUND_TABLES) as [RoundTable, readonly string[]][];
    for (const [name, columns] of tables) db.exec(`CREATE TEMP TABLE braid_round_${name} (${columns.join(', ')})`);
    this.#inserts = new Map(
      tables.map(([name, columns]) => [
        name,
        // Rows are counted from 0, as the extension counts them.
        db.prepare(
          `INSERT INTO temp.braid_round_${name} (rowid, ${columns.join(', ')}) VALUES (?, ${columns.map(() => '?').join(', ')})`,
        ),
      ]),
    );
  }

  prepare(round: Buffer, blocks: readonly IdBlock[]): void {
    this.#next = [round, blocks];
  }

  load(): Set<RoundTable> {
    this.#empty();
    const rows = decodeRound(...this.#next!);
    for (const [table, tableRows] of rows) {
      const insert = this.#inserts.get(table)!;
      for (const [i, row] of tableRows.entries()) insert.run(i, ...row);
    }
    return new Set([...rows.keys()].filter((table) => rows.get(table)!.length > 0));
  }

  free(): void {
    this.#next = undefined;
    this.#empty();
  }

  #empty(): void {
    for (const table of this.#inserts.keys()) this.#db.exec(`DELETE FROM temp.braid_round_${table}`);
  }
}

/**
 * A round's rows by table, in the order in which both ways give them.
 *
 * @param blocks of each frame, the ids that its records may have; without them, any.
 * @throws BraidError ERR_BRAID_FRAME_DAMAGED
 */
export function decodeRound(round: Buffer, blocks?: readonly IdBlock[]): Map<RoundTable, Row[]> {
  const decoder = new RoundDecoder();
  for (let at = 0, frame = 0; at < round.length; frame++) {
    const header = readFrameHeader(round, at);
    if (!header?.sealed) throw damaged(at, 'no sealed frame');
    for (const op of soundOps(round, at, header, blocks?.[frame])) decoder.add(header, op);
    at += FRAME_HEADER_BYTES + header.bytes;
  }
  return decoder.finish();
}

/**
 * The ops of a sealed frame, which are as many as its header says and make records of its rank's ids. What names a record
 * may be of anybody; what makes one would take the place of another rank's, or another run's.
 *
 * @throws BraidError ERR_BRAID_FRAME_DAMAGED
 */
export function* soundOps(round: Buffer, at: number, header: FrameHeader, block?: IdBlock): Generator<DecodedOp> {
  let ops = 0;
  let records = 0;
  for (const op of decodeFrame(round, at, header.bytes)) {
    ops++;
    if (op.op === 'record') {
      records++;
      if (block && !givesOut(block, op.id))
        throw damaged(at, `a record's id, ${op.id}, that its rank does not give out`);
    }
    yield op;
  }
  if (ops !== header.ops || records !== header.records) throw damaged(at, 'another number of ops or records');
}

function givesOut({ first, last, step }: IdBlock, id: number): boolean {
  return id >= first && id <= last && (id - first) % step === 0;
}

interface Frame {
  readonly run: string;
  readonly attempt: number;
  readonly rank: number;
}

class RoundDecoder {
  readonly #rows = new Map<RoundTable, Row[]>();
  #updates = 0;
  #model = 0;
  #time = '';

  add(frame: Frame, op: DecodedOp): void {
    switch (op.op) {
      case 'record':
        return this.#push('records', [op.id, op.name, timeText(op.time), op.kind]);
      case 'uri':
        return this.#push('uris', [op.record, op.uri]);
      case 'tag':
        return this.#push('tags', [op.record, op.key, op.value, ...tagColumns(op.type)]);
      case 'derivation': {
        this.#mention(frame, op.source, op.version);
        this.#push('derivations', [op.source, op.derived, timeText(op.time), op.version === 'unknown' ? 1 : 0, 1]);
        if (typeof op.version !== 'string') {
          this.#push('derivation_versions', [op.source, op.derived, ...versionColumns(frame, op.version)]);
        }
        return;
      }
      case 'update': {
        this.#model = op.model;
        this.#time = timeText(op.time);
        this.#mention(frame, op.model, op.seen ?? 'none');
        this.#mention(frame, op.model, op.made);
        const made = versionColumns(frame, op.made);
        const seen = versionColumns(frame, op.seen ?? 'none');
        return this.#push('updates', [this.#updates++, op.model, ...made, this.#time, frame.rank, ...seen]);
      }
      case 'exposure': {
        const unversioned = op.version === 'unknown' ? 1 : 0;
        this.#mention(frame, op.source, op.version);
        this.#push('exposures', [this.#updates - 1, op.source, unversioned, ...versionColumns(frame, op.version)]);
        return this.#push('derivations', [op.source, this.#model, this.#time, unversioned, 0]);
      }
      case 'versionUri':
        return this.#push('version_uris', [this.#updates - 1, op.uri]);
      case 'versionTag':
        return this.#push('version_tags', [this.#updates - 1, op.key, op.value, ...tagColumns(op.type)]);
      case 'invalidation': {
        const { uuid, record, cascade, time, cause, version } = op;
        this.#mention(frame, record, version);
        const named = versionColumns(frame, version);
        return this.#push('invalidations', [uuid, record, cascade ? 1 : 0, timeText(time), cause, ...named]);
      }
      case 'invalidationAction': {
        const { uuid, record, type, time, name, cmd, params } = op;
        return this.#push('invalidation_actions', [uuid, record, type, timeText(time), name, cmd, params]);
      }
    }
  }

  finish(): Map<RoundTable, Row[]> {
    const sortBy = (table: RoundTable, column: number) =>
      this.#rows.get(table)?.sort((a, b) => (a[column] as number) - (b[column] as number));
    sortBy('records', 0);
    sortBy('uris', 0);
    sortBy('tags', 0);
    sortBy('derivations', 1);
    sortBy('derivation_versions', 1);
    return this.#rows;
  }

  #mention(frame: Frame, model: number, version: SourceVersion): void {
    if (typeof version !== 'string') this.#push('versions', [model, ...versionColumns(frame, version)]);
  }

  #push(table: RoundTable, row: Row): void {
    const rows = this.#rows.get(table);
    if (rows) rows.push(row);
    else this.#rows.set(table, [row]);
  }
}

/** tag_type and boolean. */
function tagColumns(type: TagTypeCode): Row {
  return type === TagType.boolean ? [TagType.integer, 1] : [type, 0];
}

/** run, attempt, step, rank, ordinal. */
function versionColumns(frame: Frame, version: SourceVersion): Row {
  if (typeof version === 'string') return [null, null, null, null, null];
  const { run, attempt } = version.elsewhere ?? frame;
  return [run, attempt, ...nameColumns(version)];
}

function nameColumns({ step, rank, ordinal }: VersionName): Row {
  return step === undefined ? [null, rank!, ordinal!] : [step, -1, -1];
}
