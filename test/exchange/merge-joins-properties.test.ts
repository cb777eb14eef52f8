import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  BraidData,
  BraidDB,
  BraidModel,
  extract,
  invalidate,
  merge,
  prune,
  type BraidError,
  type MergeReport,
} from 'braid-mpi';
import fc from 'fast-check';
import { LONG } from '../support/trials.js';
import { reading } from './support.js';
import { contentOf, problemsOf } from './tables.js';

const RUNS = LONG ? 300 : 8;
/** Databases that are there from the beginning, and those that may come. */
const SOURCES = 3;
const FILES = 5;

const file = fc.nat({ max: FILES - 1 });
const merging = fc.record({
  type: fc.constant('merge' as const),
  file,
  inputs: fc.uniqueArray(file, { minLength: 1, maxLength: 3 }),
  joinBy: fc.constantFrom(undefined, 'name' as const, 'uri' as const),
});
const which = fc.nat({ max: 20 });
const operation = fc.oneof(
  { weight: 2, arbitrary: fc.record({ type: fc.constant('record' as const), file, name: fc.nat({ max: 1 }), uri: fc.nat({ max: 2 }), other: which }) }, // prettier-ignore
  { weight: 4, arbitrary: merging },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('prune' as const), file, what: fc.constantFrom('run', 'invalid', 'old', 'old'), which }) }, // prettier-ignore
  { weight: 1, arbitrary: fc.record({ type: fc.constant('invalidate' as const), file, which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('extract' as const), file, from: file, which }) },
);
/** What begins with models that are joined: of the sources, in some order, into one of those that may come. */
const operations = fc
  .record({
    first: fc.shuffledSubarray([0, 1, 2], { minLength: 2 }),
    joinBy: fc.constantFrom('name' as const, 'uri' as const),
    rest: fc.array(operation, { minLength: 4, maxLength: LONG ? 16 : 8 }),
  })
  .map(({ first, joinBy, rest }): Operation[] => [{ type: 'merge', file: SOURCES, inputs: first, joinBy }, ...rest]);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

describe('joining any models', function () {
  this.timeout(3_600_000);
  let directory: string;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'braid-joins-'));
    for (let i = 0; i < SOURCES; i++) await record(source(i), { name: 0, uri: i % 2, other: 0 });
  });
  after(() => rmSync(directory, { recursive: true }));

  const source = (i: number) => join(directory, `source-${i}.db`);

  /** A model, and what it has learnt: of another one, or what that has made; which learns of it in turn. */
  async function record(
    path: string,
    { name, uri, other }: { name: number; uri: number; other: number },
  ): Promise<void> {
    const known = existsSync(path) ? reading(path, (reader) => Array.from(reader.records(), ({ id, kind }) => ({ id, kind }))) : []; // prettier-ignore
    const db = await BraidDB.open(path);
    try {
      const model = new BraidModel(db, { name: `net-${name}`, uris: [`file:///net/${uri}`] });
      const derivedFrom = known.length > 0 ? [known[other % known.length].id] : [];
      const scan = new BraidData(db, { name: 'scan', derivedFrom });
      model.update([scan], { step: 1 });
      const models = known.filter(({ kind }) => kind === 'model');
      if (models.length > 0) BraidModel.ref(db, models[other % models.length].id).update([scan], { step: other });
    } finally {
      await db.close();
    }
  }

  /** Whether it was done: what two databases say differently of models is refused, and nothing is changed. */
  async function merged(out: string, inputs: readonly string[], joinBy?: 'name' | 'uri'): Promise<boolean> {
    const was = existsSync(out) ? contentOf(out) : undefined;
    try {
      await merge(out, inputs, { joinBy });
      return true;
    } catch (error) {
      assert.equal((error as BraidError).code, 'ERR_BRAID_MERGE_CONFLICT', String(error));
      assert.deepEqual(existsSync(out) ? contentOf(out) : undefined, was);
      return false;
    }
  }

  async function carryOut(operation: Operation, path: (i: number) => string): Promise<void> {
    const target = path(operation.file);
    if (operation.type === 'merge') {
      const inputs = operation.inputs.map(path).filter((each) => each !== target && existsSync(each));
      if (inputs.length === 0 || !(await merged(target, inputs, operation.joinBy))) return;
      const once = contentOf(target);
      const again: MergeReport = await merge(target, inputs);
      assert.deepEqual(Object.entries(again).filter(([, count]) => typeof count === 'number' && count > 0), []); // prettier-ignore
      assert.deepEqual(contentOf(target), once);
      for (const input of inputs) sameRecords(target, input);
    } else if (operation.type === 'extract') {
      const from = path(operation.from);
      if (from === target || !existsSync(from)) return;
      const ids = reading(from, (reader) => Array.from(reader.records(), ({ id }) => id));
      if (ids.length > 0) await extract(from, ids[operation.which % ids.length], target, { force: true });
    } else if (operation.type === 'record') await record(target, operation);
    else if (existsSync(target)) {
      const [ids, runs] = reading(target, (reader) => [Array.from(reader.records(), ({ id }) => id), reader.runs().map(({ id }) => id)] as const); // prettier-ignore
      if (ids.length === 0) return;
      if (operation.type === 'invalidate')
        await invalidate(target, ids[operation.which % ids.length], { cause: 'wrong' });
      else {
        const { what, which } = operation;
        const meant = what === 'run' ? { run: runs[which % runs.length] } : what === 'invalid' ? { invalid: true } : { before: new Date(Date.now() + 1000) }; // prettier-ignore
        await prune(target, { ...meant, keepNeeded: true });
      }
    }
  }

  /** What was merged is found by the id that it had: by its name, and of the run that has recorded it. */
  function sameRecords(out: string, input: string): void {
    reading(out, (reader) => {
      for (const { id, name, kind, run } of reading(input, (from) => Array.from(from.records()))) {
        const here = reader.record(reader.byOrigin(input, id)!)!;
        const origins = reader.origins(here.id).filter(({ through }) => !through);
        // Of models that are one, the first has told; and each of them is of another database.
        if (origins.some(({ joined }) => joined))
          assert.equal(new Set(origins.map(({ database }) => database)).size, origins.length); // prettier-ignore
        else assert.deepEqual([here.name, here.kind, here.run], [name, kind, run]);
        assert.ok(kind !== 'model' || here.kind === 'model');
      }
    });
  }

  it('leaves databases sound, in whatever order they are merged, joined and pruned', async () => {
    let trial = 0;
    await fc.assert(
      fc.asyncProperty(operations, async (operations) => {
        const mine = trial++;
        const path = (i: number) => join(directory, `${mine}-${i}.db`);
        for (let i = 0; i < SOURCES; i++) copyFileSync(source(i), path(i));
        try {
          for (const operation of operations) {
            await carryOut(operation, path);
            if (existsSync(path(operation.file))) assert.deepEqual(problemsOf(path(operation.file)), []);
          }
        } finally {
          for (let i = 0; i < FILES; i++) rmSync(path(i), { force: true });
        }
      }),
      { numRuns: RUNS },
    );
  });
});
