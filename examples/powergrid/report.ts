import { OUTCOMES, type Result, type Violation } from './contingency.js';

/** What is kept of a case for the end: small, since those of all ranks come together at the root. */
export interface Finding {
  /** Of its record. */
  readonly id: number;
  readonly rank: number;
  readonly outage: string;
  readonly day: number;
  readonly outcome: Result['outcome'];
  readonly margin: number;
  readonly worst: Violation | null;
}

/** What one outage did, over all days. */
export interface Row {
  readonly outage: string;
  /** Days on which it had not the outcome `secure`; and of those, `diverged`. */
  readonly unsafe: number;
  readonly diverged: number;
  readonly leastMargin: number;
  /** Furthest beyond its limit: the name of its record, and by what part of the limit. */
  readonly worst: { readonly name: string; readonly excess: number } | null;
}

/** How far a value is beyond its limit, on whichever side: 0.1 is a tenth of the limit. */
export const excessOf = ({ value, limit }: Violation): number => Math.abs(value / limit - 1);

export const worstOf = (violations: readonly Violation[]): Violation | null =>
  violations.toSorted((a, b) => excessOf(b) - excessOf(a))[0] ?? null;

export function countOutcomes(findings: readonly Finding[]): Record<Result['outcome'], number> {
  const counts = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Record<Result['outcome'], number>;
  for (const { outcome } of findings) counts[outcome]++;
  return counts;
}

/** The outages, the worst first: no state to run in, then other trouble, on the most days; then the least margin. */
export function rankOutages(findings: readonly Finding[]): Row[] {
  const byOutage = new Map<string, Finding[]>();
  for (const finding of findings) {
    const days = byOutage.get(finding.outage);
    if (days) days.push(finding);
    else byOutage.set(finding.outage, [finding]);
  }
  const rows = Array.from(byOutage, ([outage, days]): Row => {
    const violations = days.flatMap(({ day, worst }) =>
      worst ? [{ name: `${caseName(day, outage)}/${worst.of}`, excess: excessOf(worst) }] : [],
    );
    return {
      outage,
      unsafe: days.filter(({ outcome }) => outcome !== 'secure').length,
      diverged: days.filter(({ outcome }) => outcome === 'diverged').length,
      leastMargin: Math.min(...days.map(({ margin }) => margin)),
      worst: violations.sort((a, b) => b.excess - a.excess)[0] ?? null,
    };
  });
  return rows.sort((a, b) => b.diverged - a.diverged || b.unsafe - a.unsafe || a.leastMargin - b.leastMargin);
}

export function table(rows: readonly Row[], days: number): string {
  const cells = [
    ['OUTAGE', 'UNSAFE DAYS', 'NO STATE', 'LEAST MARGIN', 'WORST VIOLATION'],
    ...rows.map(({ outage, unsafe, diverged, leastMargin, worst }) => [
      outage,
      `${unsafe} of ${days}`,
      String(diverged),
      leastMargin.toFixed(3),
      worst ? `${worst.name}, by ${(100 * worst.excess).toFixed(1)} %` : '-',
    ]),
  ];
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  return cells
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export const loadsName = (day: number): string => `loads-${day}`;
export const caseName = (day: number, outage: string): string => `${loadsName(day)}/${outage}`;
