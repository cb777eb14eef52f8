import { KindCode } from '../frame/format.js';
import { ATTEMPT, type Layout } from './layout.js';
import type { Comparison, Expression, TagOperand, Text } from './search-expression.js';
import { around, combined, joined, sql, type Sql } from './sql.js';
import { globPattern } from './text-pattern.js';
import type { TimeSpan } from './time-span.js';

/**
 * An expression as a condition on a row `r` of records. Each part is true or false and never NULL, which NOT would leave as
 * it is. A `+` keeps SQLite from going by an index of names, keys or values where it should go by the record: when that is
 * good is known to `searchClause`.
 */
export function conditionOf(expression: Expression, layout: Layout): Sql {
  switch (expression.type) {
    case 'and':
    case 'or':
      return combined(
        expression.terms.map((term) => conditionOf(term, layout)),
        expression.type === 'and' ? 'AND' : 'OR',
      );
    case 'not':
      return around('(NOT ', conditionOf(expression.term, layout), ')');
    case 'valid':
      return sql(`(r.invalidation_id IS ${expression.valid ? '' : 'NOT '}NULL)`);
    case 'name':
      return ofText('+r.name', expression.comparison, expression.value);
    case 'uri':
      return around(
        'EXISTS (SELECT 1 FROM uris u WHERE u.record_id = r.record_id AND ',
        ofText('+u.uri', expression.comparison, expression.value),
        ')',
      );
    case 'kind':
      return sql(`(${layout.kind} ${operator(expression.comparison)} ?)`, KindCode[expression.value]);
    case 'rank':
      return sql(`ifnull(${layout.rank} ${operator(expression.comparison)} ?, 0)`, expression.value);
    case 'run':
      return layout.ours ? ofRun(expression.comparison, expression.value) : sql('0');
    case 'time':
      return ofTime(expression.comparison, expression.value);
    case 'tagged':
      return ofTags(sql('+t.key = ?', expression.key));
    case 'tag':
      return ofTags(
        joined([sql('+t.key = ?', expression.key), ofTag(expression.comparison, expression.value, layout)], ' AND '),
      );
  }
}

function operator(comparison: Comparison): string {
  return comparison === '!=' ? '<>' : comparison;
}

function ofText(column: string, comparison: Comparison, { text, glob }: Text): Sql {
  if (glob) return sql(`(${column} ${comparison === '!=' ? 'NOT ' : ''}GLOB ?)`, globPattern(text));
  return sql(`(${column} ${comparison === '~' ? '=' : operator(comparison)} ?)`, text);
}

/** By the first digits of its id, or by its name; `!=` is of the records of any other run. */
function ofRun(comparison: Comparison, value: Text): Sql {
  const digits = /^[0-9a-f]{1,32}$/i.test(value.text) ? `${value.text.toLowerCase()}*` : undefined;
  const named = ofText('ifnull(u.name, char(0))', '=', value);
  const is = digits === undefined ? named : combined([sql('u.uuid GLOB ?', digits), named], 'OR');
  const attempts = around('(SELECT a.attempt_id FROM attempts a JOIN runs u USING (run_id) WHERE ', is, ')');
  if (comparison === '!=') return around(`ifnull(${ATTEMPT} NOT IN `, attempts, ', 0)');
  // The ids of its attempts bound what is read at all.
  const bound = (column: string) =>
    around(`(SELECT ${column} FROM attempts a JOIN runs u USING (run_id) WHERE `, is, ')');
  return joined(
    [
      around('(r.record_id > ', bound('min(a.id_base)'), ''),
      around('r.record_id <= ', bound('max(a.id_end)'), ''),
      around(`ifnull(${ATTEMPT} IN `, attempts, ', 0))'),
    ],
    ' AND ',
  );
}

function ofTime(comparison: Comparison, { from, to }: TimeSpan): Sql {
  switch (comparison) {
    case '=':
      return sql('(r.time >= ? AND r.time < ?)', from, to);
    case '!=':
      return sql('(r.time < ? OR r.time >= ?)', from, to);
    case '<':
    case '>=':
      return sql(`(r.time ${comparison} ?)`, from);
    default:
      return sql(`(r.time ${comparison === '>' ? '>=' : '<'} ?)`, to);
  }
}

/** Some tag of the record is so, given as a condition on a row `t` of tags. */
function ofTags(condition: Sql): Sql {
  return around('EXISTS (SELECT 1 FROM tags t WHERE t.record_id = r.record_id AND ', condition, ')');
}

function ofTag(comparison: Comparison, value: TagOperand, layout: Layout): Sql {
  if ('text' in value) return around('t.tag_type = 1 AND ', ofText('+t.value', comparison, value), '');
  if ('boolean' in value) {
    return sql(
      `t.tag_type = 2 AND ${layout.boolean} = 1 AND +t.value ${operator(comparison)} ?`,
      value.boolean ? '1' : '0',
    );
  }
  // As exact as SQLite reads the two texts. One without a digit is NaN or infinite, as only Python writes them.
  return sql(
    `t.tag_type IN (2, 3) AND ${layout.boolean} = 0 AND t.value GLOB '*[0-9]*'
      AND CAST(t.value AS NUMERIC) ${operator(comparison)} CAST(? AS NUMERIC)`,
    value.number,
  );
}
