/** Any graph with invalidations, as it is committed piece by piece. */
import fc from 'fast-check';
import { Store } from '#src/store/store.js';
import { frameOf } from '../support/ops.js';
import { partsOf } from './arbitrary.js';
import { opsOf, ownerOf, RANKS, RUN, type Event, type Made } from './graph.js';

const RECORDS = 5;
const MODELS = 3;
const { ids, models, rank, attempt, time, madeIn, source, derivation } = partsOf(RECORDS, MODELS);

/** All updates of a version at one time: which of them the database has first is not the point here. */
const timeOfMade = (model: number, { attempt, step = 7, rank = 0, ordinal = 0 }: Made) =>
  (model * 5 + attempt * 3 + step * 2 + rank + ordinal * 4) % 13;
const update: fc.Arbitrary<Event> = fc
  .record({
    model: models,
    made: madeIn(attempt),
    rank,
    seen: fc.option(madeIn(attempt), { nil: undefined }),
    exposures: fc.array(source, { maxLength: 3 }),
  })
  .map(({ model, made, exposures, ...rest }) => ({
    type: 'update',
    model,
    made,
    time: timeOfMade(model, made),
    exposures: exposures.filter((each) => each.source !== model),
    ...rest,
  }));
const invalidation: fc.Arbitrary<Event> = fc
  .record({
    record: ids,
    version: madeIn(attempt),
    all: fc.boolean(),
    cascade: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    uuid: fc.stringMatching(/^[0-9a-f]{32}$/),
    time,
    rank,
    attempt,
  })
  .map(({ all, version, record, ...rest }) => {
    return { type: 'invalidation', record, version: all || record <= RECORDS ? 'none' : version, ...rest };
  });
/** Some are never committed, as if they had been lost. */
const made: fc.Arbitrary<Event[]> = fc
  .array(fc.record({ time, there: fc.nat({ max: 9 }) }), { minLength: RECORDS + MODELS, maxLength: RECORDS + MODELS })
  .map((records) =>
    records.flatMap(({ time, there }, i): Event[] =>
      there === 0 ? [] : [{ type: 'record', id: i + 1, kind: i < RECORDS ? 'data' : 'model', time }],
    ),
  );

/** Any graph, cycles included, and invalidations of it, in any order. */
const events: fc.Arbitrary<Event[]> = fc
  .tuple(
    made,
    fc.array(fc.oneof(derivation, update), { maxLength: 16 }),
    fc.uniqueArray(invalidation, { minLength: 1, maxLength: 4, selector: (event) => (event as { uuid: string }).uuid }),
  )
  .chain((parts) => {
    const all = parts.flat();
    return fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length });
  });
/** How many events each commit brings, and of which request is taken back after which. */
export const plan = fc.record({
  events,
  sizes: fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 30 }),
  revalidate: fc.option(fc.record({ after: fc.nat({ max: 4 }), which: fc.nat({ max: 3 }) }), { nil: undefined }),
});

export function openStore(path: string): Store {
  const store = new Store({ path, busyMs: 1000, commit: 'extension' });
  for (const attempt of [1, 2]) {
    const ranks = Array.from({ length: RANKS }, () => ({ host: 'h', spool: 's', anchor: 'a' }));
    store.beginRun({ run: RUN, attempt, context: {}, ranks });
  }
  return store;
}

/** A round of each attempt; gives the events in the order in which they came in. */
export function commit(store: Store, events: readonly Event[], sequences: Map<string, number>): Event[] {
  const order: Event[] = [];
  for (const attempt of [1, 2]) {
    const frames: Buffer[] = [];
    for (let rank = 0; rank < RANKS; rank++) {
      const mine = events.filter((event) => ownerOf(event).attempt === attempt && ownerOf(event).rank === rank);
      if (mine.length === 0) continue;
      const owner = `${attempt}.${rank}`;
      sequences.set(owner, (sequences.get(owner) ?? 0) + 1);
      frames.push(frameOf({ run: RUN, attempt, rank }, sequences.get(owner)!, mine.map((event) => opsOf(event, attempt)))); // prettier-ignore
      order.push(...mine);
    }
    if (frames.length > 0) store.commit(Buffer.concat(frames));
  }
  return order;
}
