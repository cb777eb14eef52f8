import type { Drawing, DrawnNode, EdgeStyle } from './drawing.js';
import { FONT_SIZE, layoutOf, LINE_HEIGHT, textWidth, type Box, type Point } from './layout.js';
import { legendOf } from './legend.js';
import { EDGES, INVALID } from './look.js';
import { cross, escapeXml, frame, frameLabel, line, round, shapeOf, text } from './shapes.js';

interface SvgOptions {
  /** Of each node, where a click on it leads. */
  href?: (place: number) => string;
}

const TITLE_HEIGHT = 58;
const FOLD_STEP = 4;

/** All is in attributes: a page that forbids styles shows it, too. */
export function svgOf(drawing: Drawing, { href }: SvgOptions = {}): string {
  const { title, summary, nodes, edges, groups } = drawing;
  const layout = layoutOf(drawing);
  const width = Math.ceil(Math.max(layout.width, textWidth(title) * 1.3 + 40, 520));
  const legend = legendOf(drawing, width);
  const height = Math.ceil(TITLE_HEIGHT + layout.height + legend.height);
  const link = (place: number, inner: string) => (href ? `<a href="${href(place)}">${inner}</a>` : inner);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="DejaVu Sans, Verdana, sans-serif" font-size="${FONT_SIZE}" fill="#111">`,
    `<title>${escapeXml(title)}</title>`,
    `<desc>${escapeXml(summary)}</desc>`,
    `<defs>${(Object.keys(EDGES) as EdgeStyle[]).map(marker).join('')}</defs>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(20, 28, title, 'font-size="17" font-weight="bold"'),
    text(20, 48, summary, 'fill="#555"'),
    `<g transform="translate(0 ${TITLE_HEIGHT})">`,
    ...groups.map((_, i) => frame(layout.groups[i])),
    ...edges.map(({ from, to, style, inferred, title }, i) => {
      const path = from === to ? loopOf(layout.edges[i]) : pathOf(layout.edges[i], layout.across);
      return `<g><title>${escapeXml(title)}</title>${line(path, style, inferred)}</g>`;
    }),
    ...groups.map(({ label }, i) => frameLabel(layout.groups[i], label)),
    ...nodes.map((node, i) => link(i, nodeOf(node, layout.nodes[i]))),
    '</g>',
    `<g transform="translate(0 ${Math.ceil(TITLE_HEIGHT + layout.height)})">${legend.svg}</g>`,
    '</svg>',
    '',
  ].join('\n');
}

function nodeOf(node: DrawnNode, { x, y, width, height }: Box): string {
  const { kind, lines, title, isFold, isStart, invalid, inferred, missing } = node;
  const look = { kind, invalid, dashed: inferred || missing, bold: isStart };
  const inset = isFold ? FOLD_STEP * 2 : 0;
  const front = { x: x - inset / 2, y: y + inset / 2, width: width - inset, height: height - inset };
  const shapes = [];
  for (let step = isFold ? 2 : 0; step >= 0; step--) {
    shapes.push(shapeOf(look, { ...front, x: front.x + step * FOLD_STEP, y: front.y - step * FOLD_STEP }));
  }
  const top = front.y - ((lines.length - 1) * LINE_HEIGHT) / 2 + FONT_SIZE * 0.36;
  const texts = lines.map((each, i) => {
    const isBad = invalid && i === lines.length - 1;
    const style = isBad ? `fill="${INVALID.stroke}" font-weight="bold"` : i === 0 ? (isStart ? 'font-weight="bold"' : '') : 'fill="#444"'; // prettier-ignore
    return text(front.x, top + i * LINE_HEIGHT, each, `text-anchor="middle" ${style}`);
  });
  const mark = invalid ? cross(front.x + front.width / 2 - 6, front.y - front.height / 2 + 2) : '';
  return `<g><title>${escapeXml(title)}</title>${shapes.join('')}${texts.join('')}${mark}</g>`;
}

/** A filled triangle, a diamond, an open angle. */
function marker(style: EdgeStyle): string {
  const { color } = EDGES[style];
  const [path, fill] = {
    derivation: ['M0 0L10 5L0 10z', color],
    update: ['M0 5L6 0L12 5L6 10z', color],
    order: ['M1 1L9 5L1 9', 'none'],
  }[style];
  return `<marker id="braid-${style}" viewBox="0 0 12 10" refX="${style === 'update' ? 12 : 10}" refY="5" markerWidth="12" markerHeight="10" markerUnits="userSpaceOnUse" orient="auto"><path d="${path}" fill="${fill}" stroke="${color}" stroke-width="${style === 'order' ? 1.6 : 0}"/></marker>`;
}

/** Through all of them the way that the drawing goes. */
function pathOf(points: readonly Point[], across: boolean): string {
  const at = (x: number, y: number) => `${round(x)} ${round(y)}`;
  let [{ x, y }] = points;
  let path = `M${at(x, y)}`;
  for (const next of points.slice(1)) {
    const [mx, my] = [(x + next.x) / 2, (y + next.y) / 2];
    const bends = across ? `${at(mx, y)} ${at(mx, next.y)}` : `${at(x, my)} ${at(next.x, my)}`;
    path += (across ? y === next.y : x === next.x) ? `L${at(next.x, next.y)}` : `C${bends} ${at(next.x, next.y)}`;
    ({ x, y } = next);
  }
  return path;
}

function loopOf([start, { x }, end]: readonly Point[]): string {
  const far = round(x + (x - start.x) / 3);
  return `M${round(start.x)} ${round(start.y)}C${far} ${round(start.y - 12)} ${far} ${round(end.y + 12)} ${round(end.x)} ${round(end.y)}`;
}
