/** By rank: how many of its next frames, and their bytes. */
export interface PlannedRound {
  readonly counts: number[];
  readonly bytes: number[];
}

/** Which frames go into which round: one of each rank in turn, so that a round's ids lie close together. */
export function planRounds(sizes: readonly Uint32Array[], roundBytes: number): PlannedRound[] {
  const next = sizes.map(() => 0);
  const rounds: PlannedRound[] = [];
  let left = sizes.reduce((sum, { length }) => sum + length, 0);
  while (left > 0) {
    const round: PlannedRound = { counts: sizes.map(() => 0), bytes: sizes.map(() => 0) };
    let total = 0;
    for (let full = false; !full;) {
      full = true;
      for (let rank = 0; rank < sizes.length; rank++) {
        const size = sizes[rank][next[rank]];
        if (size === undefined || (total > 0 && total + size > roundBytes)) continue;
        total += size;
        next[rank]++;
        round.counts[rank]++;
        round.bytes[rank] += size;
        left--;
        full = false;
      }
    }
    rounds.push(round);
  }
  return rounds;
}
