/** How plots are drawn: by ECharts, which writes SVG without a browser. Who can't tell colours apart has shapes, dashes and words. */
import { LineChart, CustomChart, ScatterChart } from 'echarts/charts';
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { number, type Summary } from './figures.js';

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
export const BLUE = '#0072b2';
export const ORANGE = '#d55e00';
export const GREY = '#666666';
const WIDTH = 960;
/** Long enough for a dash to be seen; what it says is wider than is reckoned where there is no font to ask. */
export const LEGEND = { left: 10, top: 40, right: 60, itemWidth: 44, itemGap: 36 };

export function draw(name: string, title: string, height: number, option: echarts.EChartsCoreOption): Plot {
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

export interface Line {
  readonly label: string;
  readonly points: readonly [number, Summary][];
  readonly color: string;
  readonly dashed: boolean;
  readonly symbol: string;
}

export function linesPlot(
  name: string,
  title: string,
  x: { name: string; formatter: (value: number) => string },
  unit: string,
  /** What spans powers of ten needs a logarithm; of other figures it would hide the differences. */
  scale: 'log' | 'value',
  lines: readonly Line[],
  limit?: { at: number; label: string },
): Plot {
  const xs = [...new Set(lines.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b);
  const place = (at: number) => xs.indexOf(at);
  return draw(name, title, 420, {
    legend: { ...LEGEND, data: lines.map(({ label }) => label) },
    grid: { left: 80, right: 110, top: 120, bottom: 50 },
    xAxis: { type: 'category', name: x.name, data: xs.map(x.formatter) },
    yAxis: { type: scale, name: unit, axisLabel: { formatter: number } },
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
export function whiskers(
  name: string,
  color: string,
  ranges: readonly (readonly [number, Summary])[],
  way: 'up' | 'across',
) {
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
