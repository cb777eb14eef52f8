import type { Kind } from '../frame/format.js';
import type { Drawing, EdgeStyle } from './drawing.js';
import { LINE_HEIGHT, textWidth } from './layout.js';
import { cross, frame, line, shapeOf, text } from './shapes.js';

interface Entry {
  readonly label: string;
  /** In a field of 44 × 22 around 0, 0. */
  readonly sample: string;
}

const SAMPLE = { x: 0, y: 0, width: 36, height: 18 };
const ROW = 30;

/** What is to be seen in this drawing, and no more. */
export function legendOf({ nodes, edges, groups }: Drawing, width: number): { svg: string; height: number } {
  const entries: Entry[] = [];
  const add = (is: boolean, label: string, sample: string) => is && entries.push({ label, sample });
  for (const kind of ['fact', 'data', 'model', 'record'] as Kind[]) {
    const label = kind === 'record' ? 'record of unknown kind' : kind;
    add(nodes.some((node) => node.kind === kind && !node.missing), label, shapeOf({ kind }, SAMPLE)); // prettier-ignore
  }
  const kindOf = (is: (node: Drawing['nodes'][number]) => boolean) => nodes.find(is)?.kind ?? 'data';
  add(true, 'asked about', shapeOf({ kind: nodes[0].kind, bold: true }, SAMPLE));
  add(groups.length > 0, 'a model and its versions', frame({ ...SAMPLE, height: 22 }));
  add(nodes.some(({ isFold }) => isFold), 'many that are alike', [2, 1, 0].map((step) => shapeOf({ kind: kindOf(({ isFold }) => isFold) }, { x: step * 3 - 3, y: 3 - step * 3, width: 28, height: 14 })).join('')); // prettier-ignore
  add(nodes.some(({ invalid }) => invalid), 'invalid', shapeOf({ kind: kindOf(({ invalid }) => invalid), invalid: true }, SAMPLE) + cross(14, -6)); // prettier-ignore
  add(nodes.some(({ inferred }) => inferred), 'may belong here', shapeOf({ kind: kindOf(({ inferred }) => inferred), dashed: true }, SAMPLE)); // prettier-ignore
  add(nodes.some(({ missing }) => missing), 'not in the database', shapeOf({ kind: 'record', dashed: true }, SAMPLE)); // prettier-ignore
  const arrow = (style: EdgeStyle, inferred = false) => line('M-20 0L20 0', style, inferred);
  const has = (style: EdgeStyle) => edges.some((edge) => edge.style === style);
  add(has('derivation'), 'from a source to what is derived from it', arrow('derivation'));
  add(has('update'), 'from a source to a version that was updated by it', arrow('update'));
  add(has('order'), 'to a later version', arrow('order'));
  add(edges.some(({ inferred }) => inferred), 'may be so, and is not known', arrow(edges.find(({ inferred }) => inferred)?.style ?? 'derivation', true)); // prettier-ignore

  let [x, y] = [20, 22];
  const parts = entries.map(({ label, sample }) => {
    const wide = 44 + 8 + textWidth(label);
    if (x > 20 && x + wide > width - 10) [x, y] = [20, y + ROW];
    const part = `<g transform="translate(${x + 22} ${y})">${sample}${text(30, LINE_HEIGHT / 4, label)}</g>`;
    x += wide + 26;
    return part;
  });
  return { svg: `<path d="M0 0H${width}" stroke="#ccc"/>${parts.join('')}`, height: y + ROW };
}
