/** The constants of `docs/wire-format.md`, in its order. */

export const FORMAT_VERSION = 1;

export const Op = {
  record: 1,
  uri: 2,
  tag: 3,
  derivation: 4,
  update: 5,
  exposure: 6,
  versionUri: 7,
  versionTag: 8,
  invalidation: 9,
  invalidationAction: 10,
} as const;

export const MAX_OP_BYTES = 8 * 2 ** 20;
export const MIN_OP_BYTES = 8;

/** What is stored in `records.kind`; 0 is a record whose kind isn't known, as Braid-DB writes it. */
export const KINDS = ['record', 'fact', 'data', 'model'] as const;
export type Kind = (typeof KINDS)[number];
export const KindCode = { record: 0, fact: 1, data: 2, model: 3 } as const;

/** Braid-DB's tag types; a boolean is an integer of theirs with a mark of ours. */
export const TagType = { string: 1, integer: 2, float: 3, boolean: 0x12 } as const;
export type TagTypeCode = (typeof TagType)[keyof typeof TagType];

/** What is done of an invalidated record; in `invalidation_actions.action_type` by Braid-DB's names. */
export const ActionCode = { shell: 1, event: 2 } as const;
export type ActionType = keyof typeof ActionCode;

/** The forms of a reference to a version. */
export const VersionForm = { none: 0, unknown: 1, step: 2, ordinal: 3, elsewhere: 4 } as const;

/** A version, named without its model: by its step, or by who made it as his how-many-th. */
export interface VersionName {
  /** Where it isn't this attempt: run as 32 hex digits, and attempt. */
  readonly elsewhere?: { readonly run: string; readonly attempt: number };
  readonly step?: number;
  readonly rank?: number;
  readonly ordinal?: number;
}

/** What is known of the version of a source: that it can't have one, that we don't know, or its name. */
export type SourceVersion = 'none' | 'unknown' | VersionName;

export const FRAME_MAGIC = 0x52465242; // 'BRFR'
export const FRAME_HEADER_BYTES = 64;
export const FRAME_SEALED = 1;
export const MAX_FRAME_BYTES = 16 * 2 ** 20;

export const FrameField = {
  magic: 0,
  version: 4,
  flags: 6,
  run: 8,
  attempt: 24,
  rank: 28,
  sequence: 32,
  bytes: 36,
  ops: 40,
  records: 44,
  crc: 48,
  check: 52,
  zero: 56,
} as const;

/** Times are microseconds and must stay exact as JavaScript numbers; ids likewise. */
export const MAX_ID = Number.MAX_SAFE_INTEGER;

export const isId = (value: number): boolean => Number.isSafeInteger(value) && value >= 1;
export const isUint32 = (value: number): boolean => value >>> 0 === value;

export const align4 = (bytes: number): number => (bytes + 3) & ~3;
