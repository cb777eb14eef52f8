import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { BraidData, BraidDB, BraidReader, invalidate, merge, recover, revalidate, type BraidError } from 'braid-mpi';
import fc from 'fast-check';
import { timeText } from '#src/time.js';
import { LONG } from '../support/trials.js';
import { problemsOf } from './tables.js';

const RUNS = LONG ? 300 : 12;
const KINDS = [
  'they add',
  'they invalidate',
  'we add',
  'we invalidate',
  'we revalidate',
  'we recover',
  'we merge',
] as const;

const which = fc.nat({ max: 1000 });
const operations = fc.array(fc.record({ kind: fc.constantFrom(...KINDS), which }), { minLength: 1, maxLength: 10 });

/** What is invalid for something else, too, was taken for what Braid-DB has invalidated alone. */
const WAS_WRONG: { kind: (typeof KINDS)[number]; which: number }[] = [
  { kind: 'we invalidate', which: 0 },
  { kind: 'they add', which: 0 },
  { kind: 'they add', which: 1 },
  { kind: 'they invalidate', which: 1 },
  { kind: 'we revalidate', which: 2 },
];

/** What Braid-DB does, by its own columns only: no cascade goes on from it, and what it adds is valid. */
class Theirs {
  readonly #db: Database.Database;
  #micros: number;

  constructor(path: string) {
    this.#db = new Database(path);
    this.#db.pragma('foreign_keys = OFF');
    this.#micros = Date.now() * 1000;
  }

  add(source: number): number {
    const added = this.#db.prepare('INSERT INTO records (name, time) VALUES (?, ?)').run('theirs', this.#time());
    const id = Number(added.lastInsertRowid);
    this.#db.prepare('INSERT INTO derivations (record_id, derivation, time) VALUES (?, ?, ?)').run(source, id, this.#time()); // prettier-ignore
    return id;
  }

  /** Whether it was valid. */
  invalidate(record: number, parent: string | null = null): boolean {
    const had = this.#db.prepare('SELECT invalidation_id FROM records WHERE record_id = ?').pluck().get(record);
    if (had !== null) return false;
    const id = randomUUID().replaceAll('-', '');
    this.#db.prepare('INSERT INTO invalidations (id, root_invalidation, cause, time) VALUES (?, ?, ?, ?)').run(id, parent, 'theirs', this.#time()); // prettier-ignore
    this.#db.prepare('UPDATE records SET invalidation_id = ? WHERE record_id = ?').run(id, record);
    const derived = this.#db.prepare('SELECT derivation FROM derivations WHERE record_id = ?').pluck().all(record) as number[]; // prettier-ignore
    for (const each of derived) this.invalidate(each, id);
    return true;
  }

  close(): void {
    this.#db.close();
  }

  #time(): string {
    return timeText(this.#micros++);
  }
}

describe('Braid-DB and we, by turns in one database', function () {
  this.timeout(LONG ? 600_000 : 60_000);
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'braid-turns-'))));
  afterEach(() => rmSync(directory, { recursive: true }));

  it('have what derives from what anybody has invalidated invalid, whenever we have written, and after a merge', async () => {
    let count = 0;
    await fc.assert(
      fc.asyncProperty(operations, async (all) => {
        const path = join(directory, `${count++}.db`);
        const records: number[] = [];
        const derived = new Map<number, number[]>();
        const asked = new Set<number>();
        const record = async (source?: number) => {
          const db = await BraidDB.open(path, { mpi: 'off' });
          const { id } = new BraidData(db, { name: 'ours', derivedFrom: source });
          await db.close();
          return id;
        };
        const keep = (id: number, source: number) => {
          records.push(id);
          derived.set(source, [...(derived.get(source) ?? []), id]);
        };
        const invalid = () => {
          const met = new Set(asked);
          for (const id of met) for (const each of derived.get(id) ?? []) met.add(each);
          return [...met].toSorted((a, b) => a - b);
        };
        const check = (file: string, expected: number | number[]) => {
          const reader = BraidReader.open(file);
          const found = Array.from(reader.search('invalid'), ({ id }) => id);
          reader.close();
          assert.deepEqual(typeof expected === 'number' ? found.length : found, expected);
          assert.deepEqual(problemsOf(file), []);
        };

        records.push(await record());
        for (const { kind, which } of all) {
          const id = records[which % records.length];
          if (kind.startsWith('they')) {
            const theirs = new Theirs(path);
            if (kind === 'they add') keep(theirs.add(id), id);
            else if (theirs.invalidate(id)) asked.add(id);
            theirs.close();
            continue;
          }
          if (kind === 'we add') keep(await record(id), id);
          else if (kind === 'we recover') await recover(path);
          else if (kind === 'we invalidate') {
            await invalidate(path, id, { cause: 'ours' });
            asked.add(id);
          } else if (kind === 'we revalidate') {
            if (asked.delete(id)) revalidate(path, id, { reason: 'right' });
            else {
              assert.throws(() => revalidate(path, id, { reason: 'right' }), (error: BraidError) => error.code === 'ERR_BRAID_NOT_INVALIDATED'); // prettier-ignore
              // It has written nothing.
              continue;
            }
          } else {
            const out = join(directory, `${count++}.db`);
            await merge(out, path);
            check(out, invalid().length);
            const { records: again, invalidations } = await merge(out, path);
            assert.deepEqual([again, invalidations], [0, 0]);
            continue;
          }
          check(path, invalid());
        }
        await recover(path);
        check(path, invalid());
      }),
      { numRuns: RUNS, examples: [[WAS_WRONG]] },
    );
  });
});
