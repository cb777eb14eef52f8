import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { CoreAddon } from '#src/native.js';

const require = createRequire(import.meta.url);
const addon = path.join(path.dirname(require.resolve('braid-mpi/package.json')), 'build', 'Release', 'braid_core.node');
const core = require(addon) as CoreAddon;

const page = Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }));

describe('core addon', () => {
  let directory: string;
  let file: string;
  let fd: number;

  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(tmpdir(), 'braid-core-'));
    file = path.join(directory, 'spool');
    fd = fs.openSync(file, 'w+');
  });
  afterEach(() => {
    fs.closeSync(fd);
    fs.rmSync(directory, { recursive: true });
  });

  /** A filesystem of its own for `use`, or a skipped test where nobody may mount one. */
  const onFilesystem = (context: Mocha.Context, type: string, options: string, use: (fd: number) => void) => {
    const mount = path.join(directory, type);
    fs.mkdirSync(mount);
    try {
      execFileSync('mount', ['-t', type, '-o', options, 'braid', mount], { stdio: 'pipe' });
    } catch (error) {
      context.test!.title += ` (skipped: ${(error as Error).message.trim()})`;
      context.skip();
    }
    try {
      const there = fs.openSync(path.join(mount, 'spool'), 'w+');
      try {
        use(there);
      } finally {
        fs.closeSync(there);
      }
    } finally {
      execFileSync('umount', [mount]);
    }
  };

  const systemError = (code: string, errno: number, syscall: string) => (error: NodeJS.ErrnoException) => {
    assert.deepEqual({ ...error }, { code, errno, syscall });
    assert.match(error.message, new RegExp(`^${code}: .+, ${syscall}$`));
    return error instanceof Error;
  };

  const mapped = (pages = 1) => {
    core.allocate(fd, 0, pages * page);
    return core.map(fd, 0, pages * page);
  };

  it('has no function that native.ts does not declare', () => {
    assert.deepEqual(Object.getOwnPropertyNames(core).sort(), [
      'allocate',
      'copy',
      'lock',
      'lockShared',
      'map',
      'sync',
      'unmap',
      'widenAffinity',
    ]);
  });

  describe('lock', () => {
    it('takes a lock, once or again', () => {
      assert.equal(core.lock(fd), true);
      assert.equal(core.lock(fd), true);
    });

    it('refuses what another open file holds, until that is closed', () => {
      const second = fs.openSync(file, 'r');
      assert.equal(core.lock(second), true);
      assert.equal(core.lock(fd), false);
      fs.closeSync(second);
      assert.equal(core.lock(fd), true);
    });

    it('refuses what another process holds, until that is killed', async () => {
      const program = `const core = require(process.argv[1]), fd = require('fs').openSync(process.argv[2], 'r+');
        process.stdout.write(String(core.lock(fd))); setInterval(() => {}, 1000);`;
      const holder = spawn(process.execPath, ['-e', program, addon, file], { stdio: ['ignore', 'pipe', 'inherit'] });
      try {
        const [answer] = (await once(holder.stdout, 'data')) as [Buffer];
        assert.equal(String(answer), 'true');
        assert.equal(core.lock(fd), false);
      } finally {
        holder.kill('SIGKILL');
        await once(holder, 'exit');
      }
      assert.equal(core.lock(fd), true);
    });

    it('is shared by those who only look, and by nobody else', () => {
      const second = fs.openSync(file, 'r');
      assert.equal(core.lockShared(second), true);
      assert.equal(core.lockShared(fd), true);
      fs.closeSync(second);
      const third = fs.openSync(file, 'r');
      assert.equal(core.lock(third), false);
      assert.equal(core.lock(fd), true);
      assert.equal(core.lockShared(third), false);
      fs.closeSync(third);
    });

    it('throws what is another error', () => {
      const closed = fs.openSync(file, 'r');
      fs.closeSync(closed);
      assert.throws(() => core.lock(closed), systemError('EBADF', -9, 'flock'));
      assert.throws(() => core.lockShared(closed), systemError('EBADF', -9, 'flock'));
    });
  });

  describe('allocate', () => {
    it('reserves space and keeps what is there', () => {
      fs.writeSync(fd, 'kept');
      core.allocate(fd, 0, 10 * page);
      const { size, blocks } = fs.fstatSync(fd);
      assert.equal(size, 10 * page);
      assert.ok(blocks * 512 >= 10 * page);
      assert.equal(fs.readFileSync(file, 'latin1'), 'kept'.padEnd(10 * page, '\0'));
    });

    it('throws when the disk is full', function () {
      onFilesystem(this, 'tmpfs', 'size=1m', (there) => {
        core.allocate(there, 0, 512 << 10);
        assert.throws(() => core.allocate(there, 512 << 10, 1 << 20), systemError('ENOSPC', -28, 'fallocate'));
        core.allocate(there, 512 << 10, 512 << 10);
      });
    });

    it('writes zeros where the filesystem has no fallocate', function () {
      onFilesystem(this, 'ramfs', 'mode=700', (there) => {
        core.allocate(there, page, 200_000);
        const { size, blocks } = fs.fstatSync(there);
        assert.equal(size, page + 200_000);
        assert.ok(blocks === 0 || blocks * 512 >= 200_000);
        assert.ok(fs.readFileSync(there).every((byte) => byte === 0));
      });
    });

    it('throws what is another error', () => {
      const readOnly = fs.openSync(file, 'r');
      assert.throws(() => core.allocate(readOnly, 0, page), systemError('EBADF', -9, 'fallocate'));
      fs.closeSync(readOnly);
    });
  });

  describe('map', () => {
    it('shares its bytes with the file, also when that is closed', () => {
      core.allocate(fd, 0, 2 * page);
      const other = fs.openSync(file, 'r+');
      const buffer = core.map(other, page, page);
      fs.closeSync(other);
      const bytes = new Uint8Array(buffer);
      assert.equal(bytes.length, page);
      bytes[1] = 42;
      assert.equal(fs.readFileSync(file)[page + 1], 42);
      fs.writeSync(fd, Buffer.from([43]), 0, 1, page + 2);
      assert.equal(bytes[2], 43);
      core.unmap(buffer);
    });

    it('takes atomic stores', () => {
      const buffer = mapped();
      Atomics.store(new Int32Array(buffer), 3, 0x01020304);
      assert.equal(fs.readFileSync(file).readInt32LE(12), 0x01020304);
      core.unmap(buffer);
    });

    it('refuses to go beyond the end of the file', () => {
      core.allocate(fd, 0, 2 * page);
      for (const [offset, bytes] of [
        [0, 3 * page],
        [page, 2 * page],
        [2 * page, page],
        [2 ** 52, page],
      ]) {
        assert.throws(() => core.map(fd, offset, bytes), RangeError);
      }
      fs.ftruncateSync(fd, 2 * page - 1);
      assert.throws(
        () => core.map(fd, 0, 2 * page),
        /^RangeError: the mapping would end beyond the file, which has \d+ bytes$/,
      );
    });

    it('refuses what is not whole pages', () => {
      core.allocate(fd, 0, 4 * page);
      assert.throws(() => core.map(fd, 1, page), RangeError);
      assert.throws(() => core.map(fd, 0, page + 8), RangeError);
      assert.throws(() => core.map(fd, 0, 0), RangeError);
    });

    it('throws what is another error', () => {
      core.allocate(fd, 0, page);
      const readOnly = fs.openSync(file, 'r');
      assert.throws(() => core.map(readOnly, 0, page), systemError('EACCES', -13, 'mmap'));
      fs.closeSync(readOnly);
      assert.throws(() => core.map(readOnly, 0, page), systemError('EBADF', -9, 'fstat'));
    });
  });

  describe('unmap', () => {
    const mappings = () => fs.readFileSync('/proc/self/maps', 'utf8').split(file).length - 1;

    it('detaches every view and unmaps at once', () => {
      const buffer = mapped();
      const views = [new Uint8Array(buffer), new DataView(buffer), Buffer.from(buffer, 8)];
      assert.equal(mappings(), 1);
      core.unmap(buffer);
      assert.equal(mappings(), 0);
      assert.equal(buffer.byteLength, 0);
      assert.equal((views[0] as Uint8Array).length, 0);
      assert.throws(() => (views[1] as DataView).getUint8(0), TypeError);
      assert.equal((views[2] as Buffer).length, 0);
    });

    it('does nothing the second time', () => {
      const buffer = mapped();
      core.unmap(buffer);
      const next = core.map(fd, 0, page);
      core.unmap(buffer);
      assert.equal(mappings(), 1);
      core.unmap(next);
    });

    it('leaves the mappings alone that took over an address before its finalizer ran', async () => {
      const kept: ArrayBuffer[] = [];
      for (let i = 0; i < 200; i++) {
        core.unmap(i === 0 ? mapped() : core.map(fd, 0, page));
        if (i % 10 === 0) kept.push(core.map(fd, 0, page));
        if (i % 50 === 0) await new Promise(setImmediate);
      }
      await new Promise(setImmediate);
      assert.equal(mappings(), kept.length);
      kept.forEach((buffer, i) => (new Uint8Array(buffer)[i] = i));
      kept.forEach((buffer) => core.unmap(buffer));
      assert.equal(mappings(), 0);
    });

    it('refuses memory that is not a mapping', () => {
      assert.throws(() => core.unmap(new ArrayBuffer(page)), TypeError);
    });

    it('is what the collection of an ArrayBuffer amounts to', () => {
      const program = `const core = require(process.argv[1]), fs = require('fs'), fd = fs.openSync(process.argv[2], 'r+');
        const mappings = () => fs.readFileSync('/proc/self/maps', 'utf8').split(process.argv[2]).length - 1;
        core.allocate(fd, 0, ${page});
        for (let i = 0; i < 10; i++) core.map(fd, 0, ${page});
        const before = mappings();
        const wait = (left) => {
          gc();
          if (mappings() > 0 && left > 0) setTimeout(wait, 10, left - 1);
          else console.log(before, mappings());
        };
        setTimeout(wait, 0, 500);`;
      const output = execFileSync(process.execPath, ['--expose-gc', '-e', program, addon, file], { encoding: 'utf8' });
      assert.equal(output, '10 0\n');
    });

    it('is what the end of a worker amounts to', async () => {
      const program = `const { parentPort, workerData: { addon, file, page } } = require('worker_threads');
        const core = require(addon), fd = require('fs').openSync(file, 'r+');
        core.allocate(fd, 0, 2 * page);
        globalThis.kept = [core.map(fd, 0, page), core.map(fd, page, page)];
        new Uint8Array(kept[0])[0] = 7;
        core.unmap(core.map(fd, 0, page));
        parentPort.postMessage('mapped');
        setInterval(() => {}, 1000);`;
      const workers = [0, 1, 2].map(() => new Worker(program, { eval: true, workerData: { addon, file, page } }));
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      assert.ok(mappings() >= 2); // The kernel shows neighbours as one.
      assert.equal(fs.readFileSync(file)[0], 7);
      await Promise.all(workers.map((worker) => worker.terminate()));
      assert.equal(mappings(), 0);
    });
  });

  describe('sync', () => {
    it('writes the pages of a range', () => {
      const buffer = mapped(4);
      new Uint8Array(buffer).fill(1);
      core.sync(buffer, 0, 4 * page);
      core.sync(buffer, page + 1, 2);
      core.sync(buffer, page - 1, 2);
      core.sync(buffer, 4 * page, 0);
      core.unmap(buffer);
    });

    it('refuses what is not within a mapping', () => {
      const buffer = mapped(2);
      assert.throws(() => core.sync(buffer, 0, 2 * page + 1), RangeError);
      assert.throws(() => core.sync(buffer, 2 * page, 1), RangeError);
      assert.throws(() => core.sync(buffer, -1, 1), RangeError);
      core.unmap(buffer);
      assert.throws(() => core.sync(buffer, 0, 0), TypeError);
      assert.throws(() => core.sync(new ArrayBuffer(page), 0, page), TypeError);
    });
  });

  describe('copy', () => {
    it('copies into memory that threads share, also over itself, and no byte more', () => {
      const target = Buffer.from(new SharedArrayBuffer(16));
      core.copy(target.subarray(4, 12), Buffer.from('abcdef'));
      core.copy(target.subarray(5, 12), target.subarray(4, 10));
      core.copy(target.subarray(16), Buffer.alloc(0));
      assert.equal(target.toString('latin1'), '\0\0\0\0aabcdef\0\0\0\0\0');
    });

    it('refuses what is longer than its target, and what is no bytes', () => {
      const target = Buffer.alloc(8);
      assert.throws(() => core.copy(target.subarray(1), Buffer.alloc(8)), RangeError);
      for (const other of [new Uint16Array(2), new ArrayBuffer(2), new DataView(new ArrayBuffer(2)), 'ab', undefined]) {
        assert.throws(() => core.copy(target, other as never), TypeError);
        assert.throws(() => core.copy(other as never, target), TypeError);
      }
    });
  });

  it('answers arguments of a wrong type with a TypeError, of a wrong value with a RangeError', () => {
    const call = (name: keyof CoreAddon, values: unknown[]) => () =>
      (core[name] as (...values: unknown[]) => unknown)(...values);
    const good = { lock: [fd], lockShared: [fd], allocate: [fd, 0, page], map: [fd, 0, page] };
    for (const [name, values] of Object.entries(good) as [keyof CoreAddon, number[]][]) {
      assert.throws(call(name, []), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
      for (let i = 0; i < values.length; i++) {
        for (const wrong of [undefined, null, '1', 1n, {}]) {
          assert.throws(call(name, values.with(i, wrong as never)), {
            name: 'TypeError',
            code: 'ERR_INVALID_ARG_TYPE',
          });
        }
        for (const wrong of [-1, 0.5, NaN, Infinity, -Infinity, 2 ** 53, 2 ** 64]) {
          assert.throws(call(name, values.with(i, wrong)), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
        }
      }
    }
    for (const name of ['unmap', 'sync'] as const) {
      for (const wrong of [undefined, null, 1, {}, new Uint8Array(8), new SharedArrayBuffer(8)]) {
        assert.throws(call(name, [wrong, 0, 0]), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
      }
    }
    const buffer = mapped();
    assert.throws(call('sync', [buffer]), TypeError);
    assert.throws(call('sync', [buffer, 0, '1']), TypeError);
    assert.throws(call('sync', [buffer, 0, NaN]), RangeError);
    core.unmap(buffer);
  });

  describe('widenAffinity', () => {
    const allowed = () => /^Cpus_allowed_list:\s*(.*)$/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))![1];

    const skipped = /^\d+$/.test(allowed()) ? ', skipped where this process may on one processor only' : '';
    it(`lets a thread run wherever another process may, and those that it starts${skipped}`, function () {
      if (skipped) this.skip();
      const [first] = allowed().split(/[-,]/);
      const program = `const { Worker } = require('worker_threads');
        const allowed = () => /^Cpus_allowed_list:\\s*(.*)$/m.exec(require('fs').readFileSync('/proc/thread-self/status', 'utf8'))[1];
        const told = [allowed(), require(process.argv[1]).widenAffinity(Number(process.argv[2])), allowed()];
        new Worker('require("worker_threads").parentPort.postMessage((' + allowed + ')())', { eval: true })
          .on('message', (started) => console.log(JSON.stringify([...told, started])));`;
      const args = ['-c', first, process.execPath, '-e', program, addon, String(process.pid)];
      const { stdout, stderr } = spawnSync('taskset', args, { encoding: 'utf8' });
      assert.equal(stderr, '');
      assert.deepEqual(JSON.parse(stdout), [first, true, allowed(), allowed()]);
    });

    it('is false where that may on no more, or is not there', () => {
      assert.equal(core.widenAffinity(process.pid), false);
      assert.equal(core.widenAffinity(2 ** 31 - 1), false);
      assert.throws(() => core.widenAffinity('1' as never), { code: 'ERR_INVALID_ARG_TYPE' });
      for (const pid of [0, -1, 1.5, 2 ** 31, NaN])
        assert.throws(() => core.widenAffinity(pid), { code: 'ERR_OUT_OF_RANGE' });
    });
  });
});
