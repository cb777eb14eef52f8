import fc from 'fast-check';
import { Encoder } from '#src/frame/encoder.js';
import {
  FRAME_HEADER_BYTES,
  TagType,
  type SourceVersion,
  type TagTypeCode,
  type VersionName,
} from '#src/frame/format.js';
import { beginFrame, sealFrame, type FrameOwner } from '#src/frame/header.js';
import type { DecodedOp } from '#src/frame/decoder.js';

/** Text that the recorder takes: well-formed, and without NUL. */
export const text = (minLength = 0) =>
  fc
    .string({ unit: 'grapheme', minLength, maxLength: 70 })
    .filter((each) => !each.includes('\0') && each.isWellFormed());

const MAX_MICROS = 2 ** 53 - 1;
const id = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: MAX_MICROS }));
const time = fc.oneof(
  fc.integer({ min: 1_700_000_000_000_000, max: 1_800_000_000_000_000 }),
  fc.integer({ min: -MAX_MICROS, max: MAX_MICROS }),
);
const uuid = fc.stringMatching(/^[0-9a-f]{32}$/);
const here: fc.Arbitrary<VersionName> = fc.oneof(
  fc.record({ step: fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: MAX_MICROS })) }),
  fc.record({ rank: fc.nat({ max: 3 }), ordinal: fc.nat({ max: 5 }) }),
);
const name: fc.Arbitrary<VersionName> = fc.oneof(
  { weight: 5, arbitrary: here },
  {
    weight: 1,
    arbitrary: fc
      .record({ run: uuid, attempt: fc.integer({ min: 1, max: 3 }), inner: here })
      .map(({ run, attempt, inner }) => ({ elsewhere: { run, attempt }, ...inner })),
  },
);
const version: fc.Arbitrary<SourceVersion> = fc.oneof(
  fc.constant('none' as const),
  fc.constant('unknown' as const),
  name,
);
const type = fc.constantFrom<TagTypeCode>(...Object.values(TagType));

/** One recording call: ops that are published together. `recordId` is filled in by whoever knows the next id. */
export const call: fc.Arbitrary<DecodedOp[]> = fc.oneof(
  fc
    .record({
      record: fc.record({
        op: fc.constant('record' as const),
        id: fc.constant(0),
        kind: fc.integer({ min: 1, max: 3 }),
        time,
        name: text(1),
      }),
      uris: fc.array(text(1), { maxLength: 3 }),
      tags: fc.array(fc.record({ key: text(1), value: text(), type }), { maxLength: 3 }),
      sources: fc.array(fc.record({ source: id, version }), { maxLength: 3 }),
    })
    .map(({ record, uris, tags, sources }): DecodedOp[] => [
      record,
      ...uris.map((uri) => ({ op: 'uri' as const, record: 0, uri })),
      ...tags.map((tag) => ({ op: 'tag' as const, record: 0, ...tag })),
      ...sources.map((source) => ({ op: 'derivation' as const, derived: 0, time: record.time, ...source })),
    ]),
  fc.record({ op: fc.constant('uri' as const), record: id, uri: text(1) }).map((op) => [op]),
  fc.record({ op: fc.constant('tag' as const), record: id, key: text(1), value: text(), type }).map((op) => [op]),
  fc.record({ op: fc.constant('derivation' as const), source: id, version, derived: id, time }).map((op) => [op]),
  fc
    .record({
      update: fc.record({
        op: fc.constant('update' as const),
        model: id,
        made: here,
        time,
        seen: fc.option(name, { nil: undefined }),
      }),
      exposures: fc.array(fc.record({ op: fc.constant('exposure' as const), source: id, version }), { maxLength: 3 }),
      uris: fc.array(fc.record({ op: fc.constant('versionUri' as const), uri: text(1) }), { maxLength: 2 }),
      tags: fc.array(fc.record({ op: fc.constant('versionTag' as const), key: text(1), value: text(), type }), {
        maxLength: 2,
      }),
    })
    .map(({ update, exposures, uris, tags }): DecodedOp[] => [update, ...exposures, ...uris, ...tags]),
  fc
    .record({
      op: fc.constant('invalidation' as const),
      uuid,
      record: id,
      version: fc.oneof(fc.constant('none' as const), name),
      cascade: fc.boolean(),
      time,
      cause: text(1),
    })
    .map((op) => [op]),
  fc
    .record({
      op: fc.constant('invalidationAction' as const),
      uuid,
      record: id,
      type: fc.integer({ min: 1, max: 2 }),
      time,
      name: text(1),
      cmd: text(1),
      params: text(),
    })
    .map((op) => [op]),
);

/** Writes a call with the encoder, as the recording classes would. */
export function encode(encoder: Encoder, ops: readonly DecodedOp[]): void {
  encoder.begin(200 + ops.length * 1000);
  for (const op of ops) {
    switch (op.op) {
      case 'record':
        encoder.record(op.id, op.kind, op.time, op.name);
        break;
      case 'uri':
        encoder.uri(op.record, op.uri);
        break;
      case 'tag':
        encoder.tag(op.record, op.key, op.type, op.value);
        break;
      case 'derivation':
        encoder.derivation(op.source, op.version, op.derived, op.time);
        break;
      case 'update':
        encoder.update(op.model, op.made, op.time, op.seen);
        break;
      case 'exposure':
        encoder.exposure(op.source, op.version);
        break;
      case 'versionUri':
        encoder.versionUri(op.uri);
        break;
      case 'versionTag':
        encoder.versionTag(op.key, op.type, op.value);
        break;
      case 'invalidation':
        encoder.invalidation(op.uuid, op.record, op.cascade, op.time, op.cause, op.version);
        break;
      case 'invalidationAction':
        encoder.invalidationAction(op.uuid, op.record, op.type, op.time, op.name, op.cmd, op.params);
        break;
    }
  }
  encoder.publish();
}

/** A sealed frame of these calls. */
export function frameOf(owner: FrameOwner, sequence: number, calls: readonly (readonly DecodedOp[])[]): Buffer {
  const buffer = Buffer.from(new ArrayBuffer(2 ** 20));
  beginFrame(buffer, 0, owner, sequence);
  const encoder = new Encoder(() => {
    throw new Error('the test frame is too small');
  });
  encoder.bind(buffer, FRAME_HEADER_BYTES, buffer.length);
  for (const ops of calls) encode(encoder, ops);
  const bytes = encoder.position - FRAME_HEADER_BYTES;
  sealFrame(buffer, 0, bytes, encoder.ops, encoder.records);
  return buffer.subarray(0, FRAME_HEADER_BYTES + bytes);
}

/** Gives a rank's records their ids: new ones, and with them what was said of them in the same call. */
export function withIds(calls: readonly (readonly DecodedOp[])[], nextId: () => number): DecodedOp[][] {
  return calls.map((ops) => {
    const created = ops.some(({ op }) => op === 'record') ? nextId() : 0;
    return ops.map((op): DecodedOp => {
      if (op.op === 'record') return { ...op, id: created };
      if ((op.op === 'uri' || op.op === 'tag') && op.record === 0) return { ...op, record: created };
      if (op.op === 'derivation' && op.derived === 0) return { ...op, derived: created };
      return op;
    });
  });
}
