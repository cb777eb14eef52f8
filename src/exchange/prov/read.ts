import type { BraidError } from '../../errors.js';
import { parseMicros } from './micros.js';
import { invalid, JsonNumber, parseJson, shown, shownPlace } from './parse-json.js';
import { isTime, NAMESPACES, STATEMENTS, type StatementKind } from './terms.js';

/** The value of an attribute, as it was written. */
export interface Literal {
  readonly text: string;
  /** The IRI of its type; none for text. */
  readonly type?: string;
  readonly language?: string;
  /** The IRI that it names, if it is a name. */
  readonly iri?: string;
}

export interface ImportedAttribute {
  /** As it was written, with its prefix. */
  readonly name: string;
  readonly iri: string;
  readonly value: Literal;
}

export type Element = 'entity' | 'activity' | 'agent';

/** An entity, an activity or an agent, whatever bundle speaks of it; or what is only named. */
export interface ImportedNode {
  readonly iri: string;
  readonly name: string;
  readonly is: Set<Element>;
  readonly attributes: ImportedAttribute[];
  /** Of those that describe it. */
  readonly bundles: Set<string>;
}

export interface ImportedRelation {
  readonly kind: StatementKind;
  /** If it has a name of its own. */
  readonly id?: string;
  /** As `STATEMENTS` has them: nodes, times and names of relations. */
  readonly args: readonly (ImportedNode | string | undefined)[];
  readonly attributes: readonly ImportedAttribute[];
  readonly bundle?: string;
  /** Where it stands, for errors. */
  readonly place: string;
}

export interface ImportedDocument {
  readonly nodes: readonly ImportedNode[];
  readonly relations: readonly ImportedRelation[];
  readonly prefixes: Readonly<Record<string, string>>;
}

const ELEMENTS = new Set<string>(['entity', 'activity', 'agent']);

/** What an argument says of what it names. */
const ARGUMENTS: Record<string, Element | undefined> = {
  entity: 'entity',
  trigger: 'entity',
  plan: 'entity',
  generatedEntity: 'entity',
  usedEntity: 'entity',
  specificEntity: 'entity',
  generalEntity: 'entity',
  alternate1: 'entity',
  alternate2: 'entity',
  collection: 'entity',
  activity: 'activity',
  informed: 'activity',
  informant: 'activity',
  starter: 'activity',
  ender: 'activity',
  agent: 'agent',
  delegate: 'agent',
  responsible: 'agent',
};
const OF_NODES = new Set([...Object.keys(ARGUMENTS), 'influencee', 'influencer']);

type Json = Record<string, unknown>;
type Prefixes = ReadonlyMap<string, string>;

/**
 * Reads PROV-JSON.
 *
 * @param name of the document, for errors.
 * @throws BraidError ERR_BRAID_IMPORT_INVALID, which names the place
 */
export function readProvJson(bytes: Uint8Array, name: string): ImportedDocument {
  return new Reading(name).read(parseJson(bytes, name));
}

class Reading {
  readonly #name: string;
  readonly #nodes = new Map<string, ImportedNode>();
  /** In the order of the document; what is only named comes after. */
  readonly #described = new Set<ImportedNode>();
  readonly #relations: ImportedRelation[] = [];
  readonly #prefixes: Record<string, string> = {};

  constructor(name: string) {
    this.#name = name;
  }

  read(json: unknown): ImportedDocument {
    const document = this.#object(json, '');
    const { bundle, ...own } = document;
    if (!Object.keys(document).some((key) => key === 'prefix' || key === 'bundle' || key in STATEMENTS)) {
      throw this.#wrong(
        '',
        'it is JSON, but no PROV-JSON: it has no entity, activity, agent, or anything said of them',
      );
    }
    const prefixes = this.#declared(own.prefix, new Map(Object.entries(NAMESPACES).slice(0, 2)), '/prefix');
    this.#statements(own, prefixes, undefined, '');
    if (bundle !== undefined) {
      for (const [id, content] of Object.entries(this.#object(bundle, '/bundle'))) {
        const place = `/bundle/${id}`;
        const body = this.#object(content, place);
        if ('bundle' in body) throw this.#wrong(`${place}/bundle`, 'a bundle has none in it');
        const inner = this.#declared(body.prefix, prefixes, `${place}/prefix`);
        this.#iri(id, inner, place);
        this.#statements(body, inner, id, place);
      }
    }
    const nodes = [...new Set([...this.#described, ...this.#nodes.values()])];
    return { nodes, relations: this.#relations, prefixes: this.#prefixes };
  }

  #declared(json: unknown, outer: Prefixes, place: string): Prefixes {
    const prefixes = new Map(outer);
    if (json === undefined) return prefixes;
    for (const [prefix, iri] of Object.entries(this.#object(json, place))) {
      const text = this.#text(iri, `${place}/${prefix}`);
      prefixes.set(prefix, text);
      Object.defineProperty(this.#prefixes, prefix, { value: text, enumerable: true, configurable: true });
    }
    return prefixes;
  }

  #statements(body: Json, prefixes: Prefixes, bundle: string | undefined, place: string): void {
    const scope = new Map<string, Element>();
    for (const [kind, section] of Object.entries(body)) {
      if (kind === 'prefix') continue;
      if (!Object.hasOwn(STATEMENTS, kind)) {
        throw this.#wrong(`${place}/${kind}`, `PROV-JSON has no ${JSON.stringify(shown(kind))}`);
      }
      for (const [id, content] of Object.entries(this.#object(section, `${place}/${kind}`))) {
        const at = `${place}/${kind}/${id}`;
        // What is said more than once of one name is a list.
        const several = Array.isArray(content) ? (content as unknown[]) : [content];
        several.forEach((each, i) => {
          const here = several.length === 1 ? at : `${at}/${i}`;
          const said = {
            kind: kind as StatementKind,
            id,
            body: this.#object(each, here),
            prefixes,
            bundle,
            place: here,
          };
          if (ELEMENTS.has(kind)) this.#element(said, scope);
          else this.#relation(said);
        });
      }
    }
  }

  #element({ kind, id, body, prefixes, bundle, place }: Said, scope: Map<string, Element>): void {
    const element = kind as Element;
    const node = this.#node(id, prefixes, place);
    const other = scope.get(node.iri);
    if (element !== 'agent') {
      if (other !== undefined && other !== element) {
        throw this.#wrong(place, `${shown(id)} can't be both an entity and an activity`);
      }
      scope.set(node.iri, element);
    }
    this.#described.add(node);
    node.is.add(element);
    if (bundle !== undefined) node.bundles.add(bundle);
    for (const [name, value] of Object.entries(body)) {
      for (const attribute of this.#attributes(name, value, prefixes, `${place}/${name}`)) {
        if (kind === 'activity' && /^prov:(start|end)Time$/.test(name)) {
          this.#time(attribute.value.text, `${place}/${name}`);
          const before = node.attributes.find((each) => each.iri === attribute.iri);
          if (before && before.value.text !== attribute.value.text) {
            throw this.#wrong(`${place}/${name}`, `another statement says ${shown(before.value.text)}`);
          }
          if (before) continue;
        }
        node.attributes.push(attribute);
      }
    }
  }

  #relation({ kind, id, body, prefixes, bundle, place }: Said): void {
    const args: readonly string[] = STATEMENTS[kind];
    const attributes: ImportedAttribute[] = [];
    const values: unknown[] = args.map(() => undefined);
    for (const [name, value] of Object.entries(body)) {
      const argument = name.startsWith('prov:') ? args.indexOf(name.slice('prov:'.length)) : -1;
      if (argument >= 0) values[argument] = value;
      else attributes.push(...this.#attributes(name, value, prefixes, `${place}/${name}`));
    }
    if (values[0] === undefined) throw this.#wrong(place, `prov:${args[0]} is missing`);
    // Of a collection, all members may stand in one statement.
    const lists = values.map((value) =>
      kind === 'hadMember' && Array.isArray(value) ? (value as unknown[]) : [value],
    );
    for (const last of lists[1] ?? []) {
      const said = values.map((value, i) => (i === 1 ? last : value));
      this.#relations.push({
        kind,
        ...(id.startsWith('_:') ? {} : { id }),
        args: said.map((value, i) => this.#argument(args[i], value, prefixes, `${place}/prov:${args[i]}`)),
        attributes,
        bundle,
        place: shownPlace(place),
      });
    }
  }

  #argument(name: string, json: unknown, prefixes: Prefixes, place: string): ImportedNode | string | undefined {
    if (json === undefined) return undefined;
    const value = typeof json === 'object' && json !== null && '$' in json ? json.$ : json;
    const text = this.#text(value, place);
    if (isTime(name)) {
      this.#time(text, place);
      return text;
    }
    if (!OF_NODES.has(name)) return text;
    const node = this.#node(text, prefixes, place);
    const element = ARGUMENTS[name];
    if (element !== undefined) node.is.add(element);
    return node;
  }

  #attributes(name: string, json: unknown, prefixes: Prefixes, place: string): ImportedAttribute[] {
    const iri = this.#iri(name, prefixes, place);
    const values = Array.isArray(json) ? (json as unknown[]) : [json];
    return values.map((value, i) => {
      const at = values.length === 1 ? place : `${place}/${i}`;
      return { name, iri, value: this.#literal(value, prefixes, at) };
    });
  }

  #literal(json: unknown, prefixes: Prefixes, place: string): Literal {
    if (typeof json === 'boolean') return { text: String(json), type: `${NAMESPACES.xsd}boolean` };
    if (json instanceof JsonNumber) {
      const { text } = json;
      return { text, type: `${NAMESPACES.xsd}${/^-?\d+$/.test(text) ? 'integer' : 'double'}` };
    }
    if (typeof json === 'string') return { text: this.#string(json, place) };
    const { $: value, type, lang, ...unknown } = this.#object(json, place);
    const [stranger] = Object.keys(unknown);
    if (stranger !== undefined)
      throw this.#wrong(place, `a value has $, type and lang, and no ${JSON.stringify(shown(stranger))}`);
    if (value === undefined) throw this.#wrong(place, 'a value needs its "$"');
    const scalar = value instanceof JsonNumber ? value.text : typeof value === 'boolean' ? String(value) : value;
    const text = this.#string(scalar, `${place}/$`);
    if (lang !== undefined) return { text, language: this.#text(lang, `${place}/lang`) };
    if (type === undefined) return this.#literal(value, prefixes, place);
    const typeIri = this.#iri(this.#text(type, `${place}/type`), prefixes, `${place}/type`);
    const isName = typeIri === `${NAMESPACES.prov}QUALIFIED_NAME` || typeIri === `${NAMESPACES.xsd}QName`;
    return { text, type: typeIri, ...(isName ? { iri: this.#iri(text, prefixes, `${place}/$`) } : {}) };
  }

  #node(name: string, prefixes: Prefixes, place: string): ImportedNode {
    const iri = this.#iri(name, prefixes, place);
    let node = this.#nodes.get(iri);
    if (!node) {
      node = { iri, name, is: new Set(), attributes: [], bundles: new Set() };
      this.#nodes.set(iri, node);
    }
    return node;
  }

  /** What a name stands for. One without a prefix is of the default namespace; a whole IRI stands for itself. */
  #iri(name: string, prefixes: Prefixes, place: string): string {
    this.#text(name, place);
    const [, prefix, local] = /^(?:([^:]*):)?(.*)$/s.exec(name)!;
    if (prefix === '_') return name;
    const namespace = prefixes.get(prefix ?? 'default') ?? (prefix === '' ? prefixes.get('default') : undefined);
    if (namespace !== undefined) return namespace + local;
    if (prefix !== undefined && (local.startsWith('//') || /^(urn|tag)$/i.test(prefix))) return name;
    const why = prefix === undefined ? 'there is no default namespace' : `the prefix ${JSON.stringify(shown(prefix))} is not declared`; // prettier-ignore
    throw this.#wrong(place, `${JSON.stringify(shown(name))} can't be resolved: ${why}`);
  }

  #time(text: string, place: string): void {
    if (parseMicros(text) === undefined) {
      throw this.#wrong(place, `${JSON.stringify(shown(text))} is not a time, such as 2026-07-28T09:30:00Z`);
    }
  }

  #text(json: unknown, place: string): string {
    if (json === '') throw this.#wrong(place, 'it must not be empty');
    return this.#string(json, place);
  }

  /** What can be stored, and comes back as it was. */
  #string(json: unknown, place: string): string {
    if (typeof json !== 'string') throw this.#wrong(place, 'it must be text');
    if (json.includes('\0')) throw this.#wrong(place, 'it has a NUL character');
    if (!json.isWellFormed()) throw this.#wrong(place, 'it has half a character (a lone surrogate)');
    return json;
  }

  #object(json: unknown, place: string): Json {
    if (typeof json === 'object' && json !== null && !Array.isArray(json) && !(json instanceof JsonNumber)) {
      return json as Json;
    }
    throw this.#wrong(place, 'it must be an object');
  }

  #wrong(place: string, what: string): BraidError {
    return invalid(this.#name, place === '' ? what : `${shownPlace(place)}: ${what}`);
  }
}

interface Said {
  readonly kind: StatementKind;
  readonly id: string;
  readonly body: Json;
  readonly prefixes: Prefixes;
  readonly bundle: string | undefined;
  readonly place: string;
}
