import assert from 'node:assert/strict';
import type { RecorderCommunicator } from '#src/comm/communicator.js';
import { Request } from '#src/comm/request.js';
import type { BraidError } from '#src/errors.js';
import { Channel, type Collective } from '#src/flush/channel.js';
import { RoundMemory, type SendableFrame } from '#src/flush/gathering.js';
import { EARLY_BYTES, ROOT, isInline } from '#src/flush/messages.js';

/** What the ranks bring: sizes of frames, by rank. Around what follows a header unasked, alike and each its own. */
export const BRINGS: Readonly<Record<string, (rank: number) => number[]>> = {
  'a byte': () => [1],
  'two frames': () => [1, 1000],
  'as much as follows a header': () => [EARLY_BYTES],
  'as much in frames': () => [8, EARLY_BYTES - 9, 1],
  'a byte more': () => [EARLY_BYTES + 1],
  'a byte more in frames': () => [EARLY_BYTES, 1],
  'some few, some more, some nothing': (rank) => [[], [EARLY_BYTES, 1], [EARLY_BYTES], [7, 5000, 9], [1, 1]][rank % 5],
  'more on the root only': (rank) => (rank === ROOT ? [5000, 5000] : [rank]),
  'nothing on the root': (rank) => (rank === ROOT ? [] : [100, 100]),
};

const MOST_INLINE = Array.from({ length: 2000 }, (_, bytes) => bytes).findLast(isInline)!;

/** What the verdict tells: around what goes with it. */
export const TEXTS = ['', 'x', 'y'.repeat(MOST_INLINE), 'z'.repeat(MOST_INLINE + 1), 'é'.repeat(MOST_INLINE / 2)];

/** Frames whose bytes tell rank and number. Of no more than 16 ranks, and 16 frames each. */
function framesOf(brings: (rank: number) => number[], rank: number): SendableFrame[] {
  return brings(rank).map((size, i) => ({ size, bytes: Buffer.alloc(size, rank * 16 + i) }));
}

/** A channel whose flushes are told what the root found wrong. */
export class FlushCases {
  readonly #channel: Channel;

  constructor(private readonly comm: RecorderCommunicator) {
    this.#channel = new Channel(comm);
  }

  /** Collective. What is brought comes, each rank's in its order, and each rank is told so. */
  async bring(brings: (rank: number) => number[], roundBytes: number): Promise<void> {
    const { rank, size } = this.comm;
    const frames = framesOf(brings, rank);
    const rounds: Buffer[] = [];
    const { text, committed, error } = await this.#flush(frames, function* (gathering) {
      yield* gathering.rounds(roundBytes, new RoundMemory(), ({ memory, bytes }) => {
        rounds.push(Buffer.from(Buffer.from(memory, 0, bytes)));
        return Request.completed();
      });
      return 'all';
    });
    assert.deepEqual({ text, committed, error }, { text: 'all', committed: frames.length, error: undefined });
    if (rank !== ROOT) return;
    for (let from = 0; from < size; from++) {
      const come = Buffer.concat(rounds).filter((byte) => byte >> 4 === from);
      const wanted = Buffer.concat(framesOf(brings, from).map(({ bytes }) => bytes));
      assert.ok(wanted.equals(come), `${come.length} bytes of rank ${from}, not ${wanted.length}`);
    }
    const largest = Math.max(roundBytes, ...Array.from({ length: size }, (_, from) => brings(from)).flat());
    for (const round of rounds) assert.ok(round.length <= largest, `a round of ${round.length} bytes`);
  }

  /** Collective. Every rank is told `text`, as what the flush brought and as an error. */
  async tell(text: string): Promise<void> {
    const frames = framesOf(() => [10], this.comm.rank);
    const good = await this.#flush(frames, function* () {
      return text;
    });
    assert.deepEqual(good, { text, committed: 0, error: undefined });
    const bad = await this.#flush(frames, function* () {
      throw new Error(text);
    });
    assert.equal(bad.error!.message, text);
  }

  /** Collective. Nobody's frames are taken for those of the next flush, where the ranks had come for different things. */
  async mismatch(): Promise<void> {
    const { rank, size } = this.comm;
    const frames = framesOf(() => [10], rank);
    const kind = rank === size - 1 ? 'close' : 'flush';
    const { error } = await this.#flush(
      frames,
      function* () {
        return '';
      },
      kind,
    );
    if (size > 1) assert.equal((error as BraidError).code, 'ERR_BRAID_COLLECTIVE_MISMATCH');
    await this.bring((from) => [20 + from], 2 ** 20);
  }

  /** Collective, as all of this. */
  async all(): Promise<void> {
    for (const brings of Object.values(BRINGS)) {
      for (const roundBytes of [2 ** 20, 3000]) await this.bring(brings, roundBytes);
    }
    for (const text of TEXTS) await this.tell(text);
    await this.mismatch();
  }

  async #flush(frames: SendableFrame[], lead: Collective['lead'], kind: Collective['kind'] = 'flush') {
    const contribute = () => ({ frames, recorded: 1 });
    return this.#channel.run({ kind, database: 1, patience: { stallMs: 60_000 }, contribute, lead });
  }
}
