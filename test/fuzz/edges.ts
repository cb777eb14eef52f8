/**
 * Rounds that are damaged in one place, each just beyond what one check of the decoders lets pass: without it, it would be
 * taken, or read beyond its end. A chance would hit few of them, since what follows mostly refuses a damaged round, too.
 *
 * `node dist-dev/test/fuzz/edges.js` writes them to test/fuzz/refused, for scripts/fuzz.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { FRAME_HEADER_BYTES, FrameField, Op, align4 } from '#src/frame/format.js';
import { beginFrame, sealFrame } from '#src/frame/header.js';

const root = path.dirname(createRequire(import.meta.url).resolve('braid-mpi/package.json'));

/** Where scripts/fuzz finds them. */
export const REFUSED = path.join(root, 'test/fuzz/refused');

const owner = { run: '0123456789abcdef0123456789abcdef', attempt: 2, rank: 3 };

const u32 = (...values: number[]) => {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => bytes.writeUInt32LE(value >>> 0, 4 * i));
  return bytes;
};
const u64 = (value: number) => u32(value, Math.floor(value / 2 ** 32));
/** An id with a small number in its upper byte. */
const id = (value: number, small = 0) => u32(value, Math.floor(value / 2 ** 32) + small * 2 ** 24);
const text = (value: string) => Buffer.concat([u32(value.length), Buffer.from(value)]);
const uuid = Buffer.alloc(16, 0xab);
const TIME = u64(1_750_000_000_000_000);
const BEYOND = u64(2 ** 53);

/** An op, padded; `length` where it isn't what it has. */
function op(type: number, payload: readonly Buffer[], length?: number): Buffer {
  const bytes = Buffer.concat(payload);
  const padded = Buffer.concat([bytes, Buffer.alloc(align4(bytes.length) - bytes.length)]);
  return Buffer.concat([u32((length ?? 4 + padded.length) | (type << 24)), padded]);
}

/** A frame with these bytes as its ops, and what its header says of them. */
function frame(ops: readonly Buffer[], { sequence = 1, bytes = 0, count = 0, records = 0 } = {}): Buffer {
  const content = Buffer.concat(ops);
  const buffer = Buffer.from(new ArrayBuffer(FRAME_HEADER_BYTES + align4(content.length) + 4));
  beginFrame(buffer, 0, owner, sequence);
  const ofType = ops.filter((each) => each[3] === Op.record).length;
  sealFrame(buffer, 0, content.length + bytes, ops.length + count, ofType + records);
  content.copy(buffer, FRAME_HEADER_BYTES);
  return buffer.subarray(0, FRAME_HEADER_BYTES + content.length);
}

const uri = op(Op.uri, [id(1), text('file:///x')]);
const update = op(Op.update, [id(1, 2), TIME, u32(0), u64(1)]);
const exposure = op(Op.exposure, [id(2)]);
const versionUri = op(Op.versionUri, [text('file:///v')]);
const versionTag = op(Op.versionTag, [u32(1), u32(1, 1), Buffer.from('kv')]);

/** A round that is sound: the edges are not refused for what they have in common. */
export const sound = Buffer.concat([
  frame([
    op(Op.record, [id(1, 3), TIME, text('model')]),
    uri,
    op(Op.tag, [id(1, 1), u32(1, 1), Buffer.from('kv')]),
    op(Op.derivation, [id(2, 4), id(1), TIME, uuid, u32(1, 2), u64(7)]),
    update,
    exposure,
    versionUri,
    versionTag,
    op(Op.invalidation, [id(1, 1), TIME, uuid, text('cause')]),
    op(Op.invalidation, [id(1, 0x41), TIME, uuid, uuid, u32(1, 2), u64(7), text('cause')]),
    op(Op.invalidationAction, [id(1, 2), TIME, uuid, u32(1, 2, 2), Buffer.from('ncm{}')]),
  ]),
  frame([uri], { sequence: 2 }),
]);

/** Ops that are wrong in themselves. */
const ops: Record<string, Buffer> = {
  // A length that takes the reader beyond the op, and one that brings it back by running over 2^32.
  'key-beyond-the-round': op(Op.tag, [id(1, 1), u32(2 + 16, 2 ** 32 - 16), Buffer.from('kv')]),
  'text-beyond-its-op': op(Op.uri, [id(1), u32(16), Buffer.from('file')]),
  // Of an op that is cut off at the end of the round, the next field lies behind it.
  ...Object.fromEntries(
    Object.entries(Op)
      .filter(([, type]) => type !== Op.versionUri)
      .map(([name, type]) => [`${name}-of-8-bytes`, op(type, [u32(1)])]),
  ),
  'op-of-0-bytes': op(Op.uri, [id(1), text('file')], 0),
  'op-of-4-bytes': op(Op.uri, [], 4),
  'op-of-17-bytes': op(Op.uri, [id(1), u32(0), Buffer.alloc(4)], 17),
  'op-beyond-the-round': op(Op.uri, [id(1), u32(64), Buffer.from('file')], 16 + 64),
  'op-longer-than-its-fields': op(Op.uri, [id(1), text('file'), u32(0)]),
  'padding-with-something': op(Op.uri, [id(1), u32(3), Buffer.from('filx')]),
  'op-of-type-0': op(0, [id(1), text('file')]),
  'op-of-type-11': op(11, [id(1), text('file')]),
  'id-0': op(Op.uri, [id(0), text('file')]),
  'id-beyond-53-bits': op(Op.uri, [id(2 ** 53), text('file')]),
  'plain-id-with-a-number': op(Op.uri, [id(1, 1), text('file')]),
  'time-beyond-53-bits': op(Op.record, [id(1, 1), BEYOND, text('name')]),
  'step-beyond-53-bits': op(Op.exposure, [id(1, 2), BEYOND]),
  'kind-0': op(Op.record, [id(1, 0), TIME, text('name')]),
  'kind-4': op(Op.record, [id(1, 4), TIME, text('name')]),
  'tag-of-type-0': op(Op.tag, [id(1, 0), u32(1, 1), Buffer.from('kv')]),
  'tag-of-type-4': op(Op.tag, [id(1, 4), u32(1, 1), Buffer.from('kv')]),
  'tag-of-type-0x13': op(Op.tag, [id(1, 0x13), u32(1, 1), Buffer.from('kv')]),
  'derivation-of-form-5': op(Op.derivation, [id(1, 5), id(2), TIME]),
  'exposure-of-form-5': op(Op.exposure, [id(1, 5)]),
  'update-that-makes-form-1': op(Op.update, [id(1, 1), TIME, u32(0)]),
  'update-that-makes-form-4': op(Op.update, [id(1, 4), TIME, u32(0), uuid, u32(1, 2), u64(7)]),
  'update-that-saw-form-1': op(Op.update, [id(1, 2), TIME, u32(1), u64(1)]),
  'update-that-saw-form-5': op(Op.update, [id(1, 2), TIME, u32(5), u64(1)]),
  'elsewhere-in-attempt-0': op(Op.exposure, [id(1, 4), uuid, u32(0, 2), u64(7)]),
  'elsewhere-of-form-1': op(Op.exposure, [id(1, 4), uuid, u32(1, 1)]),
  'elsewhere-of-form-4': op(Op.exposure, [id(1, 4), uuid, u32(1, 4), u64(7)]),
  'invalidation-with-flag-2': op(Op.invalidation, [id(1, 2), TIME, uuid, text('cause')]),
  'invalidation-of-form-1': op(Op.invalidation, [id(1, 0x11), TIME, uuid, text('cause')]),
  'invalidation-of-form-5': op(Op.invalidation, [id(1, 0x51), TIME, uuid, text('cause')]),
  'invalidation-in-attempt-0': op(Op.invalidation, [id(1, 0x41), TIME, uuid, uuid, u32(0, 2), u64(7), text('cause')]),
  'action-of-type-0': op(Op.invalidationAction, [id(1, 0), TIME, uuid, u32(1, 1, 0), Buffer.from('nc')]),
  'action-of-type-3': op(Op.invalidationAction, [id(1, 3), TIME, uuid, u32(1, 1, 0), Buffer.from('nc')]),
  'action-with-params-beyond-it': op(Op.invalidationAction, [id(1, 1), TIME, uuid, u32(1, 1, 64), Buffer.from('nc')]),
};

/** Of a frame's header, what the ops belie. */
export const edges: Readonly<Record<string, Buffer>> = {
  ...Object.fromEntries(Object.entries(ops).map(([name, each]) => [name, frame([update, each])])),
  'exposure-without-update': frame([exposure]),
  'version-uri-without-update': frame([versionUri]),
  'version-tag-without-update': frame([versionTag]),
  'update-in-the-frame-before': Buffer.concat([frame([update]), frame([exposure], { sequence: 2 })]),
  'op-into-the-next-frame': Buffer.concat([
    frame([op(Op.uri, [id(1), u32(FRAME_HEADER_BYTES)], 16 + FRAME_HEADER_BYTES)]),
    frame([uri], { sequence: 2 }),
  ]),
  'frame-with-a-byte-more': frame([uri, Buffer.alloc(1)], { count: -1 }),
  'frame-beyond-the-round': frame([uri], { bytes: 4 }),
  'frame-of-no-length': Buffer.concat([frame([uri], { bytes: -uri.length }), u32(0)]),
  'header-that-is-cut-off': Buffer.concat([frame([uri]), frame([uri]).subarray(0, FrameField.bytes)]),
  'one-op-too-few': frame([uri], { count: 1 }),
  'one-op-too-many': frame([uri, uri], { count: -1 }),
  'one-record-too-few': frame([uri], { records: 1 }),
};

/**
 * An op without a length of which the text runs over 2^32 back to its beginning: whoever takes it never ends. Not for a
 * process that nobody limits.
 */
const endless = { 'op-of-0-bytes-for-ever': frame([op(Op.uri, [id(1), u32(2 ** 32 - 16)], 0)]) };

/** Those that are files. */
export const files: Readonly<Record<string, Buffer>> = { ...edges, ...endless };

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  rmSync(REFUSED, { recursive: true, force: true });
  mkdirSync(REFUSED);
  for (const [name, bytes] of Object.entries(files)) writeFileSync(path.join(REFUSED, name), bytes);
}
