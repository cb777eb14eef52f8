type Json = Record<string, unknown>;

/**
 * A dataset of an event. Several records may be one, by their URI, and so are the versions of a model: it is there once, as the
 * last of them has it, with the tags, other names and sources of all.
 */
export class EventDataset {
  #facets: Json;
  /** Those before the last: what record, or version, each is. */
  readonly #earlier: Json[] = [];
  /** Facets that are joined, as the first that has one has it. */
  readonly #joined: Record<string, Json> = {};
  readonly #tags = new Map<unknown, Json>();
  readonly #symlinks = new Map<string, Json>();
  readonly #inputs = new Set<string>();

  /** @param inputs as JSON. */
  constructor(
    private readonly name: { namespace: string; name: string },
    facets: Json,
    inputs: readonly string[],
  ) {
    this.#facets = facets;
    this.#join(facets, inputs);
  }

  add(facets: Json, inputs: readonly string[]): void {
    const all = Object.entries(this.#facets.braid_record as Json);
    // Without what each facet has.
    const record = Object.fromEntries(all.filter(([key]) => !key.startsWith('_')));
    this.#earlier.push('braid_invalidation' in this.#facets ? { ...record, invalid: true } : record);
    this.#facets = facets;
    this.#join(facets, inputs);
  }

  /** @param lineage a facet of sources, up to their list. */
  text(lineage: string): string {
    const { symlinks, tags } = this.#joined;
    const { braid_record, ...rest } = this.#facets as Record<string, Json | undefined>;
    const facets: Json = {
      ...rest,
      ...(this.#symlinks.size === 0 ? {} : { symlinks: { ...symlinks, identifiers: [...this.#symlinks.values()] } }),
      ...(this.#tags.size === 0 ? {} : { tags: { ...tags, tags: [...this.#tags.values()] } }),
      braid_record: { ...braid_record, ...(this.#earlier.length === 0 ? {} : { earlier: this.#earlier }) },
    };
    const start = JSON.stringify({ ...this.name, facets }).slice(0, -2);
    return this.#inputs.size === 0 ? `${start}}}` : `${start},"lineage":${lineage}${[...this.#inputs].join()}]}}}`;
  }

  #join(facets: Json, inputs: readonly string[]): void {
    const { symlinks, tags } = facets as Record<string, Json | undefined>;
    if (symlinks) this.#joined.symlinks ??= symlinks;
    if (tags) this.#joined.tags ??= tags;
    for (const each of (symlinks?.identifiers ?? []) as Json[]) this.#symlinks.set(JSON.stringify(each), each);
    for (const each of (tags?.tags ?? []) as Json[]) this.#tags.set(each.key, each);
    for (const input of inputs) this.#inputs.add(input);
  }
}
