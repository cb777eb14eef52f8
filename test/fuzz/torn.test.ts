import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { isDeepStrictEqual } from 'node:util';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { BraidError } from '#src/errors.js';
import { decodeFrame, walkOps } from '#src/frame/decoder.js';
import { Encoder } from '#src/frame/encoder.js';
import { FRAME_HEADER_BYTES } from '#src/frame/format.js';
import { frameCrc, nameFrame, readFrameHeader } from '#src/frame/header.js';
import { LeftoverSpool } from '#src/spool/spool-file.js';
import { Spool } from '#src/spool/spool.js';
import { call, encode, withIds } from '../support/ops.js';
import { spoolOwner } from '../support/spool-owner.js';

/** The ops that a reader finds in memory as it is. */
const read = (buffer: Buffer) => {
  const { end, damaged } = walkOps(buffer, 64, buffer.length);
  assert.equal(damaged, false);
  return [...decodeFrame(buffer, 0, end - 64)];
};

describe('bytes that are torn, stale or hostile', () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(path.join(tmpdir(), 'braid-torn-'))));
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  it('of a call of which only the stores before its first word are there are the calls before it', () => {
    fc.assert(
      fc.property(fc.array(call, { minLength: 2, maxLength: 3 }), fc.nat({ max: 255 }), (generated, old) => {
        const calls = withIds(generated, () => 1);
        // What stood in recycled memory: other bytes, and whole ops at every place.
        const buffer = Buffer.from(new ArrayBuffer(2 ** 14)).fill(old);
        for (let at = 64; at < buffer.length; at += 4) buffer.writeUInt32LE(0x02000008, at);
        buffer.writeUInt32LE(0, 64);
        const encoder = new Encoder(() => assert.fail('no more room'));
        encoder.bind(buffer, 64, buffer.length);
        for (const ops of calls.slice(0, -1)) encode(encoder, ops);
        const before = Buffer.from(buffer);
        const ops = read(before);
        const start = encoder.position;
        // Nothing shows before the call's own publish, either.
        encoder.publish = () => {
          assert.deepEqual(read(buffer), ops);
          return Encoder.prototype.publish.call(encoder);
        };
        encode(encoder, calls.at(-1)!);
        // Each prefix of its bytes without the word at `start`, which is stored last.
        for (let cut = start + 4; cut <= encoder.position + 4; cut += 4) {
          const torn = Buffer.from(before);
          buffer.copy(torn, start + 4, start + 4, cut);
          assert.deepEqual(read(torn), ops);
        }
        assert.equal(read(buffer).length, ops.length + calls.at(-1)!.length);
      }),
      { numRuns: 60, seed: 4 },
    );
  });

  it('in a spool give frames and losses, or a BraidError, in bounded time', () => {
    const spool = new Spool(path.join(directory, 'spools'), spoolOwner, { limitBytes: 2 ** 23, durable: false });
    for (let id = 1; id < 40; id++) {
      spool.encoder.begin(200);
      spool.encoder.uri(id, `file:///${id}`);
      spool.publish();
      if (id % 7 === 0) spool.seal();
    }
    const bytes = readFileSync(spool.file).subarray(0, 2 ** 18);
    spool.remove();
    const file = path.join(directory, 'hostile');
    fc.assert(
      fc.property(
        fc.array(fc.record({ at: fc.nat({ max: 7000 }), word: fc.oneof(fc.nat({ max: 9 }), fc.nat()) }), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.nat({ max: bytes.length }),
        fc.boolean(),
        (damages, length, cut) => {
          const damaged = Buffer.from(bytes);
          for (const { at, word } of damages) damaged.writeUInt32LE(word, at);
          writeFileSync(file, cut ? damaged.subarray(0, length) : damaged);
          try {
            const leftover = LeftoverSpool.open(file, true);
            try {
              for (const frame of leftover.scan().frames) assert.equal(leftover.read(frame).length, frame.bytes);
            } finally {
              leftover.close();
            }
          } catch (error) {
            assert.ok(error instanceof BraidError, String(error));
          }
        },
      ),
      { numRuns: 300, seed: 4 },
    );
  });

  it('that are made to look like many frames take a spool no more than seconds', () => {
    const spool = new Spool(path.join(directory, 'spools'), spoolOwner, { limitBytes: 2 ** 23, durable: false });
    spool.encoder.begin(3 * 2 ** 20 + 64);
    spool.encoder.uri(1, 'x'.repeat(3 * 2 ** 20));
    spool.publish();
    spool.seal();
    const bytes = readFileSync(spool.file);
    spool.remove();
    // Each says that it reaches to the end of the segment.
    for (let at = 4096 + 64, sequence = 2; at + 128 < bytes.length; at += 64) {
      bytes.copy(bytes, at, 4096 + 64, 4096 + 128);
      nameFrame(bytes, at, spoolOwner, sequence++);
      bytes.writeUInt32LE((bytes.length - at - 64) & ~3, at + 36);
    }
    const file = path.join(directory, 'hostile');
    writeFileSync(file, bytes);
    const leftover = LeftoverSpool.open(file, true);
    const started = performance.now();
    const { frames, losses } = leftover.scan();
    assert.ok(performance.now() - started < 20_000);
    leftover.close();
    assert.deepEqual(frames, []);
    assert.match(losses.at(-1)!.reason, /more is damaged than can be looked into/);
  });

  describe('of which one bit has flipped, in a spool with space that was used before,', () => {
    /** What a reader finds: by frame, the ids that were recorded in it. */
    const contents = (file: string) => {
      const leftover = LeftoverSpool.open(file, true);
      try {
        const { frames, losses } = leftover.scan();
        const found = frames.map((frame) => {
          const bytes = leftover.read(frame);
          assert.equal(readFrameHeader(bytes, 0)?.crc, frameCrc(bytes, 0, bytes.length - FRAME_HEADER_BYTES));
          const ops = [...decodeFrame(bytes, 0, bytes.length - FRAME_HEADER_BYTES)];
          return { ...frame, ids: ops.map((op) => (op as { record: number }).record) };
        });
        const { owner, end, detail, trimmed } = leftover;
        return { frames: found, losses, header: { owner, end, detail, trimmed } };
      } finally {
        leftover.close();
      }
    };
    let file: string;
    let sound: ReturnType<typeof contents>;
    let bytes: Buffer;
    let spool: Spool;
    beforeEach(() => {
      let id = 0;
      spool = new Spool(path.join(directory, 'spools'), spoolOwner, { limitBytes: 2 ** 24, durable: false });
      const record = (length: number, sealed = true) => {
        spool.encoder.begin(100 + length);
        spool.encoder.uri(++id, `file:///${id}/`.padEnd(length, 'x'));
        spool.publish();
        return sealed ? spool.seal() : 0;
      };
      const fail = (length: number) => {
        spool.encoder.begin(100 + length);
        spool.encoder.uri(++id, 'y'.repeat(length));
        assert.throws(() => spool.encoder.uri(id, '\0'), { code: 'ERR_BRAID_TEXT_INVALID' });
      };
      // Four segments, one of three of them for a large call, and the first of those again for a small one.
      for (let i = 0; i < 30; i++) record(120_000);
      spool.trim(spool.seal());
      fail(2_500_000);
      spool.trim(record(2_500_000));
      for (let i = 0; i < 9; i++) record(300_000);
      fail(700_000);
      // In the midst of a segment, which so keeps frames that are covered beside some that are not.
      spool.trim(record(200) - 5);
      for (let i = 0; i < 6; i++) record(30_000);
      record(1_000_000);
      for (let i = 0; i < 12; i++) record(60 + i * 40, i % 3 === 2);
      for (let i = 0; i < 5; i++) record(100, false);
      spool.mark('signal', 15);
      ({ file } = spool);
      sound = contents(file);
      bytes = readFileSync(file);
      assert.deepEqual(sound.losses, []);
      assert.ok(sound.frames.some(({ sequence }) => sequence <= sound.header.trimmed));
      assert.equal(sound.frames.at(-1)!.open, true);
    });
    afterEach(() => spool.remove());

    const flipped = (at: number, bit: number) => {
      const fd = openSync(file, 'r+');
      const write = (byte: number) => writeSync(fd, Buffer.of(byte), 0, 1, at);
      try {
        write(bytes[at] ^ (1 << bit));
        return contents(file);
      } finally {
        write(bytes[at]);
        closeSync(fd);
      }
    };

    /** What is missing is the frame that the bit is in, and is told; nothing else is there, nor said to be lost. */
    const check = (at: number, bit: number) => {
      const title = `bit ${bit} of byte ${at}`;
      const { frames, losses, header } = flipped(at, bit);
      assert.deepEqual(header, sound.header, title);
      const hit = sound.frames.find(({ offset, bytes }) => at >= offset && at < offset + bytes);
      const { trimmed } = header;
      const others = (all: typeof frames) =>
        all.filter(({ sequence }) => sequence > trimmed && sequence !== hit?.sequence);
      assert.deepEqual(others(frames), others(sound.frames), title);
      const covered = frames.filter(({ sequence }) => sequence <= trimmed);
      for (const frame of covered)
        assert.ok(
          sound.frames.some((each) => isDeepStrictEqual(each, frame)),
          title,
        );
      if (hit && hit.sequence <= trimmed) return assert.deepEqual(losses, [], title);
      const [left] = frames.filter(({ sequence }) => sequence === hit?.sequence);
      // No CRC stands for the ops of an open frame: those before the bit are as they were.
      const inOps = hit?.open && at >= hit.offset + FRAME_HEADER_BYTES;
      if (hit && !inOps && left) assert.deepEqual(left, hit, title);
      if (left?.ops === hit?.ops && losses.length === 0) return;
      assert.notEqual(left?.ops, hit?.ops, `${title}: ${losses[0]?.reason}`);
      assert.equal(losses.length, 1, title);
      // The newest can't be told from one that never was.
      const told = [hit!.sequence, ...(hit!.open ? [undefined] : [])];
      assert.ok(told.includes(losses[0].sequence), `${title}: frame ${losses[0].sequence}, not ${hit!.sequence}`);
    };

    it('lose at most the frame that it is in, say so, and show nothing that was there before', function () {
      this.timeout(120_000);
      const size = statSync(file).size;
      const at = fc.oneof(fc.nat({ max: size - 1 }), fc.nat({ max: 4095 }), fc.nat({ max: 200_000 }));
      fc.assert(
        fc.property(at, fc.nat({ max: 7 }), (at, bit) => check(at, bit)),
        { numRuns: 400, seed: 4 },
      );
    });

    it('lose at most a frame, whichever bit of its header it is, and none by that of a segment', function () {
      this.timeout(120_000);
      const headers = sound.frames.flatMap(({ offset, bytes }) => [offset, offset + bytes]);
      for (let at = 4096; at < bytes.length; at += 4096)
        if (bytes.toString('latin1', at, at + 4) === 'BRSG') headers.push(at);
      fc.assert(
        fc.property(fc.constantFrom(...headers), fc.nat({ max: 67 }), fc.nat({ max: 7 }), (header, byte, bit) =>
          check(header + byte, bit),
        ),
        { numRuns: 800, seed: 4 },
      );
    });
  });

  it('with a sound CRC but no owner are refused, and a FIFO is not waited for', () => {
    const file = path.join(directory, 'foreign');
    for (const text of ['null', '{', '[]', '{"run":1}', '7']) {
      const header = Buffer.alloc(4096);
      header.write('BRSP');
      header.writeUInt32LE(1, 4);
      header.writeUInt32LE(text.length, 8);
      header.writeUInt32LE(crc32(text), 12);
      header.write(text, 64);
      writeFileSync(file, header);
      assert.throws(() => LeftoverSpool.open(file, true), { code: 'ERR_BRAID_SPOOL_DAMAGED' }, text);
    }
    const fifo = path.join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    assert.throws(() => LeftoverSpool.open(fifo, true), { code: 'ERR_BRAID_SPOOL_FOREIGN' });
  });
});
