import { TagType, type TagTypeCode } from '../../frame/format.js';
import { attributeOf, isOwnRecord, type PlannedRecord } from './plan.js';
import { lineOf } from './provn.js';
import type { ImportedAttribute, ImportedNode, ImportedRelation, Literal } from './read.js';
import { NAMESPACES, textOfLocalName, type Value } from './terms.js';

/** A tag as it is stored. */
export interface StoredTag {
  readonly key: string;
  readonly type: TagTypeCode;
  readonly text: string;
}

/** What of a node a record, or a version, has beside its name. */
export interface Content {
  readonly uris: string[];
  readonly tags: StoredTag[];
}

const WHOLE =
  /(integer|long|int|short|byte|nonNegativeInteger|positiveInteger|unsignedLong|unsignedInt|unsignedShort|unsignedByte)$/;

/** The name that people know it by. */
export function nameOf(node: ImportedNode): string {
  const label = attributeOf(node, 'prov', 'label').find(({ text }) => text !== '');
  return label?.text ?? node.name;
}

/** Of a record: its attributes, and all that is said of it as tags. */
export function contentOf({ node, relations }: PlannedRecord): Content {
  const content = contentOfNode(node);
  const ours = isOwnRecord(node);
  if (!ours) {
    for (const [element, name] of [
      ['activity', 'prov:Activity'],
      ['agent', 'prov:Agent'],
    ] as const) {
      if (node.is.has(element)) content.tags.unshift(ofText('prov:type', name));
    }
  }
  const times = new Map<string, number>();
  for (const relation of relations) {
    // Of ours, that is what a dependency says, or the time of a record.
    const [, other] = relation.args;
    if (
      ours &&
      (relation.kind === 'wasDerivedFrom' || (relation.kind === 'wasGeneratedBy' && !other) || other === node)
    )
      continue;
    const key = `prov:${relation.kind}${typeof other === 'object' ? ` ${other.name}` : ''}`;
    const time = (times.get(key) ?? 0) + 1;
    times.set(key, time);
    content.tags.push(ofText(time === 1 ? key : `${key} (${time})`, lineOf(statementOf(relation))));
  }
  return content;
}

/** Of a node alone. */
export function contentOfNode(node: ImportedNode): Content {
  const uris: string[] = [];
  const tags: StoredTag[] = [];
  let named = false;
  for (const attribute of node.attributes) {
    const { iri, value } = attribute;
    if (iri === `${NAMESPACES.prov}label` && !named && value.text !== '') {
      named = true;
      // A name has no language.
      if (value.language !== undefined) tags.push(tagOf(attribute));
    } else if (iri === `${NAMESPACES.prov}location` && isUri(value)) uris.push(value.iri ?? value.text);
    else if (!iri.startsWith(NAMESPACES.braid) && !value.iri?.startsWith(NAMESPACES.braid)) tags.push(tagOf(attribute));
  }
  tags.push(ofText('prov:id', node.iri));
  for (const bundle of node.bundles) tags.push(ofText('prov:bundle', bundle));
  return { uris, tags };
}

export function ofText(key: string, text: string): StoredTag {
  return { key, type: TagType.string, text };
}

export function ofWhole(key: string, text: string): StoredTag {
  return { key, type: TagType.integer, text };
}

/** The key of an attribute is its name as it was written; that of a tag of ours, what it was before. */
function tagOf({ name, iri, value }: ImportedAttribute): StoredTag {
  const own = iri.startsWith(NAMESPACES.tag) ? textOfLocalName(iri.slice(NAMESPACES.tag.length)) : undefined;
  const key = own === undefined || own === '' || own.includes('\0') ? name : own;
  return { key: value.language === undefined ? key : `${key}@${value.language}`, ...typedOf(value) };
}

function typedOf({ text, type = '' }: Literal): Pick<StoredTag, 'type' | 'text'> {
  if (type.startsWith(NAMESPACES.xsd)) {
    const name = type.slice(NAMESPACES.xsd.length);
    if (name === 'boolean' && /^(true|false|1|0)$/.test(text)) {
      return { type: TagType.boolean, text: text === 'true' || text === '1' ? '1' : '0' };
    }
    if (WHOLE.test(name) && /^[+-]?\d{1,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text)) {
      return { type: TagType.integer, text: text.replace(/^\+/, '') };
    }
    if (/^(double|float|decimal)$/.test(name) && text !== '' && Number.isFinite(Number(text))) {
      return { type: TagType.float, text };
    }
  }
  return { type: TagType.string, text };
}

function isUri({ text, type, iri }: Literal): boolean {
  return (
    text !== '' && (iri !== undefined || type === `${NAMESPACES.xsd}anyURI` || /^[a-z][a-z0-9+.-]*:\S*$/i.test(text))
  );
}

function statementOf({ kind, id, args, attributes }: ImportedRelation) {
  return {
    kind,
    relation: id,
    args: args.map((each) => (typeof each === 'object' ? each.name : each)),
    attributes: attributes.map(({ name, value }) => [name, valueOf(value)] as const),
  };
}

function valueOf({ text, type, iri }: Literal): Value {
  if (iri !== undefined) return { name: text };
  return type?.startsWith(NAMESPACES.xsd) ? { text, type: `xsd:${type.slice(NAMESPACES.xsd.length)}` } : text;
}
