import type { Exporter } from '../exporter.js';
import { documentOf } from './document.js';
import { NAMESPACES, STATEMENTS, type Statement, type Value } from './terms.js';

/** Which are declared by PROV-N itself, and can't be declared again. */
const BUILT_IN = new Set(['prov', 'xsd']);

/** PROV-N, the notation of the W3C's documents. */
export const provN: Exporter = {
  *text(source, selection) {
    const { base, parts } = documentOf(source, selection);
    yield 'document\n';
    for (const [prefix, iri] of Object.entries({ ...NAMESPACES, db: base })) {
      if (!BUILT_IN.has(prefix)) yield `  prefix ${prefix} <${iri}>\n`;
    }
    for (const { bundle, statements } of parts) {
      if (bundle !== undefined) yield `  bundle ${bundle}\n`;
      for (const statement of statements) yield `    ${lineOf(statement)}\n`;
      if (bundle !== undefined) yield '  endBundle\n';
    }
    yield 'endDocument\n';
  },
};

/** A statement in PROV-N. */
export function lineOf({ kind, id, relation, args, attributes }: Statement): string {
  const words = STATEMENTS[kind].map((_, i) => args[i] ?? '-');
  if (id !== undefined) words.unshift(id);
  if (attributes.length > 0)
    words.push(`[${attributes.map(([name, value]) => `${name}=${literal(value)}`).join(', ')}]`);
  return `${kind}(${relation === undefined ? '' : `${relation}; `}${words.join(', ')})`;
}

function literal(value: Value): string {
  if (typeof value === 'string') return quoted(value);
  if ('name' in value) return `'${value.name}'`;
  return `${quoted(value.text)} %% ${value.type}`;
}

const ESCAPES: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f' };

function quoted(text: string): string {
  return `"${text.replace(/["\\\n\r\t\b\f]/g, (character) => ESCAPES[character] ?? `\\${character}`)}"`;
}
