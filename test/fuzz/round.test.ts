import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import type { DecodedOp } from '#src/frame/decoder.js';
import { FRAME_HEADER_BYTES, FrameField } from '#src/frame/format.js';
import { ROUND_TABLES, decodeRound } from '#src/store/round-tables.js';
import { call, frameOf, withIds } from '../support/ops.js';
import { REFUSED, edges, files, sound } from './edges.js';

const root = path.dirname(createRequire(import.meta.url).resolve('braid-mpi/package.json'));
const owner = { run: '0123456789abcdef0123456789abcdef', attempt: 2, rank: 3 };

/** What either way makes of a round: the rows of every table, or that it is refused. */
type Reading = Record<string, unknown[][]> | 'refused';

/** The rows of a table; of versions mentioned each once, for how often they repeat one is their own business. */
const rowsOf = (name: string, rows: unknown[][]) =>
  name === 'versions' ? [...new Map(rows.map((row) => [JSON.stringify(row), row])).values()] : rows;

const byExtension = (db: Database.Database): ((round: Buffer) => Reading) => {
  const load = db.prepare('SELECT braid_round_load(?)');
  const tables = Object.keys(ROUND_TABLES).map(
    (name) => [name, db.prepare(`SELECT * FROM braid_round_${name} ORDER BY rowid`).raw()] as const,
  );
  return (round) => {
    try {
      load.get(round);
    } catch (error) {
      assert.equal((error as { code: string }).code, 'SQLITE_ERROR');
      return 'refused';
    }
    return Object.fromEntries(tables.map(([name, rows]) => [name, rowsOf(name, rows.all() as unknown[][])]));
  };
};

const byDecoder = (round: Buffer): Reading => {
  try {
    const rows = decodeRound(round);
    return Object.fromEntries(
      Object.keys(ROUND_TABLES).map((name) => [name, rowsOf(name, rows.get(name as keyof typeof ROUND_TABLES) ?? [])]),
    );
  } catch (error) {
    assert.equal((error as { code: string }).code, 'ERR_BRAID_FRAME_DAMAGED', String(error));
    return 'refused';
  }
};

/** A frame of these calls. */
const roundOf = (calls: readonly (readonly DecodedOp[])[], sequence = 1) =>
  Buffer.from(
    frameOf(
      owner,
      sequence,
      withIds(calls, () => 1),
    ),
  );

describe('hostile bytes', () => {
  it('do no harm to the SQLite extension, under the sanitizers', function () {
    if (spawnSync('clang++', ['--version']).error) {
      this.test!.title += ' (needs clang++: scripts/setup --dev)';
      this.skip();
    }
    this.timeout(180_000);
    const written = readdirSync(REFUSED).map((name) => [name, readFileSync(path.join(REFUSED, name))] as const);
    assert.deepEqual(Object.fromEntries(written), files, 'node dist-dev/test/fuzz/edges.js writes them anew');
    const { status, stderr } = spawnSync(path.join(root, 'scripts/fuzz'), ['--runs', '20000'], { encoding: 'utf8' });
    assert.equal(status, 0, stderr.slice(-4000));
    assert.match(stderr, /number_of_executed_units: \d{5}/);
  });

  it('give the same rows by the extension and by the decoder in TypeScript, or are refused by both', () => {
    const db = new Database(':memory:');
    try {
      db.loadExtension(path.join(root, 'build/Release/braid_sqlite.so'));
      const extension = byExtension(db);
      const update: DecodedOp = { op: 'update', model: 1, made: { step: 1 }, time: 0, seen: undefined };
      const elsewhere = { run: 'e'.repeat(32), attempt: 0x7fffffff };
      const referring = roundOf([[update, { op: 'exposure', source: 1, version: { elsewhere, step: 1 } }]]);
      const attempt = referring.indexOf(Buffer.from([0xff, 0xff, 0xff, 0x7f]));
      // One that a chance would rarely hit, each: byte and value, and whether it is taken.
      for (const [at, value, taken] of [
        [attempt + 3, 0, true],
        [FrameField.rank, 9, true],
        [FrameField.crc, 9, true], // for whoever takes the frame in
        [FrameField.magic, 0, false],
        [FrameField.version, 2, false],
        [FrameField.flags, 0, false],
        [FrameField.flags, 3, false],
        [FrameField.flags + 1, 1, false],
        [FrameField.attempt, 0, false],
        [FrameField.sequence, 0, false],
        [FrameField.bytes, 0, false],
        [FrameField.bytes + 3, 1, false],
        [FrameField.ops, 0, false],
        [FrameField.records, 1, false],
        [FrameField.zero, 1, false],
        [FRAME_HEADER_BYTES - 1, 1, false],
      ] as const) {
        const round = Buffer.from(referring);
        round[at] = value;
        const readings = [extension(round), byDecoder(round)];
        assert.deepEqual(readings[0], readings[1]);
        assert.equal(readings[0] !== 'refused', taken, `byte ${at} = ${value}`);
      }
      referring.writeUInt32LE(0, attempt);
      assert.deepEqual([extension(referring), byDecoder(referring)], ['refused', 'refused']);

      assert.notEqual(byDecoder(sound), 'refused');
      assert.deepEqual(extension(sound), byDecoder(sound));
      const load = db.prepare('SELECT braid_round_load(?)');
      for (const [name, round] of Object.entries(edges)) {
        // Not by its rows: what should have been refused may not be fit to be read.
        assert.throws(() => load.get(round), { code: 'SQLITE_ERROR' }, `the extension takes ${name}`);
        assert.equal(byDecoder(round), 'refused', `the decoder takes ${name}`);
      }

      let taken = 0;
      const calls = fc.array(call, { minLength: 1, maxLength: 3 });
      const value = fc.oneof(fc.nat({ max: 4 }), fc.nat({ max: 255 }));
      fc.assert(
        fc.property(
          fc.array(calls, { minLength: 1, maxLength: 2 }),
          fc.array(fc.record({ at: fc.nat(), value }), { maxLength: 3 }),
          fc.boolean(),
          (frames, damages, inHeader) => {
            const round = Buffer.concat(frames.map((each, i) => roundOf(each, i + 1)));
            for (const { at, value } of damages) round[at % (inHeader ? FRAME_HEADER_BYTES : round.length)] = value;
            const expected = byDecoder(round);
            assert.deepEqual(extension(round), expected);
            if (expected !== 'refused') taken++;
          },
        ),
        { numRuns: 2000, seed: 4 },
      );
      assert.ok(taken > 400 && taken < 1600, `${taken} of 2000 were taken`);
    } finally {
      db.close();
    }
  });
});
