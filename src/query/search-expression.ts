import { BraidError } from '../errors.js';
import { KINDS, type Kind } from '../frame/format.js';
import { tagTypeOf, type Tags } from '../record/tags.js';
import { timeSpan, type TimeSpan } from './time-span.js';

export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>=' | '~';

/** A text to compare with: itself, or where `glob` says so, a pattern in which `*` and `?` stand for others. */
export interface Text {
  readonly text: string;
  readonly glob: boolean;
}

/** What a tag is compared with. A number is kept as its decimal text, which holds every int64. */
export type TagOperand = { readonly number: string } | { readonly boolean: boolean } | Text;

/** A version is of the kind of its model, too. */
export type SearchedKind = Kind | 'version';
const SEARCHED_KINDS: readonly SearchedKind[] = [...KINDS, 'version'];

/** What a record, or a version, must have, as a tree. */
export type Expression =
  | { readonly type: 'and' | 'or'; readonly terms: readonly Expression[] }
  | { readonly type: 'not'; readonly term: Expression }
  | { readonly type: 'valid'; readonly valid: boolean }
  | { readonly type: 'name' | 'uri'; readonly comparison: Comparison; readonly value: Text }
  | { readonly type: 'kind'; readonly comparison: Comparison; readonly value: SearchedKind }
  | { readonly type: 'run'; readonly comparison: Comparison; readonly value: Text }
  | { readonly type: 'rank' | 'step'; readonly comparison: Comparison; readonly value: number }
  | { readonly type: 'time'; readonly comparison: Comparison; readonly value: TimeSpan }
  | { readonly type: 'tagged'; readonly key: string }
  | { readonly type: 'tag'; readonly key: string; readonly comparison: Comparison; readonly value: TagOperand };

/** An expression that can't be read. `position` is the index of the character in it at which that shows. */
export class BraidSearchError extends BraidError {
  readonly expression: string;
  readonly position: number;

  /** @internal */
  constructor(expression: string, position: number, what: string) {
    super('ERR_BRAID_SEARCH_INVALID', `at character ${[...expression.slice(0, position)].length + 1}: ${what}`);
    this.expression = expression;
    this.position = position;
  }
}

/** What one more condition costs SQLite is bounded by these: it has limits of its own, whose errors point nowhere. */
const MAX_LENGTH = 10_000;
const MAX_DEPTH = 100;

const COMPARISONS: readonly Comparison[] = ['=', '!=', '<', '<=', '>', '>=', '~'];
const EQUALITY: readonly Comparison[] = ['=', '!='];
const MATCHING: readonly Comparison[] = ['=', '!=', '~'];
const ORDERING: readonly Comparison[] = ['=', '!=', '<', '<=', '>', '>='];

type FieldName = 'name' | 'uri' | 'kind' | 'run' | 'rank' | 'step' | 'time';
/** What each field can be compared by. Any other word is the key of a tag. */
const FIELDS: ReadonlyMap<string, readonly Comparison[]> = new Map<FieldName, readonly Comparison[]>([
  ['name', MATCHING],
  ['uri', MATCHING],
  ['kind', EQUALITY],
  ['run', MATCHING],
  ['rank', ORDERING],
  ['step', ORDERING],
  ['time', ORDERING],
]);

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const INTEGER = /^[+-]?\d+$/;
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

interface Token {
  readonly type: 'word' | 'string' | 'comparison' | '(' | ')' | 'end';
  /** Of a string, without its quotes and escapes. */
  readonly text: string;
  readonly position: number;
  /** Where the next character comes. */
  readonly end: number;
}

/**
 * Reads an expression, as docs/search.md describes it.
 *
 * @throws BraidSearchError ERR_BRAID_SEARCH_INVALID
 */
export function parseSearch(expression: string): Expression {
  return new Parser(expression).parse();
}

/**
 * That something has all of these tags, by value and type; a number is a number.
 *
 * @throws BraidError ERR_BRAID_TAG_INVALID
 */
export function ofTags(tags: Tags): Expression {
  const terms = Object.entries(tags).map(([key, value]): Expression => {
    tagTypeOf(key, value);
    const operand = typeof value === 'string' ? { text: value, glob: false } : typeof value === 'boolean' ? { boolean: value } : { number: String(value) }; // prettier-ignore
    return { type: 'tag', key, comparison: '=', value: operand };
  });
  return terms.length === 1 ? terms[0] : { type: 'and', terms };
}

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(private readonly source: string) {
    if (source.length > MAX_LENGTH) {
      throw this.#error(MAX_LENGTH, `an expression has at most ${MAX_LENGTH} characters, this has ${source.length}`);
    }
    this.#tokens = [...tokens(source)];
  }

  parse(): Expression {
    if (this.#peek().type === 'end') {
      throw this.#error(0, 'nothing to search for: write what a record must have, such as name=scan-*');
    }
    const expression = this.#or();
    const rest = this.#peek();
    if (rest.type === ')') throw this.#error(rest.position, 'this ) closes nothing');
    if (rest.type !== 'end') throw this.#error(rest.position, `'and' or 'or' must come before ${described(rest)}`);
    return expression;
  }

  #or(): Expression {
    return this.#terms('or', () => this.#terms('and', () => this.#not()));
  }

  /** One or more of what `each` reads, with a word between them. */
  #terms(type: 'and' | 'or', each: () => Expression): Expression {
    const terms = [each()];
    while (isWord(this.#peek(), type)) {
      this.#take();
      terms.push(each());
    }
    return terms.length === 1 ? terms[0] : { type, terms };
  }

  #not(): Expression {
    const token = this.#peek();
    if (isWord(token, 'not')) {
      this.#take();
      return { type: 'not', term: this.#deeper(token, () => this.#not()) };
    }
    if (token.type !== '(') return this.#predicate();
    this.#take();
    const inner = this.#deeper(token, () => this.#or());
    const close = this.#take();
    if (close.type === 'end') throw this.#error(token.position, 'this ( is never closed');
    if (close.type !== ')') throw this.#error(close.position, `'and', 'or' or ) must come before ${described(close)}`);
    return inner;
  }

  #deeper<T>(token: Token, read: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw this.#error(token.position, `more than ${MAX_DEPTH} levels deep`);
    const result = read();
    this.#depth--;
    return result;
  }

  #predicate(): Expression {
    const subject = this.#take();
    if (subject.type === 'word') {
      const word = subject.text.toLowerCase();
      if (word === 'valid' || word === 'invalid') {
        if (this.#peek().type !== 'comparison') return { type: 'valid', valid: word === 'valid' };
        throw this.#error(this.#peek().position, `${word} stands alone; of a tag of that name write tag:${word}`);
      }
      if (word === 'and' || word === 'or') {
        throw this.#error(subject.position, `a condition must come before '${subject.text}'`);
      }
      if (FIELDS.has(subject.text)) return this.#field(subject.text as FieldName);
      if (subject.text.startsWith('tag:')) return this.#tag(this.#prefixedKey(subject), true);
    }
    if (subject.type === 'word' || subject.type === 'string') return this.#tag(subject.text, false);
    throw this.#error(subject.position, `a condition must come here, and not ${described(subject)}`);
  }

  #prefixedKey({ text, position, end }: Token): string {
    const key = text.slice('tag:'.length);
    if (key !== '') return key;
    const quoted = this.#peek();
    if (quoted.type === 'string' && quoted.position === end) return this.#take().text;
    throw this.#error(position, 'the key of a tag must follow tag:');
  }

  #field(type: FieldName): Expression {
    const comparison = this.#comparison(type, FIELDS.get(type)!);
    const token = this.#value();
    const { text, position } = token;
    switch (type) {
      case 'name':
      case 'uri':
      case 'run':
        return { type, comparison, value: textOf(token, comparison) };
      case 'kind': {
        const kind = SEARCHED_KINDS.find((each) => each === text);
        if (kind !== undefined) return { type, comparison, value: kind };
        throw this.#error(position, `a kind is ${SEARCHED_KINDS.join(', ')}, not ${described(token)}`);
      }
      case 'rank':
      case 'step':
        if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return { type, comparison, value: Number(text) };
        throw this.#error(position, `a ${type} is a whole number, not ${described(token)}`);
      case 'time': {
        const value = timeSpan(text);
        if (value) return { type, comparison, value };
        throw this.#error(position, `a time is written 2026-07-28 or "2026-07-28 09:30:00.5", not ${described(token)}`);
      }
    }
  }

  /** A bare key is a condition only where it is said to be one of a tag: else a forgotten comparison would go unnoticed. */
  #tag(key: string, alone: boolean): Expression {
    if (alone && this.#peek().type !== 'comparison') return { type: 'tagged', key };
    const comparison = this.#comparison(key, COMPARISONS);
    const token = this.#value();
    const text: Text = textOf(token, comparison);
    if (token.type === 'string' || comparison === '~') return { type: 'tag', key, comparison, value: text };
    const boolean = token.text.toLowerCase();
    if (boolean === 'true' || boolean === 'false') {
      if (comparison === '=' || comparison === '!=') {
        return { type: 'tag', key, comparison, value: { boolean: boolean === 'true' } };
      }
      throw this.#error(token.position, `${boolean} has no order: compare it by = or !=`);
    }
    if (!NUMBER.test(token.text)) return { type: 'tag', key, comparison, value: text };
    return { type: 'tag', key, comparison, value: { number: this.#number(token) } };
  }

  #number({ text, position }: Token): string {
    if (INTEGER.test(text)) {
      const integer = BigInt(text.replace(/^\+/, ''));
      if (integer >= MIN_INT64 && integer <= MAX_INT64) return String(integer);
    }
    const number = Number(text);
    if (Number.isFinite(number)) return String(number);
    throw this.#error(position, `${text} is too large for a number`);
  }

  #comparison(subject: string, allowed: readonly Comparison[]): Comparison {
    const token = this.#peek();
    if (token.type !== 'comparison') {
      throw this.#error(token.position, `a comparison (${COMPARISONS.join(' ')}) must follow ${subject}`);
    }
    this.#take();
    const comparison = (token.text === '==' ? '=' : token.text) as Comparison;
    if (allowed.includes(comparison)) return comparison;
    throw this.#error(
      token.position,
      COMPARISONS.includes(comparison)
        ? `${subject} is not compared by ${comparison}, but by ${allowed.join(', ')}`
        : `${token.text} is no comparison: there are ${COMPARISONS.join(' ')}`,
    );
  }

  #value(): Token {
    const token = this.#take();
    if (token.type === 'word' || token.type === 'string') return token;
    throw this.#error(token.position, `a value must come here, and not ${described(token)}`);
  }

  #peek(): Token {
    return this.#tokens[this.#next];
  }

  /** The end is never passed. */
  #take(): Token {
    const token = this.#peek();
    if (token.type !== 'end') this.#next++;
    return token;
  }

  #error(position: number, what: string): BraidSearchError {
    return new BraidSearchError(this.source, position, what);
  }
}

function* tokens(source: string): Iterable<Token> {
  const pattern = /\s+|([()])|([=!<>~]+)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(["'])|([^\s()=!<>~"']+)/gsy;
  for (let match = pattern.exec(source); match; match = pattern.exec(source)) {
    const [whole, bracket, comparison, string, quote, word] = match;
    const place = { position: match.index, end: pattern.lastIndex };
    if (bracket !== undefined) yield { type: bracket as '(' | ')', text: bracket, ...place };
    else if (comparison !== undefined) yield { type: 'comparison', text: comparison, ...place };
    else if (string !== undefined) {
      yield { type: 'string', text: whole.slice(1, -1).replace(/\\(.)/gs, '$1'), ...place };
    } else if (quote !== undefined) throw new BraidSearchError(source, match.index, `this ${quote} is never closed`);
    else if (word !== undefined) yield { type: 'word', text: word, ...place };
  }
  yield { type: 'end', text: '', position: source.length, end: source.length };
}

/** `~` takes any text for a pattern, `=` and `!=` only one without quotes: in quotes * and ? mean themselves. */
function textOf({ type, text }: Token, comparison: Comparison): Text {
  const wild = /[*?]/.test(text);
  return { text, glob: wild && (comparison === '~' || (type === 'word' && EQUALITY.includes(comparison))) };
}

function isWord({ type, text }: Token, word: string): boolean {
  return type === 'word' && text.toLowerCase() === word;
}

function described({ type, text }: Token): string {
  if (type === 'end') return 'the end';
  return type === 'string' ? JSON.stringify(text) : text;
}
