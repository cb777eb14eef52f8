import { shown, type Drawing, type DrawnEdge, type DrawnNode } from './drawing.js';
import { COLORS, EDGES, INVALID } from './look.js';

const SHAPES = { fact: 'box', data: 'box', model: 'hexagon', record: 'parallelogram' } as const;
const HEADS = { derivation: 'normal', update: 'diamond', order: 'vee' } as const;

/** For Graphviz. */
export function dotOf({ title, summary, nodes, edges, groups }: Drawing): string {
  const lines = [
    'digraph braid {',
    `  graph [rankdir=LR, label=${quoted(`${title} (${summary})`)}, labelloc=t, labeljust=l, fontname="sans-serif"];`,
    '  node [fontname="sans-serif", fontsize=11, margin="0.15,0.08"];',
    '  edge [arrowsize=0.8];',
  ];
  groups.forEach(({ label }, group) => {
    lines.push(`  subgraph cluster_${group} {`, `    graph [label=${quoted(label)}, color="${COLORS.model.stroke}"];`);
    nodes.forEach((node, i) => node.group === group && lines.push(`    ${nodeLine(node, i)}`));
    lines.push('  }');
  });
  nodes.forEach((node, i) => node.group === undefined && lines.push(`  ${nodeLine(node, i)}`));
  lines.push(...edges.map((edge) => `  ${edgeLine(edge)}`), '}', '');
  return lines.join('\n');
}

function nodeLine({ kind, lines, title, isFold, isStart, invalid, inferred, missing }: DrawnNode, i: number): string {
  const { fill, stroke } = invalid ? INVALID : COLORS[kind];
  const styles = ['filled', ...(kind === 'data' ? ['rounded'] : []), ...(isStart ? ['bold'] : [])];
  if (inferred || missing) styles.push('dashed');
  const attributes = [
    `label=${quoted(...lines)}`,
    `tooltip=${quoted(title)}`,
    `shape=${SHAPES[kind]}`,
    `style="${styles.join(',')}"`,
    `fillcolor="${fill}"`,
    `color="${stroke}"`,
  ];
  if (isFold) attributes.push('peripheries=2');
  if (invalid) attributes.push('penwidth=3');
  return `n${i} [${attributes.join(', ')}];`;
}

function edgeLine({ from, to, style, inferred, title }: DrawnEdge): string {
  const dashed = inferred ? ', style=dashed' : '';
  return `n${from} -> n${to} [arrowhead=${HEADS[style]}, color="${EDGES[style].color}"${dashed}, tooltip=${quoted(title)}];`;
}

/** Graphviz reads escapes and entities in labels, too. */
function quoted(...lines: readonly string[]): string {
  return `"${lines
    .flatMap((line) => line.split('\n'))
    .map((line) => shown(line).replace(/&/g, '&amp;').replace(/[\\"]/g, '\\$&'))
    .join('\\n')}"`;
}
