import type { CollectiveKind } from './messages.js';

/** A collective in the words of whoever called it: an open is several. */
export function callOf(kind: CollectiveKind): string {
  if (kind === 'begin') return 'the rest of open()';
  return kind === 'recover' ? 'recovery' : `${kind}()`;
}

/** Of a rank that has left: at an open it may have closed all that it had. */
export function endedBefore(kind: CollectiveKind): string {
  return kind === 'open' ? 'ended' : 'ended without close()';
}

/** "rank 3", "ranks 0, 2-5 and 9 more". */
export function ranksText(ranks: number[]): string {
  const spans: string[] = [];
  for (let i = 0; i < ranks.length;) {
    let last = i;
    while (ranks[last + 1] === ranks[last] + 1) last++;
    spans.push(last === i ? `${ranks[i]}` : `${ranks[i]}-${ranks[last]}`);
    i = last + 1;
  }
  const shown = spans.slice(0, 8).join(', ') + (spans.length > 8 ? ` and more` : '');
  return `${ranks.length === 1 ? 'rank' : 'ranks'} ${shown}`;
}

/** As of ranks of which some are meant, and nobody knows which: "rank 3", "some of ranks 0, 2-5". */
export function anyText(ranks: number[]): string {
  return ranks.length === 1 ? ranksText(ranks) : `some of ${ranksText(ranks)}`;
}
