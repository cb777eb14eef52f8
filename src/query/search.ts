import { BraidError } from '../errors.js';
import { PRESENT_SEARCH_INDEXES, roundNumber, roundedNumber, type SearchIndex } from '../store/search-indexes.js';
import type { Layout } from './layout.js';
import { conditionOf, ofTag, ofText, searchedRecords, searchedVersions, type Searched } from './search-conditions.js';
import type { Comparison, Expression, TagOperand, Text } from './search-expression.js';
import { around, combined, joined, sql, type Sql } from './sql.js';
import { patternRange } from './text-pattern.js';

export interface SearchOptions {
  /** Not more than so many records and versions. */
  limit?: number;
}

/** As `BraidReader.query`. */
type Query = <Row>(sql: string, ...values: unknown[]) => Row[];

/**
 * How many records are at most looked up one by one, because an index has led to them. Of more, all records are read in the
 * order of their ids: what is kept in between is bounded.
 */
const MOST_CANDIDATES = 100_000;
/** Counting what is met everywhere would take longer than finding what is rare: so few are counted first, and then more. */
const COUNTED = [1000, 10_000, MOST_CANDIDATES];
/** How many selects of ids are put together at most. SQLite takes 500. */
const MOST_SELECTS = 100;

/**
 * Selects the nodes for which an expression holds: records in the order of their ids, and after a model its versions by
 * number. `isBounded` where indexes have led to few enough to be kept at once.
 *
 * @throws BraidError ERR_BRAID_OPTION_INVALID
 */
export function searchSelect(
  expression: Expression,
  { limit }: SearchOptions,
  layout: Layout,
  query: Query,
): Sql & { isBounded: boolean } {
  if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 0)) {
    throw new BraidError('ERR_BRAID_OPTION_INVALID', `limit must be a non-negative safe integer, not ${String(limit)}`);
  }
  const indexed = new IndexedSearch(query);
  const bound = sql('LIMIT ?', limit ?? -1);
  const among = indexed.fewest(expression, RECORDS);
  const records = selectOf(expression, searchedRecords(layout), among);
  if (!layout.ours || query(`SELECT 1 FROM ${ALL_VERSIONS} WHERE v.number IS NOT NULL LIMIT 1`).length === 0) {
    const pieces = [sql('SELECT r.record_id FROM records r WHERE'), records, sql('ORDER BY r.record_id'), bound];
    return { ...joined(pieces, ' '), isBounded: among !== undefined };
  }
  const amongVersions = indexed.fewest(expression, VERSIONS);
  const pieces = [
    sql('SELECT r.record_id AS node, r.record_id AS id, 0 AS number FROM records r WHERE'),
    records,
    sql(`UNION ALL SELECT -v.version_id, v.model_id, v.number FROM ${amongVersions ? 'versions v' : ALL_VERSIONS}
      CROSS JOIN records r ON r.record_id = v.model_id WHERE v.number IS NOT NULL AND`),
    selectOf(expression, searchedVersions(layout), amongVersions),
    sql('ORDER BY id, number'),
    bound,
  ];
  return { ...joined(pieces, ' '), isBounded: among !== undefined && amongVersions !== undefined };
}

/** In the order of what is searched: no more of it has to be read than is asked for. */
const ALL_VERSIONS = 'versions v INDEXED BY ix_versions_number';

function selectOf(expression: Expression, searched: Searched, found: Candidates | undefined): Sql {
  if (!found) return conditionOf(expression, searched);
  const ids = around(`${searched.id} IN (`, found.ids(searched), ')');
  return found.rest ? combined([ids, conditionOf(found.rest, searched)], 'AND') : ids;
}

/** What of a database is searched by an index: the names of what is found, and the tags. */
interface Place {
  readonly named: string;
  readonly tagged: string;
  /** Of a row `r` of those that are named, and `t` of those that are tagged. */
  readonly namedId: string;
  readonly taggedId: string;
  readonly strings: SearchIndex;
  readonly numbers: SearchIndex;
}

const RECORDS: Place = {
  named: 'records r',
  tagged: 'tags t',
  namedId: 'r.record_id',
  taggedId: 't.record_id',
  strings: 'ix_tags_key_string',
  numbers: 'ix_tags_key_number',
};
/** They have the names of their models. */
const VERSIONS: Place = {
  named: 'records r CROSS JOIN versions x ON x.model_id = r.record_id',
  tagged: 'version_tags t',
  namedId: 'x.version_id',
  taggedId: 't.version_id',
  strings: 'ix_version_tags_key_string',
  numbers: 'ix_version_tags_key_number',
};

/** All for which a part of an expression holds, found by an index. */
interface Candidates {
  /** Selects their ids, some more than once. */
  readonly ids: (searched: Searched) => Sql;
  readonly selects: number;
  /** Not less than there are. */
  readonly count: number;
  /** What must hold of them besides, for the whole expression to hold. */
  readonly rest?: Expression;
}

/** What the search indexes of a database know of an expression. It may have all, some or none of them. */
class IndexedSearch {
  readonly #query: Query;
  readonly #present: ReadonlySet<SearchIndex>;

  constructor(query: Query) {
    this.#query = query;
    this.#present = new Set(query<{ name: SearchIndex }>(PRESENT_SEARCH_INDEXES).map(({ name }) => name));
  }

  /** Undefined where no index helps, or where all lead to too many. */
  fewest(expression: Expression, place: Place): Candidates | undefined {
    for (const most of COUNTED) {
      const found = this.#candidates(expression, place, most);
      if (found) return found;
    }
    return undefined;
  }

  #candidates(expression: Expression, place: Place, most: number): Candidates | undefined {
    switch (expression.type) {
      case 'and':
        return this.#fewestOf(expression.terms, place, most);
      case 'or':
        return this.#together(expression, place, most);
      case 'name':
        return this.#ofName(expression.comparison, expression.value, place, most);
      case 'tag':
        return this.#ofTag(expression.key, expression.comparison, expression.value, place, most);
      default:
        return undefined;
    }
  }

  #fewestOf(terms: readonly Expression[], place: Place, most: number): Candidates | undefined {
    let best: (Candidates & { term: Expression }) | undefined;
    for (const term of terms) {
      const each = this.#candidates(term, place, most);
      if (each && (!best || each.count < best.count)) best = { ...each, term };
    }
    if (!best) return undefined;
    const { term: chosen, rest } = best;
    const others = [...terms.filter((term) => term !== chosen), ...(rest ? [rest] : [])];
    return { ...best, rest: others.length > 1 ? { type: 'and', terms: others } : others[0] };
  }

  #together(
    expression: Expression & { terms: readonly Expression[] },
    place: Place,
    most: number,
  ): Candidates | undefined {
    const all: Candidates[] = [];
    let [selects, count] = [0, 0];
    for (const term of expression.terms) {
      const each = this.#candidates(term, place, most);
      if (!each) return undefined;
      all.push(each);
      selects += each.selects;
      count += each.count;
      if (selects > MOST_SELECTS || count > most) return undefined;
    }
    return {
      ids: (searched) =>
        joined(
          all.map(({ ids }) => ids(searched)),
          ' UNION ALL ',
        ),
      selects,
      count,
      rest: all.some(({ rest }) => rest) ? expression : undefined,
    };
  }

  #ofName(comparison: Comparison, value: Text, { named, namedId }: Place, most: number): Candidates | undefined {
    const range = comparison === '!=' ? undefined : inRange('r.name', value);
    return (
      range && this.#counted('ix_records_name', named, range, most, namedId, () => ofText('+r.name', comparison, value))
    );
  }

  #ofTag(
    key: string,
    comparison: Comparison,
    value: TagOperand,
    { tagged, taggedId, strings, numbers }: Place,
    most: number,
  ): Candidates | undefined {
    // Most have another value.
    if (comparison === '!=') return undefined;
    const exact = ({ boolean }: Searched) => ofTag(comparison, value, boolean);
    if ('text' in value) {
      const ofKey = sql('t.key = ? AND t.tag_type = 1', key);
      const range = comparison === '=' || comparison === '~' ? inRange('t.value', value) : undefined;
      const where = range ? joined([ofKey, range], ' AND ') : ofKey;
      return this.#counted(strings, tagged, where, most, taggedId, exact);
    }
    const number = 'boolean' in value ? Number(value.boolean) : Number(value.number);
    // Of two that are rounded alike the one may be less.
    const rounded = comparison.startsWith('<') ? '<=' : comparison.startsWith('>') ? '>=' : '=';
    const where = sql(`t.key = ? AND t.tag_type IN (2, 3) AND ${roundedNumber('t.value')} ${rounded} ?`, key, roundNumber(number)); // prettier-ignore
    return this.#counted(numbers, tagged, where, most, taggedId, exact);
  }

  /**
   * @param where what the index knows, by which they are counted.
   * @param exact what must hold as well.
   */
  #counted(
    index: SearchIndex,
    from: string,
    where: Sql,
    most: number,
    id: string,
    exact: (searched: Searched) => Sql,
  ): Candidates | undefined {
    if (!this.#present.has(index)) return undefined;
    const [{ count }] = this.#query<{ count: number }>(
      `SELECT count(*) AS count FROM (SELECT 1 FROM ${from} WHERE ${where.text} LIMIT ?)`,
      ...where.values,
      most + 1,
    );
    if (count > most) return undefined;
    const ids = (searched: Searched) =>
      joined([sql(`SELECT ${id} FROM ${from} WHERE`), joined([where, exact(searched)], ' AND ')], ' ');
    return { ids, selects: 1, count };
  }
}

/** That a column holds what may be meant, as an index can tell. */
function inRange(column: string, { text, glob }: Text): Sql | undefined {
  if (!glob) return sql(`${column} = ?`, text);
  const range = patternRange(text);
  if (!range) return undefined;
  const { from, to } = range;
  return to === undefined ? sql(`${column} >= ?`, from) : sql(`${column} >= ? AND ${column} < ?`, from, to);
}
