/** Expressions of every form, each as text and as what it means, evaluated slowly and plainly. */
import type { Kind, Tag } from 'braid-mpi';
import fc from 'fast-check';
import { EPOCH, KEYS, NAMES, NUMBERS, TEXTS, URIS } from './searched.js';

/** What is known of a record, or a version of a model, without a database. */
export interface Found {
  /** Of a version, of its model. */
  readonly id: number;
  /** Of a version. */
  readonly key?: string;
  readonly step?: number;
  readonly name: string;
  readonly kind: Kind;
  readonly time: number;
  readonly uris: readonly string[];
  readonly tags: readonly { readonly key: string; readonly value: Tag }[];
  readonly valid: boolean;
  readonly run?: { readonly id: string; readonly name: string };
  readonly ranks: readonly number[];
}

export interface Written {
  readonly text: string;
  readonly holds: (record: Found) => boolean;
}

const ORDER = ['=', '!=', '<', '<=', '>', '>='] as const;
type Order = (typeof ORDER)[number];

function compares<T>(a: T, order: Order, b: T): boolean {
  switch (order) {
    case '=':
      return a == b; // eslint-disable-line eqeqeq -- a bigint and a number that are equal
    case '!=':
      return a != b; // eslint-disable-line eqeqeq
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
  }
}

function matches(text: string, pattern: string): boolean {
  const source = [...pattern].map((char) => (char === '*' ? '.*' : char === '?' ? '.' : char.replace(/[\\^$.|+()[\]{}/]/, '\\$&'))); // prettier-ignore
  return new RegExp(`^${source.join('')}$`, 'su').test(text);
}

const escaped = (text: string, quote: string) => quote + text.replace(/[\\"']/g, '\\$&') + quote;
const quoted = (text: string) => fc.constantFrom('"', "'").map((quote) => escaped(text, quote));
const isWord = (text: string) => /^[^\s()=!<>~"']+$/.test(text);

const order = fc.constantFrom(...ORDER);
const from = (texts: readonly string[]) => fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...texts) }, { weight: 1, arbitrary: fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')) }); // prettier-ignore

/** A text with some of its characters replaced by wildcards. */
const pattern = (texts: readonly string[]) =>
  fc
    .tuple(
      from(texts),
      fc.array(fc.tuple(fc.nat(), fc.nat(2), fc.constantFrom('*', '?')), { minLength: 1, maxLength: 3 }),
    )
    .map(([text, edits]) => {
      const chars = [...text];
      for (const [at, removed, wildcard] of edits) chars.splice(at % (chars.length + 1), removed, wildcard);
      return chars.join('');
    });

/** A comparison with a text, of a field for which `=`, `!=` and `~` are there. */
const textual = (field: string, texts: readonly string[], of: (record: Found) => readonly string[]) => {
  const exact = fc.tuple(from(texts), fc.constantFrom('=', '!=')).chain(([text, comparison]) =>
    quoted(text).map((value): Written => {
      const holds = (each: string) => (each === text) === (comparison === '=');
      return { text: `${field} ${comparison} ${value}`, holds: (record) => of(record).some(holds) };
    }),
  );
  const glob = pattern(texts).chain((text) => {
    const holds = (record: Found) => of(record).some((each) => matches(each, text));
    const like = quoted(text).map((value): Written => ({ text: `${field}~${value}`, holds }));
    if (!isWord(text)) return like;
    const other = (record: Found) => of(record).some((each) => !matches(each, text));
    return fc.oneof(like, fc.constantFrom<Written>({ text: `${field}=${text}`, holds }, { text: `${field}!=${text}`, holds: other })); // prettier-ignore
  });
  return fc.oneof(exact, glob);
};

const kind = fc
  .tuple(fc.constantFrom<Kind | 'version'>('fact', 'data', 'model', 'record', 'version'), fc.constantFrom('=', '!='))
  .map(([value, comparison]): Written => {
    const is = ({ kind, key }: Found) => (value === 'version' ? key !== undefined : kind === value);
    return { text: `kind${comparison}${value}`, holds: (record) => is(record) === (comparison === '=') };
  });

const rank = fc.tuple(fc.nat(4), order).map(([value, comparison]): Written => {
  return {
    text: `rank${comparison}${value}`,
    holds: ({ ranks }) => ranks.some((each) => compares(each, comparison, value)),
  };
});

const step = fc.tuple(fc.nat(7), order).map(([value, comparison]): Written => {
  return {
    text: `step${comparison}${value}`,
    holds: ({ step }) => step !== undefined && compares(step, comparison, value),
  };
});

const validity = fc.boolean().map((valid): Written => {
  return { text: valid ? 'valid' : 'INVALID', holds: (record) => record.valid === valid };
});

const time = fc
  .tuple(fc.integer({ min: -2000, max: 10_000 }), fc.constantFrom(7, 10, 16, 19, 20, 21, 22, 23), order, fc.boolean())
  .map(([millis, digits, comparison, zone]): Written => {
    const iso = new Date(EPOCH + millis).toISOString();
    const written = iso.slice(0, digits).replace(/\.$/, '');
    const low = Date.parse(written + rest(written));
    const high = low + span(written, low);
    const within = (at: number) => {
      if (comparison === '=' || comparison === '!=') return (at >= low && at < high) === (comparison === '=');
      if (comparison === '<') return at < low;
      if (comparison === '<=') return at < high;
      return comparison === '>' ? at >= high : at >= low;
    };
    const value = zone && digits >= 16 ? `${written}Z` : zone ? `"${written.replace('T', ' ')}"` : written;
    return { text: `time${comparison}${value}`, holds: (record) => within(record.time) };
  });

/** What a written time lacks of one that JavaScript reads as UTC. */
function rest(written: string): string {
  return '2026-01-01T00:00:00.000Z'.slice(written.length === 21 || written.length === 22 ? 23 : written.length);
}

function span(written: string, low: number): number {
  const date = new Date(low);
  if (written.length === 7) return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1) - low;
  return { 10: 86_400_000, 16: 60_000, 19: 1000, 21: 100, 22: 10, 23: 1 }[written.length]!;
}

const run = (ids: readonly string[]) =>
  fc.oneof(
    fc
      .tuple(fc.constantFrom(...ids), fc.integer({ min: 1, max: 32 }), fc.constantFrom('=', '!='))
      .map(([id, digits, comparison]): Written => ({
        text: `run${comparison}${id.slice(0, digits)}`,
        holds: ({ run }) => run?.id.startsWith(id.slice(0, digits)) === (comparison === '='),
      })),
    fc.constantFrom<Written>(
      { text: 'run=first', holds: ({ run }) => run?.name === 'first' },
      { text: 'run~"second *"', holds: ({ run }) => run?.name === 'second run' },
      { text: 'run!=*t', holds: ({ run }) => run?.name === 'second run' },
    ),
  );

const key = fc.constantFrom(...KEYS).chain((name) => {
  const forms = fc.oneof(fc.constant(`tag:${escaped(name, '"')}`), quoted(name));
  return fc.tuple(fc.constant(name), name === 'name' || !isWord(name) ? forms : fc.oneof(forms, fc.constant(name)));
});

const number = fc.oneof(
  fc.constantFrom(...NUMBERS).map((value) => ({ value, text: String(value) })),
  fc.constantFrom({ value: 1, text: '+1.0' }, { value: 0.5, text: '.5' }, { value: 0.05, text: '5E-2' }, { value: 10, text: '1e1' }, { value: 1e21, text: '1000000000000000000000' }), // prettier-ignore
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => ({ value, text: String(value) })),
);

const tag = key.chain(([name, field]) => {
  const of = ({ tags }: Found) => tags.filter(({ key }) => key === name).map(({ value }) => value);
  const texts = (record: Found) => of(record).filter((value) => typeof value === 'string');
  return fc.oneof(
    fc.tuple(number, order).map(([{ value, text }, comparison]): Written => {
      const holds = (each: Tag) =>
        (typeof each === 'number' || typeof each === 'bigint') && compares(each, comparison, value);
      return { text: `${field} ${comparison} ${text}`, holds: (record) => of(record).some(holds) };
    }),
    fc.tuple(fc.boolean(), fc.constantFrom('=', '!=')).map(([value, comparison]): Written => {
      const holds = (each: Tag) => typeof each === 'boolean' && (each === value) === (comparison === '=');
      return { text: `${field}${comparison}${value}`, holds: (record) => of(record).some(holds) };
    }),
    fc.tuple(from(TEXTS), order).chain(([text, comparison]) =>
      quoted(text).map((value): Written => {
        const holds = (each: string) => compares(Buffer.compare(Buffer.from(each), Buffer.from(text)), comparison, 0);
        return { text: `${field}${comparison}${value}`, holds: (record) => texts(record).some(holds) };
      }),
    ),
    textual(field, TEXTS, texts),
    fc.constant<Written>({ text: `tag:${escaped(name, "'")}`, holds: (record) => of(record).length > 0 }),
  );
});

/** An expression about the records of `searched.ts`, whose runs have these ids. */
export function expression(runs: readonly string[]): fc.Arbitrary<Written> {
  const { tree } = fc.letrec<{ tree: Written; leaf: Written; combined: Written; negated: Written }>((tie) => ({
    leaf: fc.oneof(
      textual('name', NAMES, ({ name }) => [name]),
      textual('uri', URIS, ({ uris }) => uris),
      kind,
      rank,
      step,
      validity,
      time,
      run(runs),
      { weight: 6, arbitrary: tag },
    ),
    combined: fc
      .tuple(fc.constantFrom('and', 'or', 'AND', 'Or'), fc.array(tie('tree'), { minLength: 2, maxLength: 3 }))
      .map(([word, terms]): Written => {
        const all = word.toLowerCase() === 'and';
        return {
          text: terms.map(({ text }) => `(${text})`).join(` ${word} `),
          holds: (record) =>
            all ? terms.every(({ holds }) => holds(record)) : terms.some(({ holds }) => holds(record)),
        };
      }),
    negated: tie('tree').map(({ text, holds }): Written => ({
      text: `not (${text})`,
      holds: (record) => !holds(record),
    })),
    tree: fc.oneof({ maxDepth: 3, depthSize: 'small' }, tie('leaf'), tie('combined'), tie('negated')),
  }));
  // Without brackets `and` binds more tightly, and `not` most.
  const flat = fc.tuple(tag, rank, validity, kind).map(([a, b, c, d]): Written => {
    return {
      text: `${a.text} or ${b.text} and not ${c.text} or not ${d.text}`,
      holds: (record) => a.holds(record) || (b.holds(record) && !c.holds(record)) || !d.holds(record),
    };
  });
  return fc.oneof({ weight: 4, arbitrary: tree }, { weight: 1, arbitrary: flat });
}
