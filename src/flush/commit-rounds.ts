import type { AttemptSoFar, CommitTotals, RefusedFrame } from '../store/commit.js';
import type { StoreClient } from '../store/store-client.js';
import type { Steps } from './drive.js';
import type { Gathering, RoundMemory } from './gathering.js';

export interface CommitRounds {
  readonly store: StoreClient;
  readonly memory: RoundMemory;
  readonly roundBytes: number;
  /** What is known of the attempt that all frames are of, where that is one that goes on. */
  readonly of?: AttemptSoFar;
  /** Told of damaged frames that are left out, and listed as gaps. */
  readonly onRefused: (refused: readonly RefusedFrame[]) => void;
  /** Of frames that can't be sent again: also to leave out those that are sound and that the database refuses. */
  readonly salvage?: boolean;
  /** Told of each round that is in the database. */
  readonly onRound?: (bytes: number) => void;
}

/** Gathers all ranks' frames and commits them, round by round: the one way into the database, of flush and of recovery. */
export function* commitRounds(
  gathering: Gathering,
  { store, memory, roundBytes, of, onRefused, salvage, onRound }: CommitRounds,
): Steps<CommitTotals> {
  const totals: CommitTotals = { records: 0, ops: 0, bytes: 0 };
  yield* gathering.rounds(roundBytes, memory, (round) => {
    const bytes = new Uint8Array(round.memory, 0, round.bytes);
    const request = salvage ? store.call('salvage', bytes) : store.call('commit', bytes, of);
    request.onDone(() => {
      if (request.error) return;
      onRefused(request.value.refused);
      totals.records += request.value.records;
      totals.ops += request.value.ops;
      totals.bytes += request.value.bytes;
      onRound?.(round.bytes);
    });
    return request;
  });
  return totals;
}
