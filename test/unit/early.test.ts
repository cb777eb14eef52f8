import assert from 'node:assert/strict';
import { LocalCommunicator } from '#src/comm/local-communicator.js';
import type { BraidError } from '#src/errors.js';
import { Channel } from '#src/flush/channel.js';
import { drive, wait } from '#src/flush/drive.js';
import { EARLY_BYTES, EARLY_TAG, ROOT } from '#src/flush/messages.js';
import { BRINGS, FlushCases, TEXTS } from '../support/flush-cases.js';
import { SimulatedWorld } from '../support/simulated-communicator.js';

describe('what goes with a header, and with a verdict', () => {
  for (const size of [2, 3, 5]) {
    const onEach = async (seed: number, body: (cases: FlushCases) => Promise<void>) => {
      await Promise.all(new SimulatedWorld(size, seed).comms.map((comm) => body(new FlushCases(comm))));
    };

    for (const [what, brings] of Object.entries(BRINGS)) {
      it(`comes in its place: ${what}, of ${size} ranks`, async () => {
        for (let seed = 1; seed <= 5; seed++) {
          await onEach(seed, async (cases) => {
            for (const roundBytes of [2 ** 20, 3000]) await cases.bring(brings, roundBytes);
          });
        }
      });
    }

    for (const text of TEXTS) {
      it(`tells ${size} ranks ${Buffer.byteLength(text)} bytes`, () => onEach(1, (cases) => cases.tell(text)));
    }

    it(`is not taken for what belongs to the next collective, with ${size} ranks`, () =>
      onEach(1, (cases) => cases.mismatch()));
  }

  it('is the same for one rank', () => new FlushCases(new LocalCommunicator()).all());

  it('is received by a root that ends while another rank comes', async () => {
    const { comms } = new SimulatedWorld(2);
    const [root, other] = comms.map((comm) => new Channel(comm));
    const verdict = other.run({
      kind: 'flush',
      database: 1,
      patience: { stallMs: 60_000 },
      contribute: () => ({ frames: [{ size: 5, bytes: Buffer.alloc(5) }], recorded: 1 }),
      lead: function* () {
        return '';
      },
    });
    await root.end();
    assert.equal(((await verdict).error as BraidError).code, 'ERR_BRAID_RANK_LEFT');
    // The next message with this tag is the one that is sent next.
    const message = Buffer.alloc(EARLY_BYTES);
    const received = comms[ROOT].irecvEach(message, EARLY_BYTES, Int32Array.of(1), EARLY_TAG);
    const sent = comms[1].isendEach(Buffer.alloc(EARLY_BYTES, 7), EARLY_BYTES, Int32Array.of(ROOT), EARLY_TAG);
    await drive(
      (function* () {
        yield* wait(sent);
        yield* wait(received);
      })(),
    );
    assert.equal(message[0], 7);
  });
});
