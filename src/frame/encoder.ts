import { BraidError } from '../errors.js';
import { MAX_OP_BYTES, Op, VersionForm, type SourceVersion, type TagTypeCode, type VersionName } from './format.js';

const TWO32 = 2 ** 32;

/** Up to here a loop over the characters beats the call into Buffer's native writer. */
const SHORT_TEXT = 48;

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
    // A bound is more than what it bounds: what is written is measured when it is.
    if (bound > 2 * MAX_OP_BYTES - 4096) throw tooLarge(`more than ${MAX_OP_BYTES}`);
    // The zero word behind the call's last op has to fit too.
    if (this.#start + bound + 4 > this.#end) this.#more(bound + 4);
    this.#at = this.#start;
    this.#firstWord = 0;
    this.#callOps = 0;
    this.#callRecords = 0;
  }

  /** Makes the call's ops visible, all at once. Returns the bytes they take. */
  publish(): number {
    const start = this.#start;
    const bytes = this.#at - start;
    if (bytes === 0) return 0;
    if (bytes > MAX_OP_BYTES) throw tooLarge(String(bytes));
    // Stores beyond the window would have vanished without a word: a bound that is too small must not.
    if (this.#at + 4 > this.#end) throw new Error(`a recording call took ${bytes} bytes, more than it asked for`);
    this.#words[this.#at >>> 2] = 0;
    Atomics.store(this.#flags, start >>> 2, this.#firstWord);
    this.#start = this.#at;
    this.ops += this.#callOps;
    this.records += this.#callRecords;
    return bytes;
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

  /** @param uuid 32 hex digits. */
  invalidation(uuid: string, record: number, cascade: boolean, time: number, cause: string): void {
    const op = this.#open();
    this.#id(record, cascade ? 1 : 0);
    this.#u64(time);
    this.#uuid(uuid);
    this.#text1(cause, 'a cause');
    this.#close(op, Op.invalidation);
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
    const word = ((at - op) | (type << 24)) >>> 0;
    if (op === this.#start) this.#firstWord = word;
    else this.#words[op >>> 2] = word;
    this.#callOps++;
  }

  #u32(value: number): void {
    this.#words[this.#at >>> 2] = value;
    this.#at += 4;
  }

  #u64(value: number): void {
    const word = this.#at >>> 2;
    // ToUint32 takes the low 32 bits of any safe integer, negative ones in two's complement.
    this.#words[word] = value;
    this.#words[word + 1] = Math.floor(value / TWO32);
    this.#at += 8;
  }

  #id(id: number, small: number): void {
    const word = this.#at >>> 2;
    this.#words[word] = id;
    this.#words[word + 1] = ((id / TWO32) | (small << 24)) >>> 0;
    this.#at += 8;
  }

  #uuid(hex: string): void {
    this.#at += this.#buffer.write(hex, this.#at, 16, 'hex');
  }

  #version(version: SourceVersion): void {
    if (typeof version === 'string') return;
    if (version.elsewhere) {
      this.#uuid(version.elsewhere.run);
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

/** Refuses what SQLite and UTF-8 can't give back as it was. */
function checkText(text: string, what: string): void {
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
