import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';

const require = createRequire(import.meta.url);
const root = path.dirname(require.resolve('braid-mpi/package.json'));

/**
 * Calls every function of the addon with whatever, in any order, over buffers that are live, unmapped, detached or nobody's.
 * What is live is written and read to its last byte after each call. In a process of its own, so that a crash is a failure.
 */
const program = `
const [addon, fastCheck, directory] = process.argv.slice(1);
const assert = require('assert/strict'), fs = require('fs'), path = require('path');
const core = require(addon), fc = require(fastCheck);
const page = 4096, pages = 4;
const codes = new Set(['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE']);
const typed = (error) =>
  error instanceof Error && (codes.has(error.code) || (/^E[A-Z0-9]+$/.test(error.code) && typeof error.syscall === 'string'));

const nonsense = fc.constantFrom(undefined, null, true, '0', 'x', {}, [], Symbol('s'), 1n, () => 0, new Date(),
  { valueOf() { throw new Error('asked for its value'); } }, new Proxy({}, {}), new SharedArrayBuffer(8));
const number = fc.oneof(fc.integer({ min: -1, max: 8 }).map((n) => n * page), fc.integer({ min: -2, max: 9 }),
  fc.constantFrom(NaN, Infinity, -Infinity, -0, 0.5, 2 ** 30 + page, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 63, -(2 ** 63), 1e308));
// By index into what the run has got so far; in places where one doesn't belong, too.
const buffer = fc.nat({ max: 15 }).map((of) => ({ of }));
const fd = fc.constantFrom('open', 'readOnly', 'closed', 'pipe', 'directory').map((fd) => ({ fd }));
const any = fc.oneof(nonsense, number, buffer, fd);
const mostly = (usual) => fc.oneof({ weight: 6, arbitrary: usual }, { weight: 1, arbitrary: any });
const args = {
  map: fc.tuple(mostly(fd), mostly(number), mostly(number)),
  sync: fc.tuple(mostly(buffer), mostly(number), mostly(number)),
  unmap: fc.tuple(mostly(buffer)),
  lock: fc.tuple(mostly(fd)),
  lockShared: fc.tuple(mostly(fd)),
  // The file keeps its size: what is asked of the disk in earnest is not this test's matter.
  allocate: fc.tuple(mostly(fc.constantFrom('readOnly', 'closed', 'pipe', 'directory').map((fd) => ({ fd }))), mostly(number), mostly(number)),
};
const call = fc.oneof(
  ...Object.entries(args).map(([name, each]) => fc.tuple(fc.constant(name), each, fc.nat({ max: 4 }))),
  fc.tuple(fc.constant('map'), fc.tuple(fc.constant({ fd: 'open' }), fc.nat({ max: 3 }).map((n) => n * page), fc.constant(page)), fc.constant(3)),
  fc.tuple(fc.constant('transfer'), fc.tuple(buffer), fc.constant(1)),
);

const file = path.join(directory, 'spool');
fs.writeFileSync(file, Buffer.alloc(pages * page));
const fds = { open: fs.openSync(file, 'r+'), readOnly: fs.openSync(file, 'r'), closed: 1023, directory: fs.openSync(directory, 'r') };
fds.pipe = fs.openSync('/dev/null', 'r+');
let taken = 0, refused = 0;
fc.assert(
  fc.property(fc.array(call, { minLength: 5, maxLength: 25 }), (calls) => {
    const buffers = [new ArrayBuffer(page), new ArrayBuffer(0)];
    const live = new Set();
    const real = (value) =>
      value?.fd ? fds[value.fd] : value?.of !== undefined ? buffers[value.of % buffers.length] : value;
    for (const [name, generated, count] of calls) {
      const values = generated.slice(0, Math.max(count, 1)).map(real);
      if (name === 'transfer') {
        // Another owner of the memory, as a worker would be; what is mapped may refuse to go.
        if (live.has(values[0])) continue;
        try { structuredClone(values[0], { transfer: [values[0]] }); } catch {}
        continue;
      }
      try {
        const result = core[name](...values);
        taken++;
        if (name === 'map') { buffers.push(result); live.add(result); assert.equal(result.byteLength, values[2]); }
        if (name === 'unmap') { live.delete(values[0]); assert.equal(values[0].byteLength, 0); }
      } catch (error) {
        if (error.code === 'ERR_ASSERTION') throw error;
        assert.ok(typed(error), name + ': ' + String(error));
        refused++;
      }
      for (const each of live) {
        const bytes = new Uint8Array(each);
        bytes[bytes.length - 1] ^= 1;
        bytes[0] ^= 1;
      }
    }
    for (const each of live) core.unmap(each);
  }),
  { numRuns: 1500, seed: 4 },
);
process.stdout.write(JSON.stringify({ taken, refused }));
`;

describe('the core addon, called with whatever', () => {
  it('answers with a typed error, and never crashes', function () {
    this.timeout(60_000);
    const directory = mkdtempSync(path.join(tmpdir(), 'braid-hostile-'));
    try {
      const { status, signal, stdout, stderr } = spawnSync(
        process.execPath,
        ['-e', program, path.join(root, 'build/Release/braid_core.node'), require.resolve('fast-check'), directory],
        { encoding: 'utf8' },
      );
      assert.deepEqual({ status, signal }, { status: 0, signal: null }, stderr.slice(-3000));
      const { taken, refused } = JSON.parse(stdout) as { taken: number; refused: number };
      assert.ok(taken > 1000 && refused > 1000, stdout);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
