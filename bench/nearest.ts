/** The one of `names` that a misspelt word is likeliest to be the beginning of: that takes the fewest edits. */
export function nearest(word: string, names: readonly string[]): string {
  const given = word.toLowerCase();
  const edits = (name: string) => distance(given, name.toLowerCase().slice(0, Math.max(3, given.length)));
  return names.reduce((best, name) => (edits(name) < edits(best) ? name : best));
}

/** Levenshtein's: insertions, deletions and substitutions. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}
