import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import type { Store } from '#src/store/store.js';
import { LONG } from '../support/trials.js';
import { labelOfMade, type Event } from './graph.js';
import { commit, openStore, plan } from './invalidated.js';
import { Oracle } from './oracle.js';

const RUNS = LONG ? 600 : 60;
type Invalidation = Extract<Event, { type: 'invalidation' }>;
interface Shown {
  root: string;
  inferred: number;
}

describe('invalidation, against its definition', function () {
  this.timeout(300_000);
  let directory: string;
  before(() => (directory = mkdtempSync(join(tmpdir(), 'braid-invalidation-'))));
  after(() => rmSync(directory, { recursive: true }));

  it('makes the same of a graph, whatever is committed when, and whatever is taken back meanwhile', () => {
    fc.assert(
      fc.property(plan, ({ events, sizes, revalidate }) => {
        const path = join(directory, `${Math.random().toString(36).slice(2)}.db`);
        const store = openStore(path);
        const committed: Event[] = [];
        const sequences = new Map<string, number>();
        let takenBack: string[] = [];
        for (let at = 0, i = 0; at < events.length; i++) {
          const size = sizes[i % sizes.length];
          committed.push(...commit(store, events.slice(at, at + size), sequences));
          at += size;
          if (i === revalidate?.after) takenBack = takeBack(store, path, committed, revalidate.which);
        }
        store.close();
        assert.deepEqual(shownIn(path), expected(committed, takenBack));
      }),
      { numRuns: RUNS },
    );
  });

  it('makes the same of a graph in one commit as in many, where no statement is repeated with another time', () => {
    fc.assert(
      fc.property(plan, fc.infiniteStream(fc.nat()), ({ events, sizes }, random) => {
        // What a pair is said to be derived at is the first that was committed: a statement each.
        const pairs = new Set<string>();
        const single = events.filter((event) => {
          const of =
            event.type === 'derivation'
              ? [`${event.source}/${event.derived}`]
              : event.type === 'update'
                ? event.exposures.map(({ source }) => `${source}/${event.model}`)
                : [];
          if (of.some((pair) => pairs.has(pair)) || new Set(of).size < of.length) return false;
          for (const pair of of) pairs.add(pair);
          return true;
        });
        const made = [single, single.toSorted(() => (random.next().value % 3) - 1)].map((order, way) => {
          const path = join(directory, `${Math.random().toString(36).slice(2)}.db`);
          const store = openStore(path);
          const sequences = new Map<string, number>();
          for (let at = 0, i = 0; at < order.length; i++) {
            const size = way === 0 ? order.length : sizes[i % sizes.length];
            commit(store, order.slice(at, at + size), sequences);
            at += size;
          }
          store.close();
          return shownIn(path);
        });
        assert.deepEqual(made[0], made[1]);
      }),
      { numRuns: RUNS },
    );
  });
});

/** Takes back what was asked of the record, or the version, of one of the invalidations. */
function takeBack(store: Store, path: string, committed: readonly Event[], which: number): string[] {
  const asked = committed.filter((event): event is Invalidation => event.type === 'invalidation');
  if (asked.length === 0) return [];
  const { record, version } = asked[which % asked.length];
  const db = new Database(path, { readonly: true });
  const row = db
    .prepare('SELECT record_id AS record, version_id AS version FROM invalidation_requests WHERE id = ? AND done')
    .get(asked[which % asked.length].uuid) as { record: number; version: number | null } | undefined;
  db.close();
  if (!row) return [];
  const { ids } = store.revalidate([{ record: row.record, version: row.version ?? undefined }], 'looked again');
  assert.deepEqual(
    ids.toSorted(),
    asked
      .filter((each) => each.record === record && JSON.stringify(each.version) === JSON.stringify(version))
      .filter(
        ({ version }) =>
          version !== 'none' || committed.some((event) => event.type === 'record' && event.id === record),
      ) // prettier-ignore
      .map(({ uuid }) => uuid)
      .toSorted(),
  );
  return ids;
}

/** What is invalid: for which request, and whether for certain. */
function shownIn(path: string): Map<string, Shown> {
  const db = new Database(path, { readonly: true });
  const rows = db
    .prepare(
      `SELECT r.record_id AS model, ifnull(i.root_invalidation, i.id) AS root, i.inferred, NULL AS attempt, NULL AS step, NULL AS rank, NULL AS ordinal
       FROM records r JOIN invalidations i ON i.id = r.invalidation_id
       UNION ALL
       SELECT v.model_id, ifnull(i.root_invalidation, i.id), i.inferred, a.attempt, v.step, v.rank, v.ordinal
       FROM versions v JOIN invalidations i ON i.id = v.invalidation_id JOIN attempts a USING (attempt_id)`,
    )
    .all() as (Shown & { model: number; attempt: number | null; step: number | null; rank: number; ordinal: number })[];
  db.close();
  const shown = rows.map(({ model, root, inferred, attempt, step, rank, ordinal }): [string, Shown] => {
    const made = { attempt: attempt!, ...(step === null ? { rank, ordinal } : { step }) };
    return [attempt === null ? String(model) : labelOfMade(model, made), { root, inferred }];
  });
  return new Map(shown.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The first request by time that reaches a node, or is about it, by looking at all pairs of nodes. */
function expected(events: readonly Event[], takenBack: readonly string[]): Map<string, Shown> {
  const oracle = new Oracle(events);
  const there = new Set(events.flatMap((event) => (event.type === 'record' ? [String(event.id)] : [])));
  const requests = events
    .filter((event): event is Invalidation => event.type === 'invalidation')
    .filter(({ uuid }) => !takenBack.includes(uuid))
    // One whose record is not there waits for it.
    .filter(({ record, version }) => version !== 'none' || there.has(String(record)))
    .sort((a, b) => a.time - b.time || (a.uuid < b.uuid ? -1 : 1));
  const shown = new Map<string, Shown>();
  for (const { uuid, record, version, cascade } of requests) {
    const start = version === 'none' ? String(record) : labelOfMade(record, version);
    const reached = cascade ? oracle.closure('descendants', [start]) : new Map<string, { inferred: boolean }>();
    for (const [node, inferred] of [
      [start, false] as const,
      ...[...reached].map(([node, { inferred }]) => [node, inferred] as const),
    ]) {
      // prettier-ignore
      if (shown.has(node) || (!node.includes('@') && !there.has(node))) continue;
      shown.set(node, { root: uuid, inferred: inferred ? 1 : 0 });
    }
  }
  return new Map([...shown].sort(([a], [b]) => (a < b ? -1 : 1)));
}
