import { BraidError } from '../errors.js';
import {
  MAX_OP_BYTES,
  Op,
  VersionForm,
  isId,
  isUint32,
  type SourceVersion,
  type TagTypeCode,
  type VersionName,
} from './format.js';

const TWO32 = 2 ** 32;
const UUID = /^[0-9a-f]{32}$/;

/**
 * Up to here a call asks for room by a bound, which costs little to work out and may be some times what the call takes. A
 * larger one is written aside, and asks for what it takes.
 */
export const MAX_BOUND_BYTES = 2 ** 19;

/** Behind the memory of a call that is written aside: an op that runs over its end is noticed when it is closed. */
const OVERRUN_BYTES = 4096;

/** Up to here a loop over the characters beats the call into Buffer's native writer. */
const SHORT_TEXT = 48;

/** The ops of one call, written aside. */
export interface EncodedCall {
  readonly bytes: Buffer;
  readonly ops: number;
  readonly records: number;
}

/**
 * Writes the ops of one call into memory of their own, so that what they take is known and not guessed.
 *
 * @param bound an upper bound of the ops' bytes, however rough.
 */
export function encodeAside(bound: number, write: (encoder: Encoder) => void): EncodedCall {
  // Room for more than may be stored: by how much a call is too large can mostly be said.
  const room = Math.min(bound, 2 * MAX_OP_BYTES) + 4;
  const buffer = Buffer.from(new ArrayBuffer(room + OVERRUN_BYTES));
  const encoder = new Encoder(() => {
    throw new Error('a call that is written aside has all its room from the start');
  });
  encoder.bind(buffer, 0, room);
  encoder.begin(room - 4);
  write(encoder);
  const bytes = encoder.publish();
  return { bytes: buffer.subarray(0, bytes), ops: encoder.ops, records: encoder.records };
}

/**
 * Writes ops in place, into memory that somebody else (the spool) provides window by window.
 *
 * One recording call is `begin(bound)`, the ops, `publish()`. Nothing is visible to a reader before `publish`, so a call
 * that throws half-way (a lone surrogate in its third tag) leaves nothing behind: the next `begin` starts at the same place.
 */
export class Encoder {
  /** Ops and records published into the window since it was bound. */
  ops = 0;
  records = 0;

  #buffer: Buffer = Buffer.alloc(0);
  #words: Uint32Array = new Uint32Array(0);
  #flags: Int32Array = new Int32Array(0);
  /** Where the next call's first op goes, and where the window ends. */
  #start = 0;
  #end = 0;
  #at = 0;
  /** The first op's word, held back until `publish`. */
  #firstWord = 0;
  #callOps = 0;
  #callRecords = 0;
  readonly #more: (bytes: number) => void;

  /** @param more called when the window has less than `bytes` left; must `bind` a window that has them. */
  constructor(more: (bytes: number) => void) {
    this.#more = more;
  }

  /** Where the next call would be written: the end of what is published. */
  get position(): number {
    return this.#start;
  }

  /** Goes on writing into `buffer` from byte `start`, which must hold a zero word, up to `end`. */
  bind(buffer: Buffer, start: number, end: number): void {
    this.#buffer = buffer;
    this.#words = new Uint32Array(buffer.buffer, buffer.byteOffset, buffer.byteLength >>> 2);
    this.#flags = new Int32Array(buffer.buffer, buffer.byteOffset, buffer.byteLength >>> 2);
    this.#start = start;
    this.#end = end;
    this.ops = 0;
    this.records = 0;
  }

  /** Starts a recording call whose ops take at most `bound` bytes. */
  begin(bound: number): void {
    // The zero word behind the call's last op has to fit too.
    if (this.#start + bound + 4 > this.#end) this.#more(bound + 4);
    this.#at = this.#start;
    this.#firstWord = 0;
    this.#callOps = 0;
    this.#callRecords = 0;
  }

  /** Lays down a whole call that was written aside, up to `publish`. */
  append({ bytes, ops, records }: EncodedCall): void {
    this.begin(bytes.length);
    bytes.copy(this.#buffer, this.#at + 4, 4);
    this.#firstWord = bytes.readUInt32LE(0);
    this.#at += bytes.length;
    this.#callOps = ops;
    this.#callRecords = records;
  }

  /** Makes the call's ops visible, all at once. Returns the bytes they take. */
  publish(): number {
    const start = this.#start;
    const bytes = this.#at - start;
    if (bytes === 0) return 0;
    if (bytes > MAX_OP_BYTES) throw tooLarge(String(bytes));
    this.#words[this.#at >>> 2] = 0;
    Atomics.store(this.#flags, start >>> 2, this.#firstWord);
    this.#start = this.#at;
    this.ops += this.#callOps;
    this.records += this.#callRecords;
    return bytes;
  }

  /** Takes back the call that was published last, of so many bytes: no reader sees it any more. */
  retract(bytes: number): void {
    this.#start -= bytes;
    Atomics.store(this.#flags, this.#start >>> 2, 0);
    this.ops -= this.#callOps;
    this.records -= this.#callRecords;
  }

  record(id: number, kind: number, time: number, name: string): void {
    const op = this.#open();
    this.#id(id, kind);
    this.#u64(time);
    this.#text1(name, 'a name');
    this.#close(op, Op.record);
    this.#callRecords++;
  }

  uri(id: number, uri: string): void {
    const op = this.#open();
    this.#id(id, 0);
    this.#text1(uri, 'a URI');
    this.#close(op, Op.uri);
  }

  tag(id: number, key: string, type: TagTypeCode, value: string): void {
    const op = this.#open();
    this.#id(id, type);
    this.#text2(key, value);
    this.#close(op, Op.tag);
  }

  derivation(source: number, version: SourceVersion, derived: number, time: number): void {
    const op = this.#open();
    this.#id(source, formOf(version));
    this.#id(derived, 0);
    this.#u64(time);
    this.#version(version);
    this.#close(op, Op.derivation);
  }

  /** @param seen the version that this rank had seen before, if any. */
  update(model: number, made: VersionName, time: number, seen: VersionName | undefined): void {
    const op = this.#open();
    this.#id(model, formOf(made));
    this.#u64(time);
    this.#u32(seen ? formOf(seen) : VersionForm.none);
    this.#version(made);
    if (seen) this.#version(seen);
    this.#close(op, Op.update);
  }

  /** Of the update before it in the same call. */
  exposure(source: number, version: SourceVersion): void {
    const op = this.#open();
    this.#id(source, formOf(version));
    this.#version(version);
    this.#close(op, Op.exposure);
  }

  versionUri(uri: string): void {
    const op = this.#open();
    this.#text1(uri, 'a URI');
    this.#close(op, Op.versionUri);
  }

  versionTag(key: string, type: TagTypeCode, value: string): void {
    const op = this.#open();
    this.#u32(type);
    this.#text2(key, value);
    this.#close(op, Op.versionTag);
  }

  /**
   * @param uuid 32 hex digits.
   * @param version of the model that `record` is, if not all of it is meant.
   */
  invalidation(
    uuid: string,
    record: number,
    cascade: boolean,
    time: number,
    cause: string,
    version: VersionName | 'none' = 'none',
  ): void {
    const op = this.#open();
    this.#id(record, (cascade ? 1 : 0) + (formOf(version) << 4));
    this.#u64(time);
    this.#uuid(uuid);
    this.#version(version);
    this.#text1(cause, 'a cause');
    this.#close(op, Op.invalidation);
  }

  /**
   * @param uuid of the action, as 32 hex digits.
   * @param params JSON.
   */
  invalidationAction(
    uuid: string,
    record: number,
    type: number,
    time: number,
    name: string,
    cmd: string,
    params: string,
  ): void {
    const op = this.#open();
    this.#id(record, type);
    this.#u64(time);
    this.#uuid(uuid);
    const lengths = this.#at >>> 2;
    this.#at += 12;
    this.#words[lengths] = this.#write(name, 'the name of an action');
    this.#words[lengths + 1] = this.#write(cmd, 'a command');
    this.#words[lengths + 2] = this.#write(params, 'the arguments of an action');
    this.#close(op, Op.invalidationAction);
  }

  #open(): number {
    const op = this.#at;
    this.#at = op + 4;
    return op;
  }

  #close(op: number, type: number): void {
    let at = this.#at;
    while ((at & 3) !== 0) this.#buffer[at++] = 0;
    this.#at = at;
    // Stores beyond the window have vanished without a word: a bound that is too small must not.
    if (at + 4 > this.#end) throw this.#overrun();
    const word = ((at - op) | (type << 24)) >>> 0;
    if (op === this.#start) this.#firstWord = word;
    else this.#words[op >>> 2] = word;
    this.#callOps++;
  }

  #overrun(): Error {
    if (this.#at - this.#start > MAX_OP_BYTES) return tooLarge(`more than ${MAX_OP_BYTES}`);
    return new Error('a recording call takes more bytes than it asked for');
  }

  // What the decoder would refuse is not written: it would stand in the way of all that is recorded after it.

  #u32(value: number): void {
    if (!isUint32(value)) throw misfit(value, '32 bits');
    this.#words[this.#at >>> 2] = value;
    this.#at += 4;
  }

  #u64(value: number): void {
    if (!Number.isSafeInteger(value)) throw misfit(value, '53 bits');
    const word = this.#at >>> 2;
    // ToUint32 takes the low 32 bits of any safe integer, negative ones in two's complement.
    this.#words[word] = value;
    this.#words[word + 1] = Math.floor(value / TWO32);
    this.#at += 8;
  }

  #id(id: number, small: number): void {
    if (!isId(id)) throw misfit(id, 'an id');
    const word = this.#at >>> 2;
    this.#words[word] = id;
    this.#words[word + 1] = ((id / TWO32) | (small << 24)) >>> 0;
    this.#at += 8;
  }

  #uuid(hex: string): void {
    if (!UUID.test(hex)) throw misfit(hex, 'a UUID');
    this.#at += this.#buffer.write(hex, this.#at, 16, 'hex');
  }

  #version(version: SourceVersion): void {
    if (typeof version === 'string') return;
    if (version.elsewhere) {
      this.#uuid(version.elsewhere.run);
      if (version.elsewhere.attempt < 1) throw misfit(version.elsewhere.attempt, 'an attempt');
      this.#u32(version.elsewhere.attempt);
      this.#u32(version.step === undefined ? VersionForm.ordinal : VersionForm.step);
    }
    if (version.step === undefined) {
      this.#u32(version.rank!);
      this.#u32(version.ordinal!);
    } else {
      this.#u64(version.step);
    }
  }

  #text1(text: string, what: string): void {
    const length = this.#at;
    this.#at += 4;
    this.#words[length >>> 2] = this.#write(text, what);
  }

  #text2(key: string, value: string): void {
    const lengths = this.#at >>> 2;
    this.#at += 8;
    this.#words[lengths] = this.#write(key, 'a tag key');
    this.#words[lengths + 1] = this.#write(value, 'a tag value');
  }

  #write(text: string, what: string): number {
    const buffer = this.#buffer;
    const at = this.#at;
    const { length } = text;
    if (length <= SHORT_TEXT) {
      let i = 0;
      for (; i < length; i++) {
        const code = text.charCodeAt(i);
        if (code === 0 || code >= 0x80) break;
        buffer[at + i] = code;
      }
      if (i === length) {
        this.#at = at + length;
        return length;
      }
    }
    checkText(text, what);
    const bytes = buffer.write(text, at, 'utf8');
    this.#at = at + bytes;
    return bytes;
  }
}

function tooLarge(bytes: string): BraidError {
  return new BraidError(
    'ERR_BRAID_TOO_LARGE',
    `one recording call can store ${MAX_OP_BYTES} bytes, this one takes ${bytes}: keep large data in a file and record its URI`,
  );
}

/** What the public names take is checked by them: this is a mistake of ours. */
function misfit(value: number | string, place: string): Error {
  return new RangeError(`${value} does not fit ${place} of an op`);
}

/**
 * Refuses what SQLite and UTF-8 can't give back as it was.
 *
 * @throws BraidError ERR_BRAID_TEXT_INVALID
 */
export function checkText(text: string, what: string): void {
  if (text.includes('\0')) {
    throw new BraidError('ERR_BRAID_TEXT_INVALID', `${what} must not contain a NUL character`);
  }
  if (!text.isWellFormed()) {
    throw new BraidError(
      'ERR_BRAID_TEXT_INVALID',
      `${what} has a lone surrogate, which UTF-8 cannot encode (text cut inside a character?)`,
    );
  }
}

function formOf(version: SourceVersion): number {
  if (version === 'none') return VersionForm.none;
  if (version === 'unknown') return VersionForm.unknown;
  if (version.elsewhere) return VersionForm.elsewhere;
  return version.step === undefined ? VersionForm.ordinal : VersionForm.step;
}

/** An upper bound of the UTF-8 bytes of `text`, exact where a wrong guess would be costly. */
export function textBound(text: string): number {
  return text.length < 4096 ? text.length * 3 : Buffer.byteLength(text);
}

/** An upper bound of the bytes of an op without its texts: the largest, an update of two versions from elsewhere. */
export const OP_BOUND = 96;
