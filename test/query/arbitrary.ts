/** Any graph of a few records, models and versions. */
import fc from 'fast-check';
import { ownerOf, RANKS, type Event, type Made, type Named } from './graph.js';

/** What graphs of so many records, and so many models after them, are made of. */
export function partsOf(records: number, models: number) {
  const ids = fc.integer({ min: 1, max: records + models });
  const rank = fc.nat({ max: RANKS - 1 });
  const attempt = fc.integer({ min: 1, max: 2 });
  const time = fc.nat({ max: 12 });
  const madeIn = (attempts: fc.Arbitrary<number>): fc.Arbitrary<Made> =>
    fc.oneof(
      fc.record({ attempt: attempts, step: fc.nat({ max: 3 }) }),
      fc.record({ attempt: attempts, rank, ordinal: fc.nat({ max: 2 }) }),
    );
  const versionOf = (source: number): fc.Arbitrary<Named> =>
    source <= records
      ? fc.constantFrom<Named>('none', 'unknown')
      : fc.oneof({ weight: 3, arbitrary: madeIn(attempt) }, { weight: 1, arbitrary: fc.constant<Named>('unknown') });
  const source = ids.chain((id) => fc.record({ source: fc.constant(id), version: versionOf(id) }));
  const derivation: fc.Arbitrary<Event> = fc
    .record({ from: source, derived: ids, time, rank, attempt })
    .filter(({ from, derived }) => from.source !== derived)
    .map(({ from, ...rest }) => ({ type: 'derivation', ...from, ...rest }));
  return { ids, models: fc.integer({ min: records + 1, max: records + models }), rank, attempt, time, madeIn, source, derivation }; // prettier-ignore
}

export const RECORDS = 4;
export const MODELS = 3;
const { models, rank, attempt, time, madeIn, source, derivation } = partsOf(RECORDS, MODELS);

const update: fc.Arbitrary<Event> = fc
  .record({
    model: models,
    made: madeIn(attempt),
    time,
    rank,
    seen: fc.option(madeIn(attempt), { nil: undefined }),
    exposures: fc.array(source, { maxLength: 3 }),
  })
  .map(({ model, exposures, ...rest }) => ({
    type: 'update',
    model,
    exposures: exposures.filter((each) => each.source !== model),
    ...rest,
  }));
const made: fc.Arbitrary<Event[]> = fc
  .array(time, { minLength: RECORDS + MODELS, maxLength: RECORDS + MODELS })
  .map((times) => times.map((time, i) => ({ type: 'record', id: i + 1, kind: i < RECORDS ? 'data' : 'model', time })));

/** Any graph, cycles included, in the order in which it is committed. */
export const graph: fc.Arbitrary<Event[]> = fc
  .tuple(made, fc.array(fc.oneof(derivation, update), { maxLength: 14 }))
  .map((parts) => parts.flat())
  .map((events) =>
    events.toSorted((a, b) => {
      const [x, y] = [ownerOf(a), ownerOf(b)];
      return x.attempt - y.attempt || x.rank - y.rank;
    }),
  );
