/** What repeats amount to, and whether that is what was demanded. */
import type { Target } from './trial.js';

export interface Summary {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export function summary(figures: readonly number[]): Summary {
  const sorted = [...figures].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, low: sorted[0], high: sorted.at(-1)! };
}

/** Quantiles of Student's t for 95 %, two-sided, by degrees of freedom from 1. */
const T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131];

/** The 95 % confidence interval of the mean; of one figure it has no ends. */
export function interval(figures: readonly number[]): readonly [number, number] {
  const { length } = figures;
  if (length < 2) return [-Infinity, Infinity];
  const mean = figures.reduce((sum, each) => sum + each, 0) / length;
  const variance = figures.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (length - 1);
  // Beyond the table: what t is there, to three digits.
  const t = T[length - 2] ?? 1.96 + 2.5 / (length - 1);
  const half = t * Math.sqrt(variance / length);
  return [mean - half, mean + half];
}

/** What a target is about: the ratio, the rest above so many times the other, or the figure itself. */
export function measured(of: number, to: number | undefined, target: Target | undefined): number {
  if (to === undefined) return of;
  const line = lineOf(target);
  return line ? of - line.times * to : of / to;
}

function lineOf(target: Target | undefined): { times: number; plus: number } | undefined {
  return target && 'atMost' in target && typeof target.atMost === 'object' ? target.atMost : undefined;
}

/** The number that a target puts beside the median of what is measured. */
export function bound(target: Target): number {
  if ('atLeast' in target) return target.atLeast;
  return typeof target.atMost === 'object' ? target.atMost.plus : target.atMost;
}

/** What of the repeats is judged. */
export function judged(values: readonly number[], target: Target): number {
  return isConfident(target) ? interval(values)[1] : summary(values).median;
}

export function isConfident(target: Target): boolean {
  return 'confident' in target && target.confident === true;
}

export function holds(values: readonly number[], target: Target): boolean {
  return 'atLeast' in target ? judged(values, target) >= target.atLeast : judged(values, target) <= bound(target);
}

/** How far from its target one repeat is, as a factor: 1 just keeps it, more is better, whatever way the target goes. */
export function margin(of: number, to: number | undefined, target: Target): number {
  if ('atLeast' in target) return measured(of, to, target) / target.atLeast;
  const line = lineOf(target);
  return (line ? line.times * to! + line.plus : bound(target) * (to ?? 1)) / of;
}

/** The target as a reader of the report has it. */
export function targetText(target: Target, unit: string, against: boolean): string {
  const own = against ? '' : ` ${unit}`;
  if ('atLeast' in target) return `≥ ${target.atLeast}${against ? ' ×' : own}`;
  const line = lineOf(target);
  if (line) return `≤ ${line.times} × + ${line.plus} ${unit}`;
  const end = isConfident(target) ? ', end of the 95 % interval' : '';
  return `≤ ${bound(target)}${against ? ' ×' : own}${end}`;
}

/** Three digits that mean something. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en');
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

export function spread(figures: readonly number[]): string {
  const { median, low, high } = summary(figures);
  return figures.length === 1 ? number(median) : `${number(median)} (${number(low)} to ${number(high)})`;
}
