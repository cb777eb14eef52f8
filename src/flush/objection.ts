import { BraidError } from '../errors.js';
import { ROOT, type Header } from './messages.js';
import { callOf, endedBefore, ranksText } from './words.js';

/** Why this collective can't take place, if it can't: a rank has left, or the ranks have come for different things. */
export function objectionTo(
  headers: readonly (Header | undefined)[],
  left: ReadonlySet<number>,
): BraidError | undefined {
  const wanted = headers[ROOT]!;
  const isAlike = ({ kind, database }: Header) =>
    kind === wanted.kind && (kind === 'open' || database === wanted.database);
  if (left.size === 0 && headers.every((header) => isAlike(header!))) return undefined;
  const called = (header: Header) =>
    callOf(header.kind) +
    (header.database === wanted.database || header.kind === 'open' ? '' : ` of its database number ${header.database}`);
  if (left.size > 0) {
    return new BraidError(
      'ERR_BRAID_RANK_LEFT',
      `${ranksText([...left])} ${endedBefore(wanted.kind)}, while rank ${ROOT} called ${called(wanted)}: ` +
        'every rank must make the same collective calls. What is recorded stays in the spools until the next open, or braid recover',
    );
  }
  const groups = new Map<string, number[]>();
  headers.forEach((header, rank) => {
    const call = called(header!);
    groups.set(call, [...(groups.get(call) ?? []), rank]);
  });
  if (groups.size === 1) return undefined;
  const who = [...groups].map(([call, ranks]) => `${call} on ${ranksText(ranks)}`).join(', ');
  return new BraidError(
    'ERR_BRAID_COLLECTIVE_MISMATCH',
    `the ranks have called different things: ${who}. Every rank must make the same collective calls in the same order`,
  );
}
