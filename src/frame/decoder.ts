import { isUtf8 } from 'node:buffer';
import { BraidError } from '../errors.js';
import {
  FRAME_HEADER_BYTES,
  MAX_ID,
  MAX_OP_BYTES,
  MIN_OP_BYTES,
  Op,
  TagType,
  VersionForm,
  align4,
  type SourceVersion,
  type TagTypeCode,
  type VersionName,
} from './format.js';

const TWO32 = 2 ** 32;

export type DecodedOp =
  | { op: 'record'; id: number; kind: number; time: number; name: string }
  | { op: 'uri'; record: number; uri: string }
  | { op: 'tag'; record: number; key: string; value: string; type: TagTypeCode }
  | { op: 'derivation'; source: number; version: SourceVersion; derived: number; time: number }
  | { op: 'update'; model: number; made: VersionName; time: number; seen: VersionName | undefined }
  | { op: 'exposure'; source: number; version: SourceVersion }
  | { op: 'versionUri'; uri: string }
  | { op: 'versionTag'; key: string; value: string; type: TagTypeCode }
  | {
      op: 'invalidation';
      uuid: string;
      record: number;
      /** If not all of the model is meant. */
      version: VersionName | 'none';
      cascade: boolean;
      time: number;
      cause: string;
    }
  | {
      op: 'invalidationAction';
      uuid: string;
      record: number;
      /** One of `ActionCode`. */
      type: number;
      time: number;
      name: string;
      cmd: string;
      params: string;
    };

/**
 * Where the ops that start at byte `at` end: at a zero word, at an op that can't be one, or at `end`.
 * `damaged` says that it was the second.
 */
export function walkOps(
  buffer: Buffer,
  at: number,
  end: number,
): { end: number; ops: number; records: number; damaged: boolean } {
  let ops = 0;
  let records = 0;
  while (at + 4 <= end) {
    const word = buffer.readUInt32LE(at);
    if (word === 0) break;
    const length = word & 0xffffff;
    const type = word >>> 24;
    const sound =
      length >= MIN_OP_BYTES &&
      length <= MAX_OP_BYTES &&
      length % 4 === 0 &&
      at + length <= end &&
      type >= Op.record &&
      type <= Op.invalidationAction;
    if (!sound) return { end: at, ops, records, damaged: true };
    ops++;
    if (type === Op.record) records++;
    at += length;
  }
  return { end: at, ops, records, damaged: false };
}

/**
 * The ops of the sealed frame at byte `at`, one by one. What the SQLite extension does in C++, in the plainest TypeScript:
 * the oracle of its tests, and the fallback where it can't be loaded.
 *
 * @throws BraidError ERR_BRAID_FRAME_DAMAGED
 */
export function* decodeFrame(buffer: Buffer, at: number, bytes: number): Generator<DecodedOp> {
  const end = at + FRAME_HEADER_BYTES + bytes;
  if (end > buffer.length) throw damaged(at, 'the frame ends after the buffer');
  let op = at + FRAME_HEADER_BYTES;
  let updateSeen = false;
  while (op < end) {
    const decoded = decodeOp(buffer, op, end);
    if (decoded.op === 'update') updateSeen = true;
    else if (needsUpdate(decoded) && !updateSeen) throw damaged(op, `a ${decoded.op} without an update before it`);
    yield decoded;
    op += buffer.readUInt32LE(op) & 0xffffff;
  }
}

function needsUpdate({ op }: DecodedOp): boolean {
  return op === 'exposure' || op === 'versionUri' || op === 'versionTag';
}

function decodeOp(buffer: Buffer, at: number, frameEnd: number): DecodedOp {
  if (at + MIN_OP_BYTES > frameEnd) throw damaged(at, 'an op is cut off');
  const word = buffer.readUInt32LE(at);
  const length = word & 0xffffff;
  if (length < MIN_OP_BYTES || length > MAX_OP_BYTES || length % 4 !== 0 || at + length > frameEnd) {
    throw damaged(at, `an op of ${length} bytes`);
  }
  const cursor = new Cursor(buffer, at + 4, at + length);
  const decoded = decodePayload(word >>> 24, cursor, at);
  cursor.finish();
  return decoded;
}

function decodePayload(type: number, cursor: Cursor, at: number): DecodedOp {
  switch (type) {
    case Op.record: {
      const { id, small: kind } = cursor.id();
      if (kind < 1 || kind > 3) throw damaged(at, `kind ${kind}`);
      const time = cursor.u64();
      return { op: 'record', id, kind, time, name: cursor.text() };
    }
    case Op.uri:
      return { op: 'uri', record: cursor.plainId(), uri: cursor.text() };
    case Op.tag: {
      const { id, small } = cursor.id();
      return { op: 'tag', record: id, type: tagType(small, at), ...cursor.keyAndValue() };
    }
    case Op.derivation: {
      const { id: source, small: form } = cursor.id();
      const derived = cursor.plainId();
      const time = cursor.u64();
      return { op: 'derivation', source, derived, time, version: cursor.sourceVersion(form) };
    }
    case Op.update: {
      const { id: model, small: form } = cursor.id();
      const time = cursor.u64();
      const seenForm = cursor.u32();
      if (form !== VersionForm.step && form !== VersionForm.ordinal)
        throw damaged(at, `an update that makes form ${form}`);
      if (seenForm === VersionForm.unknown) throw damaged(at, 'an update that has seen the unknown');
      const made = cursor.version(form);
      return {
        op: 'update',
        model,
        made,
        time,
        seen: seenForm === VersionForm.none ? undefined : cursor.version(seenForm),
      };
    }
    case Op.exposure: {
      const { id: source, small: form } = cursor.id();
      return { op: 'exposure', source, version: cursor.sourceVersion(form) };
    }
    case Op.versionUri:
      return { op: 'versionUri', uri: cursor.text() };
    case Op.versionTag:
      return { op: 'versionTag', type: tagType(cursor.u32(), at), ...cursor.keyAndValue() };
    case Op.invalidation: {
      const { id: record, small } = cursor.id();
      const form = small >> 4;
      if ((small & 0xf) > 1 || form === VersionForm.unknown) throw damaged(at, `invalidation flags ${small}`);
      const time = cursor.u64();
      const uuid = cursor.uuid();
      const version = form === VersionForm.none ? 'none' : cursor.version(form);
      return { op: 'invalidation', record, version, cascade: (small & 1) === 1, time, uuid, cause: cursor.text() };
    }
    case Op.invalidationAction: {
      const { id: record, small: type } = cursor.id();
      if (type < 1 || type > 2) throw damaged(at, `an action of type ${type}`);
      const time = cursor.u64();
      const uuid = cursor.uuid();
      const [name, cmd, params] = cursor.texts(3);
      return { op: 'invalidationAction', record, type, time, uuid, name, cmd, params };
    }
    default:
      throw damaged(at, `an op of type ${type}`);
  }
}

function tagType(code: number, at: number): TagTypeCode {
  for (const known of Object.values(TagType)) if (known === code) return known;
  throw damaged(at, `a tag of type ${code}`);
}

/** What is thrown of a frame that holds `what` at byte `at` of its buffer. */
export function damaged(at: number, what: string): BraidError {
  return new BraidError('ERR_BRAID_FRAME_DAMAGED', `damaged frame: ${what} at byte ${at}`);
}

/** Reads the fields of one op and never beyond its end. */
class Cursor {
  constructor(
    private readonly buffer: Buffer,
    private at: number,
    private readonly end: number,
  ) {}

  u32(): number {
    return this.buffer.readUInt32LE(this.take(4));
  }

  u64(): number {
    const at = this.take(8);
    const value = this.buffer.readUInt32LE(at) + this.buffer.readInt32LE(at + 4) * TWO32;
    if (!Number.isSafeInteger(value)) throw damaged(at, 'a number beyond 2^53');
    return value;
  }

  id(): { id: number; small: number } {
    const at = this.take(8);
    const high = this.buffer.readUInt32LE(at + 4);
    const id = this.buffer.readUInt32LE(at) + (high & 0xffffff) * TWO32;
    if (id < 1 || id > MAX_ID) throw damaged(at, `id ${id}`);
    return { id, small: high >>> 24 };
  }

  plainId(): number {
    const at = this.at;
    const { id, small } = this.id();
    if (small !== 0) throw damaged(at, 'an id with a number in its upper byte');
    return id;
  }

  uuid(): string {
    const at = this.take(16);
    return this.buffer.toString('hex', at, at + 16);
  }

  sourceVersion(form: number): SourceVersion {
    if (form === VersionForm.none) return 'none';
    if (form === VersionForm.unknown) return 'unknown';
    return this.version(form);
  }

  version(form: number): VersionName {
    switch (form) {
      case VersionForm.step:
        return { step: this.u64() };
      case VersionForm.ordinal:
        return { rank: this.u32(), ordinal: this.u32() };
      case VersionForm.elsewhere: {
        const elsewhere = { run: this.uuid(), attempt: this.u32() };
        const inner = this.u32();
        if (elsewhere.attempt < 1 || inner === VersionForm.elsewhere) break;
        return { elsewhere, ...this.version(inner) };
      }
    }
    throw damaged(this.at, `a version of form ${form}`);
  }

  text(): string {
    const bytes = this.u32();
    return this.utf8(bytes);
  }

  keyAndValue(): { key: string; value: string } {
    const [key, value] = this.texts(2);
    return { key, value };
  }

  /** So many, their lengths first. */
  texts(count: number): string[] {
    const lengths = Array.from({ length: count }, () => this.u32());
    return lengths.map((bytes) => this.utf8(bytes));
  }

  /** All that is left must be padding. */
  finish(): void {
    if (align4(this.at) !== this.end) throw damaged(this.at, 'an op whose fields do not fill it');
    for (let at = this.at; at < this.end; at++) {
      if (this.buffer[at] !== 0) throw damaged(at, 'padding that is not zero');
    }
  }

  private utf8(bytes: number): string {
    const at = this.take(bytes);
    if (!isUtf8(this.buffer.subarray(at, at + bytes))) throw damaged(at, 'a text that is not UTF-8');
    return this.buffer.toString('utf8', at, at + bytes);
  }

  private take(bytes: number): number {
    const at = this.at;
    if (bytes > this.end - at) throw damaged(at, 'an op that is too short for its fields');
    this.at = at + bytes;
    return at;
  }
}
