import { DataFactory, Writer, type NamedNode, type Quad_Object } from 'n3';
import type { Exporter } from '../exporter.js';
import { documentOf } from './document.js';
import { NAMESPACES, STATEMENTS, isTime, type Statement, type StatementKind, type Value } from './terms.js';

const RDF = 'http://www.w3.org/1999/02/22-rdf-syntax-ns#';
const RDFS = 'http://www.w3.org/2000/01/rdf-schema#';

const CLASSES: Partial<Record<StatementKind, string>> = { entity: 'Entity', activity: 'Activity', agent: 'Agent' };

/** Relations as PROV-O says them with more than their two ends, and the property that the second has in that. */
const QUALIFIED: Partial<Record<StatementKind, readonly [name: string, end: string]>> = {
  wasGeneratedBy: ['Generation', 'activity'],
  used: ['Usage', 'entity'],
  wasInformedBy: ['Communication', 'activity'],
  wasInvalidatedBy: ['Invalidation', 'activity'],
  wasDerivedFrom: ['Derivation', 'entity'],
  wasInfluencedBy: ['Influence', 'influencer'],
  wasAttributedTo: ['Attribution', 'agent'],
  wasAssociatedWith: ['Association', 'agent'],
  actedOnBehalfOf: ['Delegation', 'agent'],
};

/** Derivations that have a name of their own. */
const DERIVATIONS: Record<string, string> = { Revision: 'wasRevisionOf', PrimarySource: 'hadPrimarySource' };

/** The other arguments of those. */
const MORE: Record<string, string> = { time: 'atTime', activity: 'hadActivity', plan: 'hadPlan' };

/** Properties that have other names in PROV-O. */
const PROPERTIES: Record<string, string> = {
  'prov:label': `${RDFS}label`,
  'prov:type': `${RDF}type`,
  'prov:location': `${NAMESPACES.prov}atLocation`,
};

type Triple = readonly [property: NamedNode, object: Quad_Object];

/** Turtle of PROV-O. It has no place for bundles: what is in them stands beside the rest. */
export const turtle: Exporter = {
  *text(source, selection) {
    const { base, parts } = documentOf(source, selection);
    const prefixes: Record<string, string> = { ...NAMESPACES, rdfs: RDFS, db: base };
    let text = '';
    const sink = { write: (chunk: string) => (text += chunk), end: () => {} };
    const writer = new Writer(sink, { prefixes, end: false });
    const node = (name: string) => {
      const at = name.indexOf(':');
      return DataFactory.namedNode(PROPERTIES[name] ?? prefixes[name.slice(0, at)] + name.slice(at + 1));
    };
    const object = (value: Value) => {
      if (typeof value === 'string') return DataFactory.literal(value);
      return 'name' in value ? node(value.name) : DataFactory.literal(value.text, node(value.type));
    };
    for (const { statements } of parts) {
      for (const statement of statements) {
        const [subject, ...triples] = triplesOf(statement, node, object, (content) =>
          writer.blank(content.map(([predicate, each]) => ({ predicate, object: each }))),
        );
        for (const [predicate, each] of triples) writer.addQuad(subject, predicate, each);
        yield text;
        text = '';
      }
    }
    writer.end();
    yield text;
  },
};

function triplesOf(
  { kind, id, args, attributes }: Statement,
  node: (name: string) => NamedNode,
  object: (value: Value) => Quad_Object,
  blank: (content: Triple[]) => Quad_Object,
): [subject: NamedNode, ...Triple[]] {
  const time = (text: string) => object({ text, type: 'xsd:dateTime' });
  const described = attributes.map(([name, value]): Triple => [node(name), object(value)]);
  if (id !== undefined) {
    const triples: Triple[] = [[node('prov:type'), node(`prov:${CLASSES[kind]}`)]];
    if (args[0] !== undefined) triples.push([node('prov:startedAtTime'), time(args[0])]);
    if (args[1] !== undefined) triples.push([node('prov:endedAtTime'), time(args[1])]);
    return [node(id), ...triples, ...described];
  }
  const [from, to] = args;
  const types = attributes.map(([, value]) => (typeof value === 'object' && 'name' in value ? value.name.slice('prov:'.length) : '')); // prettier-ignore
  const derivation = types.find((type) => Object.hasOwn(DERIVATIONS, type));
  const triples: Triple[] = [];
  if (to !== undefined)
    triples.push([node(`prov:${derivation === undefined ? kind : DERIVATIONS[derivation]}`), node(to)]);
  const more = STATEMENTS[kind].flatMap((argument, i): Triple[] => {
    const value = i < 2 ? undefined : args[i];
    if (value === undefined) return [];
    return [[node(`prov:${MORE[argument]}`), isTime(argument) ? time(value) : node(value)]];
  });
  // Of these the time alone has a property of its own.
  const ofEntity = { wasGeneratedBy: 'prov:generatedAtTime', wasInvalidatedBy: 'prov:invalidatedAtTime' }[
    kind as string
  ];
  if (ofEntity !== undefined && args[2] !== undefined) triples.push([node(ofEntity), time(args[2])]);
  const [name, end] = QUALIFIED[kind] ?? [];
  const about = described.filter((_, i) => attributes[i][0] !== 'prov:type');
  if (name !== undefined && (about.length > 0 || (more.length > 0 && ofEntity === undefined))) {
    const qualified = derivation ?? name;
    const content: Triple[] = [[node('prov:type'), node(`prov:${qualified}`)]];
    if (to !== undefined) content.push([node(`prov:${end}`), node(to)]);
    content.push(...more, ...about);
    triples.push([node(`prov:qualified${qualified}`), blank(content)]);
  }
  return [node(from!), ...triples];
}
