import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { BraidError } from '#src/errors.js';
import { decodeFrame, walkOps } from '#src/frame/decoder.js';
import { Encoder } from '#src/frame/encoder.js';
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
