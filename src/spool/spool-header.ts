import { crc32 } from 'node:zlib';
import { BraidError } from '../errors.js';
import { FORMAT_VERSION } from '../frame/format.js';
import { storeWord, type FrameOwner } from '../frame/header.js';

/** The layout, as docs/wire-format.md has it: two halves that say the same, each with a text behind its fields. */
export const SPOOL_HEADER_BYTES = 4096;
const HALF_BYTES = SPOOL_HEADER_BYTES / 2;
const HALVES = [0, HALF_BYTES] as const;
const SPOOL_MAGIC = 0x50535242; // 'BRSP'
const Field = { magic: 0, version: 4, bytes: 8, crc: 12, end: 16, trimmed: 24, complement: 28, text: 64 } as const;

/** How a rank ended, as it told its spool; `alive` also of one that died without a word. */
export const SPOOL_ENDS = ['alive', 'signal', 'failed', 'unclosed'] as const;
export type SpoolEnd = (typeof SPOOL_ENDS)[number];

export interface SpoolOwner extends FrameOwner {
  /** UUID of the database, as 32 hex digits. */
  readonly database: string;
  readonly path: string;
  readonly size: number;
  readonly host: string;
  /** The kernel's boot id: a lock of another boot is nobody's. */
  readonly boot: string;
  readonly pid: number;
  /** Microseconds since 1970. */
  readonly created: number;
  /** Whether its calls were brought to the disk before they returned. Then what isn't there was never acknowledged. */
  readonly durable?: boolean;
}

export interface SpoolHeader {
  readonly owner: SpoolOwner;
  readonly end: SpoolEnd;
  /** The signal's number, or the exit code. */
  readonly detail: number;
  /** The newest frame that a verdict had covered. */
  readonly trimmed: number;
}

/** Writes a whole header into `buffer` (4096 bytes, zero); each magic goes last. */
export function writeSpoolHeader(buffer: Buffer, owner: SpoolOwner): void {
  const text = Buffer.from(JSON.stringify(owner));
  if (Field.text + text.length > HALF_BYTES) {
    throw new BraidError(
      'ERR_BRAID_PATH_TOO_LONG',
      `the database's path has ${owner.path.length} characters: too long`,
    );
  }
  writeSpoolTrimmed(buffer, 0);
  for (const at of HALVES) {
    text.copy(buffer, at + Field.text);
    buffer.writeUInt32LE(FORMAT_VERSION, at + Field.version);
    buffer.writeUInt32LE(text.length, at + Field.bytes);
    buffer.writeUInt32LE(crc32(text), at + Field.crc);
    buffer.writeUInt32LE(SPOOL_MAGIC, at + Field.magic);
  }
}

/** Notes in a header how its rank ended: in one word, which also says whether it is sound. */
export function writeSpoolEnd(buffer: Buffer, end: SpoolEnd, detail: number): void {
  const said = SPOOL_ENDS.indexOf(end) | ((detail & 0xff) << 8);
  for (const at of HALVES) storeWord(buffer, at + Field.end, said | (~said << 16));
}

/** Where its rank dies between these stores, one half has the number before or the number after. */
export function writeSpoolTrimmed(buffer: Buffer, sequence: number): void {
  for (const at of HALVES) {
    storeWord(buffer, at + Field.trimmed, sequence);
    storeWord(buffer, at + Field.complement, ~sequence);
  }
}

/**
 * What a header says by that of its halves which is sound. Undefined if it was never written: all of it is zero.
 *
 * @throws BraidError ERR_BRAID_SPOOL_DAMAGED
 */
export function readSpoolHeader(header: Buffer, file: string): SpoolHeader | undefined {
  if (header.every((byte) => byte === 0)) return undefined;
  const halves = HALVES.map((at) => header.subarray(at, at + HALF_BYTES));
  const owner = halves.map(readOwner).find((each) => each !== undefined);
  if (!owner) throw damagedHeader(halves, file);
  const [end, detail] = halves.map(readEnd).find(([each]) => each !== 'alive') ?? (['alive', 0] as const);
  return { owner, end, detail, trimmed: Math.max(...halves.map(readTrimmed)) };
}

function damagedHeader(halves: readonly Buffer[], file: string): BraidError {
  return new BraidError(
    'ERR_BRAID_SPOOL_DAMAGED',
    halves.some(isOfThisFormat)
      ? `the header of ${file} is damaged: whose it is can't be told; left alone`
      : `${file} is not a spool of format ${FORMAT_VERSION}; left alone`,
  );
}

function isOfThisFormat(half: Buffer): boolean {
  return half.readUInt32LE(Field.magic) === SPOOL_MAGIC && half.readUInt32LE(Field.version) === FORMAT_VERSION;
}

function readOwner(half: Buffer): SpoolOwner | undefined {
  const text = half.subarray(Field.text, Field.text + half.readUInt32LE(Field.bytes));
  if (!isOfThisFormat(half) || crc32(text) !== half.readUInt32LE(Field.crc)) return undefined;
  try {
    // A CRC stands for what was written, not for who wrote it.
    const owner = JSON.parse(text.toString()) as Partial<SpoolOwner> | null;
    return owner && isOwner(owner) ? owner : undefined;
  } catch {
    return undefined;
  }
}

function readEnd(half: Buffer): [SpoolEnd, number] {
  const word = half.readUInt32LE(Field.end);
  const said = word & 0xffff;
  // Zero, of a rank that has told nothing, is not sound either.
  if (word >>> 16 !== (~said & 0xffff)) return ['alive', 0];
  return [SPOOL_ENDS[said & 0xff] ?? 'alive', said >>> 8];
}

function readTrimmed(half: Buffer): number {
  const sequence = half.readUInt32LE(Field.trimmed);
  return half.readUInt32LE(Field.complement) === ~sequence >>> 0 ? sequence : 0;
}

function isOwner(owner: Partial<SpoolOwner>): owner is SpoolOwner {
  const { run, database, path, host, boot, attempt, rank, size, pid, created } = owner;
  return (
    [run, database, path, host, boot].every((each) => typeof each === 'string') &&
    [attempt, rank, size, pid, created].every((each) => Number.isSafeInteger(each))
  );
}
