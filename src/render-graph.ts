import { BraidError } from './errors.js';
import type { GraphFormat } from './drawing/renderings.js';
import type { LineageGraph } from './query/graph.js';

export type { GraphFormat } from './drawing/renderings.js';

const GRAPH_FORMATS: readonly GraphFormat[] = ['svg', 'html', 'mermaid', 'dot'];

/**
 * Draws a graph, as text of a format. What is too large to be read is folded before: `foldGraph`.
 *
 * @throws BraidError ERR_BRAID_OPTION_INVALID
 */
export async function renderGraph(graph: LineageGraph, format: GraphFormat): Promise<string> {
  if (!GRAPH_FORMATS.includes(format)) {
    throw new BraidError(
      'ERR_BRAID_OPTION_INVALID',
      `format must be one of ${GRAPH_FORMATS.join(', ')}, not ${String(format)}`,
    );
  }
  // What lays out is a fifth as large as the library, and who records draws nothing.
  const { RENDERINGS } = await import('./drawing/renderings.js');
  return RENDERINGS[format](graph);
}
