/** What recording has cost a rank so far. It tells the root with each flush; all are running totals. */
export interface RankCosts {
  /** Its recording calls, as sampled, without sealing. */
  readonly captureMs: number;
  /** Closing frames: mostly their CRCs. */
  readonly sealMs: number;
  /** From when it had come to a flush, an onRoot or a close, until it had the verdict; it may have computed meanwhile. */
  readonly verdictMs: number;
  /** What of its program's time went into waiting: from when it awaited one of these, until the verdict. */
  readonly blockedMs: number;
  /** The largest that its spool has been, as a file. */
  readonly peakSpoolBytes: number;
}

export const COSTS = ['captureMs', 'sealMs', 'verdictMs', 'blockedMs', 'peakSpoolBytes'] as const;

export const NO_COSTS: RankCosts = { captureMs: 0, sealMs: 0, verdictMs: 0, blockedMs: 0, peakSpoolBytes: 0 };

/** What only the root knows. */
export interface RootCosts {
  /** From the order for a round until it was there, which waits for each rank to join. */
  readonly gatherMs: number;
  /** Memory for rounds, at most. */
  readonly peakRoundBytes: number;
  /** How long the attempt had lasted when this was told. */
  readonly untilMs: number;
}

/**
 * What an attempt's recording has cost, as `attempts.report` has it: of each rank a number, in arrays. It takes some
 * 40 bytes a rank, so that which rank is slow can be told, and not only how slow one is. Reports of older versions have less.
 */
export type RunReport = Partial<{ readonly [C in keyof RankCosts]: readonly number[] } & RootCosts> & {
  /** In the thread that writes, which adds it: transactions, with what they waited for another's lock. */
  readonly commitMs?: number;
  /** The same of indexes for searches, if they were built when it ended. */
  readonly indexMs?: number;
};

/**
 * @param ranks by rank, as each came to the last flush.
 * @param closingMs how long all have waited since then, where that flush is the one of a close.
 */
export function reportOf(ranks: readonly RankCosts[], root: RootCosts, closingMs = 0): RunReport {
  const waited = (costs: RankCosts): RankCosts => ({
    ...costs,
    verdictMs: costs.verdictMs + closingMs,
    blockedMs: costs.blockedMs + closingMs,
  });
  const all = ranks.map(waited);
  const arrays = Object.fromEntries(COSTS.map((cost) => [cost, all.map((costs) => rounded(costs[cost]))]));
  return { ...arrays, ...root, gatherMs: rounded(root.gatherMs), untilMs: rounded(root.untilMs) };
}

/** To a microsecond, which is less than the clock knows, and a third of the digits. */
function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** The least, the median and the most of all ranks. */
export interface Spread {
  min: number;
  median: number;
  max: number;
}

export function spreadOf(values: readonly number[] | undefined): Spread | undefined {
  if (!values || values.length === 0) return undefined;
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { min: sorted[0], median, max: sorted[sorted.length - 1] };
}

/**
 * What recording took of the wall time, of the rank that it took most of: its recording calls, sealing, and what its
 * program waited. Undefined where the report lacks one of these.
 *
 * @param wall of an attempt whose report doesn't say how long it had lasted, in seconds.
 */
export function shareOf(report: RunReport, wall: number | undefined): number | undefined {
  const { captureMs, sealMs, blockedMs, untilMs } = report;
  const seconds = untilMs === undefined ? wall : untilMs / 1000;
  if (!seconds || !captureMs || !sealMs || !blockedMs) return undefined;
  const most = captureMs.reduce((max, capture, rank) => Math.max(max, capture + sealMs[rank] + blockedMs[rank]), 0);
  return most / 1000 / seconds;
}
