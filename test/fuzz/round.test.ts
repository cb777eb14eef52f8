import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { decodeFrame, type DecodedOp } from '#src/frame/decoder.js';
import { FRAME_HEADER_BYTES } from '#src/frame/format.js';
import { call, frameOf, withIds } from '../support/ops.js';

const root = path.dirname(createRequire(import.meta.url).resolve('braid-mpi/package.json'));
const owner = { run: '0123456789abcdef0123456789abcdef', attempt: 2, rank: 3 };

/** Whether each takes a frame whose op refers to this attempt of another run. */
const takesAttempt = (db: Database.Database, attempt: number) => {
  const elsewhere = { run: 'e'.repeat(32), attempt: 0x7fffffff };
  const frame = Buffer.from(
    frameOf(
      owner,
      1,
      [[{ op: 'exposure', source: 1, version: { elsewhere, step: 1 } }]].map(([exposure]) => [
        { op: 'update', model: 1, made: { step: 1 }, time: 0, seen: undefined },
        exposure as DecodedOp,
      ]),
    ),
  );
  frame.writeUInt32LE(attempt, frame.indexOf(Buffer.from([0xff, 0xff, 0xff, 0x7f])));
  const takes = (read: () => unknown) => {
    try {
      read();
      return true;
    } catch {
      return false;
    }
  };
  return [
    takes(() => [...decodeFrame(frame, 0, frame.length - FRAME_HEADER_BYTES)]),
    takes(() => db.prepare('SELECT braid_round_load(?)').get(frame)),
  ];
};

describe('hostile bytes', () => {
  it('do no harm to the SQLite extension, under the sanitizers', function () {
    if (spawnSync('clang++', ['--version']).error) {
      this.test!.title += ' (needs clang++: scripts/setup --dev)';
      this.skip();
    }
    this.timeout(180_000);
    const { status, stderr } = spawnSync(path.join(root, 'scripts/fuzz'), ['--runs', '3000'], { encoding: 'utf8' });
    assert.equal(status, 0, stderr.slice(-4000));
    assert.match(stderr, /number_of_executed_units: \d{4}/);
  });

  it('are taken by the extension and by the decoder in TypeScript, or refused by both', () => {
    const db = new Database(':memory:');
    try {
      db.loadExtension(path.join(root, 'build/Release/braid_sqlite.so'));
      assert.deepEqual(
        [takesAttempt(db, 1), takesAttempt(db, 0)],
        [
          [true, true],
          [false, false],
        ],
      );
      const load = db.prepare('SELECT braid_round_load(?)').pluck();
      fc.assert(
        fc.property(
          fc.array(call, { minLength: 1, maxLength: 3 }),
          fc.array(fc.record({ at: fc.nat(), value: fc.oneof(fc.nat({ max: 4 }), fc.nat({ max: 255 })) }), {
            maxLength: 3,
          }),
          (calls, damages) => {
            const frame = Buffer.from(
              frameOf(
                owner,
                1,
                withIds(calls, () => 1),
              ),
            );
            for (const { at, value } of damages)
              frame[FRAME_HEADER_BYTES + (at % (frame.length - FRAME_HEADER_BYTES))] = value;
            let ops: number | undefined;
            try {
              const decoded = [...decodeFrame(frame, 0, frame.length - FRAME_HEADER_BYTES)];
              frame.writeUInt32LE(decoded.length, 40);
              frame.writeUInt32LE(decoded.filter(({ op }) => op === 'record').length, 44);
              ops = decoded.length;
            } catch (error) {
              assert.equal((error as { code: string }).code, 'ERR_BRAID_FRAME_DAMAGED');
            }
            let loaded: unknown;
            let refusal = '';
            try {
              loaded = load.get(frame);
            } catch (error) {
              refusal = (error as Error).message;
            }
            // Of a frame that the decoder refuses, the counts are still those of before.
            assert.equal(loaded, ops, refusal);
          },
        ),
        { numRuns: 5000, seed: 4 },
      );
    } finally {
      db.close();
    }
  });
});
