import { decodeFrame, walkOps } from '../frame/decoder.js';
import { FRAME_HEADER_BYTES, FRAME_SEALED, FrameField, MAX_FRAME_BYTES } from '../frame/format.js';
import { crcOf, frameCheck, nameFrame } from '../frame/header.js';
import { FileWindow } from './file-window.js';
import { SEGMENT_ALIGN, SEGMENT_HEADER_BYTES, readSegmentHeader } from './segment-header.js';
import { SPOOL_HEADER_BYTES, type SpoolHeader, type SpoolOwner } from './spool-header.js';

/** A piece of a spool that can't be given back, and why. `sequence` where it can be told which frame it is of. */
export interface SpoolLoss {
  readonly sequence?: number;
  readonly offset: number;
  readonly reason: string;
}

export interface SpoolFrame {
  readonly sequence: number;
  readonly ops: number;
  readonly records: number;
  /** Header and ops. */
  readonly bytes: number;
  readonly offset: number;
  /** Found open, and sealed only in the copy that is read. */
  readonly open: boolean;
}

export interface SpoolContent {
  /** In sequence order. */
  readonly frames: SpoolFrame[];
  readonly losses: SpoolLoss[];
}

/** More zeros than an op, an unused header and what a call left that was not completed ever have in a row. */
const ZEROS = 128;

/** So many places are tried that look like a frame's header: each may cost a CRC of 16 MiB, and bytes may be made to look so. */
const MAX_TRIES = 1000;

/** What stands where a frame must begin: nothing that makes sense where there is no frame. */
interface Found {
  readonly frame?: SpoolFrame;
  readonly damage?: SpoolLoss;
}

/**
 * All that can be given back of a spool, and what can't. Believes nothing, and has a frame in memory at a time.
 *
 * Segments tile the file, and frames lie in them one after another. Where a header doesn't say where the next begins, it is
 * looked for: a segment at multiples of 4096 bytes, a frame by its owner, its number and the check of both.
 *
 * Frames that stood in space which is used again have a check and a CRC, too, and must not come back. So one that was looked
 * for counts only if it is newer than `trimmed`, and wasn't found where it must stand: space is used again when a verdict
 * has covered all frames in it, and the header says so before. (Where the power went, the header may say less: then the
 * ledger, which was on its disk before the verdict, knows the frame.) A frame that was begun and dropped, whose number is
 * used again, has no magic and no ops. A call that failed, or was taken back, leaves ops but no header. And over a header
 * that is partly overwritten stands what was laid down upwards from before it: it has lost its magic and owner first.
 */
export function scanSpool(fd: number, { owner, trimmed }: SpoolHeader): SpoolContent {
  return new Scan(fd, owner, trimmed).run();
}

class Scan {
  readonly #file: FileWindow;
  readonly #owner: SpoolOwner;
  readonly #trimmed: number;
  readonly #frames = new Map<number, SpoolFrame>();
  readonly #losses: SpoolLoss[] = [];
  /** What every header of this owner's frames has from `FrameField.run` on. */
  readonly #identity: Buffer;
  #tries = MAX_TRIES;
  /** Whether a segment's header is damaged, and where its end is, and that of empty ones behind it, isn't known. */
  #astray = false;

  constructor(fd: number, owner: SpoolOwner, trimmed: number) {
    this.#file = new FileWindow(fd);
    this.#owner = owner;
    this.#trimmed = trimmed;
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    nameFrame(header, 0, owner, 0);
    this.#identity = header.subarray(FrameField.run, FrameField.sequence);
  }

  run(): SpoolContent {
    const { size } = this.#file;
    for (let at = SPOOL_HEADER_BYTES; at + SEGMENT_HEADER_BYTES <= size;) {
      const bytes = readSegmentHeader(this.#file.view(at, SEGMENT_HEADER_BYTES));
      const start = at + SEGMENT_HEADER_BYTES;
      // Behind a damaged header others may follow that stood inside of its segment when it was parted anew. Theirs are empty,
      // as it was then, and what has been laid over them since has begun with their headers.
      if (bytes === undefined) this.#astray = true;
      else if (!isNothing(this.#word(start))) this.#astray = false;
      const end = this.#astray ? this.#nextSegment(at + SEGMENT_ALIGN) : at + bytes!;
      this.#scanSegment(start, Math.min(end, size));
      if (end > size) this.#losses.push({ offset: size, reason: 'the file ends in the midst of a segment' });
      at = end;
    }
    this.#numberLosses();
    return {
      frames: [...this.#frames.values()].sort((a, b) => a.sequence - b.sequence),
      // What a verdict has covered is not lost with its bytes.
      losses: this.#losses.filter(({ sequence = Infinity }) => sequence > this.#trimmed),
    };
  }

  /** Where the next header of a segment stands, or the file ends. */
  #nextSegment(at: number): number {
    const { size } = this.#file;
    while (at < size && readSegmentHeader(this.#file.view(at, SEGMENT_HEADER_BYTES)) === undefined) at += SEGMENT_ALIGN;
    return Math.min(at, size);
  }

  #scanSegment(start: number, end: number): void {
    let walked = this.#walk(start, end, true);
    while (walked.damaged || this.#astray) {
      const next = this.#search(walked.end, end);
      if (next === undefined) return;
      walked = this.#walk(next, end, false, walked.damaged);
    }
  }

  /**
   * Takes frames that stand one after another. Their numbers do so, too: they tell that of a damaged one behind another,
   * or before it.
   *
   * @param placed whether the first stands where one must; else it was looked for.
   * @param behind whether it was looked for because of a piece that is damaged, in the same segment.
   * @returns where they end, and whether something that is damaged ends them.
   */
  #walk(start: number, end: number, placed: boolean, behind = false): { end: number; damaged: boolean } {
    let at = start;
    let last: number | undefined;
    while (at + FRAME_HEADER_BYTES <= end && !isNothing(this.#word(at))) {
      const { frame, damage } = this.#frameAt(at, end);
      const sequence = frame?.sequence ?? damage?.sequence;
      if (behind && last === undefined && sequence !== undefined) this.#numberLast(sequence - 1);
      if (damage) this.#lose({ ...damage, sequence: sequence ?? (last === undefined ? undefined : last + 1) }, placed);
      if (!frame) return { end: at + 4, damaged: true };
      if (frame.ops > 0 && (placed || this.#isNews(frame.sequence))) this.#frames.set(frame.sequence, frame);
      at += frame.bytes;
      // Behind an open frame stands nothing of its segment.
      if (frame.open) return { end: at, damaged: damage !== undefined };
      last = frame.sequence;
    }
    const damaged = (this.#astray || !this.#owner.durable) && this.#isHole(at, end);
    if (damaged)
      this.#lose({ offset: at, sequence: last && last + 1, reason: 'a piece of zeros before other bytes' }, placed);
    return { end: at, damaged };
  }

  /** Where, from `at` on, a header stands of a frame that may count. */
  #search(at: number, end: number): number | undefined {
    for (; ; at++) {
      const identity = this.#file.find(this.#identity, at + FrameField.run, end);
      if (identity === undefined) return undefined;
      at = identity - FrameField.run;
      if (at % 4 !== 0 || at + FRAME_HEADER_BYTES > end || this.#word(at) === 0) continue;
      const { sequence, sound } = this.#headerAt(at);
      if (!sound || !this.#isNews(sequence)) continue;
      if (this.#tries-- > 0) return at;
      this.#losses.push({ offset: at, reason: 'more is damaged than can be looked into' });
      return undefined;
    }
  }

  /** Whose frame it is isn't read but known, so that it need not be sound; nor need what every header has. */
  #headerAt(at: number): { header: Buffer; sequence: number; sound: boolean } {
    const header = Buffer.from(this.#file.view(at, FRAME_HEADER_BYTES));
    const sequence = header.readUInt32LE(FrameField.sequence);
    const check = header.readUInt32LE(FrameField.check);
    nameFrame(header, 0, this.#owner, sequence);
    return { header, sequence, sound: sequence > 0 && check === frameCheck(header, 0) };
  }

  #frameAt(at: number, end: number): Found {
    const { header, sequence, sound } = this.#headerAt(at);
    const flags = header.readUInt16LE(FrameField.flags);
    const bytes = header.readUInt32LE(FrameField.bytes);
    const ops = header.readUInt32LE(FrameField.ops);
    const records = header.readUInt32LE(FrameField.records);
    const crc = header.readUInt32LE(FrameField.crc);
    const total = FRAME_HEADER_BYTES + bytes;
    const possible = sequence > 0 && bytes > 0 && bytes % 4 === 0 && total <= MAX_FRAME_BYTES && at + total <= end;
    if (possible && crcOf(header, this.#file.view(at + FRAME_HEADER_BYTES, bytes)) === crc) {
      return { frame: { sequence, ops, records, bytes: total, offset: at, open: false } };
    }
    if (!sound) return { damage: { offset: at, reason: 'a damaged frame header' } };
    // One that was being sealed when its process died, or when the power went and left a part, lacks the flag or the CRC.
    const open = (flags & FRAME_SEALED) === 0 || crc === 0;
    if (!open) return { damage: { sequence, offset: at, reason: 'its CRC does not fit its bytes' } };
    return this.#openFrameAt(at, sequence, end);
  }

  /** The ops of an open frame, each decoded in full, up to the first that isn't one: no CRC stands for them. */
  #openFrameAt(offset: number, sequence: number, end: number): Found {
    const start = offset + FRAME_HEADER_BYTES;
    const { ops, records, bytes, damage } = soundOps(
      this.#file.view(start, Math.min(end - start, MAX_FRAME_BYTES - FRAME_HEADER_BYTES)),
    );
    const frame = { sequence, ops, records, bytes: FRAME_HEADER_BYTES + bytes, offset, open: true };
    // Pages of a call that had not returned reach the disk in any order.
    const hole = damage === undefined && !this.#owner.durable && this.#isHole(start + bytes, end);
    const reason = hole ? 'a piece of zeros among its ops' : damage;
    if (reason === undefined) return { frame };
    return { frame, damage: { sequence, offset: start + bytes, reason: `${reason}: the rest of it is lost` } };
  }

  #isNews(sequence: number): boolean {
    return sequence > this.#trimmed && !this.#frames.has(sequence);
  }

  #lose(loss: SpoolLoss, placed: boolean): void {
    if (placed || loss.sequence === undefined || this.#isNews(loss.sequence)) this.#losses.push(loss);
  }

  /** Says of what was lost last which frame it is of, if that isn't known. */
  #numberLast(sequence: number): void {
    const loss = this.#losses.at(-1);
    if (loss && loss.sequence === undefined) this.#losses.push({ ...this.#losses.pop()!, sequence });
  }

  /**
   * Says of what is damaged which frames it is of, where frames are missing: of those above `trimmed` none was ever given
   * away.
   */
  #numberLosses(): void {
    if (this.#losses.length === 0) return;
    const unknown = this.#losses.filter(({ sequence }) => sequence === undefined);
    const missing = this.#missing();
    if (missing.length === unknown.length) {
      const known = this.#losses.filter(({ sequence }) => sequence !== undefined);
      this.#losses.splice(0, Infinity, ...known, ...unknown.map((loss, i) => ({ ...loss, sequence: missing[i] })));
    } else {
      const [{ offset }] = this.#losses;
      const reason = 'it is missing, and the spool is damaged';
      for (const sequence of missing) this.#losses.push({ sequence, offset, reason });
    }
  }

  /** The numbers between `trimmed` and the newest that were found nowhere; none where they are more than ever fitted. */
  #missing(): number[] {
    const lost = this.#losses.flatMap(({ sequence = 0 }) => sequence);
    const known = [...this.#frames.keys(), ...lost]
      .filter((sequence) => sequence > this.#trimmed)
      .sort((a, b) => a - b);
    const missing: number[] = [];
    let next = this.#trimmed + 1;
    for (const sequence of known) {
      if (sequence - next > this.#file.size / FRAME_HEADER_BYTES) return [];
      while (next < sequence) missing.push(next++);
      next = sequence + 1;
    }
    return missing;
  }

  #word(at: number): number {
    return this.#file.view(at, 4).readUInt32LE(0);
  }

  /**
   * Whether `at` is not where a segment's content ends, but where zeros have replaced it: a page that was lost with the
   * power. One bit that has flipped among them tells nothing.
   */
  #isHole(at: number, end: number): boolean {
    const next = this.#file.zerosEnd(at, end);
    if (next - at < ZEROS || next >= end) return false;
    const [byte] = this.#file.view(next, 1);
    return !isNothing(byte) || this.#file.zerosEnd(next + 1, end) < end;
  }
}

/**
 * The ops at the beginning of these bytes that make sense, and why the next one doesn't. A page that was lost with the power
 * is zeros, in the middle of an op or between two.
 */
function soundOps(written: Buffer): { ops: number; records: number; bytes: number; damage: string | undefined } {
  const walked = walkOps(written, 0, written.length);
  let ops = 0;
  let records = 0;
  let bytes = 0;
  try {
    for (const op of decodeFrame(written, -FRAME_HEADER_BYTES, walked.end)) {
      if (Object.values(op).some((value) => typeof value === 'string' && value.includes('\0'))) {
        return { ops, records, bytes, damage: 'a text with zeros in it' };
      }
      ops++;
      if (op.op === 'record') records++;
      bytes += written.readUInt32LE(bytes) & 0xffffff;
    }
  } catch (error) {
    return { ops, records, bytes, damage: (error as Error).message };
  }
  const damaged = walked.damaged && !isNothing(written.readUInt32LE(bytes));
  return { ops, records, bytes, damage: damaged ? 'a damaged op in an open frame' : undefined };
}

/** Whether a word is zero, or was before a bit of it flipped: no frame and no op begins with a single bit. */
function isNothing(word: number): boolean {
  return (word & (word - 1)) === 0;
}
