import type { Database } from 'better-sqlite3';
import { BraidError } from '../errors.js';
import { MAX_ID } from '../frame/format.js';
import { hasMergedRanges, KINDS_INFERRED } from '../store/schema.js';
import { groupBy } from '../group-by.js';

/** A row of `merged_ranges`: ids that another database gave out, and where they are here. */
export interface MergedRange {
  readonly origin: string;
  readonly first: number;
  readonly last: number;
  readonly offset: number;
  readonly kinds_inferred: number;
  readonly joined: number;
  readonly path: string;
  readonly time: string;
}

/** What tells the ids of a database apart: its own, and those that came to it by merging. */
export interface IdSpace {
  readonly uuid: string;
  /** The highest id that is given out. */
  readonly last: number;
  /** Through which of its own ids the kinds of records are inferred. */
  readonly kindsInferredThrough: number;
  readonly ranges: readonly MergedRange[];
  /** How the file is called, and when it is read. */
  readonly path: string;
  readonly time: string;
}

/** Ids of one database, and where they were given out: what is `first` here is `originFirst` there. */
interface Piece {
  readonly first: number;
  readonly last: number;
  readonly origin: string;
  readonly originFirst: number;
  readonly kindsInferred: boolean;
  readonly path: string;
  readonly time: string;
}

/** The same, and where they go. */
export interface Placed extends Piece {
  /** What is `id` in the one is `id + offset` in the other. */
  readonly offset: number;
  /** Whether they were there before. */
  readonly known: boolean;
  /** A model that becomes one that is there. */
  readonly joined: boolean;
}

/** A model that is to become one that is there. */
export interface Join {
  readonly model: number;
  readonly into: number;
}

const RANGES = 'SELECT origin, first, last, offset, kinds_inferred, joined, path, time FROM';

/** @param schema by which statements know the database. */
export function readIdSpace(db: Database, schema: string, path: string, time: string): IdSpace {
  const get = (sql: string) => db.prepare(sql).pluck().get();
  const last = get(
    `SELECT max(ifnull((SELECT seq FROM ${schema}.sqlite_sequence WHERE name = 'records'), 0),
       ifnull((SELECT max(record_id) FROM ${schema}.records), 0), ifnull((SELECT max(id_end) FROM ${schema}.attempts), 0))`,
  ) as number;
  const ranges = hasMergedRanges(db, schema) ? (db.prepare(`${RANGES} ${schema}.merged_ranges ORDER BY origin, first`).all() as MergedRange[]) : []; // prettier-ignore
  const meta = (key: string) => get(`SELECT value FROM ${schema}.meta WHERE key = '${key}'`) as string | undefined;
  return { uuid: meta('uuid')!, last, kindsInferredThrough: Number(meta(KINDS_INFERRED) ?? 0), ranges, path, time };
}

/** All ids of a database, in order, by where they were given out. */
export function piecesOf({ uuid, last, kindsInferredThrough, ranges, path, time }: IdSpace): Piece[] {
  const pieces: Piece[] = [];
  let next = 1;
  const own = (end: number) => {
    for (const [until, kindsInferred] of [
      [kindsInferredThrough, true],
      [end, false],
    ] as const) {
      // prettier-ignore
      const last = Math.min(until, end);
      if (last >= next) pieces.push({ first: next, last, origin: uuid, originFirst: next, kindsInferred, path, time });
      next = Math.max(next, last + 1);
    }
  };
  const came = ranges.filter(({ joined }) => joined === 0);
  for (const range of came.toSorted((a, b) => a.first + a.offset - (b.first + b.offset))) {
    const first = Math.max(next, range.first + range.offset);
    const end = range.last + range.offset;
    if (end < first) continue;
    own(first - 1);
    pieces.push({ ...pick(range), first, last: end, originFirst: first - range.offset });
    next = end + 1;
  }
  own(last);
  return pieces;
}

function pick({
  origin,
  kinds_inferred,
  path,
  time,
}: MergedRange): Pick<Piece, 'origin' | 'kindsInferred' | 'path' | 'time'> {
  return { origin, kindsInferred: kinds_inferred === 1, path, time };
}

/** The same, where that is known. */
export type Unplaced = Piece & Partial<Pick<Placed, 'offset' | 'joined'>>;

/** The pieces of a database, where each lies in the target; those that it has never seen have no offset. */
export function overlay(pieces: readonly Piece[], target: IdSpace): Unplaced[] {
  const ranges = groupBy(target.ranges, ({ origin }) => origin);
  return pieces.flatMap((piece) => {
    // It has come back from where it was merged into.
    if (piece.origin === target.uuid) return [{ ...piece, offset: piece.originFirst - piece.first, joined: false }];
    const cut: Unplaced[] = [];
    const shift = piece.first - piece.originFirst;
    let next = piece.first;
    for (const range of ranges.get(piece.origin) ?? []) {
      const first = Math.max(next, range.first + shift);
      const last = Math.min(piece.last, range.last + shift);
      if (last < first) continue;
      if (first > next) cut.push(part(piece, next, first - 1));
      cut.push({ ...part(piece, first, last), offset: range.offset - shift, joined: range.joined === 1 });
      next = last + 1;
    }
    if (next <= piece.last) cut.push(part(piece, next, piece.last));
    return cut;
  });
}

function part(piece: Piece, first: number, last: number): Piece {
  return { ...piece, first, last, originFirst: piece.originFirst + first - piece.first };
}

/** Gives those that are new their places, behind `base`; models that are to be joined those that they join. */
export function place(pieces: readonly Unplaced[], joins: readonly Join[], base: number, path: string): Placed[] {
  const sorted = joins.toSorted((a, b) => a.model - b.model);
  const placed: Placed[] = [];
  let next = base + 1;
  const add = (piece: Piece) => {
    const offset = next - piece.first;
    placed.push({ ...piece, offset, known: false, joined: false });
    next = piece.last + offset + 1;
    if (next > MAX_ID) {
      throw new BraidError('ERR_BRAID_IDS_EXHAUSTED', `${path} has no ids left for what is to be merged: merge into a new file`); // prettier-ignore
    }
  };
  for (const piece of pieces) {
    if (piece.offset !== undefined) {
      placed.push({ ...piece, offset: piece.offset, known: true, joined: piece.joined ?? false });
      continue;
    }
    let first = piece.first;
    for (const { model, into } of sorted) {
      if (model < first || model > piece.last) continue;
      if (model > first) add(part(piece, first, model - 1));
      placed.push({ ...part(piece, model, model), offset: into - model, known: false, joined: true });
      // Its own place stays empty, so that the rest of its run's ids keep their distances.
      next++;
      first = model + 1;
    }
    if (first <= piece.last) add(part(piece, first, piece.last));
  }
  return placed;
}

/** The rows of `merged_ranges` that are new in the target; with the models that had been joined in the database before. */
export function newRanges(placed: readonly Placed[], source: IdSpace, target: IdSpace): MergedRange[] {
  const rows = placed
    .filter(({ known }) => !known)
    .map(({ first, last, offset, joined, kindsInferred, originFirst, origin, path, time }): MergedRange => ({
      origin,
      first: originFirst,
      last: originFirst + last - first,
      offset: first + offset - originFirst,
      kinds_inferred: kindsInferred && !joined ? 1 : 0,
      joined: joined ? 1 : 0,
      path,
      time,
    }));
  const hereOf = ({ origin, first }: MergedRange) => {
    if (origin === target.uuid) return first;
    const range = [...target.ranges, ...rows].find(
      (each) => each.origin === origin && each.first <= first && each.last >= first,
    );
    return range && first + range.offset;
  };
  for (const range of source.ranges) {
    if (range.joined === 0) continue;
    const [here, to] = [hereOf(range), placeOf(placed, range.first + range.offset)];
    if (here === undefined && to !== undefined) rows.push({ ...range, offset: to - range.first });
    else if (here !== to) {
      throw new BraidError(
        'ERR_BRAID_MERGE_CONFLICT',
        `${source.path} has a model that was merged from ${range.path} (${range.first}) and joined to ${range.first + range.offset}; in ` +
          `${target.path} the two are ${here} and ${to}, kept apart. Nothing was merged`,
      );
    }
  }
  return rows;
}

/** Where an id goes; undefined for one that the database has not given out. */
export function placeOf(placed: readonly Placed[], id: number): number | undefined {
  const piece = pieceOf(placed, id);
  return piece && id + piece.offset;
}

/** The piece that has an id. */
export function pieceOf<P extends Piece>(pieces: readonly P[], id: number): P | undefined {
  const piece = pieces.at(indexFor(pieces, id));
  return piece && id >= piece.first && id <= piece.last ? piece : undefined;
}

/** Of pieces in order, the first that ends at an id or behind it. */
export function indexFor(pieces: readonly Piece[], id: number): number {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (pieces[middle].last < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
