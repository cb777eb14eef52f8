/** Draws a tag of a model's versions: as SVG by ECharts, which needs no browser, and as text. */
import asciichart from 'asciichart';
import { LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { VersionRow } from '../query/reader.js';
import { printable } from './output.js';

echarts.use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

const WIDTH = 960;
const HEIGHT = 420;
/** Of Okabe and Ito's palette, which most eyes can tell apart; who can't has dashes and symbols. */
const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#666666'];
const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond', 'emptyCircle'];
const DASHES = ['solid', 'dashed', 'dotted'];
const TEXT_HEIGHT = 12;
const TEXT_WIDTH = 64;

export interface VersionsPlot {
  readonly svg: string;
  readonly text: readonly string[];
}

interface Line {
  readonly label: string;
  readonly points: [x: number, y: number][];
}

/** A line for each attempt that made versions; undefined where no version has the tag as a number. */
export function versionsPlot(model: string, tag: string, versions: Iterable<VersionRow>): VersionsPlot | undefined {
  const lines = new Map<string, Line>();
  let stepped = true;
  const found: { version: VersionRow; value: number }[] = [];
  for (const version of versions) {
    const value = Object.hasOwn(version.tags, tag) ? version.tags[tag] : undefined;
    if (typeof value !== 'number' && typeof value !== 'bigint') continue;
    found.push({ version, value: Number(value) });
    stepped &&= version.step !== undefined;
  }
  if (found.length === 0) return undefined;
  for (const { version, value } of found) {
    const { run, attempt, step, number } = version;
    const label = `run ${run.slice(0, 8)}${attempt === 1 ? '' : `, attempt ${attempt}`}`;
    const line = lines.get(label) ?? { label, points: [] };
    lines.set(label, line);
    line.points.push([(stepped ? step : number) ?? 0, value]);
  }
  for (const { points } of lines.values()) points.sort(([a], [b]) => a - b);
  const all = [...lines.values()];
  return { svg: svgOf(`${tag} of ${model}`, stepped ? 'step' : 'version', tag, all), text: textOf(model, tag, all) };
}

function svgOf(title: string, x: string, y: string, lines: readonly Line[]): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  chart.setOption({
    animation: false,
    textStyle: { fontFamily: 'sans-serif' },
    title: { text: title, left: 10, top: 8, textStyle: { fontSize: 16, fontFamily: 'sans-serif' } },
    legend: { left: 10, top: 40, right: 60, itemWidth: 44, data: lines.map(({ label }) => label) },
    grid: { left: 80, right: 110, top: 90, bottom: 50 },
    xAxis: { type: 'value', name: x, minInterval: 1, scale: true },
    yAxis: { type: 'value', name: y, scale: true },
    series: lines.map(({ label, points }, i) => ({
      name: label,
      type: 'line',
      symbol: SYMBOLS[i % SYMBOLS.length],
      symbolSize: 7,
      showSymbol: points.length <= 200,
      lineStyle: { color: COLORS[i % COLORS.length], width: 2, type: DASHES[i % DASHES.length] },
      itemStyle: { color: COLORS[i % COLORS.length] },
      data: points,
    })),
  });
  // Elements are numbered through the process; a drawing is to depend on its figures alone.
  const svg = chart.renderToSVGString().replace(/\bzr\d+-/g, 'zr-');
  chart.dispose();
  return `${svg}\n`;
}

/** One drawing under another: colour alone would have to tell lines apart. */
function textOf(model: string, tag: string, lines: readonly Line[]): string[] {
  return lines.flatMap(({ label, points }, i) => {
    const values = thinned(points.map(([, value]) => value));
    const [first, last] = [points[0][0], points.at(-1)![0]];
    return [
      ...(i > 0 ? [''] : []),
      `${printable(tag)} of ${printable(model)}, ${label}, ${first} to ${last}`,
      ...asciichart
        .plot(values, { height: Math.min(TEXT_HEIGHT, values.length > 1 ? TEXT_HEIGHT : 1), format })
        .split('\n'),
    ];
  });
}

/** At most as many as a terminal is wide. */
function thinned(values: readonly number[]): number[] {
  if (values.length <= TEXT_WIDTH) return [...values];
  return Array.from({ length: TEXT_WIDTH }, (_, i) => values[Math.round((i * (values.length - 1)) / (TEXT_WIDTH - 1))]);
}

function format(value: number): string {
  return value.toPrecision(4).padStart(11);
}
