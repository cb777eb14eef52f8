import { printable } from '../printable.js';
import type { Ancestry } from './ancestry.js';
import { nodeText } from './dependence.js';
import type { LineageRow, Nodes } from './lineage.js';
import { SupportDigest } from './support-digest.js';

/** What a sentence is about, in the order in which a statement has them. */
export const TOPICS = ['answer', 'subject', 'lineage', 'made by', 'validity', 'missing'] as const;
export type Topic = (typeof TOPICS)[number];

/** A claim in plain words, and what supports it. */
export interface Sentence {
  /** Names the claim within its statement. */
  id: string;
  topic: Topic;
  text: string;
  /** How many records and versions support it; those below are the first of them, up to the limit. */
  count: number;
  /** Ids. */
  records: number[];
  /** Keys. */
  versions: string[];
  /** {@link SupportDigest} of all that support it, where not all are listed. */
  digest?: string;
}

/** Of a name. */
const MOST_CHARS = 80;

/** What sentences are made of. */
export class Composer {
  readonly sentences: Sentence[] = [];
  #digest: SupportDigest | undefined;
  #dangling: ReadonlySet<number> | undefined;

  constructor(
    readonly ancestry: Ancestry,
    readonly nodes: Nodes,
    readonly limit: number,
  ) {}

  /** @param support nodes; the first of them are listed. */
  say(topic: Topic, id: string, text: string, support: readonly number[]): void {
    const shown = support.slice(0, this.limit).map((node) => this.ancestry.name(node));
    const sentence: Sentence = {
      id,
      topic,
      text,
      count: support.length,
      records: shown.filter((name) => typeof name === 'number'),
      versions: shown.filter((name) => typeof name === 'string'),
    };
    if (shown.length < support.length)
      sentence.digest = (this.#digest ??= new SupportDigest(this.ancestry)).of(support);
    this.sentences.push(sentence);
  }

  /** "scan-1 [4], scan-2 [5], … 8 more", of those that are there; nothing where nothing is to be listed. */
  list(nodes: readonly number[]): string {
    const rows = this.nodes.rows(nodes.slice(0, this.limit).map((node) => [node, 0, 0] as const));
    return this.#shortened(
      Array.from(rows, (row) => this.name(row)),
      nodes.length,
    );
  }

  /** "4711, 4712, … 8 more"; nothing where nothing is to be listed. */
  ids(ids: readonly number[]): string {
    return this.#shortened(ids.slice(0, this.limit), ids.length);
  }

  #shortened(shown: readonly (string | number)[], all: number): string {
    if (shown.length === 0) return '';
    return shown.join(', ') + (all > shown.length ? `, … ${count(all - shown.length)} more` : '');
  }

  /** ": scan-1 [4], …", or nothing where nothing is to be listed. */
  listed(nodes: readonly number[]): string {
    const list = this.list(nodes);
    return list === '' ? '' : `: ${list}`;
  }

  /** "3 data records: scan-1 [4], …, and 1 id without a record [4711]"; nothing of no nodes. */
  sources(nodes: readonly number[]): string {
    const [there, lost] = this.#apart(nodes);
    return [`${this.kinds(there)}${this.listed(there)}`, lost].filter((part) => part !== '').join(', and ');
  }

  /** ": scan-1 [4], …, and 1 id without a record [4711]", or nothing where nothing is to be listed. */
  listedSources(nodes: readonly number[]): string {
    const [there, lost] = this.#apart(nodes);
    const parts = [this.list(there), lost].filter((part) => part !== '');
    return parts.length === 0 || this.limit === 0 ? '' : `: ${parts.join(', and ')}`;
  }

  /** Of which there is a record, and what is said of the ids of which there is none. */
  #apart(nodes: readonly number[]): [there: number[], lost: string] {
    const dangling = (this.#dangling ??= new Set(this.ancestry.dangling));
    const lost = nodes.filter((node) => dangling.has(node));
    const ids = this.ids(lost);
    const text = `${plural(lost.length, 'id')} without a record${ids === '' ? '' : ` [${ids}]`}`;
    return [nodes.filter((node) => !dangling.has(node)), lost.length === 0 ? '' : text];
  }

  name(row: LineageRow): string {
    return nodeText({ ...row, name: short(row.name) });
  }

  /** "3 facts, 1 model". Of a model all versions together count once. */
  kinds(nodes: readonly number[]): string {
    const ids = {
      fact: new Set<number>(),
      data: new Set<number>(),
      model: new Set<number>(),
      record: new Set<number>(),
    };
    for (const node of nodes) {
      const known = this.ancestry.nodes.get(node);
      if (known) ids[known.kind].add(known.id);
    }
    const words = [
      some(ids.data.size, 'data record'),
      some(ids.fact.size, 'fact'),
      some(ids.model.size, 'model'),
      some(ids.record.size, 'record of unknown kind', 'records of unknown kind'),
    ].filter((word) => word !== '');
    return words.join(' and ').replace(/ and (?=.* and )/g, ', ');
  }
}

/** Text of somebody else's on one line, and not too much of it. */
export function short(text: string, most = MOST_CHARS): string {
  const chars = text.length > most ? [...text.slice(0, 2 * most)] : [];
  return printable(chars.length > most ? `${chars.slice(0, most).join('')}…` : text);
}

/** "1,234,567". */
export function count(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** "1 fact", "1,200 facts". */
export function plural(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}

function some(number: number, one: string, many?: string): string {
  return number === 0 ? '' : plural(number, one, many);
}
