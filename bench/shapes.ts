/** Graphs of lineage of a size: what `generate.ts` and the trials of queries have in their databases. */
import { BraidData } from '#src/record/data.js';
import { BraidModel } from '#src/record/model.js';
import type { Ranks } from './rounds.js';

const SUMMARIES = 100;

/** A model `chain` of so many steps, each exposed to a scan of its own, and `from-chain`, which comes from the last of them. */
export function chain(ranks: Ranks, steps: number): void {
  const { db, make } = ranks.rank(0);
  const { derivedFrom } = make();
  const model = new BraidModel(db, { name: 'chain', derivedFrom });
  for (let step = 0; step < steps; step++) {
    model.update(new BraidData(db, make()), { step, tags: { loss: 1 / (step + 1) } });
  }
  new BraidData(db, { ...make(), name: 'from-chain', derivedFrom: model });
}

/** `wide`, which comes from 100 summaries that have so many ancestors in all, and they of a few facts. */
export function wide(ranks: Ranks, ancestors: number): void {
  const { db, make } = ranks.rank(1);
  const summaries = Array.from({ length: SUMMARIES }, () => {
    const derivedFrom = Array.from({ length: ancestors / SUMMARIES - 1 }, () => new BraidData(db, make()));
    return new BraidData(db, { ...make(), derivedFrom });
  });
  new BraidData(db, { ...make(), name: 'wide', derivedFrom: summaries });
}
