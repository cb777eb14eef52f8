import assert from 'node:assert/strict';
import { Worker } from 'node:worker_threads';

import { MPI, MpiError, MpiRangeError, MpiTypeError, type NumericArray } from 'braid-mpi/mpi';
import { addonPath, loadAddon } from '#src/load-addon.js';
import type { MpiAddon } from '#src/native.js';

import { runRankSuite, type Case } from './rank-suite.js';

const bytes = new Uint8Array(8);
const other = new Uint8Array(8);
const none = new Int32Array(0);

/** Runs in a worker, and gives the code of the error it ended with. */
async function codeInWorker(source: string): Promise<string> {
  const worker = new Worker(source, { eval: true });
  const answer = await new Promise<string>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the worker said nothing')));
  });
  await worker.terminate();
  return answer;
}

/** What a caller can do wrong, and the error of it. None of these reaches MPI, so each rank may do it on its own. */
const MISTAKES: readonly (readonly [string, () => unknown, typeof MpiTypeError | typeof MpiRangeError, RegExp])[] = [
  ['a root below 0', () => MPI.COMM_WORLD.bcast(bytes, -1), MpiRangeError, /^root must be an integer from 0 to/],
  ['a root behind the last', () => MPI.COMM_WORLD.bcast(bytes, MPI.COMM_WORLD.size), MpiRangeError, /^root must/],
  ['a root that is no integer', () => MPI.COMM_WORLD.ibcast(bytes, 0.5), MpiRangeError, /got 0.5/],
  [
    'a root that is no number',
    () => MPI.COMM_WORLD.ibcast(bytes, '0' as never),
    MpiTypeError,
    /^root must be a number, got "0"/,
  ],
  ['a dest that is any', () => MPI.COMM_WORLD.send(bytes, MPI.ANY_SOURCE), MpiRangeError, /^dest must/],
  ['a source behind the last', () => MPI.COMM_WORLD.irecv(bytes, MPI.COMM_WORLD.size), MpiRangeError, /^source must/],
  ['a negative tag', () => MPI.COMM_SELF.send(bytes, 0, -1), MpiRangeError, /^tag must/],
  ['a tag above the bound', () => MPI.COMM_SELF.isend(bytes, 0, 2 ** 31), MpiRangeError, /^tag must/],
  [
    'an array of numbers',
    () => MPI.COMM_SELF.bcast([1, 2] as never),
    MpiTypeError,
    /must be a typed array of numbers, got Array/,
  ],
  ['a DataView', () => MPI.COMM_SELF.bcast(new DataView(new ArrayBuffer(8)) as never), MpiTypeError, /got DataView/],
  ['an ArrayBuffer', () => MPI.COMM_SELF.bcast(new ArrayBuffer(8) as never), MpiTypeError, /got ArrayBuffer/],
  ['no buffer', () => MPI.COMM_SELF.bcast(undefined as never), MpiTypeError, /got undefined/],
  [
    'a resizable buffer',
    () =>
      MPI.COMM_SELF.bcast(
        new Uint8Array(
          new (ArrayBuffer as never as new (n: number, o: object) => ArrayBuffer)(8, { maxByteLength: 16 }),
        ),
      ),
    MpiTypeError,
    /resizable/,
  ],
  [
    'two types',
    () => MPI.COMM_SELF.allreduce<NumericArray>(bytes, new Int8Array(8)),
    MpiTypeError,
    /got Uint8Array and Int8Array/,
  ],
  ['two lengths', () => MPI.COMM_SELF.allreduce(bytes, new Uint8Array(7)), MpiRangeError, /must be as many/],
  [
    'overlapping buffers',
    () => MPI.COMM_SELF.allreduce(bytes.subarray(0, 5), bytes.subarray(3)),
    MpiRangeError,
    /IN_PLACE/,
  ],
  ['no receive buffer', () => MPI.COMM_SELF.reduce(bytes), MpiTypeError, /^receive is needed on this rank/],
  [
    'an operation by its name',
    () => MPI.COMM_SELF.allreduce(bytes, other, 'SUM' as never),
    MpiTypeError,
    /^op must be/,
  ],
  [
    'a bitwise operation on floats',
    () => MPI.COMM_SELF.allreduce(MPI.IN_PLACE, new Float32Array(1), MPI.BAND),
    MpiTypeError,
    /^MPI_BAND is for integers/,
  ],
  [
    'a receive buffer that is too long',
    () => MPI.COMM_SELF.gather(bytes, 0, new Uint8Array(9)),
    MpiRangeError,
    /must have 8 for each/,
  ],
  ['too few counts', () => MPI.COMM_SELF.gatherv(bytes, 0, other, none, none), MpiRangeError, /^counts has 0 elements/],
  [
    'a displacement behind the end',
    () => MPI.COMM_SELF.igatherv(bytes, 0, other, Int32Array.of(8), Int32Array.of(1)),
    MpiRangeError,
    /not all within receive/,
  ],
  [
    'a negative displacement',
    () => MPI.COMM_SELF.igatherv(bytes, 0, other, Int32Array.of(8), Int32Array.of(-1)),
    MpiRangeError,
    /not all within receive/,
  ],
  [
    "a count that isn't what the root sends",
    () => MPI.COMM_SELF.igatherv(bytes, 0, other, Int32Array.of(7), Int32Array.of(0)),
    MpiRangeError,
    /counts says 7/,
  ],
  [
    'counts of another type',
    () => MPI.COMM_SELF.gatherv(bytes, 0, other, bytes as never, none),
    MpiTypeError,
    /^counts must be an Int32Array/,
  ],
  ['messages behind the end', () => MPI.COMM_SELF.isendEach(bytes, 9, Int32Array.of(0), 1), MpiRangeError, /don't fit/],
  [
    'a message to nobody',
    () => MPI.COMM_SELF.isendEach(bytes, 1, Int32Array.of(0, 1), 1),
    MpiRangeError,
    /^dests\[1\] must/,
  ],
  [
    'a message from nobody',
    () => MPI.COMM_SELF.irecvEach(bytes, 1, Int32Array.of(-1), 1),
    MpiRangeError,
    /^sources\[0\] must/,
  ],
  [
    'a detached buffer',
    () => {
      const gone = new Uint8Array(8);
      structuredClone(gone.buffer, { transfer: [gone.buffer] });
      MPI.COMM_SELF.bcast(gone);
    },
    MpiTypeError,
    /^buffer has been transferred/,
  ],
  [
    'an odd number of elements where pairs are due',
    () => MPI.COMM_SELF.scan(new Uint8Array(3), new Uint8Array(3), MPI.MAXLOC),
    MpiRangeError,
    /^MPI_MAXLOC is for pairs/,
  ],
  [
    'a share of another length',
    () => MPI.COMM_SELF.scatter(bytes, 0, new Uint8Array(9)),
    MpiRangeError,
    /^send has 9 elements; it must have 8 for each/,
  ],
  ['a scatter of nothing', () => MPI.COMM_SELF.iscatter(bytes), MpiTypeError, /^send is needed on this rank/],
  [
    'a share that ends behind what is sent',
    () => MPI.COMM_SELF.scatterv(bytes, 0, other, Int32Array.of(8), Int32Array.of(1)),
    MpiRangeError,
    /not all within send/,
  ],
  [
    "a count that isn't this rank's",
    () => MPI.COMM_SELF.allgatherv(bytes, other, Int32Array.of(7), Int32Array.of(0)),
    MpiRangeError,
    /^counts says 7 for this rank/,
  ],
  [
    'an alltoall of two lengths',
    () => MPI.COMM_SELF.alltoall(bytes, new Uint8Array(9)),
    MpiRangeError,
    /must be as many/,
  ],
  [
    'a receive into what is being sent',
    () => MPI.COMM_SELF.sendrecv(bytes, 0, 0, bytes.subarray(4)),
    MpiRangeError,
    /overlap/,
  ],
  ['a probe of nobody', () => MPI.COMM_SELF.iprobe(1), MpiRangeError, /^source must/],
  [
    'a kind of communicator that MPI lacks',
    () => MPI.COMM_SELF.splitType('socket' as never),
    MpiTypeError,
    /must be 'shared'/,
  ],
  ['a negative color', () => MPI.COMM_SELF.split(-1), MpiRangeError, /^color must/],
  ['an exit code that no process has', () => MPI.COMM_SELF.abort(256), MpiRangeError, /^exitCode must/],
];

/** The net under those checks: what native code refuses of a caller that went around TypeScript. */
const MISUSES: readonly (readonly [string, (addon: MpiAddon) => unknown, string])[] = [
  ['a communicator that never was', (addon) => addon.barrier(99), 'ERR_BRAID_MPI_FREED'],
  ['a communicator that is no integer', (addon) => addon.barrier(0.5), 'ERR_BRAID_MPI_ARGUMENT_RANGE'],
  ['a missing argument', (addon) => (addon.barrier as () => void)(), 'ERR_BRAID_MPI_ARGUMENT_TYPE'],
  ['an array where a number is due', (addon) => addon.barrier(bytes as never), 'ERR_BRAID_MPI_ARGUMENT_TYPE'],
  ['a number where an array is due', (addon) => addon.bcast(1, 5 as never, 0), 'ERR_BRAID_MPI_ARGUMENT_TYPE'],
  ['a root behind the last', (addon) => addon.bcast(1, bytes, 1), 'ERR_BRAID_MPI_ARGUMENT_RANGE'],
  ['an operation behind the last', (addon) => addon.allreduce(1, bytes, other, 12), 'ERR_BRAID_MPI_ARGUMENT_RANGE'],
  ['two types', (addon) => addon.allreduce(1, bytes, new Int8Array(8), 0), 'ERR_BRAID_MPI_ARGUMENT_TYPE'],
  ['two lengths', (addon) => addon.allreduce(1, bytes, new Uint8Array(7), 0), 'ERR_BRAID_MPI_ARGUMENT_RANGE'],
  ['no receive buffer', (addon) => addon.reduce(1, bytes, null, 0, 0), 'ERR_BRAID_MPI_ARGUMENT_TYPE'],
  ['a short gather', (addon) => addon.gather(1, bytes, 0, new Uint8Array(7)), 'ERR_BRAID_MPI_ARGUMENT_RANGE'],
  [
    'a bitwise operation on floats',
    (addon) => addon.allreduce(1, null, new Float64Array(1), 7),
    'ERR_BRAID_MPI_ARGUMENT_TYPE',
  ],
  [
    'a displacement behind the end',
    (addon) => addon.gatherv(1, bytes, 0, other, Int32Array.of(8), Int32Array.of(1)),
    'ERR_BRAID_MPI_ARGUMENT_RANGE',
  ],
  [
    'a negative count',
    (addon) => addon.igatherv(1, null, 0, other, Int32Array.of(-1), Int32Array.of(0)),
    'ERR_BRAID_MPI_ARGUMENT_RANGE',
  ],
  ['no counts', (addon) => addon.igatherv(1, bytes, 0, other, null, null), 'ERR_BRAID_MPI_ARGUMENT_RANGE'],
  [
    'messages behind the end',
    (addon) => addon.isendEach(1, bytes, 5, Int32Array.of(0, 0), 1),
    'ERR_BRAID_MPI_ARGUMENT_RANGE',
  ],
  ['a message to nobody', (addon) => addon.isendEach(1, bytes, 1, Int32Array.of(1), 1), 'ERR_BRAID_MPI_ARGUMENT_RANGE'],
  [
    'a part of another length',
    (addon) => addon.scatter(1, bytes, 0, new Uint8Array(9)),
    'ERR_BRAID_MPI_ARGUMENT_RANGE',
  ],
  [
    'a share behind the end',
    (addon) => addon.scatterv(1, bytes, 0, other, Int32Array.of(8), Int32Array.of(1)),
    'ERR_BRAID_MPI_ARGUMENT_RANGE',
  ],
  ['an odd pair', (addon) => addon.scan(1, new Uint8Array(3), new Uint8Array(3), 10), 'ERR_BRAID_MPI_ARGUMENT_RANGE'],
  ['an uneven alltoall', (addon) => addon.alltoall(1, bytes, new Uint8Array(7)), 'ERR_BRAID_MPI_ARGUMENT_RANGE'],
  ['a request that never was', (addon) => addon.pending(12345, new Int32Array(1)), 'ERR_BRAID_MPI_ARGUMENT_RANGE'],
  ['freeing MPI_COMM_WORLD', (addon) => addon.free(0), 'ERR_BRAID_MPI_ARGUMENT_RANGE'],
];

const cases: Case[] = [
  ...MISTAKES.map(([title, mistake, errorClass, message]): Case => [
    `refuses ${title}`,
    () =>
      assert.throws(mistake, (error) => {
        assert.ok(error instanceof errorClass, String(error));
        assert.ok(error instanceof (errorClass === MpiTypeError ? TypeError : RangeError));
        assert.match(error.message, message);
        assert.match(error.code, /^ERR_BRAID_MPI_ARGUMENT_(TYPE|RANGE)$/);
        return true;
      }),
  ]),
  ...MISUSES.map(([title, misuse, code]): Case => [
    `native code refuses ${title}`,
    () => assert.throws(() => misuse(loadAddon<MpiAddon>(`braid_mpi.${MPI.vendor}`)), { code }),
  ]),
  [
    'a message that is too long fails with MPI_ERR_TRUNCATE, and the job goes on',
    async (comm) => {
      const expected = { name: 'MpiError', code: 'ERR_BRAID_MPI', errorClass: 'MPI_ERR_TRUNCATE' };
      const next = (comm.rank + 1) % comm.size;
      const short = new Uint8Array(4);
      // Sent first: where a rank sends to itself into a receive that waits already, Open MPI 4 cuts the message silently.
      const early = comm.isend(bytes, next, 1);
      const receiving = comm.irecv(short, MPI.ANY_SOURCE, 1);
      await assert.rejects(async () => receiving, {
        ...expected,
        call: 'MPI_Irecv',
        message: /^MPI_Irecv: .*MPI_ERR_TRUNCATE/,
      });
      assert.ok(receiving.error instanceof MpiError && receiving.error.errorCode !== 0);
      await early;

      const sending = comm.isend(bytes, next, 2);
      assert.throws(() => comm.recv(short, MPI.ANY_SOURCE, 2), { ...expected, call: 'MPI_Recv' });
      await sending;

      const third = comm.isend(bytes, next, 3);
      const each = comm.irecvEach(short, 4, Int32Array.of((comm.rank + comm.size - 1) % comm.size), 3);
      await assert.rejects(async () => each, expected);
      await third;
    },
  ],
  [
    'a blocking receive of any length that is too long fails with MPI_ERR_TRUNCATE, from the own rank too',
    async (comm) => {
      for (const to of [(comm.rank + 1) % comm.size, comm.rank]) {
        for (const length of [5, 5000, 100_000, 1_000_000]) {
          const sending = comm.isend(new Uint8Array(length).fill(7), to, 5);
          const short = new Uint8Array(8);
          assert.throws(() => comm.recv(short.subarray(0, 4), MPI.ANY_SOURCE, 5), { errorClass: 'MPI_ERR_TRUNCATE' });
          // Whatever the library leaves in the buffer, it leaves nothing behind it.
          assert.deepEqual([...short.subarray(4)], [0, 0, 0, 0]);
          await sending;
        }
      }
      comm.barrier();
    },
  ],
  [
    'requests that are none are refused, where waiting would never end',
    () => {
      const refused = { name: 'MpiTypeError', code: 'ERR_BRAID_MPI_ARGUMENT_TYPE' };
      assert.throws(() => MPI.waitAll([Promise.resolve(1) as never]), {
        ...refused,
        message: /^requests\[0\] is no Request/,
      });
      assert.throws(() => MPI.waitAny([null as never]), refused);
      assert.throws(() => MPI.waitAll(undefined as never), refused);
    },
  ],
  [
    'a communicator with collectives under way can be freed, and they complete',
    async (comm) => {
      const freed = comm.dup();
      const sum = new Float64Array(10_000).fill(1);
      const under = [freed.iallreduce(MPI.IN_PLACE, sum), freed.ibarrier()] as const;
      const made = freed.idup();
      freed.free();
      await Promise.all(under);
      assert.ok(sum.every((value) => value === comm.size));
      (await made).free();
      await comm.ibarrier().finally(() => undefined);
      assert.equal(await comm.ibarrier().catch(() => 'failed'), undefined);
    },
  ],
  [
    'a message that is shorter than irecvEach promises fails with MPI_ERR_COUNT',
    async (comm) => {
      const each = comm.irecvEach(other, 8, Int32Array.of((comm.rank + comm.size - 1) % comm.size), 4);
      await comm.isend(bytes.subarray(0, 3), (comm.rank + 1) % comm.size, 4);
      await assert.rejects(async () => each, { code: 'ERR_BRAID_MPI', errorClass: 'MPI_ERR_COUNT' });
    },
  ],
  [
    'a communicator that has been freed is refused',
    (comm) => {
      const freed = comm.dup();
      freed.free();
      assert.equal(freed.size, comm.size);
      for (const use of [
        () => freed.barrier(),
        () => freed.dup(),
        () => freed.name,
        () => freed.send(bytes, 0),
        () => freed.free(),
      ]) {
        assert.throws(use, { name: 'BraidError', code: 'ERR_BRAID_MPI_FREED' });
      }
    },
  ],
  [
    "the communicators of MPI can't be freed",
    () => assert.throws(() => MPI.COMM_SELF.free(), { code: 'ERR_BRAID_MPI_PREDEFINED' }),
  ],
  [
    'a worker is refused, and may load the addon',
    async () => {
      const module = JSON.stringify(import.meta.resolve('braid-mpi/mpi'));
      const viaModule = `const { parentPort } = require('node:worker_threads');
        import(${module}).then(({ MPI }) => MPI.COMM_WORLD).catch((error) => parentPort.postMessage(error.code));`;
      assert.equal(await codeInWorker(viaModule), 'ERR_BRAID_MPI_WRONG_THREAD');
      const path = JSON.stringify(addonPath(`braid_mpi.${MPI.vendor}`));
      for (const call of [
        'initialize(() => new Error(), new Float64Array(3), -1, -1, -1, -1, -1)',
        'wtime()',
        'size(0)',
      ]) {
        const direct = `const { parentPort } = require('node:worker_threads');
          try { require(${path}).${call}; } catch (error) { parentPort.postMessage(error.code); }`;
        assert.equal(await codeInWorker(direct), 'ERR_BRAID_MPI_WRONG_THREAD');
      }
    },
  ],
];

assert.equal(MPI.isInitialized, false);
MPI.COMM_WORLD.barrier();
assert.equal(MPI.isInitialized, true);
assert.match(MPI.libraryVersion, MPI.vendor === 'openmpi' ? /Open MPI/ : /MPICH/);
assert.match(MPI.version, /^\d\.\d$/);
assert.ok(['funneled', 'serialized', 'multiple'].includes(MPI.threadLevel));
assert.notEqual(MPI.processorName, '');
assert.ok(MPI.wtime() <= MPI.wtime());

await runRankSuite([[cases, [MPI.COMM_WORLD]]]);
