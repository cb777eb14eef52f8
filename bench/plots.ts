/** The plots of a report: of which figures they are made. */
import { BLUE, GREY, LEGEND, ORANGE, draw, linesPlot, whiskers, type Plot } from './drawing.js';
import { holds, margin, number, summary, targetText, type Summary } from './figures.js';
import { valuesOf, type ComparisonResult, type Results, type TrialResult } from './results.js';
import { PHASES } from './trial.js';

/** Those for which there are figures; the same for the same results. */
export function plots(results: Results): Plot[] {
  const all = [
    targets(results),
    gather(results, 'gather-time', 'Gather: time of a call', 'µs', ({ us }) => us),
    gather(results, 'gather-bandwidth', 'Gather: bandwidth', 'MB/s', ({ us, bytes }) => bytes / us),
    ranks(results),
    commit(results),
  ];
  return all.filter((plot) => plot !== undefined);
}

/** What is far beyond its target, or has none of what is to be little, would leave no room for the others. */
const within = (margin: number) => Math.min(100, Math.max(0.01, margin));

/** Every target, by the factor that there is to it: right of the line it is held. */
function targets({ trials }: Results): Plot | undefined {
  const rows = trials
    .toSorted((a, b) => PHASES.indexOf(a.phase) - PHASES.indexOf(b.phase))
    .flatMap(({ name, comparisons }) =>
      comparisons.flatMap((each) => {
        const { target, of, to, unit } = each;
        if (!target || of.figures.length === 0) return [];
        return {
          label: `${name}: ${each.title}\n${targetText(target, unit, to !== undefined)}`,
          held: holds(valuesOf(each), target),
          ...summary(of.figures.map((figure, i) => within(margin(figure, to?.figures[i], target)))),
        };
      }),
    );
  if (rows.length === 0) return undefined;
  const marks = (held: boolean) => rows.flatMap((row, i) => (row.held === held ? [[row.median, i]] : []));
  const words = (held: boolean) => ({
    show: true,
    position: 'top' as const,
    formatter: ({ value }: { value: number[] }) => `${number(value[0])} ×${held ? '' : ' missed'}`,
  });
  return draw(
    'targets',
    'Against the targets: right of the line is held, a factor left of it is missing',
    120 + 40 * rows.length,
    {
      legend: { ...LEGEND, itemWidth: 18, data: ['held', 'missed', 'lowest to highest repeat'] },
      grid: { left: 380, right: 60, top: 80, bottom: 40 },
      xAxis: { type: 'log', axisLabel: { formatter: number } },
      yAxis: {
        type: 'category',
        inverse: true,
        data: rows.map(({ label }) => label),
        axisLabel: { width: 360, overflow: 'truncate', lineHeight: 13, fontSize: 11 },
      },
      series: [
        whiskers(
          'lowest to highest repeat',
          GREY,
          rows.map((row, i) => [i, row] as const),
          'across',
        ),
        {
          name: 'held',
          type: 'scatter',
          symbol: 'circle',
          symbolSize: 12,
          itemStyle: { color: BLUE },
          data: marks(true),
          label: words(true),
          markLine: {
            symbol: 'none',
            lineStyle: { color: '#000', type: 'solid', width: 1.5 },
            label: { show: false },
            data: [{ xAxis: 1 }],
          },
        },
        {
          name: 'missed',
          type: 'scatter',
          symbol: 'triangle',
          symbolSize: 14,
          itemStyle: { color: '#fff', borderColor: ORANGE, borderWidth: 2 },
          data: marks(false),
          label: words(false),
        },
      ],
    },
  );
}

interface Gathered {
  /** Of all ranks together. */
  readonly bytes: number;
  readonly us: number;
}

/** One line for each program and number of ranks. */
function gather({ trials }: Results, name: string, title: string, unit: string, of: (call: Gathered) => number) {
  const lines = new Map<string, { ranks: number; first: boolean; points: [number, Summary][] }>();
  for (const each of trials.filter(({ phase }) => phase === 'gather').flatMap(({ comparisons }) => comparisons)) {
    const { bytes, ranks } = each.at ?? {};
    if (bytes === undefined || ranks === undefined || each.of.figures.length === 0) continue;
    for (const side of [each.of, each.to!]) {
      const label = `${side.title}, ${ranks} ranks`;
      const line = lines.get(label) ?? { ranks, first: side === each.of, points: [] };
      lines.set(label, line);
      const total = bytes * ranks;
      const times = side.figures.map((figure) => (each.unit === 'MB/s' ? total / figure : figure));
      line.points.push([bytes, summary(times.map((us) => of({ bytes: total, us })))]);
    }
  }
  if (lines.size === 0) return undefined;
  return linesPlot(
    name,
    `${title}, by the bytes of a rank`,
    { name: 'bytes of a rank', formatter: bytesText },
    unit,
    'log',
    [...lines].map(([label, { ranks, first, points }]) => ({
      label,
      points: points.sort(([a], [b]) => a - b),
      color: first ? BLUE : ORANGE,
      dashed: !first,
      symbol: ranks > 2 ? 'triangle' : 'circle',
    })),
  );
}

function ranks({ trials }: Results): Plot | undefined {
  const found = trials.find(({ phase }) => phase === 'ranks');
  const points = found ? pointsOf(found, ({ at }) => at?.ranks) : [];
  if (points.length === 0) return undefined;
  const base = points.find(([ranks]) => ranks === 2)?.[1].median;
  const line = { label: 'recorded and closed', points, color: BLUE, dashed: false, symbol: 'circle' };
  return linesPlot(
    'ranks',
    'The same records over more ranks',
    { name: 'ranks', formatter: String },
    's',
    'value',
    [line],
    base === undefined ? undefined : { at: 1.3 * base, label: '1.3 × 2 ranks' },
  );
}

function commit({ trials }: Results): Plot | undefined {
  const points = trials
    .filter(({ phase }) => phase === 'commit')
    .flatMap((trial) => pointsOf(trial, ({ at }) => at?.records))
    .sort(([a], [b]) => a - b);
  if (points.length === 0) return undefined;
  const line = { label: 'commit', points, color: BLUE, dashed: false, symbol: 'circle' };
  return linesPlot(
    'commit',
    'Commit, by the number of records',
    { name: 'records', formatter: number },
    'records/s',
    'value',
    [line],
  );
}

function pointsOf(
  { comparisons }: TrialResult,
  x: (each: ComparisonResult) => number | undefined,
): [number, Summary][] {
  return comparisons.flatMap((each): [number, Summary][] => {
    const at = x(each);
    return at === undefined || each.of.figures.length === 0 ? [] : [[at, summary(each.of.figures)]];
  });
}

function bytesText(bytes: number): string {
  return bytes % 2 ** 20 === 0 ? `${bytes / 2 ** 20} MiB` : `${bytes / 1000} kB`;
}
