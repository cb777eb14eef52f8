/** The plots of a report, as SVG. Who can't tell colours apart has shapes, dashes and words. */
import { LineChart, CustomChart, ScatterChart } from 'echarts/charts';
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { holds, margin, number, summary, targetText, type Summary } from './figures.js';
import { PHASES } from './trial.js';
import { valuesOf, type ComparisonResult, type Results, type TrialResult } from './results.js';

echarts.use([
  LineChart,
  CustomChart,
  ScatterChart,
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  TitleComponent,
  SVGRenderer,
]);

export interface Plot {
  readonly name: string;
  readonly title: string;
  readonly svg: string;
}

/** Of Okabe and Ito's palette, which most eyes can tell apart. */
const BLUE = '#0072b2';
const ORANGE = '#d55e00';
const GREY = '#666666';
const WIDTH = 960;
/** Long enough for a dash to be seen; what it says is wider than is reckoned where there is no font to ask. */
const LEGEND = { left: 10, top: 40, right: 60, itemWidth: 44, itemGap: 36 };

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

function draw(name: string, title: string, height: number, option: echarts.EChartsCoreOption): Plot {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  chart.setOption({
    animation: false,
    textStyle: { fontFamily: 'sans-serif' },
    title: { text: title, left: 10, top: 8, textStyle: { fontSize: 16, fontFamily: 'sans-serif' } },
    ...option,
  });
  // Elements are numbered through the process; a drawing is to depend on its figures alone.
  const svg = chart.renderToSVGString().replace(/\bzr\d+-/g, 'zr-');
  chart.dispose();
  return { name, title, svg: `${svg}\n` };
}

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
      legend: { ...LEGEND, data: ['held', 'missed', 'lowest to highest repeat'] },
      grid: { left: 380, right: 60, top: 80, bottom: 40 },
      xAxis: { type: 'log', name: '×', axisLabel: { formatter: number } },
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
  return linesPlot('commit', 'Commit, by the number of records', { name: 'records', formatter: number }, 'records/s', [
    line,
  ]);
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

interface Line {
  readonly label: string;
  readonly points: readonly [number, Summary][];
  readonly color: string;
  readonly dashed: boolean;
  readonly symbol: string;
}

function linesPlot(
  name: string,
  title: string,
  x: { name: string; formatter: (value: number) => string },
  unit: string,
  lines: readonly Line[],
  limit?: { at: number; label: string },
): Plot {
  const xs = [...new Set(lines.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b);
  const place = (at: number) => xs.indexOf(at);
  return draw(name, title, 420, {
    legend: { ...LEGEND, data: lines.map(({ label }) => label) },
    grid: { left: 80, right: 110, top: 120, bottom: 50 },
    xAxis: { type: 'category', name: x.name, data: xs.map(x.formatter) },
    yAxis: { type: 'log', name: unit, axisLabel: { formatter: number } },
    series: lines.flatMap(({ label, points, color, dashed, symbol }, i) => [
      {
        name: label,
        type: 'line',
        symbol,
        symbolSize: 10,
        lineStyle: { color, width: 2, type: dashed ? 'dashed' : 'solid' },
        itemStyle: { color },
        data: points.map(([at, { median }]) => [place(at), median]),
        ...(limit && i === 0
          ? {
              markLine: {
                symbol: 'none',
                lineStyle: { color: GREY, type: 'dotted', width: 2 },
                label: { formatter: limit.label },
                data: [{ yAxis: limit.at }],
              },
            }
          : {}),
      },
      whiskers(
        `${label}, spread`,
        color,
        points.map(([at, range]) => [place(at), range] as const),
        'up',
      ),
    ]),
  });
}

/** From the lowest to the highest, with a stroke across each end. */
function whiskers(name: string, color: string, ranges: readonly (readonly [number, Summary])[], way: 'up' | 'across') {
  const stroke = (x1: number, y1: number, x2: number, y2: number) => ({
    type: 'line',
    shape: { x1, y1, x2, y2 },
    style: { stroke: color, lineWidth: 1.5 },
  });
  const END = 5;
  return {
    name,
    type: 'custom',
    itemStyle: { color },
    data: ranges.map(([place, { low, high }]) => [place, low, high]),
    encode: way === 'up' ? { x: 0, y: [1, 2] } : { y: 0, x: [1, 2] },
    renderItem: (_: unknown, api: { value: (i: number) => number; coord: (at: number[]) => number[] }) => {
      const at = (value: number) => api.coord(way === 'up' ? [api.value(0), value] : [value, api.value(0)]);
      const [[x1, y1], [x2, y2]] = [at(api.value(1)), at(api.value(2))];
      const [dx, dy] = way === 'up' ? [END, 0] : [0, END];
      return {
        type: 'group',
        children: [
          stroke(x1, y1, x2, y2),
          stroke(x1 - dx, y1 - dy, x1 + dx, y1 + dy),
          stroke(x2 - dx, y2 - dy, x2 + dx, y2 + dy),
        ],
      };
    },
  };
}

function bytesText(bytes: number): string {
  return bytes % 2 ** 20 === 0 ? `${bytes / 2 ** 20} MiB` : `${bytes / 1000} kB`;
}
