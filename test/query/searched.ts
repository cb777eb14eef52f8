/** What is searched in tests: records of two runs of three ranks each, and what is known of them without a database. */
import { BraidData, BraidDB, BraidFact, BraidModel, type Tag } from 'braid-mpi';
import Database from 'better-sqlite3';
import { SimulatedWorld } from '../support/simulated-communicator.js';
import type { Found } from './expressions.js';

const SIZE = 3;
const RECORDS = 60;
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
        for (let i = 0; i < RECORDS / SIZE; i++) all.push(record(db, name, i * SIZE + comm.rank));
        await db.close();
      }),
    );
  }
  return all.sort((a, b) => a.id - b.id);
}

function record(db: BraidDB, runName: string, i: number): Found {
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
  return { id: made.id, name, kind, time: time.getTime(), uris, tags, valid, run, rank: db.rank };
}

/** The same records in a file as Braid-DB makes it, which has no kinds, no runs, and integers for booleans. */
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
  return all.map((each) => ({
    ...each,
    kind: 'record',
    run: undefined,
    rank: undefined,
    tags: each.tags.map(({ key, value }) => ({ key, value: typeof value === 'boolean' ? Number(value) : value })),
  }));
}
