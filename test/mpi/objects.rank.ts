import assert from 'node:assert/strict';

import { MPI, MpiTypeError } from 'braid-mpi/mpi';

import { runRankSuite, type Case } from './rank-suite.js';

/** What JSON would lose. */
const valueOf = (rank: number) => ({
  rank,
  name: `scan-${rank} µ🔬`,
  when: new Date(Date.UTC(2026, 0, 1 + rank)),
  limits: new Map([['voltage', [0.94, 1.06]]]),
  frames: Float32Array.of(rank, 0.5),
  big: 2n ** 70n,
  nothing: undefined,
});

const unsendable = () => undefined;
const notSendable = { name: 'MpiTypeError', code: 'ERR_BRAID_MPI_ARGUMENT_TYPE' };

const cases: Case[] = [
  [
    'sendObject and recvObject, of any size',
    (comm) => {
      const next = (comm.rank + 1) % comm.size;
      const previous = (comm.rank + comm.size - 1) % comm.size;
      // A rank that sends to itself, or a ring of ranks that all send first, would wait for a large message for ever.
      if (comm.rank > 0) assert.deepEqual(comm.recvObject(previous, 3).value, valueOf(previous));
      if (comm.size > 1) comm.sendObject(valueOf(comm.rank), next, 3);
      if (comm.rank === 0 && comm.size > 1) {
        assert.deepEqual(comm.recvObject(), { value: valueOf(previous), source: previous, tag: 3 });
      }
      comm.barrier();

      const large = new Float64Array(300_000).fill(comm.rank);
      if (comm.rank > 0) comm.sendObject({ large }, 0, comm.rank);
      for (let rank = 1; comm.rank === 0 && rank < comm.size; rank++) {
        const { value } = comm.recvObject<{ large: Float64Array }>(MPI.ANY_SOURCE, rank);
        assert.deepEqual([value.large.length, value.large[299_999]], [300_000, rank]);
      }
      comm.barrier();
    },
  ],
  [
    'bcastObject from every root',
    (comm) => {
      for (let root = 0; root < comm.size; root++) {
        const value = comm.bcastObject(comm.rank === root ? valueOf(root) : undefined, root);
        assert.deepEqual(value, valueOf(root));
      }
      assert.equal(comm.bcastObject(undefined), undefined);
    },
  ],
  [
    'gatherObjects and allgatherObjects',
    (comm) => {
      const expected = Array.from({ length: comm.size }, (_, rank) => valueOf(rank));
      const root = comm.size - 1;
      const gathered = comm.gatherObjects(valueOf(comm.rank), root);
      assert.deepEqual(gathered, comm.rank === root ? expected : null);
      assert.deepEqual(comm.allgatherObjects(valueOf(comm.rank)), expected);
    },
  ],
  [
    'arrays in what was received have memory of their own',
    (comm) => {
      const own = {
        bytes: new Uint8Array(100),
        floats: Float64Array.of(comm.rank, 1),
        view: new DataView(new ArrayBuffer(8), 2, 4),
      };
      const all = comm.allgatherObjects(own);
      const arrays = all.flatMap(({ bytes, floats, view }) => [bytes, floats, view]);
      assert.equal(new Set(arrays.map(({ buffer }) => buffer)).size, arrays.length);
      assert.ok(arrays.every(({ byteLength, buffer }) => byteLength === buffer.byteLength));
      structuredClone(all[0].bytes, { transfer: [all[0].bytes.buffer] });
      assert.deepEqual([...all[comm.size - 1].floats], [comm.size - 1, 1]);
    },
  ],
  [
    "a value that can't be sent is an error on every rank",
    (comm) => {
      const last = comm.size - 1;
      const value = comm.rank === last ? unsendable : 'fine';
      assert.throws(() => comm.bcastObject(value, last), notSendable);
      assert.throws(() => comm.gatherObjects(value), notSendable);
      assert.throws(
        () => comm.allgatherObjects(value),
        (error) => error instanceof MpiTypeError,
      );
      assert.throws(() => comm.sendObject(unsendable, 0), notSendable);
      comm.barrier();
    },
  ],
  [
    'a message that is no object is an error',
    async (comm) => {
      const sending = comm.isend(Uint8Array.of(1, 2, 3), comm.rank, 9);
      assert.throws(() => comm.recvObject(comm.rank, 9), { ...notSendable, message: /is no object/ });
      await sending;
    },
  ],
];

const duplicate = MPI.COMM_WORLD.dup();
await runRankSuite([[cases, [MPI.COMM_SELF, MPI.COMM_WORLD, duplicate]]]);
duplicate.free();
