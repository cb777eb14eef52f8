/** Of Okabe and Ito's palette, which most eyes can tell apart; and nothing is told by colour alone. */
import type { Kind } from '../frame/format.js';
import type { EdgeStyle } from './drawing.js';

export const COLORS: Record<Kind, { readonly fill: string; readonly stroke: string }> = {
  fact: { fill: '#fff4cc', stroke: '#8a6d00' },
  data: { fill: '#e1effa', stroke: '#0072b2' },
  model: { fill: '#dcf3ea', stroke: '#00734f' },
  record: { fill: '#f0f0f0', stroke: '#555555' },
};
export const INVALID = { fill: '#fde3de', stroke: '#b00020' } as const;
export const EDGES: Record<EdgeStyle, { readonly color: string; readonly width: number }> = {
  derivation: { color: '#333333', width: 1.4 },
  update: { color: '#7a3e9d', width: 2.2 },
  order: { color: '#7a7a7a', width: 1.2 },
};
