/** The words of W3C PROV, and ours beside them. */

export const NAMESPACES = {
  prov: 'http://www.w3.org/ns/prov#',
  xsd: 'http://www.w3.org/2001/XMLSchema#',
  braid: 'urn:braid-mpi:terms#',
  tag: 'urn:braid-mpi:tag#',
  dcterms: 'http://purl.org/dc/terms/',
} as const;

/**
 * What PROV can say, with its formal arguments in PROV-N's order, as PROV-JSON calls them. Those that are times end so; of
 * the others, the last stand for what need not be named.
 */
export const STATEMENTS = {
  entity: [],
  activity: ['startTime', 'endTime'],
  agent: [],
  wasGeneratedBy: ['entity', 'activity', 'time'],
  used: ['activity', 'entity', 'time'],
  wasInformedBy: ['informed', 'informant'],
  wasStartedBy: ['activity', 'trigger', 'starter', 'time'],
  wasEndedBy: ['activity', 'trigger', 'ender', 'time'],
  wasInvalidatedBy: ['entity', 'activity', 'time'],
  wasDerivedFrom: ['generatedEntity', 'usedEntity', 'activity', 'generation', 'usage'],
  wasAttributedTo: ['entity', 'agent'],
  wasAssociatedWith: ['activity', 'agent', 'plan'],
  actedOnBehalfOf: ['delegate', 'responsible', 'activity'],
  wasInfluencedBy: ['influencee', 'influencer'],
  specializationOf: ['specificEntity', 'generalEntity'],
  alternateOf: ['alternate1', 'alternate2'],
  mentionOf: ['specificEntity', 'generalEntity', 'bundle'],
  hadMember: ['collection', 'entity'],
} as const satisfies Record<string, readonly string[]>;

export type StatementKind = keyof typeof STATEMENTS;

export const isTime = (argument: string): boolean => /time$/i.test(argument);

/** Text; a literal of another type, as xsd writes it; or a name. */
export type Value = string | { readonly text: string; readonly type: `xsd:${string}` } | { readonly name: string };

/** Names are prefixed, times ISO 8601. */
export interface Statement {
  readonly kind: StatementKind;
  /** Of an entity, an activity or an agent. */
  readonly id?: string;
  /** Of a relation, if it has a name: those that we write have none. */
  readonly relation?: string;
  /** As `STATEMENTS` has them; left out at the end. */
  readonly args: readonly (string | undefined)[];
  readonly attributes: readonly (readonly [name: string, value: Value])[];
}

/** Statements of the document itself, or of a bundle in it; those of a kind one after the other. */
export interface Part {
  readonly bundle?: string;
  readonly statements: Iterable<Statement>;
}

/** A document, as its writers get it. */
export interface ProvDocument {
  /** What is behind the prefix `db`. */
  readonly base: string;
  readonly parts: Iterable<Part>;
}

/** Any text as the local part of a name in all notations: what isn't an ASCII letter, a digit or `_` is as in a URL. */
export function localName(text: string): string {
  // No text of ours has a NUL, and a name can't be empty.
  if (text === '') return '%00';
  return encodeURIComponent(text.toWellFormed().replaceAll('\0', '\ufffd'))
    .replace(/[!'()*~]/g, hex)
    .replace(/^[-.]|\.$/g, hex);
}

/** The inverse; undefined for what no text gives. */
export function textOfLocalName(local: string): string | undefined {
  if (local === '%00') return '';
  try {
    return decodeURIComponent(local);
  } catch {
    return undefined;
  }
}

function hex(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
