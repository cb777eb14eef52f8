import assert from 'node:assert/strict';
import type { RecorderCommunicator } from '#src/comm/communicator.js';
import { Request } from '#src/comm/request.js';
import type { BraidError } from '#src/errors.js';
import { Channel, type Collective, type Verdict } from '#src/flush/channel.js';
import { RoundMemory, type SendableFrame } from '#src/flush/gathering.js';
import { EARLY_BYTES } from '#src/flush/messages.js';
import { SimulatedWorld } from '../support/simulated-communicator.js';

const flush = (more: Partial<Collective> = {}): Collective => ({
  kind: 'flush',
  database: 1,
  patience: { stallMs: 60_000 },
  contribute: () => ({ frames: [], recorded: 0 }),
  lead: function* () {
    return 'done';
  },
  ...more,
});

const codes = (verdicts: readonly Verdict[]) => verdicts.map(({ error }) => (error as BraidError | undefined)?.code);

/** Commits what comes by keeping a copy; refuses it if it holds a frame of zeros, as a CRC would. */
function committing(rounds: Buffer[]): Collective['lead'] {
  return function* (gathering) {
    yield* gathering.rounds(1000, new RoundMemory(), ({ memory, bytes }) => {
      const round = Buffer.from(Buffer.from(memory, 0, bytes));
      rounds.push(round);
      if (!round.includes(0)) return Request.completed();
      const refused = new Request();
      refused.reject(new Error('a frame of zeros'));
      return refused;
    });
    return 'done';
  };
}

const frame = (fill: number): SendableFrame => ({ size: 8, bytes: Buffer.alloc(8, fill) });
/** Not sent before it is asked for. */
const large: SendableFrame = { size: EARLY_BYTES + 1, bytes: Buffer.alloc(EARLY_BYTES + 1, 1) };
const unreadable: SendableFrame = {
  size: 8,
  get bytes(): Buffer {
    throw new Error('EIO: i/o error, read');
  },
};

describe('a channel of ranks', () => {
  const channels = (size: number) => new SimulatedWorld(size).comms.map((comm) => new Channel(comm));

  it('remembers that the root has left: each later collective fails, queued or not', async () => {
    const [root, follower] = channels(2);
    const queued = [follower.run(flush()), follower.run(flush({ kind: 'close' }))];
    root.leave(0);
    assert.deepEqual(codes(await Promise.all(queued)), ['ERR_BRAID_RANK_LEFT', 'ERR_BRAID_RANK_LEFT']);
    const { error } = await follower.run(flush({ kind: 'close' }));
    assert.match(error!.message, /^rank 0, which owns the database, ended .* while rank 1 called close\(\)/);
  });

  it('fails on all ranks alike where one cannot say what it brings', async () => {
    for (const broken of [0, 1, 2]) {
      const all = channels(3);
      const contribute = () => {
        throw new TypeError('no such file is held');
      };
      const verdicts = await Promise.all(
        all.map((channel, rank) => channel.run(flush(rank === broken ? { contribute } : {}))),
      );
      for (const { error } of verdicts) assert.match(error!.message, /no such file is held$/);
      assert.deepEqual(codes(await Promise.all(all.map((channel) => channel.run(flush())))), Array(3).fill(undefined));
    }
  });

  for (const [broken, who] of [
    [0, 'the root'],
    [2, 'another rank'],
  ] as const) {
    it(`fails on all ranks alike where ${who} cannot read what it has promised`, async () => {
      const rounds: Buffer[] = [];
      const all = channels(3);
      const run = (frameOf: (rank: number) => SendableFrame) =>
        Promise.all(
          all.map((channel, rank) => {
            const contribute = () => ({ frames: [frameOf(rank)], recorded: 1 });
            return channel.run(flush({ contribute, lead: committing(rounds) }));
          }),
        );
      const failed = await run((rank) => (rank === broken ? unreadable : frame(rank + 1)));
      for (const { error, committed } of failed) {
        assert.match(error!.message, broken === 0 ? /EIO/ : /a frame of zeros/);
        assert.equal(committed, 0);
      }
      const good = await run((rank) => frame(rank + 1));
      assert.deepEqual(
        good.map(({ committed }) => committed),
        [1, 1, 1],
      );
      assert.deepEqual(rounds.at(-1), Buffer.concat([1, 2, 3].map((fill) => Buffer.alloc(8, fill))));
    });
  }

  it('ends the job where a rank goes away from a collective that the others do not complete', () => {
    const world = new SimulatedWorld(2);
    const follower = new Channel(world.comms[1]);
    void follower.run(flush());
    assert.throws(() => follower.leave(0), /abort\(1\)/);
    assert.equal(world.aborted, 1);
  });

  /** What is written to stderr until `ended`. */
  async function saidUntil(ended: Promise<unknown>): Promise<string> {
    const write = process.stderr.write.bind(process.stderr);
    let said = '';
    process.stderr.write = (text) => ((said += String(text)), true);
    try {
      await ended;
      return said;
    } finally {
      process.stderr.write = write;
    }
  }

  for (const [size, who] of [
    [2, 'rank 1'],
    [4, 'some of ranks 1-3'],
  ] as const) {
    it(`watches the gather: ends the job where ${who} has come and does not send`, async () => {
      const world = new SimulatedWorld(size);
      const ended = new Promise<number>((resolve) => {
        const root = Object.create(world.comms[0], {
          abort: { value: resolve },
          rank: { value: 0 },
          size: { value: size },
          irecvEach: { value: world.comms[0].irecvEach.bind(world.comms[0]) },
          isendEach: { value: world.comms[0].isendEach.bind(world.comms[0]) },
          // Its ranks never all join.
          igatherv: { value: () => new Request() },
        }) as RecorderCommunicator;
        const contribute = () => ({ frames: [large], recorded: 1 });
        for (const comm of world.comms.slice(1)) void new Channel(comm).run(flush({ contribute }));
        // That they have come takes a moment, which on a busy machine is a long one.
        const patience = { stallMs: 1, abortMs: 500 };
        void new Channel(root).run(flush({ contribute, lead: committing([]), patience }));
      });
      const said = await saidUntil(ended);
      assert.equal(await ended, 1);
      assert.ok(said.includes(`rank 0 has waited 1 ms in flush() for ${who}\n`), said);
      assert.ok(said.includes(`rank 0 ends the job: ${who} did not go on with flush() within 500 ms`), said);
    });
  }

  it('ends the job where the root does not come, by the patience of another rank', async () => {
    const world = new SimulatedWorld(3);
    const ended = new Promise<unknown>((resolve) => {
      for (const comm of world.comms.slice(1)) {
        Object.assign(comm, { abort: resolve });
        void new Channel(comm).run(flush({ patience: { stallMs: 1, abortMs: 20 } }));
      }
    });
    const said = await saidUntil(ended);
    assert.equal(await ended, 1);
    const who = 'rank 0 or a rank that it waits for';
    assert.ok(said.includes(`rank 1 has waited 1 ms in flush() for ${who}\n`), said);
    assert.match(said, new RegExp(`rank [12] ends the job: ${who} did not come to flush\\(\\) within 20 ms`));
  });

  for (const kind of ['onRoot', 'close', 'recover'] as const) {
    it(`leaves the root its time in ${kind}, when all have come`, async () => {
      const world = new SimulatedWorld(3);
      const lead: Collective['lead'] = function* () {
        // Longer than the others wait for the root to come.
        const works = new Request();
        setTimeout(() => works.resolve(), 1500);
        yield works;
        return 'done';
      };
      const patience = { stallMs: 60_000, abortMs: 1 };
      // The root's own patience is for the headers, which take a moment.
      const verdicts = await Promise.all(
        world.comms.map((comm, rank) =>
          new Channel(comm).run(flush({ kind, lead, patience: rank === 0 ? { stallMs: 60_000 } : patience })),
        ),
      );
      assert.deepEqual(
        verdicts.map(({ text }) => text),
        ['done', 'done', 'done'],
      );
      assert.equal(world.aborted, undefined);
    });
  }
});
