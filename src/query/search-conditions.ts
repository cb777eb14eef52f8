import { KindCode, type Kind } from '../frame/format.js';
import { ATTEMPT, type Layout } from './layout.js';
import { RECORD_INVALIDATION, VERSION_INVALIDATION, VERSION_TIME } from './rows.js';
import type { Comparison, Expression, SearchedKind, TagOperand, Text } from './search-expression.js';
import { around, combined, joined, sql, type Sql } from './sql.js';
import { globPattern } from './text-pattern.js';
import type { TimeSpan } from './time-span.js';

/** How to ask what is searched: rows `r` of records, or rows `v` of versions with their models as `r`. Nothing is ever NULL. */
export interface Searched {
  readonly id: string;
  readonly kind: (comparison: Comparison, kind: SearchedKind) => Sql;
  readonly run: (comparison: Comparison, value: Text) => Sql;
  readonly rank: (comparison: Comparison, rank: number) => Sql;
  readonly step: (comparison: Comparison, step: number) => Sql;
  readonly time: string;
  /** What is NULL where it is valid. */
  readonly invalidation: string;
  /** Which rows `u` of URIs, and `t` of tags, are of it: FROM and WHERE. */
  readonly uris: string;
  readonly tags: string;
  /** Of a row `t` of tags. */
  readonly boolean: string;
}

export function searchedRecords(layout: Layout): Searched {
  return {
    id: 'r.record_id',
    // A version is none of them, whatever their kind.
    kind: (comparison, kind) => (kind === 'version' ? constant(comparison !== '=') : ofKind(layout, comparison, kind)),
    run: (comparison, value) => (layout.ours ? ofRun(comparison, value) : constant(false)),
    rank: (comparison, rank) => sql(`ifnull(${layout.rank} ${operator(comparison)} ?, 0)`, rank),
    step: () => constant(false),
    time: 'r.time',
    invalidation: RECORD_INVALIDATION,
    uris: 'uris u WHERE u.record_id = r.record_id',
    tags: 'tags t WHERE t.record_id = r.record_id',
    boolean: layout.boolean,
  };
}

/** What a version has of its own is asked of it, and the rest of its model. */
export function searchedVersions(layout: Layout): Searched {
  return {
    id: 'v.version_id',
    kind: (comparison, kind) => (kind === 'version' ? constant(comparison === '=') : ofKind(layout, comparison, kind)),
    run: (comparison, value) =>
      around(`v.attempt_id ${comparison === '!=' ? 'NOT ' : ''}IN `, attemptsOf(value, 'a.attempt_id'), ''),
    rank: (comparison, rank) =>
      sql(`EXISTS (SELECT 1 FROM updates x WHERE x.version_id = v.version_id AND x.rank ${operator(comparison)} ?)`, rank), // prettier-ignore
    step: (comparison, step) => sql(`ifnull(v.step ${operator(comparison)} ?, 0)`, step),
    time: VERSION_TIME,
    invalidation: VERSION_INVALIDATION,
    uris: 'version_uris u WHERE u.version_id = v.version_id',
    tags: 'version_tags t WHERE t.version_id = v.version_id',
    boolean: 't.boolean',
  };
}

/**
 * An expression as a condition on what is searched. Each part is true or false and never NULL, which NOT would leave as it
 * is. A `+` keeps SQLite from going by an index of names, keys or values where it should go by the record: when that is good
 * is known to `searchSelect`.
 */
export function conditionOf(expression: Expression, searched: Searched): Sql {
  switch (expression.type) {
    case 'and':
    case 'or':
      return combined(
        expression.terms.map((term) => conditionOf(term, searched)),
        expression.type === 'and' ? 'AND' : 'OR',
      );
    case 'not':
      return around('(NOT ', conditionOf(expression.term, searched), ')');
    case 'valid':
      return sql(`(${searched.invalidation} IS ${expression.valid ? '' : 'NOT '}NULL)`);
    case 'name':
      return ofText('+r.name', expression.comparison, expression.value);
    case 'uri':
      return around(
        `EXISTS (SELECT 1 FROM ${searched.uris} AND `,
        ofText('+u.uri', expression.comparison, expression.value),
        ')',
      );
    case 'kind':
      return searched.kind(expression.comparison, expression.value);
    case 'rank':
      return searched.rank(expression.comparison, expression.value);
    case 'step':
      return searched.step(expression.comparison, expression.value);
    case 'run':
      return searched.run(expression.comparison, expression.value);
    case 'time':
      return ofTime(searched.time, expression.comparison, expression.value);
    case 'tagged':
      return ofTags(searched, sql('+t.key = ?', expression.key));
    case 'tag':
      return ofTags(
        searched,
        joined(
          [sql('+t.key = ?', expression.key), ofTag(expression.comparison, expression.value, searched.boolean)],
          ' AND ',
        ),
      );
  }
}

/** A bare 0 would take the whole condition with it, and what of it the index needs that has the order. */
function constant(value: boolean): Sql {
  return sql(value ? '+1' : '+0');
}

function operator(comparison: Comparison): string {
  return comparison === '!=' ? '<>' : comparison;
}

export function ofText(column: string, comparison: Comparison, { text, glob }: Text): Sql {
  if (glob) return sql(`(${column} ${comparison === '!=' ? 'NOT ' : ''}GLOB ?)`, globPattern(text));
  return sql(`(${column} ${comparison === '~' ? '=' : operator(comparison)} ?)`, text);
}

function ofKind(layout: Layout, comparison: Comparison, kind: Kind): Sql {
  return sql(`(${layout.kind} ${operator(comparison)} ?)`, KindCode[kind]);
}

/** By the first digits of its id, or by its name. */
function attemptsOf(value: Text, column: string): Sql {
  const digits = /^[0-9a-f]{1,32}$/i.test(value.text) ? `${value.text.toLowerCase()}*` : undefined;
  const named = ofText('ifnull(u.name, char(0))', '=', value);
  const is = digits === undefined ? named : combined([sql('u.uuid GLOB ?', digits), named], 'OR');
  return around(`(SELECT ${column} FROM attempts a JOIN runs u USING (run_id) WHERE `, is, ')');
}

/** `!=` is of the records of any other run. */
function ofRun(comparison: Comparison, value: Text): Sql {
  const attempts = attemptsOf(value, 'a.attempt_id');
  if (comparison === '!=') return around(`ifnull(${ATTEMPT} NOT IN `, attempts, ', 0)');
  // The ids of its attempts bound what is read at all.
  return joined(
    [
      around('(r.record_id > ', attemptsOf(value, 'min(a.id_base)'), ''),
      around('r.record_id <= ', attemptsOf(value, 'max(a.id_end)'), ''),
      around(`ifnull(${ATTEMPT} IN `, attempts, ', 0))'),
    ],
    ' AND ',
  );
}

function ofTime(column: string, comparison: Comparison, { from, to }: TimeSpan): Sql {
  switch (comparison) {
    case '=':
      return sql(`(${column} >= ? AND ${column} < ?)`, from, to);
    case '!=':
      return sql(`(${column} < ? OR ${column} >= ?)`, from, to);
    case '<':
    case '>=':
      return sql(`(${column} ${comparison} ?)`, from);
    default:
      return sql(`(${column} ${comparison === '>' ? '>=' : '<'} ?)`, to);
  }
}

/** Some tag is so, given as a condition on a row `t` of tags. */
function ofTags({ tags }: Searched, condition: Sql): Sql {
  return around(`EXISTS (SELECT 1 FROM ${tags} AND `, condition, ')');
}

/** That a row `t` of tags has such a value, and one of its type. */
export function ofTag(comparison: Comparison, value: TagOperand, boolean: string): Sql {
  if ('text' in value) return around('t.tag_type = 1 AND ', ofText('+t.value', comparison, value), '');
  if ('boolean' in value) {
    return sql(`t.tag_type = 2 AND ${boolean} = 1 AND +t.value ${operator(comparison)} ?`, value.boolean ? '1' : '0');
  }
  // As exact as SQLite reads the two texts. One without a digit is NaN or infinite, as only Python writes them.
  return sql(
    `t.tag_type IN (2, 3) AND ${boolean} = 0 AND t.value GLOB '*[0-9]*'
      AND CAST(t.value AS NUMERIC) ${operator(comparison)} CAST(? AS NUMERIC)`,
    value.number,
  );
}
