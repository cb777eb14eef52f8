import { BraidError } from '../errors.js';
import { PRESENT_SEARCH_INDEXES, roundNumber, roundedNumber, type SearchIndex } from '../store/search-indexes.js';
import type { Layout } from './layout.js';
import { conditionOf } from './search-conditions.js';
import { parseSearch, type Comparison, type Expression, type TagOperand, type Text } from './search-expression.js';
import { around, combined, joined, sql, type Sql } from './sql.js';
import { patternRange } from './text-pattern.js';

export interface SearchOptions {
  /** Not more than so many records. */
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
 * What comes after `SELECT … FROM records r` to find the records for which an expression holds, in the order of their ids.
 *
 * @throws BraidError ERR_BRAID_SEARCH_INVALID, ERR_BRAID_OPTION_INVALID
 */
export function searchClause(expression: string, { limit }: SearchOptions, layout: Layout, query: Query): Sql {
  if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 0)) {
    throw new BraidError('ERR_BRAID_OPTION_INVALID', `limit must be a non-negative safe integer, not ${String(limit)}`);
  }
  const tree = parseSearch(expression);
  const condition = conditionOf(tree, layout);
  const found = new IndexedSearch(query).fewest(tree);
  const where = found ? combined([around('r.record_id IN (', found.ids, ')'), condition], 'AND') : condition;
  return joined([around('WHERE ', where, ' ORDER BY r.record_id'), sql('LIMIT ?', limit ?? -1)], ' ');
}

/** Records for which an expression may hold, and no other can. */
interface Candidates {
  /** Selects their ids, some more than once. */
  readonly ids: Sql;
  readonly selects: number;
  readonly count: number;
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
  fewest(expression: Expression): Candidates | undefined {
    for (const most of COUNTED) {
      const found = this.#candidates(expression, most);
      if (found) return found;
    }
    return undefined;
  }

  #candidates(expression: Expression, most: number): Candidates | undefined {
    switch (expression.type) {
      case 'and':
        return expression.terms
          .map((term) => this.#candidates(term, most))
          .reduce((best, each) => (!best || (each && each.count < best.count) ? each : best));
      case 'or':
        return this.#together(expression.terms, most);
      case 'name':
        return this.#ofName(expression.comparison, expression.value, most);
      case 'tag':
        return this.#ofTag(expression.key, expression.comparison, expression.value, most);
      default:
        return undefined;
    }
  }

  #together(terms: readonly Expression[], most: number): Candidates | undefined {
    const all: Candidates[] = [];
    let [selects, count] = [0, 0];
    for (const term of terms) {
      const each = this.#candidates(term, most);
      if (!each) return undefined;
      all.push(each);
      selects += each.selects;
      count += each.count;
      if (selects > MOST_SELECTS || count > most) return undefined;
    }
    return { ids: joined(all.map(({ ids }) => ids), ' UNION ALL '), selects, count }; // prettier-ignore
  }

  #ofName(comparison: Comparison, value: Text, most: number): Candidates | undefined {
    const range = comparison === '!=' ? undefined : inRange('name', value);
    return range && this.#count('ix_records_name', 'records', range, most);
  }

  #ofTag(key: string, comparison: Comparison, value: TagOperand, most: number): Candidates | undefined {
    // Most have another value.
    if (comparison === '!=') return undefined;
    if ('text' in value) {
      const strings = sql('key = ? AND tag_type = 1', key);
      const range = comparison === '=' || comparison === '~' ? inRange('value', value) : undefined;
      return this.#count('ix_tags_key_string', 'tags', range ? joined([strings, range], ' AND ') : strings, most);
    }
    const number = 'boolean' in value ? Number(value.boolean) : Number(value.number);
    // Of two that are rounded alike the one may be less.
    const rounded = comparison.startsWith('<') ? '<=' : comparison.startsWith('>') ? '>=' : '=';
    return this.#count(
      'ix_tags_key_number',
      'tags',
      sql(`key = ? AND tag_type IN (2, 3) AND ${roundedNumber('value')} ${rounded} ?`, key, roundNumber(number)),
      most,
    );
  }

  #count(index: SearchIndex, table: 'records' | 'tags', where: Sql, most: number): Candidates | undefined {
    if (!this.#present.has(index)) return undefined;
    const [{ count }] = this.#query<{ count: number }>(
      `SELECT count(*) AS count FROM (SELECT 1 FROM ${table} WHERE ${where.text} LIMIT ?)`,
      ...where.values,
      most + 1,
    );
    if (count > most) return undefined;
    return { ids: around(`SELECT record_id FROM ${table} WHERE `, where, ''), selects: 1, count };
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
