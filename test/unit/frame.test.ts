import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeFrame, walkOps } from '#src/frame/decoder.js';
import { Encoder } from '#src/frame/encoder.js';
import { FRAME_HEADER_BYTES } from '#src/frame/format.js';
import { frameCrc, readFrameHeader } from '#src/frame/header.js';
import { call, encode, frameOf, withIds } from '../support/ops.js';

const owner = { run: '0123456789abcdef0123456789abcdef', attempt: 2, rank: 3 };

describe('a frame', () => {
  it('gives back the ops that were written, whatever they are', () => {
    fc.assert(
      fc.property(fc.array(call, { maxLength: 12 }), (generated) => {
        let id = 0;
        const calls = withIds(generated, () => ++id);
        const frame = frameOf(owner, 7, calls);
        const header = readFrameHeader(frame, 0)!;
        // fast-check's objects have no prototype, the decoder's have one.
        const ops = structuredClone(calls.flat());
        assert.equal(header.ops, ops.length);
        assert.equal(header.records, ops.filter(({ op }) => op === 'record').length);
        assert.deepEqual([header.run, header.attempt, header.rank, header.sequence], [...Object.values(owner), 7]);
        assert.equal(header.crc, frameCrc(frame, 0, header.bytes));
        assert.deepEqual([...decodeFrame(frame, 0, header.bytes)], ops);
      }),
    );
  });

  it('is never read beyond its end, and never for ever, whatever its bytes', () => {
    fc.assert(
      fc.property(
        fc.array(call, { minLength: 1, maxLength: 4 }),
        fc.array(fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) }), { minLength: 1, maxLength: 4 }),
        (generated, damages) => {
          const frame = frameOf(
            owner,
            1,
            withIds(generated, () => 1),
          );
          for (const { at, value } of damages)
            frame[FRAME_HEADER_BYTES + (at % (frame.length - FRAME_HEADER_BYTES))] = value;
          try {
            for (const op of decodeFrame(frame, 0, frame.length - FRAME_HEADER_BYTES)) assert.ok(op.op);
          } catch (error) {
            assert.equal((error as { code: string }).code, 'ERR_BRAID_FRAME_DAMAGED');
          }
        },
      ),
    );
  });

  it('differs by its CRC when any bit is another', () => {
    const frame = frameOf(owner, 1, [[{ op: 'uri', record: 1, uri: 'file:///a' }]]);
    const { crc, bytes } = readFrameHeader(frame, 0)!;
    for (let bit = 8 * 8; bit < frame.length * 8; bit++) {
      const at = bit >>> 3;
      if (at >= 48 && at < 64) continue;
      frame[at] ^= 1 << (bit & 7);
      assert.notEqual(frameCrc(frame, 0, bytes), crc, `bit ${bit}`);
      frame[at] ^= 1 << (bit & 7);
    }
  });
});

describe('the encoder', () => {
  /** Memory that holds what an earlier use has left. */
  const dirty = (bytes: number) => Buffer.from(new ArrayBuffer(bytes)).fill(0xff);
  const window = (buffer: Buffer) => {
    const encoder = new Encoder(() => assert.fail('no more room'));
    buffer.writeUInt32LE(0, 0);
    encoder.bind(buffer, 0, buffer.length);
    return encoder;
  };

  it('shows a reader all of a call or nothing of it', () => {
    const buffer = dirty(4096);
    const encoder = window(buffer);
    encode(encoder, [{ op: 'uri', record: 1, uri: 'first' }]);
    const before = walkOps(buffer, 0, buffer.length);
    assert.deepEqual([before.ops, before.damaged], [1, false]);
    encoder.begin(500);
    encoder.record(5, 2, 0, 'half');
    encoder.uri(5, 'of a call');
    assert.deepEqual(walkOps(buffer, 0, buffer.length), before);
    encoder.publish();
    const after = walkOps(buffer, 0, buffer.length);
    assert.deepEqual([after.ops, after.records, after.damaged], [3, 1, false]);
    assert.equal(after.end, encoder.position);
  });

  it('forgets a call that threw', () => {
    const buffer = dirty(4096);
    const encoder = window(buffer);
    encoder.begin(500);
    encoder.record(1, 2, 0, 'ok');
    assert.throws(() => encoder.uri(1, 'lone \ud800'), { code: 'ERR_BRAID_TEXT_INVALID' });
    encode(encoder, [{ op: 'tag', record: 9, key: 'k', value: 'v', type: 1 }]);
    const walked = walkOps(buffer, 0, buffer.length);
    assert.deepEqual([walked.ops, walked.records, encoder.ops, encoder.records], [1, 0, 1, 0]);
  });

  it('asks for room before it writes beyond its window', () => {
    const asked: number[] = [];
    const small = dirty(64);
    small.writeUInt32LE(0, 0);
    const large = dirty(4096);
    large.writeUInt32LE(0, 0);
    const encoder = new Encoder((bytes) => {
      asked.push(bytes);
      encoder.bind(large, 0, large.length);
    });
    encoder.bind(small, 0, small.length);
    encoder.begin(100);
    encoder.uri(1, 'x');
    encoder.publish();
    assert.deepEqual(asked, [104]);
    assert.equal(walkOps(small, 0, small.length).ops, 0);
    assert.equal(walkOps(large, 0, large.length).ops, 1);
  });
});
