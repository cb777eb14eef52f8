import type { LineageRow } from '../query/reader.js';
import { dateText } from './output.js';
import { titleText } from './record-text.js';

/** Deeper lines are not moved further to the right: their number says how deep they are. */
const INDENTED = 12;

/** "  2    [4] model braggnn@3 step 12  2026-07-28 09:30:00.123  run 8861a738 rank 0". */
export function rowLine(row: LineageRow): string {
  return `${String(row.depth).padStart(3)}  ${'  '.repeat(Math.min(row.depth, INDENTED))}${nodeLine(row)}`;
}

/** The same without its depth. */
export function nodeLine(row: LineageRow): string {
  const { time, run, rank, valid, inferred } = row;
  const parts = [titleText(row), dateText(time)];
  if (run !== undefined) parts.push(`run ${run.slice(0, 8)}${rank === undefined ? '' : ` rank ${rank}`}`);
  if (!valid) parts.push('INVALID');
  if (inferred) parts.push('inferred');
  return parts.join('  ');
}
