const LAST_CODE_POINT = 0x10ffff;
const FIRST_SURROGATE = 0xd800;
const AFTER_SURROGATES = 0xe000;

/** A pattern of `*` and `?` as SQLite's GLOB has it, for which a `[` would begin a set of characters. */
export function globPattern(text: string): string {
  return text.replaceAll('[', '[[]');
}

/**
 * Between which texts all lie that can be meant by a pattern, in the order of their bytes in UTF-8: from the first, included,
 * to the last, not included, and undefined where nothing comes after them. Undefined where it begins with a wildcard.
 */
export function patternRange(pattern: string): { from: string; to?: string } | undefined {
  const from = pattern.slice(0, pattern.search(/[*?]/));
  return from === '' ? undefined : { from, to: after(from) };
}

/** The first text that comes after all that begin so. */
function after(prefix: string): string | undefined {
  const chars = [...prefix];
  while (chars.length > 0) {
    const next = chars.pop()!.codePointAt(0)! + 1;
    if (next > LAST_CODE_POINT) continue;
    return chars.join('') + String.fromCodePoint(next === FIRST_SURROGATE ? AFTER_SURROGATES : next);
  }
  return undefined;
}
