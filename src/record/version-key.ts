import { isId, isUint32 } from '../frame/format.js';

/** A version's name in full: of a step, or the how-many-th of a rank that had no step. */
export interface VersionParts {
  readonly model: number;
  /** 32 hex digits. */
  readonly run: string;
  readonly attempt: number;
  readonly step?: number;
  readonly rank?: number;
  readonly ordinal?: number;
}

/** The string that names a version to another rank or process. */
export function versionKey(parts: VersionParts): string {
  return `${keyStart(parts.model, parts)}${parts.step ?? parts.ordinal}`;
}

/** A key without the number at its end, a step or an ordinal. */
export function keyStart(model: number, { run, attempt, step, rank }: Omit<VersionParts, 'model' | 'ordinal'>): string {
  return `${model}@${run}.${attempt}.${step === undefined ? `o${rank}.` : 's'}`;
}

/** The inverse; undefined for what no version was ever called: not a key, or with numbers that the format doesn't hold. */
export function parseVersionKey(key: string): VersionParts | undefined {
  const match = /^(\d{1,16})@([0-9a-f]{32})\.(\d{1,9})\.(?:s(\d{1,16})|o(\d{1,9})\.(\d{1,10}))$/.exec(key);
  if (!match) return undefined;
  const [model, attempt, step, rank, ordinal] = [1, 3, 4, 5, 6].map((group) => Number(match[group]));
  const stepped = match[4] !== undefined;
  const sound = isId(model) && attempt >= 1 && (stepped ? Number.isSafeInteger(step) : isUint32(ordinal));
  return sound ? { model, run: match[2], attempt, ...(stepped ? { step } : { rank, ordinal }) } : undefined;
}
