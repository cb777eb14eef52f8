import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Database from 'better-sqlite3';

const root = path.dirname(createRequire(import.meta.url).resolve('braid-mpi/package.json'));
const extension = path.join(root, 'build', 'Release', 'braid_sqlite.so');

// The bytes of docs/wire-format.md, put together by hand: the product's own encoder must not be what vouches for its decoder.

const u32 = (...values: number[]) => {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => bytes.writeUInt32LE(value, 4 * i));
  return bytes;
};
const i64 = (value: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return bytes;
};
const id = (value: number, small = 0) => {
  const bytes = i64(value);
  bytes[7] = small;
  return bytes;
};
const text = (...values: string[]) =>
  Buffer.concat([
    u32(...values.map((value) => Buffer.byteLength(value))),
    ...values.map((value) => Buffer.from(value)),
  ]);
const uuid = (hex: string) => Buffer.from(hex.padStart(32, '0'), 'hex');

const op = (type: number, ...fields: Buffer[]) => {
  const payload = Buffer.concat(fields);
  const pad = -payload.length & 3;
  return Buffer.concat([u32((4 + payload.length + pad) | (type << 24)), payload, Buffer.alloc(pad)]);
};

interface Version {
  form: number;
  bytes: Buffer;
}
const none: Version = { form: 0, bytes: Buffer.alloc(0) };
const unknown: Version = { form: 1, bytes: Buffer.alloc(0) };
const step = (value: number): Version => ({ form: 2, bytes: i64(value) });
const ordinal = (rank: number, value: number): Version => ({ form: 3, bytes: u32(rank, value) });
const elsewhere = (run: string, attempt: number, version: Version): Version => ({
  form: 4,
  bytes: Buffer.concat([uuid(run), u32(attempt, version.form), version.bytes]),
});

const record = (recordId: number, name: string, time = 0, kind = 2) => op(1, id(recordId, kind), i64(time), text(name));
const uri = (recordId: number, value: string) => op(2, id(recordId), text(value));
const tag = (recordId: number, key: string, value: string, type = 1) => op(3, id(recordId, type), text(key, value));
const derivation = (source: number, derived: number, time = 0, version = none) =>
  op(4, id(source, version.form), id(derived), i64(time), version.bytes);
const update = (model: number, time: number, made: Version, seen = none) =>
  op(5, id(model, made.form), i64(time), u32(seen.form), made.bytes, seen.bytes);
const exposure = (source: number, version = none) => op(6, id(source, version.form), version.bytes);
const versionUri = (value: string) => op(7, text(value));
const versionTag = (key: string, value: string, type = 1) => op(8, u32(type), text(key, value));
const invalidation = (recordId: number, cascades: number, time: number, hex: string, cause: string, version = none) =>
  op(9, id(recordId, cascades + version.form * 16), i64(time), uuid(hex), version.bytes, text(cause));
const action = (recordId: number, type: number, time: number, hex: string, texts: [string, string, string]) =>
  op(
    10,
    id(recordId, type),
    i64(time),
    uuid(hex),
    u32(...texts.map((each) => each.length)),
    Buffer.from(texts.join('')),
  );

const run = '0123456789abcdeffedcba9876543210';

interface Header {
  attempt?: number;
  rank?: number;
  seq?: number;
  ops?: number;
  records?: number;
}
const frame = (ops: Buffer[], { attempt = 1, rank = 0, seq = 1, ...counts }: Header = {}) => {
  const body = Buffer.concat(ops);
  const records = ops.filter((each) => each[3] === 1).length;
  return Buffer.concat([
    Buffer.from('BRFR'),
    u32(1 | (1 << 16)),
    uuid(run),
    u32(attempt, rank, seq, body.length, counts.ops ?? ops.length, counts.records ?? records),
    u32(0xdeadbeef, 0, 0, 0), // Whoever takes a frame in checks its CRC; the extension doesn't.
    body,
  ]);
};

const columns = {
  frames: 'run, attempt, rank, seq, bytes, ops, records',
  records: 'record_id, name, time, kind',
  uris: 'record_id, uri',
  tags: 'record_id, key, value, tag_type, boolean',
  derivations: 'record_id, derivation, time, unversioned, stated',
  derivation_versions: 'record_id, derivation, run, attempt, step, rank, ordinal',
  versions: 'model_id, run, attempt, step, rank, ordinal',
  updates:
    'update_index, model_id, run, attempt, step, rank, ordinal, time, recorder, ' +
    'seen_run, seen_attempt, seen_step, seen_rank, seen_ordinal',
  exposures: 'update_index, source_id, unversioned, run, attempt, step, rank, ordinal',
  version_uris: 'update_index, uri',
  version_tags: 'update_index, key, value, tag_type, boolean',
  invalidations: 'id, record_id, cascade, time, cause, run, attempt, step, rank, ordinal',
  invalidation_actions: 'id, record_id, action_type, time, name, cmd, params',
};
type Table = keyof typeof columns;
const tables = Object.keys(columns) as Table[];

const epoch = '1970-01-01 00:00:00.000000';
const other = 'ffeeddccbbaa99887766554433221100';

/** One of everything: two ranks, every op, every form of a version. */
const sample = Buffer.concat([
  frame([
    record(1, 'learning rate', 0, 1),
    record(3, 'données', 1_700_000_000_123_456),
    uri(3, 'file:///a'),
    tag(3, 'alpha', '0.1', 3),
    tag(3, 'clean', '1', 0x12),
    derivation(1, 3, 1_700_000_000_123_457),
    derivation(5, 3, 0, unknown),
    derivation(5, 3, 0, step(12)),
    derivation(5, 3, 0, ordinal(7, 9)),
    derivation(5, 3, 0, elsewhere(other, 3, step(-4))),
  ]),
  frame([], { seq: 2 }),
  frame(
    [
      record(2, '', -1, 3),
      update(2, 1_000_000, step(1)),
      exposure(3),
      exposure(5, unknown),
      versionUri('file:///weights'),
      versionTag('loss', '2', 2),
      update(2, 2_000_000, ordinal(1, 0), step(1)),
      exposure(5, step(12)),
      exposure(5, elsewhere(other, 2, ordinal(4, 8))),
      versionTag('final', '0', 0x12),
      update(2, 3_000_000, step(2), elsewhere(other, 9, step(100))),
      invalidation(3, 1, 4_000_000, 'abc', 'sensor was dead'),
      invalidation(2, 0, 5_000_000, 'def', ''),
      invalidation(5, 1, 5_000_000, '123', 'w', step(77)),
      action(2, 1, 5_000_000, '456', ['n', 'cmd', '{}']),
    ],
    { attempt: 2, rank: 1, seq: 8 },
  ),
]);

describe('SQLite extension', () => {
  let db: Database.Database;
  const load = (bytes: Buffer) => db.prepare('SELECT braid_round_load(?)').pluck().get(bytes);
  /** Up to 8 frames, with any ids. */
  const prepare = (bytes: Buffer) => {
    const blocks = Float64Array.from({ length: 3 * 8 }, (_, i) => [1, 2 ** 53 - 1, 1][i % 3]);
    db.prepare('SELECT braid_round_prepare(?, ?)').get(bytes, Buffer.from(blocks.buffer));
  };
  const loadPrepared = () => db.prepare('SELECT braid_round_load()').pluck().get();
  const rows = (table: Table) => db.prepare(`SELECT ${columns[table]} FROM braid_round_${table}`).raw().all();
  const list = (table: Table, column: string) => db.prepare(`SELECT ${column} FROM braid_round_${table}`).pluck().all();

  beforeEach(() => {
    db = new Database(':memory:');
    db.loadExtension(extension);
  });
  afterEach(() => {
    db.close();
  });

  describe('a round', () => {
    beforeEach(() => {
      assert.equal(load(sample), 25);
    });

    const expected: Record<Table, unknown[][]> = {
      frames: [
        [run, 1, 0, 1, 344, 10, 2],
        [run, 1, 0, 2, 0, 0, 0],
        [run, 2, 1, 8, 524, 15, 1],
      ],
      records: [
        [1, 'learning rate', epoch, 1],
        [2, '', '1969-12-31 23:59:59.999999', 3],
        [3, 'données', '2023-11-14 22:13:20.123456', 2],
      ],
      uris: [[3, 'file:///a']],
      tags: [
        [3, 'alpha', '0.1', 3, 0],
        [3, 'clean', '1', 2, 1],
      ],
      derivations: [
        [3, 2, '1970-01-01 00:00:01.000000', 0, 0],
        [5, 2, '1970-01-01 00:00:01.000000', 1, 0],
        [5, 2, '1970-01-01 00:00:02.000000', 0, 0],
        [5, 2, '1970-01-01 00:00:02.000000', 0, 0],
        [1, 3, '2023-11-14 22:13:20.123457', 0, 1],
        [5, 3, epoch, 1, 1],
        [5, 3, epoch, 0, 1],
        [5, 3, epoch, 0, 1],
        [5, 3, epoch, 0, 1],
      ],
      derivation_versions: [
        [5, 3, run, 1, 12, -1, -1],
        [5, 3, run, 1, null, 7, 9],
        [5, 3, other, 3, -4, -1, -1],
      ],
      versions: [
        [5, run, 1, 12, -1, -1],
        [5, run, 1, null, 7, 9],
        [5, other, 3, -4, -1, -1],
        [2, run, 2, 1, -1, -1],
        // Seen by the second update, but that repeats the row before.
        [2, run, 2, null, 1, 0],
        [5, run, 2, 12, -1, -1],
        [5, other, 2, null, 4, 8],
        [2, other, 9, 100, -1, -1],
        [2, run, 2, 2, -1, -1],
        [5, run, 2, 77, -1, -1],
      ],
      updates: [
        [0, 2, run, 2, 1, -1, -1, '1970-01-01 00:00:01.000000', 1, null, null, null, null, null],
        [1, 2, run, 2, null, 1, 0, '1970-01-01 00:00:02.000000', 1, run, 2, 1, -1, -1],
        [2, 2, run, 2, 2, -1, -1, '1970-01-01 00:00:03.000000', 1, other, 9, 100, -1, -1],
      ],
      exposures: [
        [0, 3, 0, null, null, null, null, null],
        [0, 5, 1, null, null, null, null, null],
        [1, 5, 0, run, 2, 12, -1, -1],
        [1, 5, 0, other, 2, null, 4, 8],
      ],
      version_uris: [[0, 'file:///weights']],
      version_tags: [
        [0, 'loss', '2', 2, 0],
        [1, 'final', '0', 2, 1],
      ],
      invalidations: [
        [
          '00000000000000000000000000000abc',
          3,
          1,
          '1970-01-01 00:00:04.000000',
          'sensor was dead',
          null,
          null,
          null,
          null,
          null,
        ],
        ['00000000000000000000000000000def', 2, 0, '1970-01-01 00:00:05.000000', '', null, null, null, null, null],
        ['00000000000000000000000000000123', 5, 1, '1970-01-01 00:00:05.000000', 'w', run, 2, 77, -1, -1],
      ],
      invalidation_actions: [
        ['00000000000000000000000000000456', 2, 1, '1970-01-01 00:00:05.000000', 'n', 'cmd', '{}'],
      ],
    };

    for (const table of tables) {
      it(`gives its ${table.replace('_', ' ')}`, () => {
        assert.deepEqual(rows(table), expected[table]);
      });

      it(`names exactly the documented columns of its ${table.replace('_', ' ')}`, () => {
        const names = db.prepare(`SELECT * FROM braid_round_${table}`).columns();
        assert.equal(names.map(({ name }) => name).join(', '), columns[table]);
      });
    }

    it('numbers the rows of a table from 0', () => {
      assert.deepEqual(list('records', 'rowid'), [0, 1, 2]);
    });

    it('goes into real tables, text and all', () => {
      db.exec('CREATE TABLE records(record_id INTEGER PRIMARY KEY, name TEXT, time TEXT)');
      const insert = db.prepare('INSERT INTO records SELECT record_id, name, time FROM braid_round_records');
      insert.run();
      load(frame([]));
      assert.deepEqual(
        db.prepare('SELECT * FROM records').raw().all(),
        expected.records.map((row) => row.slice(0, 3)),
      );
    });

    it('joins exposures to their updates', () => {
      const sources = db
        .prepare(
          `SELECT substr(u.time, 18, 2), e.source_id
           FROM braid_round_exposures e JOIN braid_round_updates u USING (update_index) ORDER BY e.rowid`,
        )
        .raw()
        .all();
      assert.deepEqual(sources, [
        ['01', 3],
        ['01', 5],
        ['02', 5],
        ['02', 5],
      ]);
    });

    it('is replaced by the next one', () => {
      assert.equal(load(frame([record(9, 'next')])), 1);
      assert.deepEqual(rows('records'), [[9, 'next', epoch, 2]]);
      assert.deepEqual(rows('updates'), []);
    });

    it('is gone after a damaged one, too', () => {
      assert.throws(() => load(sample.subarray(1)), Database.SqliteError);
      for (const table of tables) assert.deepEqual(rows(table), []);
    });

    it('is gone when freed', () => {
      assert.equal(db.prepare('SELECT braid_round_free()').pluck().get(), null);
      for (const table of tables) assert.deepEqual(rows(table), []);
    });

    it('stays while a statement reads it', () => {
      const message = 'a statement is still reading the round';
      for (const call of ["load(x'')", 'free()']) {
        const within = db.prepare(`SELECT name, braid_round_${call} FROM braid_round_records`);
        assert.throws(() => within.all(), { message });
        // The text of a finished subquery must outlive whatever the rest of the statement does.
        const after = db.prepare(`SELECT (SELECT name FROM braid_round_records), braid_round_${call}`);
        assert.throws(() => after.all(), { message });
      }
      assert.deepEqual(rows('records'), expected.records);
    });

    it('can be read by several cursors at once', () => {
      const pairs = db.prepare('SELECT a.name, b.name FROM braid_round_records a, braid_round_records b').raw().all();
      assert.equal(pairs.length, 9);
    });

    it('belongs to its connection', () => {
      const second = new Database(':memory:');
      second.loadExtension(extension);
      assert.deepEqual(second.prepare('SELECT * FROM braid_round_records').all(), []);
      second.close();
    });
  });

  describe('order', () => {
    // Three ranks of a run, whose ids interleave.
    const rank = (r: number, seqs: number[]) =>
      seqs.map((seq) =>
        frame(
          [0, 1, 2].flatMap((i) => {
            const recordId = 1 + (3 * seq + i) * 3 + r;
            return [
              record(recordId, `${r}.${seq}.${i}`),
              uri(recordId, 'first'),
              uri(recordId, 'second'),
              tag(recordId, 'k', `${recordId}`),
              derivation(900 + i, recordId, 0, step(i)),
              derivation(800 + i, recordId),
            ];
          }),
          { rank: r, seq },
        ),
      );
    const ids = Array.from({ length: 18 }, (_, i) => i + 10);
    const twice = ids.flatMap((each) => [each, each]);

    it('is that of the ids where ranks interleave', () => {
      load(Buffer.concat([rank(0, [1, 2]), rank(1, [1, 2]), rank(2, [1, 2])].flat()));
      assert.deepEqual(list('records', 'record_id'), ids);
      assert.deepEqual(list('tags', 'value'), ids.map(String));
      assert.deepEqual(list('uris', 'record_id'), twice);
      assert.deepEqual(
        list('uris', 'uri'),
        ids.flatMap(() => ['first', 'second']),
      );
      assert.deepEqual(list('derivations', 'derivation'), twice);
      assert.deepEqual(
        list('derivations', 'record_id').map((source) => Math.floor((source as number) / 100)),
        ids.flatMap(() => [9, 8]),
      );
      assert.deepEqual(list('derivation_versions', 'derivation'), ids);
    });

    it('keeps the order of the round elsewhere', () => {
      load(Buffer.concat([rank(2, [1]), rank(0, [1])].flat()));
      assert.deepEqual(list('frames', 'rank'), [2, 0]);
      assert.deepEqual(list('versions', 'step'), [0, 1, 2, 0, 1, 2]);
    });

    it('is that of the ids where they are in no order at all, stable, and over the whole range', () => {
      let state = 1;
      const random = () => (state = (state * 48271) % 2147483647);
      const many = Array.from({ length: 3000 }, (_, i) => {
        const recordId = i % 3 === 0 ? 1 + (random() % 50) : 1 + ((random() * 4194304 + random()) % (2 ** 53 - 1));
        return { recordId, i };
      });
      many.push({ recordId: 2 ** 53 - 1, i: -1 }, { recordId: 1, i: -2 });
      load(frame(many.map(({ recordId, i }) => uri(recordId, `${i}`))));
      const sorted = many.toSorted((a, b) => a.recordId - b.recordId);
      assert.deepEqual(
        rows('uris'),
        sorted.map(({ recordId, i }) => [recordId, `${i}`]),
      );
    });

    it('puts exposures among the derivations of the same model, in the order of the round', () => {
      load(
        frame([derivation(1, 9), update(5, 0, step(1)), exposure(2), derivation(3, 5), exposure(4), derivation(5, 6)]),
      );
      const edges = rows('derivations').map((row) => (row as unknown[]).slice(0, 2));
      assert.deepEqual(edges, [
        [2, 5],
        [3, 5],
        [4, 5],
        [5, 6],
        [1, 9],
      ]);
    });
  });

  describe('times', () => {
    it('are written as JavaScript writes them, from 1684 to 2255', () => {
      const times = [-(2 ** 53 - 1), 2 ** 53 - 1, 0, -1, 1, 951_782_399_999_999, 951_782_400_000_000];
      for (let day = -100_000; day < 100_000; day += 7)
        times.push(day * 86_400_000_000 + ((day * 7919) % 86_400_000_000));
      load(frame(times.map((time, i) => record(i + 1, '', time))));
      assert.deepEqual(
        list('records', 'time'),
        times.map((time) => {
          const second = Math.floor(time / 1e6);
          const fraction = `${time - second * 1e6}`.padStart(6, '0');
          return new Date(second * 1000).toISOString().replace('T', ' ').replace('.000Z', `.${fraction}`);
        }),
      );
    });
  });

  describe('versions', () => {
    it('are not repeated within a frame when nothing else comes between', () => {
      const steps = [update(1, 0, step(4), step(4)), update(1, 0, step(4), step(4)), update(2, 0, step(4))];
      load(Buffer.concat([frame(steps), frame(steps, { attempt: 2 })]));
      assert.deepEqual(rows('versions'), [
        [1, run, 1, 4, -1, -1],
        [2, run, 1, 4, -1, -1],
        [1, run, 2, 4, -1, -1],
        [2, run, 2, 4, -1, -1],
      ]);
    });
  });

  describe('empty rounds', () => {
    it('are there before anything is loaded', () => {
      for (const table of tables) assert.deepEqual(rows(table), []);
    });

    it('are rounds', () => {
      assert.equal(load(Buffer.alloc(0)), 0);
      assert.equal(load(frame([])), 0);
      assert.equal(rows('frames').length, 1);
    });
  });

  describe('a round that is prepared', () => {
    it('takes the place of the one before only when it is loaded', () => {
      load(frame([record(1, 'before')]));
      prepare(frame([record(2, 'after')]));
      assert.deepEqual(list('records', 'name'), ['before']);
      assert.equal(loadPrepared(), 1);
      assert.deepEqual(list('records', 'name'), ['after']);
      // Into the memory of the first, which was larger.
      prepare(frame([uri(2, 'u')]));
      assert.equal(loadPrepared(), 1);
      assert.deepEqual(list('records', 'name'), []);
      assert.deepEqual(list('uris', 'uri'), ['u']);
    });

    it('is the same as one that was not', () => {
      load(sample);
      const expected = tables.map((table) => rows(table));
      for (let i = 0; i < 3; i++) {
        prepare(sample);
        assert.equal(loadPrepared(), 25);
        assert.deepEqual(
          tables.map((table) => rows(table)),
          expected,
        );
      }
    });

    it('tells of damage when it is loaded, and leaves an empty one', () => {
      load(sample);
      prepare(Buffer.alloc(63));
      assert.equal(list('records', 'name').length > 0, true);
      assert.throws(loadPrepared, { message: "frame 1, byte 0: the round ends within a frame's header" });
      assert.deepEqual(list('records', 'name'), []);
    });

    it('is forgotten for the next, by free, and once it is loaded', () => {
      prepare(frame([record(1, 'first')]));
      prepare(frame([record(2, 'second')]));
      loadPrepared();
      assert.deepEqual(list('records', 'name'), ['second']);
      assert.throws(loadPrepared, { message: 'no round was prepared' });
      prepare(sample);
      db.prepare('SELECT braid_round_free()').get();
      assert.throws(loadPrepared, { message: 'no round was prepared' });
      prepare(sample);
      // With its connection.
    });
  });

  describe('safety', () => {
    it('refuses what is not a blob', () => {
      for (const value of [null, 1, 'BRFR']) {
        assert.throws(() => db.prepare('SELECT braid_round_load(?)').get(value), {
          message: 'a round, and its blocks of ids, are blobs',
        });
      }
      assert.throws(() => prepare(null as unknown as Buffer), { message: 'a round, and its blocks of ids, are blobs' });
    });

    it('can be neither written to nor created nor used by a view', () => {
      assert.throws(() => db.exec('DELETE FROM braid_round_uris'), /may not be modified/);
      assert.throws(() => db.exec('CREATE VIRTUAL TABLE t USING braid_round_uris'), /no such module/);
      db.exec('CREATE VIEW names AS SELECT name FROM braid_round_records');
      assert.throws(() => db.prepare('SELECT * FROM names'), /unsafe use of virtual table/);
      db.exec('CREATE VIEW loads AS SELECT braid_round_free() AS gone');
      assert.throws(() => db.prepare('SELECT * FROM loads'), /unsafe use of braid_round_free/);
    });

    it('begins with an empty round when the extension is loaded again', () => {
      load(sample);
      db.loadExtension(extension);
      assert.deepEqual(rows('records'), []);
      assert.equal(load(sample), 25);
    });
  });

  describe('damage', () => {
    /** `bytes` with a number written over those at `offset`. */
    const patch = (bytes: Buffer, offset: number, value: number, width: 1 | 2 | 4 = 4) => {
      const copy = Buffer.from(bytes);
      copy.writeUIntLE(value, offset, width);
      return copy;
    };
    const good = frame([record(1, 'abc')]); // header 64; op: word 64, id 68, time 76, length 84, name 88, pad 91
    const word = (length: number, type: number) => u32(length | (type << 24));
    const only = (bytes: Buffer) => frame([bytes]);
    const length = "an op's length is not a multiple of 4 from 8 bytes to 8 MiB";
    const cut = 'a field runs past the end of its op';
    const integer = 'a time or step is beyond 53 bits';
    const badId = 'an id is zero or beyond 53 bits';
    const form = 'a version has an unknown form';
    const orphan = 'no update comes before this op in its frame';

    const cases: [what: string, bytes: Buffer, offset: number, message: string, frameNumber?: number][] = [
      ['a header cut short', good.subarray(0, 63), 0, "the round ends within a frame's header"],
      ['a frame cut short', good.subarray(0, good.length - 4), 36, 'the round ends within a frame'],
      ['a wrong magic', patch(good, 0, 0x21, 1), 0, 'no frame begins here'],
      ['a wrong version', patch(good, 4, 2, 2), 4, 'a frame has an unknown version'],
      ['an open frame', patch(good, 6, 0, 2), 4, 'a frame is not sealed, or has unknown flags'],
      ['an unknown flag', patch(good, 6, 3, 2), 4, 'a frame is not sealed, or has unknown flags'],
      ['attempt 0', patch(good, 24, 0), 24, 'an attempt is counted from 1'],
      ['sequence number 0', patch(good, 32, 0), 32, 'a sequence number is counted from 1'],
      ['a crooked frame length', patch(good, 36, 29), 36, "a frame's length is not a multiple of 4"],
      ['a giant frame', patch(good, 36, (16 << 20) - 60), 36, 'a frame is longer than 16 MiB'],
      ['a wrong count of ops', frame([record(1, '')], { ops: 2 }), 40, 'a frame holds another number of ops'],
      [
        'a wrong count of records',
        frame([record(1, '')], { records: 0 }),
        44,
        'a frame holds another number of records',
      ],
      ['a header that ends in no zeros', patch(good, 60, 1), 56, "a frame's header does not end in zeros"],
      ['damage in a later frame', Buffer.concat([good, frame([]), patch(good, 64, 6, 1)]), 220, length, 3],
      ['bytes after the last frame', Buffer.concat([good, Buffer.alloc(64)]), 92, 'no frame begins here', 2],
      ['an op of no length', only(Buffer.alloc(8)), 64, length],
      ['an op of 4 bytes', only(word(4, 7)), 64, length],
      ['an op of 9 bytes', only(Buffer.concat([word(9, 7), Buffer.alloc(8)])), 64, length],
      ['an op over 8 MiB', only(Buffer.concat([word((8 << 20) + 4, 2), Buffer.alloc(8 << 20)])), 64, length],
      ['an op past its frame', patch(good, 64, 32, 1), 64, 'an op runs past the end of its frame'],
      ['an op of type 0', only(op(0, u32(0))), 64, 'an op has an unknown type'],
      ['an op of type 11', only(op(11, u32(0))), 64, 'an op has an unknown type'],
      ['kind 0', only(op(1, id(1, 0), i64(0), text(''))), 68, 'a record has an unknown kind'],
      ['kind 4', only(op(1, id(1, 4), i64(0), text(''))), 68, 'a record has an unknown kind'],
      ['id 0', only(record(0, '')), 68, badId],
      ['id 2^53', only(uri(2 ** 53, '')), 68, badId],
      [
        'an upper byte where none belongs',
        only(op(2, id(1, 1), text(''))),
        68,
        'an id has an upper byte that means nothing here',
      ],
      ['a late time', only(record(1, '', 2 ** 53)), 76, integer],
      ['an early time', only(record(1, '', -(2 ** 53))), 76, integer],
      ['a name past its op', patch(good, 84, 5), 88, cut],
      ['a name of 4 GiB', patch(good, 84, 0xffffffff), 88, cut],
      [
        'a name shorter than its op',
        only(op(1, id(1, 1), i64(0), u32(1), Buffer.alloc(8))),
        89,
        'an op is longer than its fields',
      ],
      ['padding that is not zero', patch(good, 91, 1, 1), 91, 'padding is not zero'],
      ['a URI cut before its length', only(op(2, id(1))), 76, cut],
      ['an unknown tag type', only(tag(1, '', '', 4)), 68, 'a tag has an unknown type'],
      ['a key past its op', only(op(3, id(1, 1), u32(9, 0))), 84, cut],
      ['a value past its op', only(op(3, id(1, 1), u32(2, 3), Buffer.from('kkvv'))), 86, cut],
      ['lengths whose sum overflows', only(op(3, id(1, 1), u32(4, 0xfffffffc), Buffer.from('kkvv'))), 88, cut],
      ['a derivation of id 0', only(derivation(1, 0)), 76, badId],
      ['a form 5', only(derivation(1, 2, 0, { form: 5, bytes: i64(0) })), 68, form],
      ['a form without its bytes', only(derivation(1, 2, 0, { form: 2, bytes: u32(0) })), 92, cut],
      [
        'bytes without a form',
        only(derivation(1, 2, 0, { form: 1, bytes: u32(0) })),
        92,
        'an op is longer than its fields',
      ],
      ['a late step', only(derivation(1, 2, 0, step(2 ** 53))), 92, integer],
      [
        'another attempt 0',
        only(derivation(1, 2, 0, elsewhere(other, 0, step(1)))),
        108,
        'an attempt is counted from 1',
      ],
      [
        'a nested form',
        only(derivation(1, 2, 0, elsewhere(other, 1, elsewhere(other, 1, step(1))))),
        112,
        'a version of another attempt has form 2 or 3',
      ],
      ['an update that makes nothing', only(update(1, 0, none)), 68, 'an update makes a version of form 2 or 3'],
      [
        'an update that makes a version elsewhere',
        only(update(1, 0, elsewhere(other, 1, step(1)))),
        68,
        'an update makes a version of form 2 or 3',
      ],
      [
        'an update that has seen form 1',
        only(update(1, 0, step(1), unknown)),
        84,
        'an update has seen a version of form 0, 2, 3 or 4',
      ],
      ['an exposure of nothing', only(exposure(1)), 64, orphan],
      ['a version URI of nothing', only(versionUri('u')), 64, orphan],
      ['a version tag of nothing', only(versionTag('k', 'v')), 64, orphan],
      [
        'an exposure of the frame before',
        Buffer.concat([frame([update(1, 0, step(1))]), only(exposure(1))]),
        160,
        orphan,
        2,
      ],
      [
        'an unknown version tag type',
        frame([update(1, 0, step(1)), versionTag('', '', 0)]),
        100,
        'a tag has an unknown type',
      ],
      ['a cascade of 2', only(invalidation(1, 2, 0, '', '')), 68, "an invalidation cascades (1) or doesn't (0)"],
      [
        'an invalidation of form 1',
        only(invalidation(1, 17, 0, '', '')),
        68,
        'an invalidation is of a version of form 0, 2, 3 or 4',
      ],
      ['an action of type 3', only(action(1, 3, 0, '', ['', '', ''])), 68, 'an action has an unknown type'],
      ['an invalidation cut in its UUID', only(op(9, id(1), i64(0), u32(0, 0, 0))), 84, cut],
    ];

    for (const [what, bytes, offset, message, frameNumber = 1] of cases) {
      it(`rejects ${what}`, () => {
        assert.throws(() => load(bytes), { message: `frame ${frameNumber}, byte ${offset}: ${message}` });
        assert.equal(load(sample), 25);
        assert.equal(rows('records').length, 3);
      });
    }

    /** Either an error that says where, or a round that can be read to its end. */
    const survives = (bytes: Buffer) => {
      try {
        load(bytes);
      } catch (error) {
        assert.match((error as Error).message, /^frame \d+, byte \d+: /);
        return false;
      }
      for (const table of tables) rows(table);
      return true;
    };

    it('rejects a round cut anywhere but between its frames', () => {
      const whole: number[] = [];
      for (let end = 0; end <= sample.length; end++) if (survives(sample.subarray(0, end))) whole.push(end);
      assert.deepEqual(whole, [0, 408, 472, sample.length]);
    });

    it('survives any one byte being another', () => {
      for (let at = 0; at < sample.length; at++) {
        for (const flip of [0x01, 0x04, 0x10, 0x80, 0xff]) survives(patch(sample, at, sample[at] ^ flip, 1));
      }
    }).timeout(60_000);
  });

  describe('the file of a database', () => {
    let directory: string;
    let file: string;
    let onDisk: Database.Database;
    const bytesAt = (offset: number, count: number) =>
      onDisk.prepare('SELECT braid_file_bytes(?, ?)').pluck().get(offset, count) as Buffer | null;
    beforeEach(() => {
      directory = mkdtempSync(path.join(tmpdir(), 'braid-extension-'));
      file = path.join(directory, 'a.db');
      onDisk = new Database(file);
      onDisk.loadExtension(extension);
      onDisk.exec('CREATE TABLE a (b)');
      onDisk.pragma('journal_mode = WAL');
    });
    afterEach(() => {
      onDisk.close();
      rmSync(directory, { recursive: true });
    });

    it('is read as it is, and not as it will be by its log', () => {
      const before = readFileSync(file);
      onDisk.exec(`CREATE TABLE c (d); INSERT INTO a VALUES ('in the log')`);
      assert.deepEqual(bytesAt(0, 100), before.subarray(0, 100));
      assert.deepEqual(bytesAt(4096, 4096), before.subarray(4096, 8192));
      assert.equal(bytesAt(before.length - 50, 100), null);
      onDisk.pragma('wal_checkpoint(PASSIVE)');
      assert.deepEqual(bytesAt(0, 100), readFileSync(file).subarray(0, 100));
    });

    it('is not there for one in memory, and is read by no other amounts than a page holds', () => {
      assert.equal(db.prepare('SELECT braid_file_bytes(0, 100)').pluck().get(), null);
      for (const [offset, count] of [[-1, 1], [0, 0], [0, -1], [0, 65537]]) {
        assert.throws(() => bytesAt(offset, count), { message: /takes an offset and a count/ });
      } // prettier-ignore
    });

    /** Pages of it are in the log then, and that is long. */
    const write = (mebibytes: number) => onDisk.prepare('INSERT INTO a VALUES (zeroblob(?))').run(mebibytes * 2 ** 20);
    const waitUntil = (condition: () => boolean) => {
      const pause = new Int32Array(new SharedArrayBuffer(4));
      for (let i = 0; i < 1000 && !condition(); i++) Atomics.wait(pause, 0, 0, 10);
      assert.ok(condition());
    };

    it('gets what is in a long log by a thread of its own, so that the log begins anew', () => {
      write(8);
      waitUntil(() => statSync(file).size > 8 * 2 ** 20);
      const log = statSync(`${file}-wal`).size;
      // The thread has let its locks go soon after it has written.
      waitUntil(() => (onDisk.pragma('wal_checkpoint(PASSIVE)') as { busy: number }[])[0].busy === 0);
      write(4);
      assert.equal(statSync(`${file}-wal`).size, log);
    });

    it('gets it before the log is longer than 256 MiB and a commit, however fast that grows', () => {
      onDisk.pragma('synchronous = OFF');
      let longest = 0;
      for (let i = 0; i < 24; i++) {
        write(32);
        longest = Math.max(longest, statSync(`${file}-wal`).size);
      }
      assert.ok(longest < 300 * 2 ** 20, `${longest} bytes`);
    }).timeout(60_000);

    it('is closed to others while such a thread has it open, and not after its end', () => {
      const mode = () => {
        onDisk.pragma('busy_timeout = 0');
        return onDisk.pragma('journal_mode = DELETE', { simple: true });
      };
      write(8);
      assert.throws(mode, { code: 'SQLITE_BUSY' });
      onDisk.prepare('SELECT braid_checkpoint_end()').get();
      assert.equal(mode(), 'delete');
      assert.ok(!existsSync(`${file}-wal`));
    });

    it('has all that was committed, whoever was last to close it', () => {
      for (let i = 0; i < 3; i++) write(8);
      onDisk.close();
      onDisk = new Database(file);
      onDisk.loadExtension(extension);
      assert.deepEqual(onDisk.prepare('SELECT count(*) AS rows, sum(length(b)) AS bytes FROM a').get(), {
        rows: 3,
        bytes: 24 * 2 ** 20,
      });
    });

    it('gets nothing of its log where that is told to be kept', () => {
      onDisk.prepare('SELECT braid_keep_log()').get();
      onDisk.exec(`INSERT INTO a VALUES ('in the log')`);
      const before = readFileSync(file);
      onDisk.close();
      assert.deepEqual(readFileSync(file), before);
      assert.ok(existsSync(`${file}-wal`));
    });
  });
});
