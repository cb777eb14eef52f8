import assert from 'node:assert/strict';

import { LocalCommunicator } from '#src/comm/local-communicator.js';

const only = Int32Array.of(0);
const none = new Int32Array(0);

describe('LocalCommunicator', () => {
  it('is a communicator of one rank', () => {
    const comm = new LocalCommunicator();
    assert.deepEqual([comm.rank, comm.size], [0, 1]);
    assert.ok(comm.idup().value instanceof LocalCommunicator);
  });

  it('gathers its own bytes to where the displacement says', () => {
    const receive = new Uint8Array(5);
    const request = new LocalCommunicator().igatherv(
      Uint8Array.of(7, 8),
      0,
      receive,
      Int32Array.of(2),
      Int32Array.of(1),
    );
    assert.equal(request.done, true);
    assert.deepEqual([...receive], [0, 7, 8, 0, 0]);
  });

  it('gives a broadcast to nobody else', () => {
    const buffer = Uint8Array.of(1, 2);
    assert.equal(new LocalCommunicator().ibcast(buffer, 0).done, true);
    assert.deepEqual([...buffer], [1, 2]);
  });

  for (const first of ['send', 'receive']) {
    it(`brings messages to itself in order, by tag, when the ${first} comes first`, () => {
      const comm = new LocalCommunicator();
      const received = new Uint8Array(4);
      const sent = Uint8Array.of(1, 2, 3, 4);
      const both = Int32Array.of(0, 0);
      const send = () => {
        comm.isendEach(Uint8Array.of(9), 1, only, 6);
        comm.isendEach(sent, 2, both, 5);
        // The buffer is the caller's again at once.
        sent.fill(0);
      };
      if (first === 'send') send();
      const request = comm.irecvEach(received, 2, both, 5);
      if (first === 'receive') {
        assert.deepEqual(request.pending(), [0, 1]);
        send();
      }
      assert.equal(request.done, true);
      assert.deepEqual(request.pending(), []);
      assert.deepEqual([...received], [1, 2, 3, 4]);
    });
  }

  it('says which of many messages is still to come', () => {
    const comm = new LocalCommunicator();
    const request = comm.irecvEach(new Uint8Array(2), 1, Int32Array.of(0, 0), 1);
    comm.isendEach(Uint8Array.of(1), 1, only, 1);
    assert.deepEqual(request.pending(), [1]);
    assert.equal(request.done, false);
  });

  it('completes what has no messages at once', () => {
    const comm = new LocalCommunicator();
    assert.equal(comm.isendEach(new Uint8Array(0), 8, none, 1).done, true);
    assert.equal(comm.irecvEach(new Uint8Array(0), 8, none, 1).done, true);
  });

  it('keeps the messages of a duplicate apart', () => {
    const comm = new LocalCommunicator();
    const request = comm.idup().value.irecvEach(new Uint8Array(1), 1, only, 1);
    comm.isendEach(Uint8Array.of(1), 1, only, 1);
    assert.equal(request.done, false);
  });

  for (const [bytes, errorClass] of [
    [3, 'MPI_ERR_TRUNCATE'],
    [1, 'MPI_ERR_COUNT'],
  ] as const) {
    it(`fails a receive of 2 bytes with ${errorClass} when ${bytes} come`, () => {
      const comm = new LocalCommunicator();
      comm.isendEach(new Uint8Array(bytes), bytes, only, 1);
      const request = comm.irecvEach(new Uint8Array(2), 2, only, 1);
      assert.throws(() => request.value, { name: 'MpiError', code: 'ERR_BRAID_MPI', errorClass, call: 'MPI_Irecv' });
    });
  }

  const bytes = new Uint8Array(4);
  const MISTAKES: readonly (readonly [string, (comm: LocalCommunicator) => unknown, string])[] = [
    ['a dest other than itself', (comm) => comm.isendEach(bytes, 1, Int32Array.of(1), 1), 'MpiRangeError'],
    ['a source other than itself', (comm) => comm.irecvEach(bytes, 1, Int32Array.of(1), 1), 'MpiRangeError'],
    ['a root other than itself', (comm) => comm.igatherv(bytes, 1, null, null, null), 'MpiRangeError'],
    ['a broadcast from another', (comm) => comm.ibcast(bytes, 1), 'MpiRangeError'],
    ['a negative tag', (comm) => comm.isendEach(bytes, 1, only, -1), 'MpiRangeError'],
    ['messages behind the end of the buffer', (comm) => comm.irecvEach(bytes, 5, only, 1), 'MpiRangeError'],
    ['a buffer of another type', (comm) => comm.ibcast(new Int8Array(4) as never, 0), 'MpiTypeError'],
    ['dests of another type', (comm) => comm.isendEach(bytes, 1, [0] as never, 1), 'MpiTypeError'],
    ['no receive buffer', (comm) => comm.igatherv(bytes, 0, null, null, null), 'MpiTypeError'],
    ['overlapping buffers', (comm) => comm.igatherv(bytes, 0, bytes, Int32Array.of(4), only), 'MpiRangeError'],
    [
      'a gather behind the end',
      (comm) => comm.igatherv(bytes, 0, new Uint8Array(4), Int32Array.of(4), Int32Array.of(1)),
      'MpiRangeError',
    ],
  ];
  for (const [title, mistake, name] of MISTAKES) {
    it(`refuses ${title}, as MPI's communicator does`, () => {
      assert.throws(() => mistake(new LocalCommunicator()), { name });
    });
  }

  it('refuses every use once it has been freed', () => {
    const comm = new LocalCommunicator();
    comm.free();
    for (const use of [
      () => comm.idup(),
      () => comm.ibcast(bytes, 0),
      () => comm.isendEach(bytes, 1, only, 1),
      () => comm.free(),
    ]) {
      assert.throws(use, { code: 'ERR_BRAID_MPI_FREED' });
    }
  });
});
