import type { Database } from 'better-sqlite3';
import { BraidError } from '../errors.js';
import { MAX_ID } from '../frame/format.js';
import { groupBy } from '../group-by.js';
import { hasMergedRanges, KINDS_INFERRED } from '../store/schema.js';
import type { Input } from './mapped.js';

/** A row of `merged_ranges`: ids that another database gave out, or has of what was merged into it, and their places here. */
export interface MergedRange {
  readonly origin: string;
  readonly through: number;
  readonly first: number;
  readonly last: number;
  readonly offset: number;
  readonly kinds_inferred: number;
  readonly path: string;
  readonly time: string;
}

/** A row of `joined_models`: a model that another database gave the id `id`, and that became one here. Its place stays empty. */
export interface JoinedModel {
  readonly origin: string;
  readonly id: number;
  readonly record_id: number;
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
  /** Ids that others gave out. */
  readonly ranges: readonly MergedRange[];
  /** Ids by which those have come. */
  readonly through: readonly MergedRange[];
  readonly joined: readonly JoinedModel[];
  /** How the file is called, and when it is read. */
  readonly path: string;
  readonly time: string;
}

/** Ids of one database, and where they were given out: what is `first` here is `originFirst` there. */
export interface Piece {
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
  /** Whether their places were theirs before. */
  readonly known: boolean;
  /** A model that becomes one that has another place. */
  readonly joined: boolean;
}

export function readIdSpace(db: Database, { schema, from }: Input, path: string, time: string): IdSpace {
  const get = (sql: string) => db.prepare(sql).pluck().get();
  const last = get(
    `SELECT max(ifnull((SELECT seq FROM ${schema}.sqlite_sequence WHERE name = 'records'), 0),
       ifnull((SELECT max(record_id) FROM ${schema}.records), 0), ifnull((SELECT max(id_end) FROM ${schema}.attempts), 0))`,
  ) as number;
  const rows = <Row>(table: string, columns: string, order: string) =>
    (hasMergedRanges(db, schema) ? db.prepare(`SELECT ${columns} FROM ${from(table)} ORDER BY ${order}`).all() : []) as Row[]; // prettier-ignore
  const meta = (key: string) => get(`SELECT value FROM ${schema}.meta WHERE key = '${key}'`) as string | undefined;
  const all = rows<MergedRange>('merged_ranges', 'origin, through, first, last, offset, kinds_inferred, path, time', 'origin, first'); // prettier-ignore
  return {
    uuid: meta('uuid')!,
    last,
    kindsInferredThrough: Number(meta(KINDS_INFERRED) ?? 0),
    ranges: all.filter(({ through }) => through === 0),
    through: all.filter(({ through }) => through === 1),
    joined: rows('joined_models', 'origin, id, record_id, path, time', 'origin, id'),
    path,
    time,
  };
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
  for (const range of ranges.toSorted((a, b) => a.first + a.offset - (b.first + b.offset))) {
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

/** The pieces of a database, where each lies in the target; those that it has never seen have no offset. */
export function overlay(pieces: readonly Piece[], target: IdSpace): (Piece & { readonly offset?: number })[] {
  const ranges = groupBy(target.ranges, ({ origin }) => origin);
  return pieces.flatMap((piece) => {
    // It has come back from where it was merged into.
    if (piece.origin === target.uuid) return [{ ...piece, offset: piece.originFirst - piece.first }];
    const cut: (Piece & { readonly offset?: number })[] = [];
    const shift = piece.first - piece.originFirst;
    let next = piece.first;
    for (const range of ranges.get(piece.origin) ?? []) {
      const first = Math.max(next, range.first + shift);
      const last = Math.min(piece.last, range.last + shift);
      if (last < first) continue;
      if (first > next) cut.push(part(piece, next, first - 1));
      cut.push({ ...part(piece, first, last), offset: range.offset - shift });
      next = last + 1;
    }
    if (next <= piece.last) cut.push(part(piece, next, piece.last));
    return cut;
  });
}

function part<P extends Piece>(piece: P, first: number, last: number): P {
  return { ...piece, first, last, originFirst: piece.originFirst + first - piece.first };
}

/** Gives all ids of a database their places in the target: those that are new to it behind all that it has. */
export function place(pieces: readonly Piece[], target: IdSpace): Placed[] {
  const located = overlay(pieces, target);
  // A newer copy of the target has given out ids that the target hasn't yet.
  const known = located.map(({ last, offset }) => (offset === undefined ? 0 : last + offset));
  let next = Math.max(target.last, ...known) + 1;
  return located.map((piece) => {
    if (piece.offset !== undefined) return { ...piece, offset: piece.offset, known: true, joined: false };
    const offset = next - piece.first;
    next = piece.last + offset + 1;
    if (next > MAX_ID) {
      throw new BraidError('ERR_BRAID_IDS_EXHAUSTED', `${target.path} has no ids left for what is to be merged: merge into a new file`); // prettier-ignore
    }
    return { ...piece, offset, known: false, joined: false };
  });
}

/** The same, with models that become others where those are. Their own places stay empty, so that the ids of their runs keep their distances. */
export function join(placed: readonly Placed[], joins: ReadonlyMap<number, number>): Placed[] {
  const models = [...joins.keys()].sort((a, b) => a - b);
  return placed.flatMap((piece) => {
    const cut: Placed[] = [];
    let { first } = piece;
    for (const model of models) {
      if (model < first || model > piece.last) continue;
      if (model > first) cut.push(part(piece, first, model - 1));
      cut.push({ ...part(piece, model, model), offset: joins.get(model)! - model, joined: true });
      first = model + 1;
    }
    if (first <= piece.last) cut.push(part(piece, first, piece.last));
    return cut;
  });
}

/** The rows of `merged_ranges` that are new in the target. */
export function newRanges(placed: readonly Placed[]): MergedRange[] {
  return placed
    .filter(({ known }) => !known)
    .map(({ first, last, offset, kindsInferred, originFirst, origin, path, time }) => ({
      origin,
      through: 0,
      first: originFirst,
      last: originFirst + last - first,
      offset: first + offset - originFirst,
      kinds_inferred: kindsInferred ? 1 : 0,
      path,
      time,
    }));
}

/** The ids that the source has of what others gave out, and those by which that came to it: what they are in the target. */
export function passedRanges(placed: readonly Placed[], source: IdSpace, target: IdSpace): MergedRange[] {
  const { uuid, path, time } = source;
  const own = placed.filter(({ origin }) => origin !== uuid);
  return [
    ...own.map(({ first, last, offset }) => ({ origin: uuid, through: 1, first, last, offset, kinds_inferred: 0, path, time })), // prettier-ignore
    ...source.through.flatMap((range) => {
      const within = placed.filter((piece) => piece.first <= range.last + range.offset && piece.last >= range.first + range.offset); // prettier-ignore
      return within.map((piece) => ({
        ...range,
        first: Math.max(range.first, piece.first - range.offset),
        last: Math.min(range.last, piece.last - range.offset),
        offset: range.offset + piece.offset,
      }));
    }),
  ].filter(({ origin }) => origin !== target.uuid);
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
