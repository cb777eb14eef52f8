import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidData, BraidDB, BraidReader, extract, merge, prune } from 'braid-mpi';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import type { Store } from '#src/store/store.js';
import { labelOf } from '../query/graph.js';
import { commit, openStore, plan } from '../query/invalidated.js';
import { LONG } from '../support/trials.js';
import { contentOf, problemsOf } from './tables.js';

const RUNS = LONG ? 300 : 8;

describe('merging any graph', function () {
  this.timeout(300_000);
  let directory: string;
  let other: string;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'braid-merge-'));
    other = join(directory, 'other.db');
    const db = await BraidDB.open(other);
    for (let i = 0; i < 3; i++) new BraidData(db, { name: `other-${i}` });
    await db.close();
  });
  after(() => rmSync(directory, { recursive: true }));

  const file = () => join(directory, `${Math.random().toString(36).slice(2)}.db`);
  const OFFSET = 3;

  /** A database, and what it was at each of its commits; with what was taken back half-way. */
  const made = ({ events, sizes, revalidate }: PlanOf, after: (path: string) => void) => {
    const path = file();
    const store = openStore(path);
    const sequences = new Map<string, number>();
    for (let at = 0, i = 0; at < events.length; i++) {
      const size = sizes[i % sizes.length];
      commit(store, events.slice(at, at + size), sequences);
      at += size;
      if (i === revalidate?.after) takeBack(store, path);
      after(path);
    }
    store.close();
    return path;
  };

  it('gives the same, whenever it is merged, and over whatever databases', async () => {
    await fc.assert(
      fc.asyncProperty(plan, fc.nat({ max: 7 }), async (plan, when) => {
        const snapshots: string[] = [];
        const path = made(plan, (path) => snapshots.push(snapshotOf(path, file())));
        const wanted = contentOf(path);
        // All at once; piece by piece; and over another that had a part of it, or all.
        const [once, often, over, between] = [file(), file(), file(), file()];
        for (const out of [once, often, over, between]) await merge(out, other);
        await merge(once, path);
        for (const snapshot of snapshots) await merge(often, snapshot);
        await merge(often, path);
        const some = snapshots[when % snapshots.length] ?? path;
        await merge(between, some);
        await merge(over, [between, path, some]);
        for (const out of [once, often, over]) {
          assert.deepEqual(contentOf(out, OFFSET), wanted);
          assert.deepEqual(problemsOf(out), problemsOf(path));
        }
        const again = await merge(once, [often, over, path, between]);
        assert.deepEqual(Object.entries(again).filter(([, count]) => typeof count === 'number' && count > 0), []); // prettier-ignore
        assert.deepEqual(contentOf(once, OFFSET), wanted);
      }),
      { numRuns: RUNS },
    );
  });

  it('extracts what a record comes from, as it is told, and merges it with the rest to the same', async () => {
    await fc.assert(
      fc.asyncProperty(plan, fc.nat(), fc.boolean(), async (plan, which, ever) => {
        const path = made(plan, () => {});
        const reader = BraidReader.open(path);
        const ids = Array.from(reader.records(), ({ id }) => id);
        if (ids.length === 0) return reader.close();
        const id = ids[which % ids.length];
        const part = file();
        await extract(path, id, part, { ever });
        const extracted = BraidReader.open(part);
        const told = (of: BraidReader) =>
          Array.from(of.ancestors(id, { ever }), (row) => [labelOf(row), row.name, row.valid, row.inferred, row.depth]);
        assert.deepEqual(told(extracted), told(reader));
        assert.deepEqual(extracted.record(id), reader.record(id));
        for (const each of [extracted, reader]) each.close();
        const known = new Set(problemsOf(path).map((problem) => problem.replace(/\d+/g, '#')));
        assert.deepEqual(problemsOf(part).filter((problem) => !known.has(problem.replace(/\d+/g, '#'))), []); // prettier-ignore
        const out = file();
        await merge(out, [other, part]);
        await merge(out, path);
        assert.deepEqual(contentOf(out, OFFSET), contentOf(path));
        await merge(part, path);
        assert.deepEqual(contentOf(part), contentOf(path));
      }),
      { numRuns: RUNS },
    );
  });

  it('prunes what nothing that is kept comes from, and gets it back by merging', async () => {
    await fc.assert(
      fc.asyncProperty(plan, fc.boolean(), async (plan, invalid) => {
        const path = made(plan, () => {});
        // Whoever prunes has ended what was recording.
        const out = file();
        await merge(out, [other, path]);
        const before = contentOf(out, OFFSET);
        const told = () => {
          const reader = BraidReader.open(out);
          try {
            return new Map(Array.from(reader.records(), (row) => [row.id, JSON.stringify([row, ...Array.from(reader.ancestors(row.id), (each) => [labelOf(each), each.valid])])])); // prettier-ignore
          } finally {
            reader.close();
          }
        };
        const was = told();
        const what = invalid ? { invalid } : { before: new Date(Date.UTC(2026, 0, 1, 0, 0, 6)) };
        const dry = await prune(out, { ...what, keepNeeded: true, dryRun: true });
        const report = await prune(out, { ...what, keepNeeded: true });
        assert.deepEqual({ ...dry, dryRun: false }, report);
        const is = told();
        assert.equal(was.size - is.size, report.records);
        // A model without a version is all its versions, of which some may have gone.
        if (report.versions === 0) for (const [id, row] of is) assert.equal(row, was.get(id));
        const known = new Set(problemsOf(path).map((problem) => problem.replace(/\d+/g, '#')));
        assert.deepEqual(problemsOf(out).filter((problem) => !known.has(problem.replace(/\d+/g, '#'))), []); // prettier-ignore
        await merge(out, path);
        assert.deepEqual(contentOf(out, OFFSET), before);
      }),
      { numRuns: RUNS },
    );
  });
});

type PlanOf = typeof plan extends fc.Arbitrary<infer T> ? T : never;

/** What was asked for first, and stands. */
function takeBack(store: Store, path: string): void {
  const db = new Database(path, { readonly: true });
  const row = db.prepare('SELECT record_id AS record, version_id AS version FROM invalidation_requests WHERE done AND id NOT IN (SELECT request_id FROM revalidations) ORDER BY id').get() as { record: number; version: number | null } | undefined; // prettier-ignore
  db.close();
  if (row) store.revalidate([{ record: row.record, version: row.version ?? undefined }], 'looked again');
}

/** The database as it is, while it is open. */
function snapshotOf(path: string, copy: string): string {
  const db = new Database(path, { readonly: true });
  db.prepare('VACUUM INTO ?').run(copy);
  db.close();
  return copy;
}
