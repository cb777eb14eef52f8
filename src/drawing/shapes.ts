/** The pieces of an SVG that the drawing and its legend share. */
import type { Kind } from '../frame/format.js';
import { shown, type EdgeStyle } from './drawing.js';
import type { Box } from './layout.js';
import { COLORS, EDGES, INVALID } from './look.js';
import { SLANT } from './routes.js';

const FRAME = '#f4faf7';

interface Look {
  readonly kind: Kind;
  readonly invalid?: boolean;
  readonly dashed?: boolean;
  readonly bold?: boolean;
}

export function shapeOf({ kind, invalid, dashed, bold }: Look, { x, y, width, height }: Box): string {
  const { fill, stroke } = invalid ? INVALID : COLORS[kind];
  const style = `fill="${fill}" stroke="${stroke}" stroke-width="${bold ? 3.5 : invalid ? 2.5 : 1.4}"${dashed ? ' stroke-dasharray="5 4"' : ''}`;
  const [left, right, top, bottom] = [x - width / 2, x + width / 2, y - height / 2, y + height / 2].map(round);
  if (kind === 'fact' || kind === 'data') {
    const radius = kind === 'data' ? ` rx="${round(Math.min(height / 2, 18))}"` : '';
    return `<rect x="${left}" y="${top}" width="${round(width)}" height="${round(height)}"${radius} ${style}/>`;
  }
  const end = Math.min(SLANT, height / 2);
  const corners =
    kind === 'model'
      ? [[left + end, top], [right - end, top], [right, y], [right - end, bottom], [left + end, bottom], [left, y]] // prettier-ignore
      : [[left + end, top], [right, top], [right - end, bottom], [left, bottom]]; // prettier-ignore
  return `<polygon points="${corners.map((corner) => corner.map(round).join()).join(' ')}" ${style}/>`;
}

/** On what is invalid. */
export function cross(x: number, y: number): string {
  const [cx, cy] = [round(x), round(y)];
  return `<g stroke="#fff" stroke-width="2"><circle cx="${cx}" cy="${cy}" r="8" fill="${INVALID.stroke}"/><path d="M${round(cx - 3)} ${round(cy - 3)}l6 6m0-6l-6 6" fill="none"/></g>`;
}

export function line(path: string, style: EdgeStyle, inferred: boolean): string {
  const { color, width } = EDGES[style];
  const dashed = inferred ? ' stroke-dasharray="6 5"' : '';
  return `<path d="${path}" fill="none" stroke="${color}" stroke-width="${width}"${dashed} marker-end="url(#braid-${style})"/>`;
}

export function frame({ x, y, width, height }: Box): string {
  return `<rect x="${round(x - width / 2)}" y="${round(y - height / 2)}" width="${round(width)}" height="${round(height)}" rx="8" fill="${FRAME}" stroke="${COLORS.model.stroke}"/>`;
}

/** Above the lines that cross it. */
export function frameLabel({ x, y, width, height }: Box, label: string): string {
  const style = `font-weight="bold" stroke="${FRAME}" stroke-width="4" stroke-linejoin="round" paint-order="stroke"`;
  return text(x - width / 2 + 10, y - height / 2 + 18, label, style);
}

export function text(x: number, y: number, content: string, style = ''): string {
  return `<text x="${round(x)}" y="${round(y)}" ${style}>${escapeXml(content)}</text>`;
}

export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Of XML and of HTML. Lines stay. */
export function escapeXml(text: string): string {
  return text.split('\n').map((each) => shown(each).replace(/[&<>"']/g, (char) => ENTITIES[char])).join('\n'); // prettier-ignore
}
