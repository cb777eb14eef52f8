import type { LineageGraph } from '../query/graph.js';
import { dotOf } from './dot.js';
import { drawingOf } from './drawing.js';
import { htmlOf } from './html.js';
import { mermaidOf } from './mermaid.js';
import { svgOf } from './svg.js';

/** A picture, a page with it that needs no network, or text for Mermaid or Graphviz. */
export type GraphFormat = 'svg' | 'html' | 'mermaid' | 'dot';

export const RENDERINGS: Record<GraphFormat, (graph: LineageGraph) => string> = {
  svg: (graph) => svgOf(drawingOf(graph)),
  html: (graph) => htmlOf(drawingOf(graph)),
  mermaid: (graph) => mermaidOf(drawingOf(graph)),
  dot: (graph) => dotOf(drawingOf(graph)),
};
