import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readdirSync,
  rmSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { FRAME_HEADER_BYTES } from '#src/frame/format.js';
import { decodeFrame } from '#src/frame/decoder.js';
import { frameCrc, readFrameHeader } from '#src/frame/header.js';
import { addonPath, loadAddon } from '#src/load-addon.js';
import type { CoreAddon } from '#src/native.js';
import { Leftovers } from '#src/leftovers.js';
import { LeftoverSpool } from '#src/spool/spool-file.js';
import { readSpoolHeader } from '#src/spool/spool-header.js';
import { Spool, type SpoolOptions } from '#src/spool/spool.js';
import { spoolOwner } from '../support/spool-owner.js';

describe('the spool', () => {
  let directory: string;
  const spools: Spool[] = [];
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'braid-spool-test-'))));
  afterEach(() => {
    for (const spool of spools.splice(0)) spool.abandon();
    rmSync(directory, { recursive: true });
  });

  const make = (options: Partial<SpoolOptions> = {}, rank = 0, name = 'spools') => {
    const owner = { ...spoolOwner, rank, size: 4, pid: 1 };
    const spool = new Spool(join(directory, name), owner, { limitBytes: 2 ** 26, durable: false, ...options });
    spools.push(spool);
    return spool;
  };
  const put = (spool: Spool, id: number, uri: string) => {
    spool.encoder.begin(100 + Buffer.byteLength(uri));
    spool.encoder.uri(id, uri);
    spool.publish();
  };
  /** The URIs that a reader finds, and what it can't read. */
  const contents = (file: string) => {
    const leftover = LeftoverSpool.open(file);
    const { frames, losses } = leftover.scan();
    const found = frames.flatMap((frame) => {
      const bytes = leftover.read(frame);
      const ops = [...decodeFrame(bytes, 0, bytes.length - FRAME_HEADER_BYTES)];
      assert.equal(ops.length, frame.ops);
      return ops.map((op) => op as { record: number; uri: string });
    });
    leftover.close();
    const uris = found.map(({ record, uri }) => ({ id: record, uri }));
    return { uris, losses, sequences: frames.map(({ sequence }) => sequence) };
  };
  const read = (file: string) => {
    const { uris, losses, sequences } = contents(file);
    return { found: uris.map(({ id }) => id), losses, sequences };
  };
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

  it('is a file of its owner, locked, that a reader finds whole at any moment', () => {
    const spool = make();
    assert.equal(statSync(spool.file).mode & 0o777, 0o600);
    assert.equal(statSync(join(directory, 'spools')).mode & 0o777, 0o700);
    assert.deepEqual(read(spool.file), { found: [], losses: [], sequences: [] });
    for (let id = 1; id <= 50; id++) {
      put(spool, id, `file:///${id}`);
      if (id % 7 === 0) spool.seal();
      assert.deepEqual(read(spool.file).found, range(1, id));
    }
    spool.mark('signal', 15);
    const leftover = LeftoverSpool.open(spool.file);
    assert.deepEqual([leftover.end, leftover.detail, leftover.owner?.rank], ['signal', 15, 0]);
    leftover.close();
  });

  it('grows by segments, and uses them again after a verdict without showing what stood there', () => {
    const spool = make();
    const uri = 'x'.repeat(1000);
    let id = 0;
    let largest = 0;
    for (let flush = 0; flush < 30; flush++) {
      const first = id + 1;
      for (let i = 0; i < 700; i++) put(spool, ++id, uri);
      const sealed = spool.seal();
      const pending = spool.pending(sealed);
      assert.equal(
        pending.reduce((sum, { ops }) => sum + ops, 0),
        700,
      );
      assert.deepEqual(
        pending.map(({ sequence }) => sequence),
        range(pending[0].sequence, sealed),
      );
      const { found, losses } = read(spool.file);
      assert.deepEqual(losses, []);
      assert.deepEqual(found, range(first, id));
      spool.trim(sealed);
      assert.deepEqual(read(spool.file), { found: [], losses: [], sequences: [] });
      assert.equal(spool.dirty, false);
      largest = Math.max(largest, statSync(spool.file).size);
    }
    // Each flush is some 700 kB: three segments of 1 MiB are enough for ever.
    assert.ok(largest <= 4096 + 3 * 2 ** 20, `${largest}`);
  });

  it('takes an op of any size up to the limit, and says where the limit is', () => {
    const spool = make();
    put(spool, 1, 'a'.repeat(7_000_000));
    put(spool, 2, 'é'.repeat(3_000_000));
    put(spool, 3, 'small');
    const code = 'ERR_BRAID_TOO_LARGE';
    assert.throws(() => put(spool, 4, 'a'.repeat(8 * 2 ** 20)), { code, message: /takes 8388624:/ });
    put(spool, 4, 'the next one');
    assert.deepEqual(read(spool.file).found, [1, 2, 3, 4]);
  });

  it('reports full at its limit and on a full disk, loses nothing, and works again', function () {
    const spool = make({ limitBytes: 2 ** 21 + 8192 });
    const uri = 'x'.repeat(10_000);
    let id = 0;
    const fill = () => {
      for (;;) put(spool, ++id, uri);
    };
    assert.throws(fill, { code: 'ERR_BRAID_SPOOL_FULL', message: /spoolLimitBytes/ });
    assert.deepEqual(read(spool.file).found, range(1, id - 1));
    spool.trim(spool.seal());
    put(spool, 10_000, uri);
    assert.equal(read(spool.file).found.at(-1), 10_000);
  });

  it('has room again when all of it is committed, however it was parted', () => {
    const spool = make({ limitBytes: 2 ** 21 });
    const fill = (bytes: number) => {
      let id = 0;
      const code = 'ERR_BRAID_SPOOL_FULL';
      assert.throws(
        () => {
          for (;;) put(spool, ++id, 'x'.repeat(bytes));
        },
        { code },
      );
      const { found, losses } = read(spool.file);
      assert.deepEqual([found, losses], [range(1, id - 1), []]);
      spool.trim(spool.seal());
      assert.deepEqual(read(spool.file).found, []);
      return id - 1;
    };
    const small = fill(100);
    // One that needs nearly all of the file, and then small ones again.
    put(spool, 1, 'x'.repeat(1_900_000));
    assert.deepEqual(read(spool.file).found, [1]);
    spool.trim(spool.seal());
    assert.ok(fill(100) >= small);
    assert.equal(fill(900_000), 2);
    assert.throws(() => put(spool, 1, 'x'.repeat(2 ** 21)), {
      code: 'ERR_BRAID_SPOOL_FULL',
      message: /no call of \d+ bytes fits/,
    });
    assert.ok(statSync(spool.file).size <= 2 ** 21);
  });

  it('parts empty segments anew beside some that are not, and loses none of those', () => {
    const spool = make({ limitBytes: 4096 + 6 * 2 ** 20 });
    const half = 'x'.repeat(500_000);
    for (let id = 1; id <= 12; id++) {
      put(spool, id, half);
      spool.seal();
    }
    // Of six segments with two frames each the first four are free.
    spool.trim(8);
    const size = statSync(spool.file).size;
    put(spool, 13, 'x'.repeat(2_500_000));
    assert.deepEqual(read(spool.file), { found: range(9, 13), losses: [], sequences: range(9, 13) });
    // Into what is left of the four.
    for (let id = 14; id <= 16; id++) put(spool, id, half);
    assert.deepEqual(read(spool.file), { found: range(9, 16), losses: [], sequences: range(9, 16) });
    assert.throws(() => put(spool, 17, half), { code: 'ERR_BRAID_SPOOL_FULL' });
    assert.equal(statSync(spool.file).size, size);
    assert.equal(
      spool.pending(spool.seal()).reduce((sum, { ops }) => sum + ops, 0),
      8,
    );
  });

  it('begins a segment anew that only a call which failed has kept', () => {
    const spool = make({ limitBytes: 2 ** 21 });
    put(spool, 1, 'x'.repeat(600_000));
    const sealed = spool.seal();
    spool.encoder.begin(100);
    assert.throws(() => spool.encoder.uri(2, '\0'), { code: 'ERR_BRAID_TEXT_INVALID' });
    spool.trim(sealed);
    put(spool, 2, 'x'.repeat(600_000));
    assert.deepEqual(read(spool.file), { found: [2], losses: [], sequences: [2] });
  });

  it('shows whoever comes after a SIGKILL what was stored and not what was committed', async function () {
    this.timeout(60_000);
    const program = fileURLToPath(new URL('./spool-writer.js', import.meta.url));
    for (let kill = 1; kill <= 12; kill++) {
      const child = spawn(process.execPath, [program, join(directory, 'spools'), String(kill)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      // Each line is a watermark, written when all up to it is stored and before it is trimmed.
      let [file, stored, lines] = ['', 0, 0];
      for await (const line of createInterface(child.stdout)) {
        if (file === '') file = line;
        else stored = Number(line);
        // Somewhere in what comes next: in a trim, in a new parting, in a call.
        if (++lines === 2 + kill) child.kill('SIGKILL');
      }
      const { uris, losses } = contents(file);
      assert.deepEqual(losses, []);
      assert.ok(uris.length === 0 || uris.at(-1)!.id >= stored, `${uris.at(-1)?.id} is the last, ${stored} was stored`);
      uris.forEach(({ id, uri }, i) => {
        assert.equal(id, uris[0].id + i);
        assert.equal(uri.slice(0, uri.indexOf('/')), String(id));
      });
      rmSync(file);
    }
  });

  describe('that is durable', () => {
    const core = loadAddon<CoreAddon>('braid_core');
    const cached = createRequire(import.meta.url).cache[addonPath('braid_core')]!;
    /** What is on the disk: the pages that were synced, and zeros. */
    let disk: Buffer;
    let sync: CoreAddon['sync'];
    /** Called for each page, the last of a range first. */
    let whenWritten: () => void;
    beforeEach(() => {
      disk = Buffer.alloc(2 ** 23);
      whenWritten = () => {};
      const offsets = new Map<ArrayBuffer, number>();
      sync = (memory, from, bytes) => {
        const start = from - (from % 4096);
        const end = Math.min(memory.byteLength, Math.ceil((from + bytes) / 4096) * 4096);
        for (let page = end - 4096; page >= start; page -= 4096) {
          Buffer.from(memory, page, 4096).copy(disk, offsets.get(memory)! + page);
          whenWritten();
        }
      };
      cached.exports = {
        lock: (fd) => core.lock(fd),
        lockShared: (fd) => core.lockShared(fd),
        allocate: (fd, offset, bytes) => core.allocate(fd, offset, bytes),
        map(fd, offset, bytes) {
          const memory = core.map(fd, offset, bytes);
          offsets.set(memory, offset);
          return memory;
        },
        unmap: (memory) => core.unmap(memory),
        sync: (memory, offset, bytes) => sync(memory, offset, bytes),
        copy: (target, source) => core.copy(target, source),
        widenAffinity: (pid) => core.widenAffinity(pid),
      } satisfies CoreAddon;
    });
    afterEach(() => void (cached.exports = core));

    const onDisk = (spool: Spool) => {
      const copy = join(directory, 'copy.spool');
      writeFileSync(copy, disk.subarray(0, statSync(spool.file).size));
      return read(copy);
    };

    it('has on the disk what a call has returned for: its op, and the header of its frame', () => {
      const spool = make({ durable: true });
      // The next frame's header is the end of a page, and its first op begins another.
      put(spool, 1, 'x'.repeat(4096 - 3 * 64 - 16));
      spool.seal();
      put(spool, 2, 'y');
      assert.deepEqual(onDisk(spool), { found: [1, 2], losses: [], sequences: [1, 2] });
    });

    it('has on the disk where its segments begin, when empty ones are parted anew', () => {
      const spool = make({ durable: true, limitBytes: 4096 + 6 * 2 ** 20 });
      for (let id = 1; id <= 12; id++) {
        put(spool, id, 'x'.repeat(500_000));
        spool.seal();
      }
      spool.trim(8);
      put(spool, 13, 'x'.repeat(2_500_000));
      const { found, losses } = onDisk(spool);
      // Of what was committed some may still be there: the ledger knows.
      assert.deepEqual([found.filter((id) => id > 8), losses], [range(9, 13), []]);
    });

    it('gives back what its calls have returned for, whatever pages reach the disk first', () => {
      const spool = make({ durable: true });
      for (let id = 1; id <= 60; id++) {
        whenWritten = () => {
          const { found, losses } = onDisk(spool);
          assert.deepEqual(losses, []);
          assert.deepEqual(found.slice(0, id - 1), range(1, id - 1));
        };
        put(spool, id, 'x'.repeat((id * 971) % 5000));
        if (id % 3 !== 0) spool.seal();
      }
    });

    it('stores nothing of a call that cannot be brought to the disk', () => {
      const spool = make({ durable: true });
      const works = sync;
      put(spool, 1, 'first');
      sync = () => {
        throw Object.assign(new Error('EIO: i/o error, msync'), { code: 'EIO' });
      };
      const code = 'ERR_BRAID_SPOOL_IO';
      assert.throws(() => put(spool, 2, 'of the same frame'), { code, message: /msync/ });
      assert.equal(spool.recorded, 1);
      const sealed = spool.seal();
      assert.throws(() => put(spool, 2, 'of the next'), { code });
      assert.deepEqual(read(spool.file).found, [1]);
      sync = works;
      put(spool, 2, 'second');
      assert.deepEqual([spool.recorded, spool.pending(spool.seal()).length], [2, 2]);
      assert.deepEqual(onDisk(spool), { found: [1, 2], losses: [], sequences: [sealed, sealed + 1] });
    });
  });

  it('reports a full disk as an error, and works again when there is room', function () {
    const mount = join(directory, 'small');
    mkdirSync(mount);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', mount]);
    if (mounted.status !== 0) {
      this.test!.title += ', skipped: only root can mount a small disk';
      this.skip();
    }
    try {
      const spool = new Spool(join(mount, 's'), spoolOwner, { limitBytes: 2 ** 30, durable: false });
      let id = 0;
      assert.throws(
        () => {
          for (;;) put(spool, ++id, 'x'.repeat(10_000));
        },
        { code: 'ERR_BRAID_SPOOL_FULL', message: /ENOSPC/ },
      );
      assert.deepEqual(read(spool.file).found, range(1, id - 1));
      spawnSync('mount', ['-o', 'remount,size=8m', mount]);
      put(spool, id, 'there is room again');
      assert.deepEqual(read(spool.file).found, range(1, id));
      spool.remove();
    } finally {
      spawnSync('umount', [mount]);
    }
  });

  it('is gone with its directory when it is removed, and stays for others', () => {
    // By a name of ours; one that the user has named stays.
    for (const name of [`run.db-spool-${process.geteuid!()}`, 'spools']) {
      const [one, two] = [0, 1].map((rank) => make({}, rank, name));
      one.remove();
      assert.deepEqual(readdirSync(join(directory, name)).length, 1);
      two.remove();
      assert.equal(existsSync(join(directory, name)), name === 'spools');
    }
  });

  it('finds a flipped bit by its CRC, and saves the other frames', () => {
    const spool = make();
    for (const id of [1, 2, 3]) {
      put(spool, id, `file:///${id}`);
      spool.seal();
    }
    const leftover = LeftoverSpool.open(spool.file);
    const [, second] = leftover.scan().frames;
    leftover.close();
    const fd = openSync(spool.file, 'r+');
    writeSync(fd, Buffer.from([0x5a]), 0, 1, second.offset + FRAME_HEADER_BYTES + 20);
    closeSync(fd);
    const { found, losses } = read(spool.file);
    assert.deepEqual(found, [1, 3]);
    assert.deepEqual(
      losses.map(({ sequence }) => sequence),
      [2],
    );
    assert.match(losses[0].reason, /CRC/);
  });

  it('cuts an open frame before an op that makes no sense, and before a page that was lost', () => {
    const damages: [string, (bytes: Buffer, op: number) => void, number[]][] = [
      ['an id of 0', (bytes, op) => bytes.fill(0, op + 4, op + 12), range(1, 499)],
      ['a page of zeros', (bytes, op) => bytes.fill(0, page(op), page(op) + 4096), []],
      ['a page of zeros between two ops', (bytes, op) => bytes.fill(0, op, page(op) + 8192), range(1, 499)],
    ];
    const page = (at: number) => at - (at % 4096);
    damages.forEach(([title, damage, found], i) => {
      const spool = make({}, i);
      for (let id = 1; id <= 1000; id++) put(spool, id, `file:///${String(id).padStart(6, '0')}`);
      const bytes = readFileSync(spool.file);
      const op = bytes.indexOf('file:///000500') - 16;
      damage(bytes, op);
      writeFileSync(spool.file, bytes);
      const { found: sound, losses } = read(spool.file);
      assert.deepEqual(losses.map(({ sequence }) => sequence), [1], title); // prettier-ignore
      assert.deepEqual(sound, found.length > 0 ? found : range(1, sound.length), title);
      assert.ok(sound.length > 100 && sound.length < 500, `${title}: ${sound.length}`);
    });
  });

  it('takes a call that was being written, or that failed, for no loss', () => {
    const spool = make();
    put(spool, 1, 'x');
    spool.encoder.begin(10_000);
    for (let i = 0; i < 20; i++) spool.encoder.uri(2, 'y'.repeat(100));
    assert.deepEqual(read(spool.file), { found: [1], losses: [], sequences: [1] });
    put(spool, 3, 'z');
    assert.deepEqual(read(spool.file), { found: [1, 3], losses: [], sequences: [1] });
  });

  it('finds what is behind a damaged segment header, and not the segments that once stood inside', () => {
    const spool = make({ limitBytes: 4096 + 6 * 2 ** 20 });
    for (let id = 1; id <= 12; id++) {
      put(spool, id, 'x'.repeat(500_000));
      spool.seal();
    }
    spool.trim(8);
    // Three of the four empty segments become one and a rest, and that, with the fourth, another. The third's header stays.
    spool.encoder.begin(2_500_000);
    put(spool, 13, 'x'.repeat(2_000_000));
    spool.seal();
    put(spool, 14, 'x'.repeat(1_200_000));
    spool.seal();
    const bytes = readFileSync(spool.file);
    const headers = [...Array(6).keys()].map((i) => 4096 + i * 2 ** 20).filter((at) => bytes.toString('latin1', at, at + 4) === 'BRSG'); // prettier-ignore
    assert.ok(headers.includes(4096 + 2 * 2 ** 20), 'the header of the third stands inside of the new one');
    const fd = openSync(spool.file, 'r+');
    for (const at of [0, 4, 9, 13]) {
      writeSync(fd, Buffer.of(bytes[4096 + at] ^ 0x10), 0, 1, 4096 + at);
      assert.deepEqual(read(spool.file), { found: range(9, 14), losses: [], sequences: range(9, 14) });
      writeSync(fd, bytes, 4096 + at, 1, 4096 + at);
    }
    closeSync(fd);
  });

  it("has a header that says the same whichever bit of it flips, and what is damaged twice is nobody's", () => {
    const spool = make();
    put(spool, 1, 'x');
    spool.trim(spool.seal());
    spool.mark('failed', 3);
    const header = readFileSync(spool.file).subarray(0, 4096);
    const sound = readSpoolHeader(header, spool.file)!;
    assert.deepEqual([sound.owner.run, sound.end, sound.detail, sound.trimmed], [spoolOwner.run, 'failed', 3, 1]);
    const written = [0, 2048].flatMap((half) => range(half, half + 64 + header.readUInt32LE(8)));
    for (const at of written) {
      for (let bit = 0; bit < 8; bit++) {
        header[at] ^= 1 << bit;
        assert.deepEqual(readSpoolHeader(header, spool.file), sound, `bit ${bit} of byte ${at}`);
        header[at] ^= 1 << bit;
      }
    }
    for (const [one, other] of [
      [80, 2048 + 90],
      [0, 2048 + 12],
    ]) {
      const damaged = Buffer.from(header);
      damaged[one] ^= 1;
      damaged[other] ^= 1;
      assert.throws(() => readSpoolHeader(damaged, spool.file), { code: 'ERR_BRAID_SPOOL_DAMAGED', message: /header/ });
    }
  });

  it('gives frames of which their owner and their magic are damaged, as they were', () => {
    const spool = make();
    for (const id of [1, 2, 3]) {
      put(spool, id, `file:///${id}`);
      spool.seal();
    }
    put(spool, 4, 'open');
    const leftover = LeftoverSpool.open(spool.file);
    const { frames } = leftover.scan();
    const fd = openSync(spool.file, 'r+');
    for (const { offset } of frames) writeSync(fd, Buffer.alloc(32, 0x5a), 0, 32, offset);
    closeSync(fd);
    assert.deepEqual(read(spool.file), { found: range(1, 4), losses: [], sequences: range(1, 4) });
    for (const frame of frames.slice(0, 3)) {
      const bytes = leftover.read(frame);
      const { run, sealed, crc } = readFrameHeader(bytes, 0)!;
      assert.deepEqual(
        [run, sealed, crc],
        [spoolOwner.run, true, frameCrc(bytes, 0, bytes.length - FRAME_HEADER_BYTES)],
      );
    }
    leftover.close();
  });

  it('says which frames of damaged ones are lost, by those around them', () => {
    const spool = make();
    for (let id = 1; id <= 6; id++) {
      put(spool, id, 'x'.repeat(id === 4 ? 1_500_000 : 100));
      spool.seal();
    }
    const leftover = LeftoverSpool.open(spool.file);
    const at = leftover.scan().frames.map(({ offset }) => offset);
    leftover.close();
    const sound = readFileSync(spool.file);
    /** With both what their numbers say, and how that may be checked, destroyed. */
    const lose = (...sequences: number[]) => {
      const bytes = Buffer.from(sound);
      for (const sequence of sequences) bytes.fill(0x5a, at[sequence - 1] + 32, at[sequence - 1] + 56);
      writeFileSync(spool.file, bytes);
      const { losses, sequences: found } = read(spool.file);
      assert.deepEqual(
        found,
        range(1, 6).filter((sequence) => !sequences.includes(sequence)),
      );
      return losses.map(({ sequence }) => sequence).sort();
    };
    assert.deepEqual([lose(1), lose(2), lose(5), lose(3)], [[1], [2], [5], [3]]);
    // Alone in its segment.
    assert.deepEqual(lose(4), [4]);
    assert.deepEqual(lose(6), [6]);
    assert.deepEqual(lose(2, 4), [2, 4]);
    assert.deepEqual(lose(1, 2), [1, 2]);
  });

  it('says that a lost segment header, or a lost header, is a loss', () => {
    const spool = make();
    for (let id = 1; id <= 200; id++) put(spool, id, 'x'.repeat(10_000));
    const fd = openSync(spool.file, 'r+');
    writeSync(fd, Buffer.alloc(4096), 0, 4096, 4096 + 2 ** 20);
    const { found, losses } = read(spool.file);
    assert.ok(found.length > 180 && found.length < 200);
    assert.match(losses[0].reason, /zeros/);
    writeSync(fd, Buffer.alloc(4096), 0, 4096, 0);
    closeSync(fd);
    assert.throws(() => LeftoverSpool.open(spool.file), { code: 'ERR_BRAID_SPOOL_DAMAGED' });
  });

  it('takes a segment of which the header was not completed for none', () => {
    const spool = make();
    const fd = openSync(spool.file, 'r+');
    // The magic is stored last.
    writeSync(fd, Buffer.alloc(4), 0, 4, 4096);
    closeSync(fd);
    assert.deepEqual(read(spool.file), { found: [], losses: [], sequences: [] });
  });

  it('gives a frame that a commit refuses for one that can no longer be read', () => {
    const spool = make();
    put(spool, 1, 'x');
    spool.abandon();
    const leftover = LeftoverSpool.open(spool.file);
    const [frame] = leftover.scan().frames;
    truncateSync(spool.file, frame.offset + 70);
    const bytes = leftover.read(frame);
    leftover.close();
    assert.equal(readFrameHeader(bytes, 0)?.sequence, 1);
    assert.throws(() => [...decodeFrame(bytes, 0, bytes.length - FRAME_HEADER_BYTES)], {
      code: 'ERR_BRAID_FRAME_DAMAGED',
    });
  });

  it('replaces one of its name that is free and holds nothing, and no other', () => {
    make().abandon();
    const live = make();
    assert.throws(() => make(), { code: 'ERR_BRAID_RUN_ALIVE', message: /begun the same attempt/ });
    put(live, 1, 'x');
    live.abandon();
    assert.throws(() => make(), { code: 'ERR_BRAID_SPOOL_UNWRITABLE' });
    assert.deepEqual(read(live.file).found, [1]);
    assert.equal(readdirSync(join(directory, 'spools')).length, 1);
  });

  it('is taken by a recovery with all others of its attempt, or not at all', () => {
    const [dead, living] = [make({}, 0), make({}, 1)];
    dead.abandon();
    const scan = (readOnly = false) =>
      new Leftovers({
        directories: [join(directory, 'spools')],
        path: '/x/run.db',
        database: 'd'.repeat(32),
        readOnly,
      });
    const seen = scan();
    assert.deepEqual(seen.reports.map(({ alone }) => alone).sort(), ['alive', 'alive']);
    assert.equal(seen.holds(dead.file), false);
    living.abandon();
    // Any number may look at once. A recovery waits for them a while, and then says what it has met.
    const looks = [scan(true), scan(true)];
    for (const look of looks) assert.deepEqual(look.reports.map(({ alone }) => alone), [undefined, undefined]); // prettier-ignore
    assert.deepEqual(scan().reports.map(({ alone }) => alone), ['busy', 'busy']); // prettier-ignore
    for (const look of looks) look.release();
    const first = scan();
    assert.ok(first.holds(dead.file) && first.holds(living.file));
    const second = scan();
    assert.ok(!second.holds(dead.file) && !second.holds(living.file));
    first.release();
  });

  it('is not made where somebody else could have laid a trap', () => {
    mkdirSync(join(directory, 'real'));
    symlinkSync(join(directory, 'real'), join(directory, 'spools'));
    assert.throws(() => make(), { code: 'ERR_BRAID_SPOOL_FOREIGN' });
    symlinkSync('/etc/hostname', join(directory, 'link.spool'));
    assert.throws(() => LeftoverSpool.open(join(directory, 'link.spool')), { code: 'ELOOP' });
  });
});
