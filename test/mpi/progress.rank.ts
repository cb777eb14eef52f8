import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { MPI, type Communicator, type Request } from 'braid-mpi/mpi';
import { progress } from '#src/comm/progress.js';

import { runRankSuite, type Case } from './rank-suite.js';

/** Tests without ever returning to the event loop, as a long recording loop does. */
function pokeUntil(isDone: () => boolean): void {
  const limit = performance.now() + 20_000;
  while (!isDone()) {
    progress.poke();
    if (performance.now() > limit) throw new Error('no progress in 20 s of poking');
  }
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function sum(comm: Communicator): number {
  const all = new Int32Array(1);
  comm.allreduce(Int32Array.of(comm.rank), all);
  return all[0];
}

const cases: Case[] = [
  [
    'requests complete while a synchronous loop pokes',
    (comm) => {
      const received = new Int32Array(1);
      const request = comm.iallreduce(Int32Array.of(comm.rank), received);
      pokeUntil(() => request.done);
      assert.equal(received[0], sum(comm));
    },
  ],
  [
    'a completion starts the next operation, from within the test',
    (comm) => {
      const received = new Int32Array(1);
      const told: number[] = [];
      const step = (left: number) => {
        comm.iallreduce(Int32Array.of(comm.rank + left), received).onDone(() => {
          told.push(left);
          if (left > 0) step(left - 1);
        });
      };
      step(5);
      pokeUntil(() => told.length === 6);
      assert.deepEqual(told, [5, 4, 3, 2, 1, 0]);
    },
  ],
  [
    'a completion may poke itself',
    (comm) => {
      const received = new Int32Array(1);
      const inner = comm.ibarrier();
      let innerDone = false;
      const outer = comm.iallreduce(Int32Array.of(1), received);
      outer.onDone(() => {
        pokeUntil(() => inner.done);
        innerDone = inner.done;
      });
      pokeUntil(() => outer.done && innerDone);
    },
  ],
  [
    'more requests than one test can tell',
    async (comm) => {
      const count = 300;
      const next = (comm.rank + 1) % comm.size;
      const received = Array.from({ length: count }, () => new Int32Array(1));
      const requests: Request<unknown>[] = received.map((buffer, tag) => comm.irecv(buffer, MPI.ANY_SOURCE, tag));
      for (let tag = 0; tag < count; tag++) requests.push(comm.isend(Int32Array.of(tag), next, tag));
      await Promise.all(requests);
      assert.deepEqual(
        received.map(([value]) => value),
        Array.from({ length: count }, (_, tag) => tag),
      );
    },
  ],
  [
    'a completion that throws keeps no other from being told, and is nothing to whoever tests',
    async (comm) => {
      const next = (comm.rank + 1) % comm.size;
      const receiving = [1, 2, 3].map((tag) => comm.irecv(new Uint8Array(1), MPI.ANY_SOURCE, tag));
      receiving[0].onDone(() => {
        throw new Error('of the completion');
      });
      const sending = [1, 2, 3].map((tag) => comm.isend(new Uint8Array(1), next, tag));
      const uncaught = once(process, 'uncaughtException');
      const all = [...receiving, ...sending];
      pokeUntil(() => all.every((request) => request.done));
      assert.equal(((await uncaught)[0] as Error).message, 'of the completion');
    },
  ],
  [
    'requests are waited for without the event loop',
    (comm) => {
      const next = (comm.rank + 1) % comm.size;
      const received = new Int32Array(1);
      const receiving = comm.irecv(received, MPI.ANY_SOURCE, 4);
      const status = comm.isend(Int32Array.of(comm.rank), next, 4).wait();
      assert.equal(status, undefined);
      const { count, tag } = receiving.wait();
      assert.deepEqual([count, tag, receiving.test()], [1, 4, true]);
      comm.barrier();

      const total = new Int32Array(1);
      const [none, told] = MPI.waitAll([
        comm.iallreduce(Int32Array.of(comm.rank), total),
        comm.isendrecv(Int32Array.of(comm.rank), next, 5, received),
      ]);
      assert.deepEqual([none, told.tag, total[0]], [undefined, 5, sum(comm)]);

      const never = comm.irecv(new Uint8Array(1), comm.rank, 6);
      assert.equal(never.test(), false);
      assert.equal(MPI.waitAny([never, comm.ibarrier()]), 1);
      comm.send(new Uint8Array(1), comm.rank, 6);
      assert.equal(MPI.waitAny([never]), 0);
      assert.equal(MPI.waitAny([]), -1);
    },
  ],
  [
    'waiting for several throws the error of one when all are done',
    (comm) => {
      const next = (comm.rank + 1) % comm.size;
      const sending = [comm.isend(new Uint8Array(8), next, 7), comm.isend(new Uint8Array(8), next, 8)];
      MPI.COMM_WORLD.barrier();
      const short = comm.irecv(new Uint8Array(4), MPI.ANY_SOURCE, 7);
      const good = comm.irecv(new Uint8Array(8), MPI.ANY_SOURCE, 8);
      assert.throws(() => MPI.waitAll([short, good, ...sending]), { errorClass: 'MPI_ERR_TRUNCATE' });
      assert.ok([short, good, ...sending].every((request) => request.done));
      assert.throws(() => short.wait(), { errorClass: 'MPI_ERR_TRUNCATE' });
    },
  ],
  [
    'buffers outlive their last reference while garbage is collected',
    async (comm) => {
      const next = (comm.rank + 1) % comm.size;
      const length = 1 << 16;
      const views: Float64Array[] = [];
      const start = (tag: number) => {
        const receive = new Float64Array(length);
        const request = comm.irecv(receive, MPI.ANY_SOURCE, tag);
        request.onDone(() => views.push(receive));
        comm.isend(new Float64Array(length).fill(tag), next, tag);
        return comm.iallreduce(new Int32Array(length).fill(1), new Int32Array(length));
      };
      for (let tag = 20; tag < 24; tag++) {
        const collective = start(tag);
        // Memory that is given back is given out again, and written.
        collectGarbage();
        Array.from({ length: 8 }, () => new Float64Array(length).fill(-1));
        collectGarbage();
        await collective;
      }
      pokeUntil(() => views.length === 4);
      assert.deepEqual(
        views.map((view) => [view[0], view[length - 1]]),
        [20, 21, 22, 23].map((tag) => [tag, tag]),
      );
    },
  ],
  [
    "a request that nobody awaits completes, and its error is nobody's",
    async (comm) => {
      const received = new Int32Array(1);
      comm.iallreduce(Int32Array.of(1), received);
      const next = (comm.rank + 1) % comm.size;
      const early = comm.isend(new Uint8Array(8), next, 9);
      comm.barrier();
      const failing = comm.irecv(new Uint8Array(4), MPI.ANY_SOURCE, 9);
      await early;
      for (let turn = 0; turn < 1000 && !(failing.done && received[0] === comm.size); turn++) await pause(1);
      assert.equal(received[0], comm.size);
      assert.ok(failing.error);
    },
  ],
  [
    'a rank that comes late finds the others still testing',
    async (comm) => {
      // Long enough for the others to have slowed down to a timer.
      if (comm.rank === 0) await pause(25);
      const received = new Int32Array(1);
      await comm.iallreduce(Int32Array.of(comm.rank), received);
      assert.equal(received[0], sum(comm));
    },
  ],
  [
    'a buffer lives as long as its request, and no longer',
    async (comm) => {
      const post = () => {
        const buffer = new Uint8Array(1 << 16);
        return { buffer: new WeakRef(buffer), request: comm.irecv(buffer, MPI.ANY_SOURCE, 1) };
      };
      const { buffer, request } = post();
      // A new turn, since a WeakRef holds what it was made of for the rest of its own.
      await pause(1);
      collectGarbage();
      assert.notEqual(buffer.deref(), undefined);

      // Nobody sends before all have looked: a rank that is ahead would complete another's request.
      comm.barrier();
      await Promise.all([comm.isend(new Uint8Array(1 << 16), (comm.rank + 1) % comm.size, 1), request]);
      await pause(1);
      collectGarbage();
      assert.equal(buffer.deref(), undefined);
    },
  ],
];

await runRankSuite([[cases, [MPI.COMM_WORLD]]]);
