import type { Connection } from './connection.js';

interface Attempt {
  readonly id: number;
  readonly attempt: number;
  readonly base: number;
  readonly end: number;
  readonly size: number;
  readonly run: string;
}

/** Which run and rank a record is of, by its id, and which attempts there are: asked once for a query, and not once for each of its rows. */
export class Attempts {
  readonly #byBase: readonly Attempt[];
  readonly #byId: ReadonlyMap<number, Attempt>;
  /** Ids come in runs of one attempt. */
  #last: Attempt | undefined;

  /** @param only of this record: the attempt that can have made it. */
  constructor(connection: Connection, only?: number) {
    const select =
      'SELECT attempt_id AS id, attempt, id_base AS base, id_end AS "end", size, uuid AS run FROM attempts JOIN runs USING (run_id)';
    const all =
      only === undefined
        ? connection.all<Attempt>(`${select} ORDER BY id_base`)
        : connection.all<Attempt>(
            `${select} WHERE id_base < ? AND id_end > id_base ORDER BY id_base DESC LIMIT 1`,
            only,
          );
    this.#byId = new Map(all.map((attempt) => [attempt.id, attempt]));
    // One that has recorded nothing has no block, and may stand in the midst of another's where databases were merged.
    this.#byBase = all.filter(({ base, end }) => end > base);
  }

  /** An attempt of a version, by its row. */
  get(id: number): { run: string; attempt: number } {
    return this.#byId.get(id)!;
  }

  of(id: number): { id: number; run: string; rank: number } | undefined {
    const attempt = this.#last && within(this.#last, id) ? this.#last : this.#find(id);
    if (!attempt) return undefined;
    this.#last = attempt;
    return { id: attempt.id, run: attempt.run, rank: (id - attempt.base - 1) % attempt.size };
  }

  #find(id: number): Attempt | undefined {
    let low = 0;
    let high = this.#byBase.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#byBase[middle].base < id) low = middle + 1;
      else high = middle;
    }
    // Blocks don't overlap: only the last that begins below it can have it.
    const found = this.#byBase[low - 1];
    return found && within(found, id) ? found : undefined;
  }
}

function within({ base, end }: Attempt, id: number): boolean {
  return base < id && id <= end;
}
