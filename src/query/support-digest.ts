import { createHash } from 'node:crypto';
import { keyStart } from '../record/version-key.js';
import type { Ancestry } from './ancestry.js';

const NUMBER_BYTES = 8;
/** Of records, before all models. */
const NO_START = '';

/** What is named by the same text and a number at its end: the records, by their ids; or the versions of one attempt. */
interface Group {
  readonly start: string;
  /** Ascending. */
  numbers: number[];
  /** The place of the first of them among all. */
  place: number;
}

/**
 * Digests of what supports sentences: of parts of one ancestry, which is put in order once. A digest is SHA-256 of, for each
 * group that has any of it, in the order of its text, that text, how many of it there are, and their numbers, ascending. Counts and numbers are
 * 64-bit integers, little-endian.
 */
export class SupportDigest {
  /** In their order. */
  readonly #groups: readonly Group[];
  readonly #places = new Map<number, number>();
  readonly #marked: Uint8Array;
  readonly #bytes: DataView;

  constructor(ancestry: Ancestry) {
    const groups = new Map<string, Group & { nodes: number[] }>();
    const numbers = new Map<number, number>();
    const add = (node: number, start: string, number: number) => {
      let group = groups.get(start);
      if (!group) groups.set(start, (group = { start, numbers: [], place: 0, nodes: [] }));
      group.nodes.push(node);
      numbers.set(node, number);
    };
    for (const [node, { id, version }] of ancestry.all) {
      if (version) add(node, keyStart(id, version), version.step ?? version.ordinal);
      else add(node, NO_START, id);
    }
    for (const id of ancestry.dangling) add(id, NO_START, id);
    const sorted = [...groups.values()].sort((a, b) => (a.start < b.start ? -1 : 1));
    let place = 0;
    for (const group of sorted) {
      group.place = place;
      group.nodes.sort((a, b) => numbers.get(a)! - numbers.get(b)!);
      group.numbers = group.nodes.map((node) => numbers.get(node)!);
      for (const node of group.nodes) this.#places.set(node, place++);
    }
    this.#groups = sorted;
    this.#marked = new Uint8Array(place);
    this.#bytes = new DataView(new ArrayBuffer((place + 1) * NUMBER_BYTES));
  }

  /** @param support nodes of the ancestry; as 64 hex digits. */
  of(support: readonly number[]): string {
    this.#marked.fill(0);
    for (const node of support) this.#marked[this.#places.get(node)!] = 1;
    const hash = createHash('sha256');
    for (const { start, numbers, place } of this.#groups) {
      let count = 0;
      for (let i = 0; i < numbers.length; i++) if (this.#marked[place + i] === 1) this.#put(++count, numbers[i]);
      if (count === 0) continue;
      this.#put(0, count);
      hash.update(start).update(new Uint8Array(this.#bytes.buffer, 0, (count + 1) * NUMBER_BYTES));
    }
    return hash.digest('hex');
  }

  #put(at: number, number: number): void {
    this.#bytes.setUint32(at * NUMBER_BYTES, number, true);
    this.#bytes.setUint32(at * NUMBER_BYTES + 4, Math.floor(number / 2 ** 32), true);
  }
}
