/** More elements than an int counts, between two ranks: what MPI-3 itself can't be asked for. */
import assert from 'node:assert/strict';

import { MPI } from 'braid-mpi/mpi';

import { runRankSuite, type Case } from './rank-suite.js';

const LENGTH = 2 ** 31 + 7;
/** Places at the ends, and at both sides of where a count or a byte offset of 31 or 32 bits would end. */
const PLACES = [0, 1, 2 ** 30 - 1, 2 ** 30, 2 ** 31 - 2, 2 ** 31 - 1, 2 ** 31, LENGTH - 1];

const marked = () => {
  const array = new Uint8Array(LENGTH);
  PLACES.forEach((place, i) => (array[place] = i + 1));
  return array;
};
const assertMarked = (array: Uint8Array) =>
  assert.deepEqual(
    PLACES.map((place) => array[place]),
    PLACES.map((_, i) => i + 1),
  );

const cases: Case[] = [
  [
    'bcast',
    async (comm) => {
      const buffer = comm.rank === 0 ? marked() : new Uint8Array(LENGTH);
      comm.bcast(buffer);
      assertMarked(buffer);
      if (comm.rank > 0) buffer.fill(0);
      await comm.ibcast(buffer);
      assertMarked(buffer);
    },
  ],
  [
    'send, recv and probe',
    async (comm) => {
      if (comm.rank === 0) {
        const buffer = marked();
        comm.send(buffer, 1, 1);
        await comm.isend(buffer, 1, 2);
      } else {
        const buffer = new Uint8Array(LENGTH + 1);
        assert.equal(comm.probe(0, 1).bytes, LENGTH);
        assert.deepEqual(comm.recv(buffer, 0, 1), { source: 0, tag: 1, count: LENGTH });
        assertMarked(buffer);
        buffer.fill(0);
        assert.deepEqual(await comm.irecv(buffer, 0, 2), { source: 0, tag: 2, count: LENGTH });
        assertMarked(buffer);
      }
    },
  ],
  [
    'allreduce',
    async (comm) => {
      const buffer = marked();
      comm.allreduce(MPI.IN_PLACE, buffer);
      await comm.iallreduce(MPI.IN_PLACE, buffer);
      assert.deepEqual(
        PLACES.map((place) => buffer[place]),
        PLACES.map((_, i) => (i + 1) * 4),
      );
      assert.equal(buffer[2], 0);
    },
  ],
  [
    'gather',
    (comm) => {
      // More bytes than 32 bits count in one of the elements, fewer elements than an int counts.
      const send = new Float64Array(2 ** 28 + 1).fill(comm.rank + 1);
      const receive = comm.rank === 0 ? new Float64Array(2 * send.length) : null;
      comm.gather(send, 0, receive);
      if (receive)
        assert.deepEqual([receive[0], receive[send.length - 1], receive[send.length], receive.at(-1)], [1, 1, 2, 2]);
    },
  ],
];

await runRankSuite([[cases, [MPI.COMM_WORLD]]]);
