/** The records that all trials make: 1 record, 1 URI, 2 tags and 1 derivation each, called as Braid-DB's mascot calls its own. */
import { BraidData, BraidFact, type BraidDB } from 'braid-mpi';
import { random } from '../examples/common/random.js';

export const CONFIGURATIONS = 5;
const SEED = 1;

/** Collective. The facts that they are derived from: the root's. */
export async function configurations(db: BraidDB): Promise<BraidFact[]> {
  const facts: BraidFact[] = [];
  for (let i = 0; i < CONFIGURATIONS; i++) {
    facts.push(await db.share(db.isRoot ? new BraidFact(db, factOf(i)) : null));
  }
  return facts;
}

/** What a configuration's fact is given. */
export function factOf(i: number): { name: string; uris: string[] } {
  return { name: `configuration-${i}`, uris: [`login.host.gov/home/user1/configuration${i}.txt`] };
}

/** What one record is given. */
export interface Made<Source = BraidFact> {
  readonly name: string;
  readonly uris: string[];
  readonly tags: { frames: number; energy: number };
  readonly derivedFrom: Source;
}

/** Makes the records' contents one by one, on each rank other ones; the same for the same seed. */
export function contents<Source>(facts: readonly Source[], rank = 0, size = 1): () => Made<Source> {
  const next = random(SEED + rank);
  let i = rank - size;
  return () => {
    i += size;
    return {
      name: `experiment-${i}`,
      uris: [`login.host.gov/home/user1/file${i}.txt`],
      tags: { frames: 1800 + i, energy: 12.5 },
      derivedFrom: facts[Math.floor(next() * facts.length)],
    };
  };
}

/** How many of `total` records a rank makes. */
export function shareOf(total: number, rank: number, size: number): number {
  return Math.floor(total / size) + (rank < total % size ? 1 : 0);
}

/** Records `count` of them, and has all ranks flush after so many, if told: each flush is awaited when the next is due. */
export async function record(db: BraidDB, make: () => Made, count: number, flushEvery = Infinity): Promise<void> {
  let flushed: Promise<unknown> = Promise.resolve();
  for (let i = 1; i <= count; i++) {
    new BraidData(db, make());
    if (i % flushEvery > 0) continue;
    await flushed;
    flushed = db.flush();
  }
  await flushed;
}
