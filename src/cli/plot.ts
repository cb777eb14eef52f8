/** Draws a tag of a model's versions: as SVG by ECharts, which needs no browser, and as text. */
import { LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { VersionRow } from '../query/reader.js';
import { printable } from './output.js';
import { valuesOf } from './record-text.js';
import { textChart } from './text-chart.js';

echarts.use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

const WIDTH = 960;
const HEIGHT = 420;
/** Of a value that is drawn as so many of these. */
const LARGE = 1e300;
/** Of Okabe and Ito's palette, which most eyes can tell apart; who can't has dashes and symbols. */
const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#666666'];
const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond', 'emptyCircle'];
const DASHES = ['solid', 'dashed', 'dotted'];

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
    const numbers = valuesOf(version, tag)
      .filter((value) => typeof value === 'number' || typeof value === 'bigint')
      .map(Number)
      .filter(Number.isFinite);
    if (numbers.length === 0) continue;
    found.push(...numbers.map((value) => ({ version, value })));
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
  const x = stepped ? 'step' : 'version';
  return { svg: svgOf(`${tag} of ${model}`, x, tag, all), text: textOf(model, x, tag, all) };
}

function svgOf(title: string, x: string, y: string, lines: readonly Line[]): string {
  // ECharts adds to and multiplies what it draws.
  const isLarge = lines.some(({ points }) => points.some(([, value]) => Math.abs(value) >= LARGE));
  const unit = isLarge ? LARGE : 1;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  chart.setOption({
    animation: false,
    textStyle: { fontFamily: 'sans-serif' },
    title: { text: title, left: 10, top: 8, textStyle: { fontSize: 16, fontFamily: 'sans-serif' } },
    legend: { left: 10, top: 40, right: 60, itemWidth: 44, data: lines.map(({ label }) => label) },
    grid: { left: 80, right: 110, top: 90, bottom: 50 },
    xAxis: { type: 'value', name: x, minInterval: 1, scale: true },
    yAxis: { type: 'value', name: isLarge ? `${y} / 1e300` : y, scale: true },
    series: lines.map(({ label, points }, i) => ({
      name: label,
      type: 'line',
      symbol: SYMBOLS[i % SYMBOLS.length],
      symbolSize: 7,
      showSymbol: points.length <= 200,
      lineStyle: { color: COLORS[i % COLORS.length], width: 2, type: DASHES[i % DASHES.length] },
      itemStyle: { color: COLORS[i % COLORS.length] },
      data: points.map(([at, value]) => [at, value / unit]),
    })),
  });
  // Elements are numbered through the process; a drawing is to depend on its figures alone.
  const svg = chart.renderToSVGString().replace(/\bzr\d+-/g, 'zr-');
  chart.dispose();
  return `${svg}\n`;
}

/** One drawing under another: colour alone would have to tell lines apart. */
function textOf(model: string, x: string, tag: string, lines: readonly Line[]): string[] {
  return lines.flatMap(({ label, points }, i) => [
    ...(i > 0 ? [''] : []),
    `${printable(tag)} of ${printable(model)}, ${label}`,
    ...textChart(points, x),
  ]);
}
