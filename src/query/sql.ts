/** A piece of SQL and what is bound to its parameters. Nothing that a user wrote is ever in the text. */
export interface Sql {
  readonly text: string;
  readonly values: readonly unknown[];
}

export function sql(text: string, ...values: readonly unknown[]): Sql {
  return { text, values };
}

/** `before`, another piece, and `after`. */
export function around(before: string, { text, values }: Sql, after: string): Sql {
  return { text: before + text + after, values };
}

/** Pieces one after the other, with a word between them. */
export function joined(pieces: readonly Sql[], word: string): Sql {
  return { text: pieces.map(({ text }) => text).join(word), values: pieces.flatMap(({ values }) => values) };
}

/** Conditions of which all, or any, must hold: in halves of halves, for SQLite takes no expression of great depth. */
export function combined(conditions: readonly Sql[], word: 'AND' | 'OR'): Sql {
  if (conditions.length === 1) return conditions[0];
  const half = conditions.length >> 1;
  const halves = [combined(conditions.slice(0, half), word), combined(conditions.slice(half), word)];
  return around('(', joined(halves, ` ${word} `), ')');
}
