/** What is searched in tests: records, and versions of models, of two runs of three ranks each, and what is known of them without a database. */
import { BraidData, BraidDB, BraidFact, BraidModel, BraidReader, type Tag } from 'braid-mpi';
import Database from 'better-sqlite3';
import { SimulatedWorld } from '../support/simulated-communicator.js';
import type { Found } from './expressions.js';

const SIZE = 3;
const RECORDS = 60;
const SHARED_STEPS = 4;
/** The name of what all ranks update. */
export const SHARED = 'scan-shared';
export const EPOCH = Date.UTC(2026, 0, 30, 23, 59, 58);

export const NAMES = ['scan-1', 'scan-10', 'scan-2', 'peaks', 'Peaks', 'a*b', 'a[b]c', 'ü', 'two words', `it's "so"\\`, '-- DROP', '%_', '\ud7ffz', '\u{10ffff}', '\u{10ffff}x', 'true', '12']; // prettier-ignore
export const KEYS = ['loss', 'epoch', 'name', 'a key', 'on'];
export const TEXTS = ['', '1', '0.5', 'true', 'phase-a', 'phase-b', 'Phase', 'a*', '\u{10ffff}', '\uffff', '[', 'nan'];
export const NUMBERS: (number | bigint)[] = [0, -0, 1, -1, 0.5, 0.05, 0.1 + 0.2, 0.3, 1e-300, 5e-324, 1e300, 1.7e308, 67108865, 67108866, 2 ** 53, 9007199254740993n, -(2n ** 63n), 2n ** 63n - 1n, 1e21, 10]; // prettier-ignore
export const URIS = ['file:///scan-1.h5', 'file:///scan-2.h5', 's3://bucket/x?y=1', 's3://bucket/ü', 'ckpt/12.pt'];

/** A pick that follows from a number. */
const pick = <T>(from: readonly T[], i: number): T => from[i % from.length];

export async function recordAll(path: string, searchIndexes: boolean): Promise<Found[]> {
  const all: Found[] = [];
  for (const name of ['first', 'second run']) {
    await Promise.all(
      new SimulatedWorld(SIZE, 7).comms.map(async (comm) => {
        const db = await BraidDB.open(path, { comm, name, searchIndexes });
        for (let i = 0; i < RECORDS / SIZE; i++) all.push(...record(db, name, i * SIZE + comm.rank));
        all.push(...(await shared(db, name)));
        await db.close();
      }),
    );
  }
  return inOrder(path, ofAllRanks(all));
}

/** A model that all ranks update, each with tags of its own. */
async function shared(db: BraidDB, runName: string): Promise<Found[]> {
  const model = await db.share(db.isRoot ? new BraidModel(db, { name: SHARED, time: new Date(EPOCH) }) : null);
  const run = { id: db.runId, name: runName };
  const of = { id: model.id, name: SHARED, kind: 'model', time: EPOCH, valid: true, run } as const;
  const versions = Array.from({ length: SHARED_STEPS }, (_, step): Found => {
    const time = EPOCH + step * 731;
    // One that only some have updated, too.
    if (db.rank > step) return { ...of, key: model.at({ step }).key, step, time, uris: [], tags: [], ranks: [] };
    const tags = [{ key: 'loss', value: pick(NUMBERS, step * SIZE + db.rank) }];
    const uris = [pick(URIS, step + db.rank)];
    const { key } = model.update([], { step, time: new Date(time), uris, tags: { loss: tags[0].value } });
    return { ...of, key, step, time, uris, tags, ranks: [db.rank] };
  });
  return db.isRoot ? [{ ...of, uris: [], tags: [], ranks: [0] }, ...versions] : versions;
}

/** What each rank knows of the same version, together. */
function ofAllRanks(all: readonly Found[]): Found[] {
  const found = new Map<number | string, Found>();
  for (const each of all) {
    const label = each.key ?? each.id;
    const { uris, tags, ranks } = found.get(label) ?? { uris: [], tags: [], ranks: [] };
    found.set(label, { ...each, uris: [...uris, ...each.uris], tags: [...tags, ...each.tags], ranks: [...ranks, ...each.ranks] }); // prettier-ignore
  }
  return [...found.values()];
}

/** By id, and versions after their model, by the number that they were given. */
function inOrder(path: string, all: readonly Found[]): Found[] {
  const reader = BraidReader.open(path);
  const numbered = all.map((each) => ({
    each,
    number: each.key === undefined ? 0 : reader.version({ key: each.key })!.number!,
  }));
  reader.close();
  return numbered.sort((a, b) => a.each.id - b.each.id || a.number - b.number).map(({ each }) => each);
}

/** A record, and where it is a model, versions of it. */
function record(db: BraidDB, runName: string, i: number): Found[] {
  const kind = pick(['fact', 'data', 'model'] as const, i * 7 + 1);
  const name = pick(NAMES, i);
  const time = new Date(EPOCH + i * 137);
  const uris = Array.from({ length: i % 3 }, (_, k) => pick(URIS, i + k));
  const Class = { fact: BraidFact, data: BraidData, model: BraidModel }[kind];
  const made = new Class(db, { name, time, uris });
  const tags: { key: string; value: Tag }[] = [];
  for (let k = 0; k < i % 5; k++) {
    const n = i * 5 + k;
    const value: Tag = pick([pick(NUMBERS, n >> 1), pick(NUMBERS, n), pick(TEXTS, n), n % 8 < 4], n + i);
    tags.push({ key: pick(KEYS, n >> 2), value });
    made.addTag(tags[k].key, value);
  }
  const valid = i % 11 !== 3;
  if (!valid) made.invalidate({ cause: 'wrong', cascade: false });
  const run = { id: db.runId, name: runName };
  const ranks = [db.rank];
  const found: Found = { id: made.id, name, kind, time: time.getTime(), uris, tags, valid, run, ranks };
  if (!(made instanceof BraidModel)) return [found];
  const versions = Array.from({ length: i % 4 }, (_, k): Found => {
    const n = i * 3 + k;
    const [time, step] = [EPOCH + n * 89, n % 5 === 0 ? undefined : k * 2];
    const uris = n % 2 === 0 ? [pick(URIS, n)] : [];
    const tags: Record<string, Tag> = { loss: pick(NUMBERS, n), [pick(KEYS, n)]: pick(TEXTS, n), on: n % 3 === 0 };
    const version = made.update([], { step, time: new Date(time), uris, tags });
    const isWrong = n % 7 === 2;
    if (isWrong) version.invalidate({ cause: 'diverged', cascade: false });
    const listed = Object.entries(tags).map(([key, value]) => ({ key, value }));
    return { ...found, key: version.key, step, time, uris, tags: listed, valid: valid && !isWrong };
  });
  return [found, ...versions];
}

/** The same records in a file as Braid-DB makes it, which has no kinds, no runs, no versions, and integers for booleans. */
export function recordAllAsBraidDb(path: string, from: string, all: readonly Found[]): Found[] {
  const db = new Database(path);
  db.prepare('ATTACH ? AS ours').run(from);
  for (const [table, columns] of [
    ['invalidations', 'id, root_invalidation, cause, time'],
    ['records', 'record_id, name, time, invalidation_id'],
    ['derivations', 'record_id, derivation, time'],
    ['uris', 'record_id, uri'],
    ['tags', 'record_id, key, value, tag_type'],
  ]) {
    const id = ['uris', 'tags'].includes(table) ? 'id INTEGER PRIMARY KEY, ' : '';
    const types = columns
      .replace('record_id', 'record_id INTEGER')
      .replace(/\b(key|value|uri|name|time)\b/g, '$1 TEXT');
    db.exec(`CREATE TABLE ${table} (${id}${types})`);
    db.exec(`INSERT INTO ${table} (${columns}) SELECT ${columns} FROM ours.${table}`);
  }
  db.close();
  const records = all.filter(({ key }) => key === undefined);
  return records.map((each) => ({
    ...each,
    kind: 'record',
    run: undefined,
    ranks: [],
    tags: each.tags.map(({ key, value }) => ({ key, value: typeof value === 'boolean' ? Number(value) : value })),
  }));
}
