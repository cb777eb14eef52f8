import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import {
  BraidData,
  BraidDB,
  BraidError,
  BraidFact,
  BraidModel,
  BraidReader,
  BraidRecord,
  BraidVersion,
  type OpenOptions,
} from 'braid-mpi';

/** One rank of a job that runs the contract, whatever its ranks are: one process, simulated ones, MPI's. */
export interface Rank {
  readonly rank: number;
  readonly size: number;
  /** The same directory on every rank, new for each case. */
  readonly directory: string;
  /** Options that make `BraidDB.open` use this job's ranks. */
  readonly options: OpenOptions;
}

export interface ContractCase {
  readonly title: string;
  /** Runs on all ranks at once. */
  readonly run: (rank: Rank) => Promise<void>;
  /** Ranks that it needs. */
  readonly atLeast?: number;
}

const open = ({ directory, options }: Rank, more: OpenOptions = {}) =>
  BraidDB.open(join(directory, 'run.db'), { ...options, ...more });

/** Everything in a table, as the root finds it after the run. */
function rows<Row>({ directory }: Rank, sql: string): Row[] {
  const db = new Database(join(directory, 'run.db'), { readonly: true });
  try {
    return db.prepare(sql).all() as Row[];
  } finally {
    db.close();
  }
}

async function rejects(promise: Promise<unknown>, code: string, message?: RegExp): Promise<void> {
  await assert.rejects(promise, (error: BraidError) => {
    assert.equal(error.code, code, error.message);
    if (message) assert.match(error.message, message);
    return true;
  });
}

function throws(run: () => unknown, code: string, message?: RegExp, what = ''): void {
  assert.throws(run, (error: BraidError) => {
    assert.ok(error instanceof BraidError, `${what}: ${(error as Error).stack}`);
    assert.equal(error.code, code, `${what}: ${(error as Error).message}`);
    if (message) assert.match(error.message, message);
    return true;
  });
}

export const CONTRACT: ContractCase[] = [
  {
    title: 'runs the job of the README',
    async run(rank) {
      const db = await open(rank);
      const cfg = await db.share(
        db.isRoot
          ? new BraidFact(db, { name: 'beamline', uris: ['file:///cfg/beamline.json'], tags: { energy_kev: 12.4 } })
          : null,
      );
      const model = await db.share(db.isRoot ? new BraidModel(db, { name: 'braggnn', derivedFrom: cfg }) : null);
      const scan = new BraidData(db, { name: `scan-${db.rank}`, derivedFrom: cfg });
      scan.addUri(`file:///data/scan-${db.rank}.h5`).addTag('frames', 1800);
      const version = model.update(scan, { step: 12, uris: ['file:///ckpt/12.pt'], tags: { loss: 0.031 } });
      const peaks = new BraidData(db, { name: `peaks-${db.rank}`, derivedFrom: model });
      assert.equal(version.model, model.id);
      assert.equal(version.step, 12);
      const flushed = await db.flush();
      assert.equal(flushed.records, 2 + 2 * db.size);
      const names = await db.onRoot((reader) => [...reader.ancestors(peaks.id)].map(({ name }) => name).sort());
      assert.ok(names.includes('braggnn') && names.includes('beamline') && names.includes('scan-0'), names.join());
      await db.close();
      if (!db.isRoot) return;
      const reader = BraidReader.open(db.path);
      assert.equal([...reader.records()].length, 2 + 2 * db.size);
      const [made] = [...reader.versions(model.id)];
      assert.equal(made.number, 1);
      assert.equal(made.key, version.key);
      assert.deepEqual(made.ranks, [...Array(db.size).keys()]);
      assert.deepEqual(made.uris, ['file:///ckpt/12.pt']);
      assert.deepEqual(made.tags, { loss: 0.031 });
      const [run] = reader.runs();
      assert.equal(run.status, 'COMPLETED');
      assert.equal(run.size, db.size);
      assert.equal(run.recorded, run.committed);
      reader.close();
    },
  },
  {
    title: 'gives typed tags back typed, and marks of records of every rank',
    async run(rank) {
      const db = await open(rank);
      const tags = {
        text: 'naïve 🧬',
        empty: '',
        looksLikeANumber: '12',
        int: -7,
        big: 2n ** 62n,
        smallBig: 5n,
        float: 0.1,
        exponent: 1e300,
        negativeZero: -0,
        yes: true,
        no: false,
        __proto: 'x',
      };
      const data = new BraidData(db, { name: `näme-${db.rank}`, tags, time: new Date(86_400_000) });
      data.addTag('whole', 3, 'float').addTag('int', 8);
      const got = await db.onRoot((reader) =>
        [...reader.records()].map(({ id, name, tags, time, run, rank }) => ({
          id,
          name,
          tags: Object.entries(tags).map(([key, value]) => [
            key,
            typeof value,
            Object.is(value, -0) ? '-0' : String(value),
          ]),
          time: time.getTime(),
          run,
          rank,
        })),
      );
      const mine = got.find(({ id }) => id === data.id)!;
      assert.equal(mine.name, `näme-${db.rank}`);
      assert.equal(mine.time, 86_400_000);
      assert.equal(mine.run, db.runId);
      assert.equal(mine.rank, db.rank);
      assert.deepEqual(Object.fromEntries(mine.tags.map(([key, ...rest]) => [key, rest])), {
        text: ['string', 'naïve 🧬'],
        empty: ['string', ''],
        looksLikeANumber: ['string', '12'],
        int: ['number', '8'],
        big: ['bigint', '4611686018427387904'],
        smallBig: ['number', '5'],
        float: ['number', '0.1'],
        exponent: ['number', '1e+300'],
        negativeZero: ['number', '-0'],
        yes: ['boolean', 'true'],
        no: ['boolean', 'false'],
        __proto: ['string', 'x'],
        whole: ['number', '3'],
      });
      await db.close();
    },
  },
  {
    title: 'tells of each flush what it committed, of all ranks, and nothing twice',
    async run(rank) {
      const db = await open(rank);
      for (let i = 0; i < 10; i++) new BraidData(db, { name: `d${i}`, tags: { i } });
      const first = await db.flush();
      assert.deepEqual([first.records, first.ops], [10 * db.size, 20 * db.size]);
      assert.ok(first.bytes > 0 && first.ms > 0);
      const second = await db.flush();
      assert.deepEqual([second.records, second.ops, second.bytes], [0, 0, 0]);
      if (db.isRoot) new BraidData(db, { name: 'only the root has something' });
      assert.equal((await db.flush()).records, 1);
      if (db.rank === db.size - 1) new BraidData(db, { name: 'only the last rank has something' });
      assert.equal((await db.flush()).records, 1);
      await db.close();
      if (db.isRoot) assert.equal(rows(rank, 'SELECT * FROM records').length, 10 * db.size + 2);
    },
  },
  {
    title: 'lets a flush be awaited late, and leaves what is recorded after the call to the next',
    async run(rank) {
      const db = await open(rank);
      const flushes = [];
      for (let round = 0; round < 5; round++) {
        for (let i = 0; i <= round; i++) new BraidData(db, { name: `d${round}.${i}` });
        flushes.push(db.flush());
      }
      new BraidData(db, { name: 'after the last flush' });
      const records = (await Promise.all(flushes)).map(({ records }) => records);
      assert.deepEqual(
        records,
        [1, 2, 3, 4, 5].map((n) => n * db.size),
      );
      await db.close();
      if (db.isRoot) assert.equal(rows(rank, 'SELECT * FROM records').length, 16 * db.size);
    },
  },
  {
    title: 'gives every rank a handle of the same class on the shared record',
    async run(rank) {
      const db = await open(rank);
      const time = new Date('2026-01-02T03:04:05.678Z');
      const fact = await db.share(db.isRoot ? new BraidFact(db, { name: 'a fact', time }) : null);
      const data = await db.share(db.isRoot ? new BraidData(db, { name: 'some data' }) : null);
      const model = await db.share(db.isRoot ? new BraidModel(db, { name: 'a model' }) : null);
      const handle = await db.share(db.isRoot ? db.ref(fact.id) : null);
      assert.ok(fact instanceof BraidFact && data instanceof BraidData && model instanceof BraidModel);
      assert.equal(fact.name, 'a fact');
      assert.deepEqual(fact.time, time);
      assert.equal(handle.id, fact.id);
      throws(() => fact.addDependency(data), 'ERR_BRAID_FACT_DERIVED');
      data.addTag(`rank-${db.rank}`, db.rank).addDependency(fact);
      assert.equal(data.store(), data.id);
      await db.flush();
      const tags = await db.onRoot((reader) => reader.record(data.id)!.tags);
      assert.deepEqual(tags, Object.fromEntries([...Array(db.size).keys()].map((r) => [`rank-${r}`, r])));
      await db.close();
    },
  },
  {
    title: 'derives from the version of a model that the rank has seen, knows or names',
    async run(rank) {
      const db = await open(rank);
      const model = await db.share(db.isRoot ? new BraidModel(db, { name: 'm' }) : null);
      const unseen = new BraidData(db, { name: `unseen-${db.rank}`, derivedFrom: model });
      const first = await db.share(db.isRoot ? model.update([], { step: 1 }) : null);
      assert.ok(first instanceof BraidVersion);
      assert.equal(first.key, model.at({ step: 1 }).key);
      const seen = new BraidData(db, { name: `seen-${db.rank}`, derivedFrom: model });
      const named = new BraidData(db, { name: `named-${db.rank}`, derivedFrom: [model.at({ step: 7 }), first] });
      const byKey = new BraidData(db, { name: `key-${db.rank}`, derivedFrom: db.version(first.key) });
      const byId = new BraidData(db, { name: `id-${db.rank}`, derivedFrom: model.id });
      if (db.rank === db.size - 1) model.update(seen, { step: 7 });
      const ids = [unseen, seen, named, byKey, byId].map(({ id }) => id);
      await db.close();
      if (!db.isRoot) return;
      const steps = rows<{ derivation: number; steps: string }>(
        rank,
        'SELECT derivation, group_concat(step ORDER BY step) AS steps FROM derivation_versions JOIN versions USING (version_id) GROUP BY derivation',
      );
      const stepsOf = (id: number) => steps.find(({ derivation }) => derivation === id)?.steps;
      assert.deepEqual(ids.map(stepsOf), [undefined, '1', '1,7', '1', '1']);
      const unversioned = rows<{ derivation: number }>(
        rank,
        'SELECT derivation FROM derivations WHERE unversioned = 1',
      );
      assert.equal(unversioned.length, db.size);
      assert.ok(unversioned.some(({ derivation }) => derivation === unseen.id));
    },
  },
  {
    title: 'makes one version of the updates of a step, and one of each update without a step',
    async run(rank) {
      const db = await open(rank);
      const model = await db.share(db.isRoot ? new BraidModel(db, { name: 'm' }) : null);
      const scan = new BraidData(db, { name: `scan-${db.rank}` });
      for (let step = 0; step < 3; step++) model.update(scan, { step, tags: { loss: 1 / (step + 1) } });
      const keys = new Set([model.update(scan).key, model.update([scan, scan]).key]);
      assert.equal(keys.size, 2);
      const versions = await db.onRoot((reader) => [...reader.versions(model.id)]);
      assert.equal(versions.length, 3 + 2 * db.size);
      assert.deepEqual(
        versions.map(({ number }) => number),
        versions.map((_, i) => i + 1),
      );
      const stepped = versions.filter(({ step }) => step !== undefined);
      for (const { ranks } of stepped) assert.deepEqual(ranks, [...Array(db.size).keys()]);
      for (const key of keys) assert.deepEqual(versions.find((each) => each.key === key)!.ranks, [db.rank]);
      // The number is a name: it stays when more is committed.
      model.update(scan, { step: 3 });
      const later = await db.onRoot((reader) => [...reader.versions(model.id)]);
      assert.deepEqual(
        later.slice(0, versions.length).map(({ key }) => key),
        versions.map(({ key }) => key),
      );
      await db.close();
      if (!db.isRoot) return;
      assert.equal(rows(rank, 'SELECT * FROM exposures').length, (4 + 1 + 2) * db.size);
      const seen = rows<{ step: number | null; seen: number | null }>(
        rank,
        `SELECT v.step, s.step AS seen FROM updates u JOIN versions v USING (version_id) LEFT JOIN versions s ON s.version_id = u.seen
         WHERE u.rank = ${db.size - 1} AND v.step < 3 ORDER BY v.step`,
      );
      assert.deepEqual(seen, [
        { step: 0, seen: null },
        { step: 1, seen: 0 },
        { step: 2, seen: 1 },
      ]);
    },
  },
  {
    title: 'answers on the root, for every rank, what each of them asks: versions, why, search, statement',
    async run(rank) {
      const db = await open(rank);
      const model = await db.share(db.isRoot ? new BraidModel(db, { name: 'model' }) : null);
      const scan = new BraidData(db, { name: `scan-${db.rank}`, tags: { rank: db.rank } });
      const version = model.update(scan, { step: 0 });
      const peaks = new BraidData(db, { name: `peaks-${db.rank}`, derivedFrom: version });
      const versions = await db.onRoot((reader) => [...reader.versions(model.id)]);
      assert.deepEqual(versions.map(({ number, exposures }) => [number, exposures.length]), [[1, db.size]]); // prettier-ignore
      const found = await db.onRoot((reader) => [...reader.search('kind=data and rank>=0 and name=scan-*')]);
      assert.deepEqual(found.map(({ name }) => name).sort(), Array.from({ length: db.size }, (_, i) => `scan-${i}`).sort()); // prettier-ignore
      const why = await db.onRoot((reader) => reader.why('name:peaks-0', 'name:scan-0')!.steps.map(({ text }) => text));
      assert.equal(why.length, 3);
      const { sentences } = await db.onRoot((reader) => reader.statement(version));
      const trained = `^model@1 \\(step 0\\) \\[${model.id}\\] was trained on ${db.size} data records?: scan-`;
      assert.match(sentences[0].text, new RegExp(trained));
      assert.ok(peaks.id > 0);
      await db.close();
    },
  },
  {
    title: 'takes models that derive from each other in a cycle, and walks it once',
    async run(rank) {
      const db = await open(rank);
      const a = await db.share(db.isRoot ? new BraidModel(db, { name: 'a' }) : null);
      const b = await db.share(db.isRoot ? new BraidModel(db, { name: 'b', derivedFrom: a }) : null);
      a.update(b);
      b.update(a);
      const labels = new BraidData(db, { name: `labels-${db.rank}`, derivedFrom: b });
      a.update(labels);
      const walked = await db.onRoot((reader) => ({
        up: [...reader.ancestors(a.id, { ever: true })].map(({ name, depth }) => `${name}:${depth}`),
        down: [...reader.descendants(a.id, { depth: 1, ever: true })].map(({ name }) => name),
        models: [...reader.ancestors(labels.id, { kind: 'model', ever: true })].map(({ name }) => name),
        sources: reader.sources(labels.id).map(({ name }) => name),
        derived: reader.derived(labels.id).map(({ name }) => name),
      }));
      assert.equal(walked.up.length, db.size + 1);
      assert.equal(new Set(walked.up).size, walked.up.length);
      assert.equal(walked.up[0].slice(-2), ':1');
      assert.deepEqual(walked.down, ['b']);
      assert.deepEqual(walked.models, ['b', 'a']);
      assert.deepEqual(walked.sources, ['b']);
      assert.deepEqual(walked.derived, ['a']);
      await db.close();
    },
  },
  {
    title: 'refuses bad input with its code, and records nothing of it',
    async run(rank) {
      const db = await open(rank);
      const other = await BraidDB.open(join(rank.directory, 'other.db'), rank.options);
      const good = new BraidData(db, { name: 'good' });
      const fact = new BraidFact(db, { name: 'fact' });
      const model = new BraidModel(db, { name: 'model' });
      const foreign = new BraidData(other, { name: 'foreign' });
      const data = (init: object) => () => new BraidData(db, { name: 'x', ...init });
      const bad: [code: string, run: () => unknown][] = [
        ['ERR_BRAID_NAME_INVALID', data({ name: '' })],
        ['ERR_BRAID_NAME_INVALID', data({ name: 7 })],
        ['ERR_BRAID_NAME_INVALID', () => new BraidData(db, undefined as never)],
        ['ERR_BRAID_TEXT_INVALID', data({ name: 'a\ud800b' })],
        ['ERR_BRAID_TEXT_INVALID', data({ name: 'a\0b' })],
        ['ERR_BRAID_TEXT_INVALID', data({ name: `${'a'.repeat(200)}\udfff` })],
        ['ERR_BRAID_TEXT_INVALID', data({ tags: { ok: 1, late: 'x\0' } })],
        ['ERR_BRAID_TAG_INVALID', data({ tags: { t: NaN } })],
        ['ERR_BRAID_TAG_INVALID', data({ tags: { t: Infinity } })],
        ['ERR_BRAID_TAG_INVALID', data({ tags: { t: {} } })],
        ['ERR_BRAID_TAG_INVALID', data({ tags: { t: null } })],
        ['ERR_BRAID_TAG_INVALID', data({ tags: { t: 2n ** 63n } })],
        ['ERR_BRAID_TAG_INVALID', data({ tags: { t: -(2n ** 63n) - 1n } })],
        ['ERR_BRAID_TAG_INVALID', data({ tags: { '': 1 } })],
        ['ERR_BRAID_TAG_INVALID', data({ tags: ['a'] })],
        ['ERR_BRAID_TAG_INVALID', () => good.addTag('t', undefined as never)],
        ['ERR_BRAID_TAG_INVALID', () => good.addTag('t', 'text', 'integer')],
        ['ERR_BRAID_TAG_INVALID', () => good.addTag('t', 1.5, 'integer')],
        ['ERR_BRAID_TAG_INVALID', () => good.addTag(3 as never, 1)],
        ['ERR_BRAID_URI_INVALID', data({ uris: [3] })],
        ['ERR_BRAID_URI_INVALID', data({ uris: 'file:///a' })],
        ['ERR_BRAID_URI_INVALID', () => good.addUri(null as never)],
        ['ERR_BRAID_TIME_INVALID', data({ time: new Date(NaN) })],
        ['ERR_BRAID_TIME_INVALID', data({ time: '2026-01-01' })],
        ['ERR_BRAID_TIME_INVALID', data({ time: new Date(8.64e15) })],
        ['ERR_BRAID_ID_INVALID', data({ derivedFrom: 0 })],
        ['ERR_BRAID_ID_INVALID', data({ derivedFrom: [1, 1.5] })],
        ['ERR_BRAID_ID_INVALID', data({ derivedFrom: '1' })],
        ['ERR_BRAID_ID_INVALID', data({ derivedFrom: null })],
        ['ERR_BRAID_ID_INVALID', () => good.addDependency(2 ** 53)],
        ['ERR_BRAID_ID_INVALID', () => db.ref(-1)],
        ['ERR_BRAID_ID_INVALID', () => BraidModel.ref(db, NaN)],
        ['ERR_BRAID_OTHER_DATABASE', data({ derivedFrom: foreign })],
        ['ERR_BRAID_OTHER_DATABASE', () => good.addDependency(foreign)],
        ['ERR_BRAID_SELF_DEPENDENCY', () => good.addDependency(good)],
        ['ERR_BRAID_SELF_DEPENDENCY', () => good.addDerivation(good.id)],
        ['ERR_BRAID_SELF_DEPENDENCY', () => model.update(model)],
        ['ERR_BRAID_FACT_DERIVED', () => new BraidFact(db, { name: 'f', derivedFrom: good } as never)],
        ['ERR_BRAID_FACT_DERIVED', () => fact.addDependency(good)],
        ['ERR_BRAID_FACT_DERIVED', () => good.addDerivation(fact)],
        ['ERR_BRAID_STEP_INVALID', () => model.update(good, { step: -1 })],
        ['ERR_BRAID_STEP_INVALID', () => model.update(good, { step: 0.5 })],
        ['ERR_BRAID_STEP_INVALID', () => model.at({} as never)],
        ['ERR_BRAID_TAG_INVALID', () => model.update(good, { step: 1, tags: { loss: NaN } })],
        ['ERR_BRAID_VERSION_INVALID', () => db.version('7@nonsense')],
        ['ERR_BRAID_VERSION_INVALID', () => db.version(`0@${db.runId}.1.s1`)],
        ['ERR_BRAID_VERSION_INVALID', () => db.version(`9007199254740992@${db.runId}.1.s1`)],
        ['ERR_BRAID_VERSION_INVALID', () => db.version(`7@${db.runId}.0.s1`)],
        ['ERR_BRAID_VERSION_INVALID', () => db.version(`7@${db.runId}.1.s9007199254740992`)],
        ['ERR_BRAID_VERSION_INVALID', () => db.version(`7@${db.runId}.1.o0.4294967296`)],
        ['ERR_BRAID_CAUSE_INVALID', () => good.invalidate({ cause: '' })],
        ['ERR_BRAID_CAUSE_INVALID', () => good.invalidate(undefined as never)],
        ['ERR_BRAID_TOO_LARGE', data({ name: 'x'.repeat(8 * 2 ** 20) })],
        ['ERR_BRAID_TOO_LARGE', () => good.addTag('t', 'é'.repeat(5 * 2 ** 20))],
        ['ERR_BRAID_INIT_INVALID', data({ derivedfrom: good })],
        ['ERR_BRAID_TAG_INVALID', data({ tags: new Map([['a', 1]]) })],
        ['ERR_BRAID_KIND_INVALID', () => new (BraidRecord as unknown as typeof BraidData)(db, { name: 'of no kind' })],
        [
          'ERR_BRAID_REENTERED',
          data({
            get tags() {
              let reads = 0;
              // Once it is checked, and once it is written.
              return {
                get nested() {
                  return reads++ === 0 ? 0 : new BraidData(db, { name: 'inside' }).id;
                },
              };
            },
          }),
        ],
        ['ERR_BRAID_NOT_A_DATABASE', () => new BraidData({} as never, { name: 'x' })],
      ];
      for (const [code, run] of bad) throws(run, code, undefined, String(run));
      const after = new BraidData(db, { name: 'after' });
      assert.equal(after.id - model.id, db.size, 'a call that failed takes no id');
      const flushed = await db.flush();
      assert.deepEqual([flushed.records, flushed.ops], [4 * db.size, 4 * db.size]);
      await db.close();
      await other.close();
    },
  },
  {
    title: 'refuses every method after close',
    async run(rank) {
      const db = await open(rank);
      const data = new BraidData(db, { name: 'd' });
      const model = new BraidModel(db, { name: 'm' });
      await db.close();
      await db.close();
      const code = 'ERR_BRAID_CLOSED';
      throws(() => new BraidData(db, { name: 'late' }), code);
      throws(() => data.addUri('file:///x'), code);
      throws(() => data.addTag('k', 1), code);
      throws(() => data.addDependency(model), code);
      throws(() => data.addDerivation(model), code);
      throws(() => data.invalidate({ cause: 'c' }), code);
      throws(() => data.store(), code);
      throws(() => model.update(data), code);
      throws(() => db.reader, code);
      await rejects(db.flush(), code);
      await rejects(db.share(null), code);
      await rejects(
        db.onRoot(() => 1),
        code,
      );
      assert.equal(data.name, 'd');
    },
  },
  {
    title: 'says the same on every rank when the ranks call different things, and goes on',
    atLeast: 2,
    async run(rank) {
      const db = await open(rank, { stallMs: 60_000 });
      new BraidData(db, { name: `d-${db.rank}` });
      const mismatch = /flush\(\) on rank 0, onRoot\(\) on ranks? 1/;
      await rejects(db.isRoot ? db.flush() : db.onRoot(() => 1), 'ERR_BRAID_COLLECTIVE_MISMATCH', mismatch);
      const last = db.size - 1;
      await rejects(
        db.rank === last ? db.close() : db.share(db.isRoot ? new BraidData(db, { name: 's' }) : null),
        'ERR_BRAID_COLLECTIVE_MISMATCH',
        new RegExp(`close\\(\\) on rank ${last}`),
      );
      // The rank whose close() failed can go on recording.
      new BraidData(db, { name: `more-${db.rank}` });
      assert.equal((await db.flush()).records, 2 * db.size + 1);
      await db.close();
    },
  },
  {
    title: 'tells calls for different databases apart',
    atLeast: 2,
    async run(rank) {
      const one = await open(rank);
      const two = await BraidDB.open(join(rank.directory, 'two.db'), rank.options);
      await rejects(
        rank.rank === 0 ? one.flush() : two.flush(),
        'ERR_BRAID_COLLECTIVE_MISMATCH',
        /flush\(\) of its database number \d+ on rank/,
      );
      await Promise.all([one.flush(), two.flush()]);
      await two.close();
      await one.close();
    },
  },
  {
    title: 'fails everywhere when one rank opens another path or has a wrong option',
    atLeast: 2,
    async run(rank) {
      const last = rank.rank === rank.size - 1;
      await rejects(
        BraidDB.open(join(rank.directory, last ? 'b.db' : 'a.db'), rank.options),
        'ERR_BRAID_PATH_MISMATCH',
        /a\.db on rank.*b\.db on rank/,
      );
      const wrong = { ...rank.options, ...(last ? { roundBytes: -1 } : {}) };
      await rejects(BraidDB.open(join(rank.directory, 'a.db'), wrong), 'ERR_BRAID_OPTION_INVALID', /roundBytes/);
      const db = await BraidDB.open(join(rank.directory, 'a.db'), rank.options);
      await db.close();
    },
  },
  {
    title: 'opens nothing that is not a database of its own, with the same error on every rank',
    async run(rank) {
      const { directory, options } = rank;
      await rejects(BraidDB.open(directory, options), 'ERR_BRAID_DB_IS_DIRECTORY');
      await rejects(BraidDB.open(join(directory, 'no', 'such', 'run.db'), options), 'ERR_BRAID_DB_UNWRITABLE');
      await rejects(BraidDB.open('/proc/run.db', options), 'ERR_BRAID_DB_UNWRITABLE');
      await rejects(BraidDB.open('', options), 'ERR_BRAID_PATH_INVALID');
      await rejects(
        BraidDB.open(join(directory, 'x.db'), { ...options, retries: 3 } as never),
        'ERR_BRAID_OPTION_INVALID',
      );
      await rejects(
        BraidDB.open(join(directory, 'x.db'), { ...options, resume: 'f'.repeat(32) }),
        'ERR_BRAID_NO_SUCH_RUN',
      );
      const fine = await BraidDB.open(join(directory, 'x.db'), options);
      await fine.close();
    },
  },
  {
    title: 'bounds a round, whatever the total, and commits all of it',
    async run(rank) {
      const db = await open(rank, { roundBytes: 20_000 });
      const text = 'x'.repeat(1000);
      for (let i = 0; i < 2000; i++) new BraidData(db, { name: `d${i}`, tags: { text } });
      new BraidData(db, { name: 'large', tags: { text: 'y'.repeat(3_000_000) } });
      const { records, bytes } = await db.flush();
      assert.equal(records, 2001 * db.size);
      assert.ok(bytes > 5_000_000 * db.size);
      await db.close();
      if (!db.isRoot) return;
      const [{ n }] = rows<{ n: number }>(rank, 'SELECT count(*) AS n FROM records');
      assert.equal(n, 2001 * db.size);
      const ids = rows<{ id: number }>(rank, 'SELECT record_id AS id FROM records ORDER BY 1').map(({ id }) => id);
      assert.deepEqual(
        ids,
        ids.map((_, i) => i + 1),
        'ids are dense where every rank records as much',
      );
    },
  },
  {
    title: 'runs fn on the root only, and gives every rank its JSON or its error',
    async run(rank) {
      const db = await open(rank);
      new BraidData(db, { name: `d-${db.rank}`, tags: { big: 2n ** 60n } });
      let ran = 0;
      const answer = await db.onRoot((reader) => {
        ran++;
        return { count: [...reader.records()].length, big: [...reader.records()][0].tags.big, nothing: undefined };
      });
      assert.deepEqual(answer, { count: db.size, big: String(2n ** 60n) });
      assert.equal(ran, db.isRoot ? 1 : 0);
      assert.equal(await db.onRoot(() => undefined), undefined);
      await rejects(
        db.onRoot(() => {
          throw new Error('of the user');
        }),
        'ERR_BRAID_ON_ROOT',
        /of the user/,
      );
      await rejects(
        db.onRoot(() => Promise.resolve(1)),
        'ERR_BRAID_ON_ROOT',
        /synchronous/,
      );
      await rejects(db.share(null), 'ERR_BRAID_SHARE_INVALID');
      await rejects(db.share({ id: 1 } as never), 'ERR_BRAID_SHARE_INVALID');
      await db.close();
    },
  },
  {
    title: 'reads on the root, and on other ranks names onRoot',
    async run(rank) {
      const db = await open(rank);
      const data = new BraidData(db, { name: 'd' });
      if (db.isRoot) {
        const before = db.reader.record(data.id);
        // One process sees its own writes; a job's root what the last verdict covered.
        if (db.size === 1) assert.equal(before?.name, 'd');
        else assert.equal(before, undefined);
      } else {
        throws(() => db.reader, 'ERR_BRAID_NOT_ON_ROOT', /onRoot/);
        throws(() => db.ref(1).name, 'ERR_BRAID_NOT_ON_ROOT');
      }
      await db.flush();
      if (db.isRoot) {
        assert.equal(db.reader.record(data.id)?.name, 'd');
        assert.equal(db.ref(data.id).name, 'd');
        throws(() => db.ref(99_999).name, 'ERR_BRAID_NO_SUCH_RECORD');
        throws(() => db.reader.records({ nme: 'd' } as never), 'ERR_BRAID_FILTER_INVALID');
        throws(() => db.reader.records({ kind: 'x' } as never), 'ERR_BRAID_FILTER_INVALID');
        assert.deepEqual(
          [...db.reader.records({ name: 'd', kind: 'data', run: db.runId, rank: 0 })].map(({ id }) => id),
          [data.id],
        );
      }
      await db.close();
    },
  },
  {
    title: 'records nothing with BRAID=off, with the same calls, ids and handles',
    async run(rank) {
      process.env.BRAID = 'off';
      const opening = open(rank);
      delete process.env.BRAID;
      const db = await opening;
      const cfg = await db.share(db.isRoot ? new BraidFact(db, { name: 'cfg', tags: { a: 1 } }) : null);
      const model = await db.share(db.isRoot ? new BraidModel(db, { name: 'm', derivedFrom: cfg }) : null);
      assert.ok(cfg instanceof BraidFact && model instanceof BraidModel);
      assert.equal(model.name, 'm');
      const data = new BraidData(db, { name: 'd', derivedFrom: [cfg, model], uris: ['file:///x'] });
      data.addUri('file:///y').addTag('k', 1).addDependency(model);
      data.invalidate({ cause: 'c' });
      assert.ok(Number.isSafeInteger(data.id) && data.id > 0);
      assert.equal(data.id % db.size, (db.rank + 1) % db.size);
      const version = await db.share(db.isRoot ? model.update(cfg, { step: 3 }) : null);
      assert.equal(db.version(version.key).step, 3);
      assert.deepEqual(await db.flush(), { records: 0, ops: 0, bytes: 0, ms: 0 });
      assert.deepEqual(await db.onRoot((reader) => [...reader.records(), ...reader.runs()]), []);
      const nothing = await db.onRoot((reader) => [
        ...reader.versions(model.id),
        ...reader.search('valid'),
        ...reader.common(data.id, version),
        ...(reader.why(data.id, 'name:cfg')?.steps ?? []),
        ...reader.diff(model.id, version).rows,
        ...reader.graph(data.id).edges,
      ]);
      assert.deepEqual(nothing, []);
      for (const node of [data.id, version, 'name:m@3']) {
        const [{ text }] = (await db.onRoot((reader) => reader.statement(node))).sentences;
        assert.match(text, /^There is no record \d+ in this database\.$/);
      }
      assert.equal((await db.onRoot((reader) => reader.node(17))).id, 17);
      await db.close();
      throws(() => new BraidData(db, { name: 'late' }), 'ERR_BRAID_CLOSED');
      assert.deepEqual(readdirSync(rank.directory), []);
    },
  },
  {
    title: 'is told on every rank where BRAID=off is set on some only, be one of them the root or not',
    atLeast: 2,
    async run(rank) {
      for (const odd of [0, 1]) {
        for (const oddIsOff of [true, false]) {
          if ((rank.rank === odd) === oddIsOff) process.env.BRAID = 'off';
          const opening = open(rank);
          delete process.env.BRAID;
          await assert.rejects(opening, (error: BraidError) => {
            assert.equal(error.code, 'ERR_BRAID_COLLECTIVE_MISMATCH', error.message);
            const [off, on] = error.message.match(/ranks? [\d, -]*\d/g)!;
            assert.equal(oddIsOff ? off : on, `rank ${odd}`, error.message);
            return true;
          });
        }
      }
      assert.deepEqual(readdirSync(rank.directory), []);
      await (await open(rank)).close();
    },
  },
  {
    title: 'makes a new attempt of a run that is resumed',
    async run(rank) {
      const first = await open(rank, { name: 'night shift' });
      const model = await first.share(first.isRoot ? new BraidModel(first, { name: 'm' }) : null);
      model.update([], { step: 1 });
      await first.close();
      const second = await open(rank, { resume: first.runId });
      assert.equal(second.runId, first.runId);
      BraidModel.ref(second, model.id).update([], { step: 1 });
      const keys = await second.onRoot((reader) => [...reader.versions(model.id)].map(({ key }) => key));
      assert.deepEqual(keys, [`${model.id}@${first.runId}.1.s1`, `${model.id}@${first.runId}.2.s1`]);
      // A version of the first attempt can still be named by its key.
      const data = new BraidData(second, { name: `d-${second.rank}`, derivedFrom: second.version(keys[0]) });
      const runs = await second.onRoot((reader) => reader.runs());
      assert.equal(runs.length, 1);
      assert.equal(runs[0].attempts, 2);
      assert.equal(runs[0].name, 'night shift');
      assert.equal(runs[0].status, 'RUNNING');
      await second.close();
      if (!second.isRoot) return;
      const [{ attempt }] = rows<{ attempt: number }>(
        rank,
        `SELECT attempt FROM derivation_versions JOIN versions USING (version_id) JOIN attempts USING (attempt_id) WHERE derivation = ${data.id}`,
      );
      assert.equal(attempt, 1);
    },
  },
  {
    title: 'throws when the spool is full, and records again after a flush',
    async run(rank) {
      const db = await open(rank, { spoolLimitBytes: 3 * 2 ** 20 });
      const text = 'x'.repeat(100_000);
      let stored = 0;
      const fill = () => {
        for (;;) {
          new BraidData(db, { name: `d${stored}`, tags: { text } });
          stored++;
        }
      };
      throws(fill, 'ERR_BRAID_SPOOL_FULL', /spoolLimitBytes/);
      assert.ok(stored > 10);
      assert.equal((await db.flush()).records, stored * db.size);
      throws(fill, 'ERR_BRAID_SPOOL_FULL');
      await db.close();
      if (!db.isRoot) return;
      const [{ records, ops }] = rows<{ records: number; ops: number }>(
        rank,
        'SELECT (SELECT count(*) FROM records) AS records, sum(committed) AS ops FROM ledger',
      );
      assert.equal(ops, 2 * records);
      assert.equal(records, stored * db.size);
    },
  },
  {
    title: 'keeps what is invalidated invalid, with what derives from it',
    async run(rank) {
      const db = await open(rank);
      const scan = await db.share(db.isRoot ? new BraidData(db, { name: 'scan' }) : null);
      const peaks = new BraidData(db, { name: `peaks-${db.rank}`, derivedFrom: scan });
      const alone = new BraidData(db, { name: `alone-${db.rank}` });
      if (db.rank === db.size - 1) scan.invalidate({ cause: 'detector was misaligned' });
      alone.invalidate({ cause: 'out of focus', cascade: false });
      const valid = await db.onRoot((reader) =>
        Object.fromEntries([...reader.records()].map(({ id, valid }) => [id, valid])),
      );
      assert.equal(valid[scan.id], false);
      assert.equal(valid[peaks.id], false);
      assert.equal(valid[alone.id], false);
      await db.close();
      if (!db.isRoot) return;
      const causes = rows<{ cause: string; n: number }>(
        rank,
        'SELECT cause, count(*) AS n FROM records r JOIN invalidations i ON i.id = r.invalidation_id GROUP BY cause ORDER BY cause',
      );
      assert.deepEqual(causes, [
        { cause: 'detector was misaligned', n: 1 + db.size },
        { cause: 'out of focus', n: db.size },
      ]);
    },
  },
  {
    title: 'carries an invalidation of a version on to what any rank makes with it later',
    async run(rank) {
      const db = await open(rank);
      const model = await db.share(db.isRoot ? new BraidModel(db, { name: 'model' }) : null);
      const version = await db.share(db.isRoot ? model.update(new BraidFact(db, { name: 'f' }), { step: 1 }) : null);
      if (db.rank === db.size - 1) version.invalidate({ cause: 'diverged' });
      await db.flush();
      new BraidData(db, { name: 'made', derivedFrom: model });
      const found = await db.onRoot((reader) => ({
        model: reader.record(model.id)!.valid,
        versions: [...reader.versions(model.id)].map(({ valid }) => valid),
        made: Array.from(reader.records({ name: 'made' }), ({ id }) => {
          const { cause, record, version, own } = reader.invalidation(id)!;
          return { cause, record, version, own };
        }),
      }));
      const why = { cause: 'diverged', record: model.id, version: 1, own: false };
      assert.deepEqual(found, { model: true, versions: [false], made: Array.from({ length: db.size }, () => why) });
      await db.close();
    },
  },
];
