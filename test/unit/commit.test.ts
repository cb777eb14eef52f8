import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import type { DecodedOp } from '#src/frame/decoder.js';
import { FRAME_HEADER_BYTES, FrameField } from '#src/frame/format.js';
import { sealFrame } from '#src/frame/header.js';
import { verifyTables } from '#src/query/verify.js';
import { Store } from '#src/store/store.js';
import { call, frameOf, withIds } from '../support/ops.js';

const RUN = 'abcdefabcdefabcdefabcdefabcdefab';

/** A database with a run of `size` ranks; how rounds are committed is the point. */
function openStore(
  directory: string,
  commit: 'extension' | 'statements',
  size: number,
): { store: Store; path: string } {
  const path = join(directory, `${commit}-${Math.random().toString(36).slice(2)}.db`);
  const store = new Store({ path, busyMs: 1000, commit });
  assert.equal(store.opened.commit, commit, store.opened.commitReason);
  for (const attempt of [1, 2]) {
    const ranks = Array.from({ length: size }, () => ({ host: 'h', spool: 's', anchor: 'a' }));
    store.beginRun({ run: RUN, attempt, context: {}, ranks });
  }
  return { store, path };
}

/** All rows of all tables, but for what is bound to differ: the database's own UUID and the times of opening. */
function dump(path: string): Record<string, unknown[]> {
  const db = new Database(path, { readonly: true });
  db.defaultSafeIntegers();
  const tables = db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .pluck()
    .all() as string[];
  const rows = (table: string) => {
    const columns = (db.pragma(`table_info(${table})`) as { name: string }[]).map(({ name }) => name);
    const kept = columns.filter((name) => !(name === 'started' && table !== 'records'));
    const typed = kept.map((name) => `typeof(${name}) || ':' || quote(${name}) AS ${name}`).join(', ');
    const sql = `SELECT ${typed} FROM ${table} ${table === 'meta' ? "WHERE key <> 'uuid'" : ''}`;
    return db.prepare(sql).all();
  };
  const all = Object.fromEntries(tables.map((table) => [table, rows(table)]));
  db.close();
  return all;
}

describe('a commit', function () {
  this.timeout(60_000);
  let directory: string;
  before(() => (directory = mkdtempSync(join(tmpdir(), 'braid-commit-'))));
  after(() => rmSync(directory, { recursive: true }));

  it('by the extension and by prepared statements gives equal tables', () => {
    const job = fc.array(fc.array(fc.array(call, { maxLength: 8 }), { minLength: 1, maxLength: 3 }), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(job, (ranks) => {
        const size = ranks.length;
        // Frames of every rank, split over rounds; ids interleaved as ranks mint them.
        const frames = ranks.map((rankFrames, rank) => {
          let minted = 0;
          return rankFrames.map((calls, i) =>
            frameOf(
              { run: RUN, attempt: 1, rank },
              i + 1,
              uniqueInvalidations(
                withIds(calls, () => minted++ * size + rank + 1),
                rank,
                i,
              ),
            ),
          );
        });
        const rounds = Array.from({ length: 3 }, (_, i) => Buffer.concat(frames.flatMap((each) => each[i] ?? [])));
        const dumps = (['extension', 'statements'] as const).map((commit) => {
          const { store, path } = openStore(directory, commit, size);
          for (const round of rounds) if (round.length > 0) store.commit(round);
          store.close();
          return dump(path);
        });
        assert.deepEqual(dumps[0], dumps[1]);
        const expected = ranks
          .flat(2)
          .flat()
          .filter(({ op }) => op === 'record').length;
        assert.equal(dumps[0].records.length, expected);
      }),
      { numRuns: 60 },
    );
  });

  it('takes a frame once, however often it comes', () => {
    for (const commit of ['extension', 'statements'] as const) {
      const { store, path } = openStore(directory, commit, 2);
      const frame = (rank: number, sequence: number, id: number) =>
        frameOf({ run: RUN, attempt: 1, rank }, sequence, [
          [record(id)],
          [{ op: 'uri', record: id, uri: 'file:///x' }],
        ]);
      const [a1, a2, b1] = [frame(0, 1, 1), frame(0, 2, 3), frame(1, 1, 2)];
      assert.deepEqual(store.commit(Buffer.concat([a1, b1])), {
        records: 2,
        ops: 4,
        bytes: a1.length + b1.length,
        refused: [],
      });
      assert.deepEqual(store.commit(Buffer.concat([a1, b1])), { records: 0, ops: 0, bytes: 0, refused: [] });
      assert.deepEqual(store.commit(Buffer.concat([a1, a2, b1])), {
        records: 1,
        ops: 2,
        bytes: a2.length,
        refused: [],
      });
      store.close();
      const { records, uris, ledger } = dump(path);
      assert.deepEqual([records.length, uris.length], [3, 3]);
      assert.deepEqual(
        ledger.slice(0, 2).map((row) => (row as { frame: string; committed: string }).frame),
        ['integer:2', 'integer:1'],
      );
    }
  });

  it('leaves everything as it was when a round cannot be read, or is refused', () => {
    for (const commit of ['extension', 'statements'] as const) {
      const { store, path } = openStore(directory, commit, 2);
      const before = frameOf({ run: RUN, attempt: 1, rank: 0 }, 1, [[record(1)]]);
      store.commit(before);
      const empty = dump(path);
      const good = frameOf({ run: RUN, attempt: 1, rank: 0 }, 2, [[record(3)]]);
      assert.throws(() => store.commit(good.subarray(0, good.length - 4)), { code: 'ERR_BRAID_FRAME_DAMAGED' });
      const twice = frameOf({ run: RUN, attempt: 1, rank: 0 }, 2, [[record(1)]]);
      assert.throws(() => store.commit(twice), { code: 'ERR_BRAID_DB' });
      const stranger = frameOf({ run: 'f'.repeat(32), attempt: 1, rank: 0 }, 1, [[record(9)]]);
      assert.throws(() => store.commit(stranger), { code: 'ERR_BRAID_LEDGER' });
      assert.deepEqual(dump(path), empty);
      assert.equal(store.commit(good).records, 1);
      store.close();
    }
  });

  it('brings in the sound frames of a round, once, and lists the damaged ones as gaps', () => {
    for (const commit of ['extension', 'statements'] as const) {
      const { store, path } = openStore(directory, commit, 2);
      const frame = (rank: number, sequence: number, id: number) =>
        frameOf({ run: RUN, attempt: 1, rank }, sequence, [[record(id)]]);
      const flipped = frame(0, 2, 3);
      flipped[flipped.length - 3] ^= 1;
      // Damaged before it was sealed.
      const senseless = frame(1, 1, 2);
      senseless[FRAME_HEADER_BYTES + 11] = 9;
      sealFrame(senseless, 0, senseless.length - FRAME_HEADER_BYTES, 1, 1);
      const round = Buffer.concat([frame(0, 1, 1), flipped, frame(0, 3, 5), senseless, frame(1, 2, 4)]);
      const { records, refused } = store.commit(round, { recorded: [3, 2] });
      assert.equal(records, 3);
      assert.deepEqual(refused.map(({ rank, frame }) => [rank, frame]), [[0, 2], [1, 1]]); // prettier-ignore
      assert.match(refused[0].reason, /CRC/);
      assert.deepEqual(store.commit(round, { recorded: [3, 2] }), { records: 0, ops: 0, bytes: 0, refused: [] });
      store.endAttempt(RUN, 1, 'COMPLETED', [3, 2]);
      assert.equal(store.attemptState(RUN, 1)!.status, 'INCOMPLETE');
      store.close();
      assert.deepEqual(gapsIn(path).map(({ rank, frame }) => [rank, frame]), [[0, 2], [1, 1]]); // prettier-ignore
    }
  });

  it('lists as a gap what is missing between two frames, unless it is known to be lost', () => {
    const { store, path } = openStore(directory, 'extension', 2);
    const frame = (sequence: number) =>
      frameOf({ run: RUN, attempt: 1, rank: 0 }, sequence, [[record(2 * sequence - 1)]]);
    // As a run that lives does, over several rounds.
    for (const round of [[1], [2, 3], [4]]) store.commit(Buffer.concat(round.map(frame)));
    store.commit(Buffer.concat([frame(1), frame(4)]));
    assert.deepEqual(gapsIn(path), []);
    store.addGaps(RUN, 1, 0, [{ frame: 9, reason: 'its CRC does not fit its bytes' }]);
    store.commit(Buffer.concat([frame(6), frame(12)]));
    store.close();
    assert.deepEqual(
      gapsIn(path).map(({ frame, reason }) => [frame, /^[^:]*/.exec(reason)![0]]),
      [
        [5, 'it is missing'],
        [7, 'frames 7 through 8 are missing'],
        [9, 'its CRC does not fit its bytes'],
        [10, 'frames 10 through 11 are missing'],
      ],
    );
    assert.equal(dump(path).records.length, 6);
  });

  it('salvages what is sound of a round in which frames are not, and says which those are', () => {
    for (const commit of ['extension', 'statements'] as const) {
      const { store, path } = openStore(directory, commit, 2);
      const frame = (rank: number, sequence: number, id: number) =>
        frameOf({ run: RUN, attempt: 1, rank }, sequence, [[record(id)]]);
      // With a CRC that fits: a kind that is none, and an id that is taken.
      const senseless = frame(0, 2, 3);
      senseless[FRAME_HEADER_BYTES + 11] = 9;
      sealFrame(senseless, 0, senseless.length - FRAME_HEADER_BYTES, 1, 1);
      const flipped = frame(1, 1, 6);
      flipped[flipped.length - 3] ^= 1;
      const round = Buffer.concat([frame(0, 1, 1), senseless, frame(0, 3, 5), frame(0, 4, 1), flipped]);
      assert.throws(() => store.commit(round));
      const { refused, records } = store.salvage(round);
      assert.equal(records, 2);
      assert.deepEqual(refused.map(({ rank, frame }) => [rank, frame]), [[0, 2], [0, 4], [1, 1]]); // prettier-ignore
      assert.deepEqual(store.salvage(round), { records: 0, ops: 0, bytes: 0, refused: [] });
      store.close();
      assert.deepEqual(gapsIn(path).map(({ rank, frame }) => [rank, frame]), [[0, 2], [0, 4], [1, 1]]); // prettier-ignore
      assert.deepEqual(verifyTables(path).problems.map(({ check }) => check).filter((check) => check !== 'gaps'), []); // prettier-ignore
    }
  });

  it('refuses a frame of sense whose records have ids of others, or whose text is none, and takes what names them', () => {
    for (const commit of ['extension', 'statements'] as const) {
      const { store, path } = openStore(directory, commit, 2);
      const owner = { run: RUN, attempt: 1, rank: 1 };
      const next = store.nextAttempt(RUN).attempt;
      const ends = [2 ** 53 - 1, 2 ** 33 + 2, 2 ** 33 + 1, 3];
      const refusing = ends.map((id, i) => frameOf(owner, i + 2, [[record(2 * i + 4)], [record(id)]]));
      const named = [
        { op: 'tag', record: ends[0], key: 'k', value: 'v', type: 1 },
        { op: 'uri', record: ends[1], uri: 'u' },
        { op: 'derivation', source: ends[0], version: 'none', derived: 3, time: 0 },
      ] as const;
      for (const bytes of ['ff', 'c0af', 'eda080', 'f4908080', 'e282', '80']) {
        const text = Buffer.from(bytes, 'hex');
        const frame = Buffer.from(frameOf(owner, refusing.length + 2, [[record(2, 'n'.repeat(text.length))]]));
        text.copy(frame, FRAME_HEADER_BYTES + 24);
        sealFrame(frame, 0, frame.length - FRAME_HEADER_BYTES, 1, 1);
        refusing.push(frame);
      }
      const good = [
        frameOf(owner, 1, [[record(2)], [record(6)], [record(4)], named]),
        frameOf(owner, refusing.length + 2, [[record(2 ** 33, 'aé€😀'.repeat(5))]]),
      ];
      const round = Buffer.concat([good[0], ...refusing, good[1]]);
      const { records, refused } = store.commit(round);
      assert.equal(records, 4);
      assert.deepEqual(refused.map(({ frame }) => frame), refusing.map((_, i) => i + 2)); // prettier-ignore
      for (const { reason } of refused) assert.match(reason, /does not give out|not UTF-8/);
      // And so there are ids for the next.
      store.beginRun({ run: RUN, attempt: next, context: {}, ranks: [{ host: 'h', spool: 's', anchor: 'a' }] });
      store.close();
      assert.equal(gapsIn(path).length, refusing.length);
      assert.equal(dump(path).tags.length, 1);
    }
  });

  it('refuses a record whose id its attempt gave back', () => {
    const { store } = openStore(directory, 'extension', 2);
    const frame = (sequence: number, id: number) =>
      frameOf({ run: RUN, attempt: 2, rank: 0 }, sequence, [[record(id)]]);
    const base = 2 ** 33;
    store.commit(frame(1, base + 1));
    store.settle(RUN, 2, [0, 1]);
    assert.equal(store.commit(frame(2, base + 3)).refused.length, 1);
    store.close();
  });

  it('numbers versions in the order of their times within a round, whoever made them, after those before', () => {
    const { store, path } = openStore(directory, 'extension', 3);
    const update = fc.record({ model: fc.integer({ min: 1, max: 3 }), step: fc.option(fc.nat(9)), time: fc.nat(20) });
    const sampled = fc.sample(fc.tuple(fc.nat(1), fc.nat(2), update), { numRuns: 400, seed: 7 });
    const counts = [0, 0, 0];
    const rounds = [0, 1].map((round) =>
      Buffer.concat(
        counts.map((_, rank) => {
          const mine = sampled.filter(([inRound, ofRank]) => inRound === round && ofRank === rank);
          const ops = mine.map(([, , { model, step, time }]): DecodedOp[] => {
            const made = step === null ? { rank, ordinal: counts[rank]++ } : { step: step + 10 * round };
            // Around the turn of a century, before 1970 and after.
            const micros = time < 10 ? -2_208_988_800_000_000 - 5 + time : 1_767_225_600_000_000 - 15 + time;
            return [{ op: 'update', model, made, time: micros, seen: undefined }];
          });
          return frameOf({ run: RUN, attempt: 1, rank }, round + 1, ops);
        }),
      ),
    );
    const ends = rounds.map((round) => {
      store.commit(round);
      const db = new Database(path, { readonly: true });
      const last = db.prepare('SELECT max(update_id) FROM updates').pluck().get() as number;
      db.close();
      return last;
    });
    store.close();
    const db = new Database(path, { readonly: true });
    const [numbered, expected] = [
      'SELECT version_id, model_id, number, time FROM versions ORDER BY version_id',
      `SELECT version_id, model_id, row_number() OVER (PARTITION BY model_id ORDER BY round, time, update_id) AS number, time
       FROM (SELECT version_id, model_id, min(update_id > ${ends[0]}) AS round, min(u.time) AS time, update_id
         FROM updates u JOIN versions USING (version_id) GROUP BY version_id) ORDER BY version_id`,
    ].map((sql) => db.prepare(sql).all());
    db.close();
    assert.ok(expected.length > 100);
    assert.deepEqual(numbered, expected);
  });

  it('takes a round of as many frames as fit into it', () => {
    const count = 300_000;
    const { store, path } = openStore(directory, 'extension', 2);
    const frame = (sequence: number) => frameOf({ run: RUN, attempt: 1, rank: 0 }, sequence, []);
    const round = Buffer.alloc(count * FRAME_HEADER_BYTES);
    const template = Buffer.from(frame(1));
    for (let i = 0; i < count; i++) {
      const at = i * FRAME_HEADER_BYTES;
      template.copy(round, at);
      round.writeUInt32LE(i + 1, at + FrameField.sequence);
      sealFrame(round, at, 0, 0, 0);
      if (i % 1000 === 0) round[at + FrameField.crc] ^= 1;
    }
    const { refused } = store.commit(round);
    assert.equal(refused.length, count / 1000);
    store.close();
    assert.equal(gapsIn(path).length, count / 1000);
  });

  it('carries out an invalidation whichever comes first, it or its record', () => {
    const { store, path } = openStore(directory, 'extension', 2);
    const request: DecodedOp = {
      op: 'invalidation',
      uuid: '1'.repeat(32),
      record: 1,
      version: 'none',
      cascade: true,
      time: 0,
      cause: 'bad',
    };
    store.commit(frameOf({ run: RUN, attempt: 1, rank: 1 }, 1, [[request]]));
    assert.equal(dump(path).invalidations.length, 0);
    const derived: DecodedOp = { op: 'derivation', source: 1, version: 'none', derived: 3, time: 0 };
    const back: DecodedOp = { op: 'derivation', source: 3, version: 'none', derived: 1, time: 0 };
    store.commit(frameOf({ run: RUN, attempt: 1, rank: 0 }, 1, [[record(1)], [record(3), derived, back]]));
    store.close();
    const db = new Database(path, { readonly: true });
    const rows = db
      .prepare(
        'SELECT record_id, root_invalidation, cause FROM records r JOIN invalidations i ON i.id = r.invalidation_id',
      )
      .all();
    db.close();
    assert.deepEqual(rows, [
      { record_id: 1, root_invalidation: null, cause: 'bad' },
      { record_id: 3, root_invalidation: '1'.repeat(32), cause: 'bad' },
    ]);
  });
});

function gapsIn(path: string): { rank: number; frame: number; reason: string }[] {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare('SELECT rank, frame, reason FROM ledger_gaps ORDER BY rank, frame').all() as never;
  } finally {
    db.close();
  }
}

function record(id: number, name = `r${id}`): DecodedOp {
  return { op: 'record', id, kind: 2, time: 0, name };
}

/** Requests are told apart by UUIDs, which generated ones may repeat. */
function uniqueInvalidations(calls: DecodedOp[][], rank: number, frame: number): DecodedOp[][] {
  return calls.map((ops, i) =>
    ops.map((op) =>
      op.op === 'invalidation'
        ? { ...op, uuid: op.uuid.slice(0, 20) + [rank, frame, i].map((n) => String(n).padStart(4, '0')).join('') }
        : op,
    ),
  );
}
