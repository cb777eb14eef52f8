import type { RankCosts } from '../run-report.js';

/** The rank that owns the database. */
export const ROOT = 0;

/**
 * The two fixed messages of a collective: every rank's header to the root, and the root's orders to every rank.
 * Both sides run the same version of this library: the magic says so, and nothing more is negotiated.
 */
export const HEADER_BYTES = 88;
export const ORDER_BYTES = 256;
export const HEADER_TAG = 1;
export const ORDER_TAG = 2;
export const TEXT_TAG = 3;
/** Of frames that follow their header unasked. */
export const EARLY_TAG = 4;

/**
 * Frames of no more than so many bytes follow their header, unasked, in a message of this length. As much every MPI takes
 * from a sender before anybody receives it, so that a rank is not held by a root that goes away.
 */
export const EARLY_BYTES = 2048;

const HEADER_MAGIC = 0x31484242; // 'BBH1'
const ORDER_MAGIC = 0x314f4242; // 'BBO1'

export const KINDS = ['left', 'open', 'begin', 'recover', 'share', 'onRoot', 'flush', 'close'] as const;
export type CollectiveKind = (typeof KINDS)[number];

/** What a rank says when it comes to a collective. */
export interface Header {
  readonly kind: CollectiveKind;
  /** Which of the channel's collectives this is for the rank, from 1. */
  readonly ordinal: number;
  /** Which of the process's databases on this channel it is for, in the order of their opening. */
  readonly database: number;
  /** The rank can't do its part, but takes its place; the text says why. */
  readonly failed: boolean;
  /** Bytes of the text that it will send if ordered: its hello, or why it failed. */
  readonly textBytes: number;
  readonly frames: number;
  /** Of all its frames. */
  readonly bytes: number;
  /** Ops that it has recorded so far, and what that has cost. */
  readonly recorded: number;
  readonly costs: RankCosts;
}

export function writeHeader(header: Header): Buffer {
  const message = Buffer.allocUnsafe(HEADER_BYTES);
  message.writeUInt32LE(HEADER_MAGIC, 0);
  message.writeUInt32LE(KINDS.indexOf(header.kind), 4);
  message.writeUInt32LE(header.ordinal, 8);
  message.writeUInt32LE(header.database, 12);
  message.writeUInt32LE(header.failed ? 1 : 0, 16);
  message.writeUInt32LE(header.textBytes, 20);
  message.writeUInt32LE(header.frames, 24);
  message.writeUInt32LE(0, 28);
  message.writeDoubleLE(header.bytes, 32);
  message.writeDoubleLE(header.recorded, 40);
  const { costs } = header;
  message.writeDoubleLE(costs.captureMs, 48);
  message.writeDoubleLE(costs.sealMs, 56);
  message.writeDoubleLE(costs.verdictMs, 64);
  message.writeDoubleLE(costs.blockedMs, 72);
  message.writeDoubleLE(costs.peakSpoolBytes, 80);
  return message;
}

/** Whether a rank's frames follow its header at once. */
export function isEarly({ bytes }: Pick<Header, 'bytes'>): boolean {
  return bytes > 0 && bytes <= EARLY_BYTES;
}

export function readHeader(messages: Buffer, at: number): Header {
  if (messages.readUInt32LE(at) !== HEADER_MAGIC) throw new Error('a message that is not a header of this version');
  return {
    kind: KINDS[messages.readUInt32LE(at + 4)],
    ordinal: messages.readUInt32LE(at + 8),
    database: messages.readUInt32LE(at + 12),
    failed: messages.readUInt32LE(at + 16) === 1,
    textBytes: messages.readUInt32LE(at + 20),
    frames: messages.readUInt32LE(at + 24),
    bytes: messages.readDoubleLE(at + 32),
    recorded: messages.readDoubleLE(at + 40),
    costs: {
      captureMs: messages.readDoubleLE(at + 48),
      sealMs: messages.readDoubleLE(at + 56),
      verdictMs: messages.readDoubleLE(at + 64),
      blockedMs: messages.readDoubleLE(at + 72),
      peakSpoolBytes: messages.readDoubleLE(at + 80),
    },
  };
}

/** Where an order has its text. */
const ORDER_TEXT = 24;

const ORDERS = ['text', 'sizes', 'send', 'verdict', 'left', 'wait'] as const;

/**
 * What the root tells a rank to do next: give its text, give the sizes of its frames, send so many frames into the
 * next gather, take the verdict, or wait for the next order, since all have come. `left` is sent by a root that is going
 * away.
 */
export interface Order {
  readonly order: (typeof ORDERS)[number];
  /** `send`: how many of its next frames. `verdict`: how many of them are committed. */
  readonly frames: number;
  /** `verdict`: bytes of its text. */
  readonly textBytes: number;
  /** The text, if the order has room for it; else it follows, by broadcast unless `byMessage`. */
  readonly inline?: Buffer;
  readonly byMessage: boolean;
  /** `verdict`: the text tells of an error. */
  readonly failed: boolean;
}

/** An order as it is given, to each rank its own. */
export type OrderFor = (rank: number) => Partial<Order> & Pick<Order, 'order'>;

export function writeOrder(messages: Buffer, at: number, order: ReturnType<OrderFor>): void {
  messages.writeUInt32LE(ORDER_MAGIC, at);
  messages.writeUInt32LE(ORDERS.indexOf(order.order), at + 4);
  messages.writeUInt32LE(order.frames ?? 0, at + 8);
  messages.writeUInt32LE(order.textBytes ?? 0, at + 12);
  messages.writeUInt32LE(order.failed ? 1 : 0, at + 16);
  messages.writeUInt32LE(order.byMessage ? 1 : 0, at + 20);
  order.inline?.copy(messages, at + ORDER_TEXT);
}

/** Whether a verdict's text goes with it. */
export function isInline(textBytes: number): boolean {
  return textBytes <= ORDER_BYTES - ORDER_TEXT;
}

export function readOrder(message: Buffer): Order {
  if (message.readUInt32LE(0) !== ORDER_MAGIC) throw new Error('a message that is not an order of this version');
  const textBytes = message.readUInt32LE(12);
  return {
    order: ORDERS[message.readUInt32LE(4)],
    frames: message.readUInt32LE(8),
    textBytes,
    inline: isInline(textBytes) ? message.subarray(ORDER_TEXT, ORDER_TEXT + textBytes) : undefined,
    failed: message.readUInt32LE(16) === 1,
    byMessage: message.readUInt32LE(20) === 1,
  };
}
