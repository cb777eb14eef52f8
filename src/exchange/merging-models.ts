import type { Database, Statement } from 'better-sqlite3';
import { BraidError } from '../errors.js';
import { KindCode } from '../frame/format.js';
import { groupBy } from '../group-by.js';
import { withInput, type Input } from './mapped.js';
import { pieceOf, piecesOf, placeOf, type IdSpace, type JoinedModel, type Piece, type Placed } from './ranges.js';

/** By what a model that is merged is the same as one that is there. */
export type JoinBy = 'name' | 'uri';

/** Models of what is read, and of what is written, that have it in common. */
const COMMON: Record<JoinBy, string> = {
  name: `SELECT r.record_id AS model, o.record_id AS here FROM $records r
    CROSS JOIN (SELECT record_id, name FROM main.records WHERE kind = ${KindCode.model}) o ON o.name = r.name
    WHERE r.kind = ${KindCode.model}`,
  uri: `SELECT DISTINCT r.record_id AS model, o.record_id AS here FROM $records r CROSS JOIN $uris u ON u.record_id = r.record_id
    CROSS JOIN (SELECT u.record_id, u.uri FROM main.records r CROSS JOIN main.uris u ON u.record_id = r.record_id
      WHERE r.kind = ${KindCode.model}) o ON o.uri = u.uri
    WHERE r.kind = ${KindCode.model}`,
};

interface Pair {
  readonly model: number;
  readonly here: number;
}

export interface JoinOptions {
  readonly input: Input;
  readonly source: IdSpace;
  readonly target: IdSpace;
  /** The ids of the source by their own places. */
  readonly placed: readonly Placed[];
  readonly joinBy?: JoinBy;
}

/**
 * Which models of a database become others of what it is merged into: those that had before; those that are one with another in
 * the database, as somebody has joined them there; and those that have a name, or a URI, in common. Two models that one database
 * keeps apart never become one.
 */
export class ModelJoins {
  /** Of the source, by their ids, which model of the target they are. */
  readonly joins = new Map<number, number>();
  /** What is to be kept of that which is new. */
  readonly rows: JoinedModel[] = [];
  /** How many models of the source have become others. */
  joined = 0;
  /** How many have something in common, and are kept apart: of what they might become there are several, or they are. */
  ambiguous = 0;
  readonly #placesByOrigin: ReadonlyMap<string, Placed[]>;
  /** The ids of the target, by who gave them out. */
  readonly #piecesHere: readonly Piece[];
  readonly #isHere: Statement;
  readonly #isThere: Statement;

  /** @throws BraidError ERR_BRAID_MERGE_CONFLICT */
  constructor(
    private readonly db: Database,
    private readonly options: JoinOptions,
  ) {
    const { input, source, target, placed, joinBy } = options;
    this.#placesByOrigin = groupBy(placed, ({ origin }) => origin);
    this.#piecesHere = piecesOf(target);
    this.#isHere = db.prepare('SELECT 1 FROM main.records WHERE record_id = ?');
    this.#isThere = db.prepare(withInput('SELECT 1 FROM $records WHERE record_id = ?', input));
    for (const { origin, id, record_id } of target.joined) {
      const model = this.#idThere(origin, id);
      if (model !== undefined) this.joins.set(model, record_id);
    }
    for (const row of source.joined) this.#joinAsThere(row);
    if (joinBy !== undefined) this.#joinBy(joinBy);
    // What had become one of them there is where that is now.
    for (const row of source.joined) {
      const model = this.#idThere(row.origin, row.id);
      if (model === undefined || this.#isSettled(model)) continue;
      const here = this.#placeOf(row.record_id);
      if (this.#areTwo([row], here)) throw this.#conflict(row);
      this.joins.set(model, here);
      this.rows.push({ ...row, record_id: here });
    }
  }

  /** A model that another became in the source: where that other one is here already, it is that. */
  #joinAsThere(row: JoinedModel): void {
    const other = this.#idThere(row.origin, row.id);
    if (other === undefined || !this.#isSettled(other)) return;
    const [model, here] = [row.record_id, this.#placeOf(other)];
    if (this.#isSettled(model)) {
      if (this.#placeOf(model) !== here) throw this.#conflict(row);
    } else if (this.#isTaken(model, here)) throw this.#conflict(row);
    else this.#join(model, here);
  }

  #conflict({ path, id, record_id: model }: JoinedModel): BraidError {
    const { source, target } = this.options;
    return new BraidError(
      'ERR_BRAID_MERGE_CONFLICT',
      `${source.path} has a model that was merged from ${path} (${id}) and joined to ${model}; in ${target.path} the two are ` +
        'kept apart, or were joined to others. Nothing was merged',
    );
  }

  #joinBy(joinBy: JoinBy): void {
    const pairs = this.db.prepare(withInput(COMMON[joinBy], this.options.input)).all() as Pair[];
    const byModel = groupBy(pairs, ({ model }) => model);
    const byHere = groupBy(pairs, ({ here }) => here);
    for (const [model, [{ here }, ...others]] of byModel) {
      if (this.#isSettled(model)) continue;
      if (others.length === 0 && byHere.get(here)!.length === 1 && !this.#isTaken(model, here)) this.#join(model, here);
      else this.ambiguous++;
    }
  }

  #join(model: number, here: number): void {
    const { path, time } = pieceOf(this.options.placed, model)!;
    this.joins.set(model, here);
    this.rows.push({ ...nameOf(this.options.placed, model), record_id: here, path, time });
    this.joined++;
  }

  /** Whether another model of the source is `here`, or what is there and the model are known to be two. */
  #isTaken(model: number, here: number): boolean {
    const { placed, source } = this.options;
    for (const [other, place] of this.joins) if (place === here && other !== model && this.#there(other)) return true;
    for (const { first, last, offset, known } of placed) {
      const other = here - offset;
      if (known && other >= first && other <= last && !this.joins.has(other) && this.#there(other)) return true;
    }
    const joined = source.joined.filter(({ record_id }) => record_id === model);
    return this.#areTwo([nameOf(placed, model), ...joined], here);
  }

  /** Whether a database has given ids both to one of these and to one that is `here`: it knows them as two. */
  #areTwo(names: readonly ModelName[], here: number): boolean {
    const joined = [...this.options.target.joined, ...this.rows].filter(({ record_id }) => record_id === here);
    const there = [...joined, ...(pieceOf(this.#piecesHere, here) ? [nameOf(this.#piecesHere, here)] : [])];
    return names.some(({ origin, id }) => there.some((other) => other.origin === origin && other.id !== id));
  }

  /** Whether it is known where it is: it has become another, or is there itself. */
  #isSettled(id: number): boolean {
    if (this.joins.has(id)) return true;
    const piece = pieceOf(this.options.placed, id);
    return piece !== undefined && piece.known && this.#isHere.get(id + piece.offset) !== undefined;
  }

  #placeOf(id: number): number {
    return this.joins.get(id) ?? placeOf(this.options.placed, id)!;
  }

  #there(id: number): boolean {
    return this.#isThere.get(id) !== undefined;
  }

  /** The id that the source has for what another database gave the id `id`. */
  #idThere(origin: string, id: number): number | undefined {
    const piece = this.#placesByOrigin
      .get(origin)
      ?.find(({ first, last, originFirst }) => id >= originFirst && id <= originFirst + last - first);
    return piece && piece.first + id - piece.originFirst;
  }
}

/** By what a model is known: the id that a database has given it. */
type ModelName = Pick<JoinedModel, 'origin' | 'id'>;

function nameOf(pieces: readonly Piece[], model: number): ModelName {
  const { origin, first, originFirst } = pieceOf(pieces, model)!;
  return { origin, id: originFirst + model - first };
}
