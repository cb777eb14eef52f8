import type { Drawing, DrawnEdge, DrawnNode } from './drawing.js';
import { COLORS, INVALID } from './look.js';

const SHAPES = { fact: ['[', ']'], data: ['([', '])'], model: ['{{', '}}'], record: ['[/', '/]'] } as const;
const ARROWS = { derivation: ['-->', '-.->'], update: ['==>', '-. update .->'], order: ['--o', '-.-o'] } as const;

/** For Mermaid, as in a block of Markdown. */
export function mermaidOf({ title, summary, nodes, edges, groups }: Drawing): string {
  const lines = [`%% ${comment(title)}`, `%% ${comment(summary)}`, 'flowchart LR'];
  groups.forEach(({ label }, group) => {
    lines.push(`  subgraph g${group}[${quoted(label)}]`);
    nodes.forEach((node, i) => node.group === group && lines.push(`    ${nodeText(node, i)}`));
    lines.push('  end');
  });
  nodes.forEach((node, i) => node.group === undefined && lines.push(`  ${nodeText(node, i)}`));
  lines.push(...edges.map((edge) => `  ${edgeText(edge)}`));
  for (const [name, { fill, stroke }] of Object.entries(COLORS)) {
    lines.push(...classOf(name, nodes, ({ kind, invalid }) => kind === name && !invalid, `fill:${fill},stroke:${stroke},color:#000`)); // prettier-ignore
  }
  lines.push(
    ...classOf('invalid', nodes, ({ invalid }) => invalid, `fill:${INVALID.fill},stroke:${INVALID.stroke},stroke-width:3px,color:#000`), // prettier-ignore
    ...classOf('start', nodes, ({ isStart }) => isStart, 'stroke-width:3px,font-weight:bold'),
    ...classOf('inferred', nodes, ({ inferred, missing }) => inferred || missing, 'stroke-dasharray:5 4'),
    '',
  );
  return lines.join('\n');
}

function classOf(
  name: string,
  nodes: readonly DrawnNode[],
  has: (node: DrawnNode) => boolean,
  style: string,
): string[] {
  const ids = nodes.flatMap((node, i) => (has(node) ? [`n${i}`] : []));
  return ids.length === 0 ? [] : [`  classDef ${name} ${style}`, `  class ${ids.join()} ${name}`];
}

function nodeText({ kind, lines }: DrawnNode, i: number): string {
  const [open, close] = SHAPES[kind];
  return `n${i}${open}${quoted(...lines)}${close}`;
}

function edgeText({ from, to, style, inferred }: DrawnEdge): string {
  return `n${from} ${ARROWS[style][inferred ? 1 : 0]} n${to}`;
}

/** All that Mermaid or Markdown could take for more than text goes as a number. */
function quoted(...lines: readonly string[]): string {
  const text = lines.map((line) => line.replace(/[^\p{L}\p{M}\p{N} .,…@_-]/gu, (char) => `#${char.codePointAt(0)};`));
  return `"${text.join('<br/>')}"`;
}

/** Braces would make a directive of it. */
function comment(text: string): string {
  return text.replace(/[{}%]/g, ' ');
}
