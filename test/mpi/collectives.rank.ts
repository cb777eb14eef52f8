import assert from 'node:assert/strict';

import { MPI, Op, type Communicator, type NumericArray } from 'braid-mpi/mpi';

import { runRankSuite, type Case } from './rank-suite.js';

/** Enough of a typed array's constructor to make any of them. */
interface ArrayClass {
  readonly BYTES_PER_ELEMENT: number;
  readonly name: string;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): NumericArray;
}

const ARRAY_CLASSES: readonly ArrayClass[] = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];

const GUARD = 77;

/** A view in the middle of a buffer, whose surroundings must stay as they are. */
class Guarded {
  readonly view: NumericArray;
  readonly #whole: NumericArray;

  constructor(type: ArrayClass, memory: new (length: number) => ArrayBufferLike, values: readonly number[]) {
    const buffer = new memory((values.length + 2) * type.BYTES_PER_ELEMENT);
    this.#whole = new type(buffer, 0, values.length + 2);
    this.view = new type(buffer, type.BYTES_PER_ELEMENT, values.length);
    [GUARD, ...values, GUARD].forEach((value, i) => put(this.#whole, i, value));
  }

  holds(values: readonly number[]): void {
    assert.deepEqual(Array.from(this.#whole as Iterable<number | bigint>, Number), [GUARD, ...values, GUARD]);
  }
}

function put(array: NumericArray, index: number, value: number): void {
  if (array instanceof BigInt64Array || array instanceof BigUint64Array) array[index] = BigInt(value);
  else array[index] = value;
}

const range = (length: number) => Array.from({ length }, (_, i) => i);

const OPERATIONS: readonly [Op, (a: number, b: number) => number][] = [
  [MPI.SUM, (a, b) => a + b],
  [MPI.PROD, (a, b) => a * b],
  [MPI.MIN, Math.min],
  [MPI.MAX, Math.max],
  [MPI.LAND, (a, b) => Number(a !== 0 && b !== 0)],
  [MPI.LOR, (a, b) => Number(a !== 0 || b !== 0)],
  [MPI.LXOR, (a, b) => Number((a !== 0) !== (b !== 0))],
  [MPI.BAND, (a, b) => a & b],
  [MPI.BOR, (a, b) => a | b],
  [MPI.BXOR, (a, b) => a ^ b],
];

type Pair = readonly [value: number, index: number];

const PAIR_OPERATIONS: readonly [Op, (a: Pair, b: Pair) => Pair][] = [
  [MPI.MINLOC, (a, b) => (b[0] < a[0] || (b[0] === a[0] && b[1] < a[1]) ? b : a)],
  [MPI.MAXLOC, (a, b) => (b[0] > a[0] || (b[0] === a[0] && b[1] < a[1]) ? b : a)],
];

/** The value of the third pair is the same on all ranks: the lowest index wins. */
const pairs = (rank: number): Pair[] => [
  [(rank + 2) % 4, rank],
  [10 - rank, rank + 50],
  [7, 20 - rank],
];

/** Of r elements from rank r, the first none unless it is alone, laid down in the reverse order with a hole before each. */
function uneven(size: number): { counts: Int32Array; displs: Int32Array; whole: number[] } {
  const counts = Int32Array.from(range(size), (rank) => countOf(rank, size));
  const displs = new Int32Array(size);
  let length = 0;
  for (const rank of range(size).reverse()) {
    displs[rank] = ++length;
    length += counts[rank];
  }
  const whole = Array<number>(length).fill(0);
  for (const rank of range(size)) whole.fill(rank + 10, displs[rank], displs[rank] + counts[rank]);
  return { counts, displs, whole };
}

const countOf = (rank: number, size: number) => (size === 1 ? 2 : rank);
const ownPart = ({ rank, size }: Communicator) => Array<number>(countOf(rank, size)).fill(rank + 10);

/** What rank `rank` puts into a reduction: small enough that no product of five ranks leaves an Int8. */
const contribution = (rank: number) => [rank + 1, 1, rank % 2];

function casesFor(type: ArrayClass, memory: new (length: number) => ArrayBufferLike): Case[] {
  const make = (values: readonly number[]) => new Guarded(type, memory, values);
  const filled = (length: number) => make(Array<number>(length).fill(0));
  const title = (call: string) => `${call} of ${type.name} in ${memory.name}`;
  const operations = OPERATIONS.filter(([op]) => !op.needsIntegers || !type.name.startsWith('Float'));
  const reduced = (comm: Communicator, combine: (a: number, b: number) => number) =>
    range(3).map((i) =>
      range(comm.size)
        .map((rank) => contribution(rank)[i])
        .reduce((a, b) => combine(a, b)),
    );

  return [
    [
      title('bcast'),
      async (comm) => {
        for (const root of range(comm.size)) {
          for (const form of ['bcast', 'ibcast'] as const) {
            const values = [root, 5, 6];
            const buffer = comm.rank === root ? make(values) : filled(3);
            await comm[form](buffer.view, root);
            buffer.holds(values);
          }
        }
      },
    ],
    [
      title('reduce'),
      async (comm) => {
        for (const [op, combine] of operations) {
          // With one rank MPI copies, so LAND and LOR leave a number as it is.
          const expected = reduced(comm, combine);
          const root = comm.size - 1;
          for (const form of op === MPI.SUM ? (['reduce', 'ireduce'] as const) : (['reduce'] as const)) {
            const send = make(contribution(comm.rank));
            const receive = comm.rank === root ? filled(3) : null;
            await comm[form](send.view, op, root, receive?.view);
            receive?.holds(expected);
            send.holds(contribution(comm.rank));

            const inPlace = make(contribution(comm.rank));
            if (comm.rank === root) await comm[form](MPI.IN_PLACE, op, root, inPlace.view);
            else await comm[form](inPlace.view, op, root);
            inPlace.holds(comm.rank === root ? expected : contribution(comm.rank));
          }
        }
      },
    ],
    [
      title('allreduce'),
      async (comm) => {
        for (const [op, combine] of operations) {
          const expected = reduced(comm, combine);
          for (const form of op === MPI.SUM ? (['allreduce', 'iallreduce'] as const) : (['allreduce'] as const)) {
            const receive = filled(3);
            await comm[form](make(contribution(comm.rank)).view, receive.view, op);
            receive.holds(expected);
            const inPlace = make(contribution(comm.rank));
            await comm[form](MPI.IN_PLACE, inPlace.view, op);
            inPlace.holds(expected);
          }
        }
      },
    ],
    [
      title('gather'),
      async (comm) => {
        const root = comm.size - 1;
        const expected = range(comm.size).flatMap((rank) => [rank, rank + 1]);
        for (const form of ['gather', 'igather'] as const) {
          const send = make([comm.rank, comm.rank + 1]);
          const receive = comm.rank === root ? filled(2 * comm.size) : null;
          await comm[form](send.view, root, receive?.view);
          receive?.holds(expected);

          const own = expected.map((value, i) => (i >> 1 === root ? value : 0));
          const inPlace = comm.rank === root ? make(own) : null;
          await comm[form](inPlace ? MPI.IN_PLACE : send.view, root, inPlace?.view);
          inPlace?.holds(expected);
        }
      },
    ],
    [
      title('gatherv'),
      async (comm) => {
        const { counts, displs, whole } = uneven(comm.size);
        for (const root of [0, comm.size - 1]) {
          for (const form of ['gatherv', 'igatherv'] as const) {
            const send = make(ownPart(comm));
            if (comm.rank === root) {
              const receive = filled(whole.length);
              await comm[form](send.view, root, receive.view, counts, displs);
              receive.holds(whole);
              const inPlace = make(whole.map((value) => (value === root + 10 ? value : 0)));
              await comm[form](MPI.IN_PLACE, root, inPlace.view, counts, displs);
              inPlace.holds(whole);
            } else {
              await comm[form](send.view, root, null, null, null);
              await comm[form](send.view, root, null, null, null);
            }
          }
        }
      },
    ],
    [
      title('allgather'),
      async (comm) => {
        const expected = range(comm.size).flatMap((rank) => [rank, rank + 1]);
        for (const form of ['allgather', 'iallgather'] as const) {
          const receive = filled(2 * comm.size);
          await comm[form](make([comm.rank, comm.rank + 1]).view, receive.view);
          receive.holds(expected);
          const inPlace = make(expected.map((value, i) => (i >> 1 === comm.rank ? value : 0)));
          await comm[form](MPI.IN_PLACE, inPlace.view);
          inPlace.holds(expected);
        }
      },
    ],
    [
      title('allgatherv'),
      async (comm) => {
        const { counts, displs, whole } = uneven(comm.size);
        for (const form of ['allgatherv', 'iallgatherv'] as const) {
          const receive = filled(whole.length);
          await comm[form](make(ownPart(comm)).view, receive.view, counts, displs);
          receive.holds(whole);
          const inPlace = make(whole.map((value) => (value === comm.rank + 10 ? value : 0)));
          await comm[form](MPI.IN_PLACE, inPlace.view, counts, displs);
          inPlace.holds(whole);
        }
      },
    ],
    [
      title('scatter'),
      async (comm) => {
        const whole = range(comm.size).flatMap((rank) => [rank, rank + 1]);
        for (const root of [0, comm.size - 1]) {
          for (const form of ['scatter', 'iscatter'] as const) {
            const send = comm.rank === root ? make(whole) : null;
            const receive = filled(2);
            await comm[form](receive.view, root, send?.view);
            receive.holds([comm.rank, comm.rank + 1]);
            send?.holds(whole);

            const other = filled(2);
            await comm[form](comm.rank === root ? MPI.IN_PLACE : other.view, root, send?.view);
            other.holds(comm.rank === root ? [0, 0] : [comm.rank, comm.rank + 1]);
          }
        }
      },
    ],
    [
      title('scatterv'),
      async (comm) => {
        const { counts, displs, whole } = uneven(comm.size);
        for (const root of [0, comm.size - 1]) {
          for (const form of ['scatterv', 'iscatterv'] as const) {
            const send = comm.rank === root ? make(whole) : null;
            const receive = filled(countOf(comm.rank, comm.size));
            if (send) await comm[form](receive.view, root, send.view, counts, displs);
            else await comm[form](receive.view, root);
            receive.holds(ownPart(comm));

            if (send) await comm[form](MPI.IN_PLACE, root, send.view, counts, displs);
            else await comm[form](receive.view, root);
            send?.holds(whole);
          }
        }
      },
    ],
    [
      title('alltoall'),
      async (comm) => {
        const expected = range(comm.size).flatMap((source) => [source, comm.rank]);
        for (const form of ['alltoall', 'ialltoall'] as const) {
          const sent = range(comm.size).flatMap((dest) => [comm.rank, dest]);
          const receive = filled(2 * comm.size);
          const send = make(sent);
          await comm[form](send.view, receive.view);
          receive.holds(expected);
          send.holds(sent);
          const inPlace = make(sent);
          await comm[form](MPI.IN_PLACE, inPlace.view);
          inPlace.holds(expected);
        }
      },
    ],
    [
      title('scan and exscan'),
      async (comm) => {
        const sums = (ranks: number) =>
          range(3).map((i) => range(ranks).reduce((sum, r) => sum + contribution(r)[i], 0));
        for (const form of ['scan', 'iscan', 'exscan', 'iexscan'] as const) {
          const exclusive = form.endsWith('exscan');
          const send = make(contribution(comm.rank));
          const receive = filled(3);
          await comm[form](send.view, receive.view);
          const inPlace = make(contribution(comm.rank));
          await comm[form](MPI.IN_PLACE, inPlace.view, MPI.SUM);
          // What rank 0 gets of an exclusive scan is undefined.
          if (exclusive && comm.rank === 0) continue;
          const expected = sums(exclusive ? comm.rank : comm.rank + 1);
          receive.holds(expected);
          inPlace.holds(expected);
        }
        const largest = filled(3);
        comm.scan(make(contribution(comm.rank)).view, largest.view, MPI.MAX);
        largest.holds(range(3).map((i) => Math.max(...range(comm.rank + 1).map((rank) => contribution(rank)[i]))));
      },
    ],
    [
      title('minloc and maxloc'),
      async (comm) => {
        const root = comm.size - 1;
        for (const [op, choose] of PAIR_OPERATIONS) {
          const expected = range(3).flatMap((i) =>
            range(comm.size)
              .map((rank) => pairs(rank)[i])
              .reduce(choose),
          );
          const own = make(pairs(comm.rank).flat());
          for (const form of ['allreduce', 'iallreduce'] as const) {
            const receive = filled(6);
            await comm[form](own.view, receive.view, op);
            receive.holds(expected);
          }
          const atRoot = comm.rank === root ? filled(6) : null;
          comm.reduce(own.view, op, root, atRoot?.view);
          atRoot?.holds(expected);
        }
      },
    ],
    [
      title('send and recv'),
      async (comm) => {
        const next = (comm.rank + 1) % comm.size;
        const previous = (comm.rank + comm.size - 1) % comm.size;
        const sent = make([comm.rank, 1, 2]);
        const asked = filled(4);
        const receiving = comm.irecv(asked.view, previous, 5);
        comm.send(sent.view, next, 5);
        assert.deepEqual(await receiving, { source: previous, tag: 5, count: 3 });
        asked.holds([previous, 1, 2, 0]);

        const anything = filled(3);
        const sending = comm.isend(sent.view, next, 6);
        assert.deepEqual(comm.recv(anything.view), { source: previous, tag: 6, count: 3 });
        anything.holds([previous, 1, 2]);
        await sending;

        for (const form of ['sendrecv', 'isendrecv'] as const) {
          const both = filled(4);
          assert.deepEqual(await comm[form](sent.view, next, 7, both.view, previous, 7), {
            source: previous,
            tag: 7,
            count: 3,
          });
          both.holds([previous, 1, 2, 0]);
        }

        const waiting = comm.isend(sent.view, next, 8);
        const probed = comm.probe(previous, 8);
        assert.deepEqual(probed, { source: previous, tag: 8, bytes: 3 * type.BYTES_PER_ELEMENT });
        assert.deepEqual(comm.iprobe(), probed);
        comm.recv(anything.view, probed.source, probed.tag);
        assert.equal(comm.iprobe(previous, 8), null);
        await waiting;
        // A receive of anything would take a message of the next case from a rank that is already there.
        comm.barrier();
      },
    ],
  ];
}

const MESSAGES: Case[] = [
  [
    'isendEach and irecvEach',
    async (comm) => {
      const ranks = Int32Array.from(range(comm.size));
      // To and from every rank, itself among them; one byte behind the last message stays.
      const received = new Uint8Array(2 * comm.size + 1).fill(GUARD);
      const receiving = comm.irecvEach(received, 2, ranks, 9);
      const sending = comm.isendEach(
        Uint8Array.from(range(comm.size).flatMap((dest) => [comm.rank, dest])),
        2,
        ranks,
        9,
      );
      await Promise.all([sending, receiving]);
      assert.deepEqual(receiving.pending(), []);
      assert.deepEqual([...received], [...range(comm.size).flatMap((source) => [source, comm.rank]), GUARD]);
    },
  ],
  [
    'isendEach and irecvEach of nothing',
    async (comm) => {
      await comm.isendEach(new Uint8Array(0), 8, new Int32Array(0), 1);
      const nothing = comm.irecvEach(new Uint8Array(0), 8, new Int32Array(0), 1);
      await nothing;
      assert.deepEqual(nothing.pending(), []);
    },
  ],
  [
    'pending names the messages that are still to come',
    async (comm) => {
      const ranks = Int32Array.from(range(comm.size));
      const receiving = comm.irecvEach(new Uint8Array(comm.size), 1, ranks, 11);
      assert.deepEqual(receiving.pending(), range(comm.size));
      // Nobody sends before all have looked, and the last one only when the others' have arrived.
      comm.barrier();
      const isLast = comm.rank === comm.size - 1;
      if (!isLast) await comm.isendEach(new Uint8Array(comm.size), 1, ranks, 11);
      while (receiving.pending().length > 1) await comm.isendEach(new Uint8Array(0), 1, new Int32Array(0), 11);
      assert.deepEqual(receiving.pending(), [comm.size - 1]);
      comm.barrier();
      if (isLast) await comm.isendEach(new Uint8Array(comm.size), 1, ranks, 11);
      await receiving;
      assert.deepEqual(receiving.pending(), []);
    },
  ],
  [
    'a message of many megabytes',
    async (comm) => {
      const next = (comm.rank + 1) % comm.size;
      const received = new Float64Array(1 << 20);
      const receiving = comm.irecv(received, MPI.ANY_SOURCE, 3);
      await Promise.all([comm.isend(new Float64Array(1 << 20).fill(comm.rank + 0.5), next, 3), receiving]);
      const previous = (comm.rank + comm.size - 1) % comm.size;
      assert.ok(received.every((value) => value === previous + 0.5));
    },
  ],
  [
    'reductions in place of more than goes into one packet, at every root',
    async (comm) => {
      for (const root of range(comm.size)) {
        for (const form of ['reduce', 'ireduce'] as const) {
          const values = new Float64Array(100_000).fill(comm.rank + 1);
          if (comm.rank === root) await comm[form](MPI.IN_PLACE, MPI.MAX, root, values);
          else await comm[form](values, MPI.MAX, root);
          const expected = comm.rank === root ? comm.size : comm.rank + 1;
          assert.ok(values.every((value) => value === expected));
        }
      }
    },
  ],
  [
    'minloc and maxloc of what is no number, the same on every rank',
    (comm) => {
      for (const op of [MPI.MINLOC, MPI.MAXLOC]) {
        const isLast = comm.rank === comm.size - 1;
        // The first pair is no number on any rank, the second on the last only.
        const pairs = Float64Array.of(NaN, comm.rank, isLast ? NaN : comm.rank, comm.rank);
        comm.allreduce(MPI.IN_PLACE, pairs, op);
        assert.deepEqual([...pairs], [NaN, 0, NaN, comm.size - 1]);
      }
    },
  ],
  ['barrier', (comm) => comm.barrier()],
  ['ibarrier', async (comm) => void (await comm.ibarrier())],
];

const world = MPI.COMM_WORLD;
const duplicate = world.dup();
const later = await world.idup();
const reversed = world.split(0, -world.rank)!;
const half = world.split(world.rank % 2)!;
const node = world.splitType('shared', -world.rank);
assert.deepEqual([node.rank, node.size], [world.size - 1 - world.rank, world.size]);
assert.equal(reversed.rank, world.size - 1 - world.rank);
assert.equal(half.size, Math.ceil((world.size - (world.rank % 2)) / 2));
assert.equal(world.split(world.rank === 0 ? MPI.UNDEFINED : 1) === null, world.rank === 0);
assert.equal(world.name, 'MPI_COMM_WORLD');
assert.equal(MPI.COMM_SELF.size, 1);

const all = ARRAY_CLASSES.flatMap((type) => casesFor(type, ArrayBuffer));
// Shared memory is a matter of the buffer and not of its type, as later communicators are none of it.
const shared = [Uint8Array, Float64Array].flatMap((type) => casesFor(type, SharedArrayBuffer));
await runRankSuite([
  [
    [...all, ...shared, ...MESSAGES],
    [MPI.COMM_SELF, world, duplicate, half],
  ],
  [
    [...casesFor(Int32Array, ArrayBuffer), ...MESSAGES],
    [later, reversed, node],
  ],
]);
for (const comm of [duplicate, later, reversed, half, node]) comm.free();
