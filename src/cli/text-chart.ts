/** Draws a line of points as text, for a terminal. */
import { groupBy } from '../group-by.js';

const WIDTH = 64;
const HEIGHT = 12;
const DIGITS = 4;
const MAX_DIGITS = 17;

export type Point = readonly [x: number, y: number];

/**
 * A chart of points by their x, of finite numbers: `•` is a point, `│` what lies between the lowest and the highest of those that
 * share a column, and `·` leads from one to the next. No point is left out, and so no spike.
 *
 * @param points one at least, by their x.
 * @param xName of what x is.
 */
export function textChart(points: readonly Point[], xName: string): string[] {
  const x = scale(points.map(([x]) => x), WIDTH); // prettier-ignore
  const y = scale(points.map(([, y]) => y), HEIGHT); // prettier-ignore
  const cells = Array.from({ length: y.count }, () => Array<string>(x.count).fill(' '));
  let before: { column: number; row: number } | undefined;
  const columns = groupBy(points, ([at]) => x.place(at));
  for (const [column, inIt] of columns) {
    const rows = inIt.map(([, value]) => y.place(value));
    if (before) connect(cells, before, { column, row: rows[0] });
    for (let row = Math.min(...rows); row <= Math.max(...rows); row++) cells[row][column] = '│';
    for (const row of rows) cells[row][column] = '•';
    before = { column, row: rows.at(-1)! };
  }
  const labels = labelsOf(Array.from({ length: y.count }, (_, row) => y.value(row)));
  const width = Math.max(...labels.map(({ length }) => length));
  const [first, last] = [points[0][0], points.at(-1)![0]];
  const begin = `${xName} ${first}`;
  const end = last === first ? '' : String(last).padStart(x.count - begin.length);
  return [
    ...cells.map((row, i) => `${labels[i].padStart(width)} ┤${row.join('')}`.trimEnd()).reverse(),
    `${' '.repeat(width)} └${'─'.repeat(x.count)}`,
    `${' '.repeat(width + 2)}${begin}${end}`,
  ];
}

/** The columns between two points, without theirs. */
function connect(cells: string[][], from: { column: number; row: number }, to: { column: number; row: number }): void {
  const wide = to.column - from.column;
  for (let i = 1; i < wide; i++) {
    cells[Math.round(from.row + ((to.row - from.row) * i) / wide)][from.column + i] = '·';
  }
}

interface Scale {
  readonly count: number;
  /** Which of the places a value has. */
  readonly place: (value: number) => number;
  readonly value: (place: number) => number;
}

/** So many places from the least value to the greatest; one, where they are the same. */
function scale(values: readonly number[], most: number): Scale {
  let [min, max] = [Infinity, -Infinity];
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  if (min === max) return { count: 1, place: () => 0, value: () => min };
  // Of -1e308 and 1e308 the difference is no number any more, and that of halves is.
  const part = Number.isFinite(max - min) ? 1 : 0.5;
  const range = max * part - min * part;
  return {
    count: most,
    place: (value) => Math.round(((value * part - min * part) / range) * (most - 1)),
    value: (place) => {
      const share = place / (most - 1);
      const value = min * (1 - share) + max * share;
      // What is left of rounding is no label.
      return Math.abs(value) < range * 1e-12 ? 0 : value;
    },
  };
}

/** With as many digits as tell them apart. */
function labelsOf(values: readonly number[]): string[] {
  for (let digits = DIGITS; ; digits++) {
    const labels = values.map((value) => value.toPrecision(digits));
    if (digits === MAX_DIGITS || new Set(labels).size === labels.length) return labels;
  }
}
