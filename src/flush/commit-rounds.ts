import type { Request } from '../comm/request.js';
import type { CommitResult, RefusedFrame } from '../store/commit.js';
import type { StoreClient } from '../store/store-client.js';
import type { Steps } from './drive.js';
import type { Gathering, RoundMemory } from './gathering.js';

export interface CommitRounds {
  readonly store: StoreClient;
  readonly memory: RoundMemory;
  readonly roundBytes: number;
  /** Ops that each rank has recorded so far, where all frames are of one attempt. */
  readonly recorded?: readonly number[];
  /** Told of frames that are refused for what is in them. Without it they fail the rest. */
  readonly onRefused?: (refused: readonly RefusedFrame[]) => void;
  /** Told of each round that is in the database. */
  readonly onRound?: (bytes: number) => void;
}

/** Gathers all ranks' frames and commits them, round by round: the one way into the database, of flush and of recovery. */
export function* commitRounds(
  gathering: Gathering,
  { store, memory, roundBytes, recorded, onRefused, onRound }: CommitRounds,
): Steps<CommitResult> {
  const totals: CommitResult = { records: 0, ops: 0, bytes: 0 };
  yield* gathering.rounds(roundBytes, memory, (round) => {
    const bytes = new Uint8Array(round.memory, 0, round.bytes);
    const request: Request<CommitResult & { refused?: RefusedFrame[] }> = onRefused
      ? store.call('salvage', bytes)
      : store.call('commit', bytes, recorded);
    request.onDone(() => {
      if (request.error) return;
      onRefused?.(request.value.refused ?? []);
      totals.records += request.value.records;
      totals.ops += request.value.ops;
      totals.bytes += request.value.bytes;
      onRound?.(round.bytes);
    });
    return request;
  });
  return totals;
}
