import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { BraidData, BraidFact, BraidModel, type BraidError, type Source } from 'braid-mpi';
import { progress } from '#src/comm/progress.js';
import type { Pollable } from '#src/comm/request.js';
import { decodeFrame, type DecodedOp } from '#src/frame/decoder.js';
import { Encoder } from '#src/frame/encoder.js';
import { FRAME_HEADER_BYTES } from '#src/frame/format.js';
import { beginFrame, sealFrame } from '#src/frame/header.js';
import { RECORDER, Recorder, type HasRecorder } from '#src/record/recorder.js';
import { BraidVersion } from '#src/record/version.js';

const identity = { run: '0123456789abcdef0123456789abcdef', attempt: 2, rank: 1, size: 3 };
/** What was recorded before a call that completions may interrupt: the next one waits for progress. */
const BEFORE_POKE = 255;

/** A recorder whose ops go into one frame in memory. */
function memory(bytes = 2 ** 20) {
  const buffer = Buffer.from(new ArrayBuffer(bytes));
  const encoder = new Encoder(() => assert.fail('no more room'));
  beginFrame(buffer, 0, identity, 1);
  encoder.bind(buffer, FRAME_HEADER_BYTES, buffer.length);
  const sink = { encoder, growthMs: 0, sealMs: 0, publish: () => void encoder.publish() };
  const recorder = new Recorder(identity, { base: 100, count: 2 ** 32 }, sink, () => assert.fail('not looked up'));
  const db: HasRecorder = { [RECORDER]: recorder };
  const frame = () => {
    const bytes = encoder.position - FRAME_HEADER_BYTES;
    sealFrame(buffer, 0, bytes, encoder.ops, encoder.records);
    return buffer.subarray(0, FRAME_HEADER_BYTES + bytes);
  };
  const ops = (): DecodedOp[] => [...decodeFrame(frame(), 0, frame().length - FRAME_HEADER_BYTES)];
  return { db, recorder, sink, frame, ops };
}

const idsOf = (ops: DecodedOp[]) => ops.flatMap((op) => (op.op === 'record' ? [op.id] : []));

describe('a recording call', () => {
  let watched: Pollable | undefined;
  const whenPoked = (run: () => void) => {
    watched = {
      test() {
        progress.remove(watched!);
        run();
        return true;
      },
    };
    progress.watch(watched);
  };
  afterEach(() => {
    if (watched) progress.remove(watched);
  });

  it('gives an id to one record only, though a completion records inside it', () => {
    const { db, ops } = memory();
    for (let i = 0; i < BEFORE_POKE; i++) new BraidData(db, { name: 'before' });
    let inside: BraidFact | undefined;
    whenPoked(() => (inside = new BraidFact(db, { name: 'inside' })));
    const outside = new BraidData(db, { name: 'outside' });
    const after = new BraidData(db, { name: 'after' });
    assert.deepEqual([outside.id - inside!.id, after.id - outside.id], [identity.size, identity.size]);
    assert.equal(new Set(idsOf(ops())).size, BEFORE_POKE + 3);
  });

  it('gives an id to one record only, though a getter of its tags records', () => {
    const { db, ops } = memory();
    let inside: BraidData | undefined;
    const tags = {
      get loss() {
        return (inside ??= new BraidData(db, { name: 'inside' })).id;
      },
    };
    const outside = new BraidData(db, { name: 'outside', tags });
    assert.notEqual(outside.id, inside!.id);
    assert.deepEqual(idsOf(ops()), [inside!.id, outside.id]);
  });

  it('stores nothing and takes no id, when what it waits for progress of closes the database', () => {
    const { db, recorder, ops } = memory();
    for (let i = 0; i < BEFORE_POKE; i++) new BraidData(db, { name: 'before' });
    whenPoked(() => (recorder.closed = true));
    assert.throws(() => new BraidData(db, { name: 'too late' }), { code: 'ERR_BRAID_CLOSED' });
    assert.equal(ops().length, BEFORE_POKE);
  });

  it('takes no id when its ops cannot be published', () => {
    const { db, sink } = memory();
    const { publish } = sink;
    const first = new BraidData(db, { name: 'first' });
    sink.publish = () => {
      throw new Error('no disk');
    };
    assert.throws(() => new BraidData(db, { name: 'failed' }), /no disk/);
    sink.publish = publish;
    assert.equal(new BraidData(db, { name: 'second' }).id, first.id + identity.size);
  });

  it('names the version that was seen last, also if a completion has made it', () => {
    const { db, ops } = memory();
    const model = new BraidModel(db, { name: 'model' });
    const batch = new BraidData(db, { name: 'batch' });
    model.update(batch, { step: 1 });
    for (let i = 3; i < BEFORE_POKE; i++) batch.addTag('i', i);
    whenPoked(() => model.update(batch, { step: 2 }));
    model.update(batch, { step: 3 });
    const result = new BraidData(db, { name: 'result', derivedFrom: model });
    const seen = ops().flatMap((op) => (op.op === 'update' ? [op.seen] : []));
    assert.deepEqual(seen, [undefined, { step: 1 }, { step: 2 }]);
    const [derivation] = ops().filter((op) => op.op === 'derivation' && op.derived === result.id);
    assert.deepEqual((derivation as { version: unknown }).version, { step: 3 });
  });

  it('is refused for what it takes, and not for what it might take', () => {
    const { db, ops } = memory(2 ** 24);
    const ids = (length: number) => Array.from({ length }, (_, i) => i + 1000);
    // 28 bytes each: 8 MiB are 299,593 of them.
    const merged = new BraidData(db, { name: 'merged', derivedFrom: ids(299_000) });
    const uris = Array.from({ length: 2000 }, (_, i) => `file:///${i}/`.padEnd(3500, 'x'));
    const archive = new BraidData(db, { name: 'archive', uris });
    const recorded = ops();
    assert.deepEqual(idsOf(recorded), [merged.id, archive.id]);
    assert.equal(recorded.length, 1 + 299_000 + 1 + 2000);
    assert.deepEqual(
      recorded.flatMap((op) => (op.op === 'uri' ? [op.uri] : [])),
      uris,
    );
    assert.throws(() => new BraidData(db, { name: 'all', derivedFrom: ids(300_000) }), {
      code: 'ERR_BRAID_TOO_LARGE',
      message: /takes 8400028:/,
    });
    assert.throws(() => new BraidData(db, { name: 'all', derivedFrom: ids(1_000_000) }), {
      code: 'ERR_BRAID_TOO_LARGE',
      message: /takes more than 8388608:/,
    });
    assert.throws(() => merged.addTag('text', 'é'.repeat(2 ** 24)), {
      code: 'ERR_BRAID_TOO_LARGE',
      message: /takes more than 8388608:/,
    });
    assert.equal(ops().length, recorded.length);
    assert.equal(new BraidData(db, { name: 'next' }).id, archive.id + identity.size);
  });

  // Numbers at and beyond the edges of what an op holds; as digits where they are of a key.
  const edge = fc.constantFrom(-1, 0, 1, 7, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 0.5, NaN);
  const digits = fc.constantFrom('0', '1', '7', '007', '2147483648', '4294967295', '4294967296', '999999999',
    '9007199254740991', '9007199254740992', '9999999999999999', ''); // prettier-ignore
  const run = fc.constantFrom(identity.run, 'f'.repeat(32), 'F'.repeat(32), 'f'.repeat(31));
  const key = fc
    .tuple(
      digits,
      run,
      digits,
      fc.oneof(
        digits.map((s) => `s${s}`),
        fc.tuple(digits, digits).map(([r, o]) => `o${r}.${o}`),
      ),
    ) // prettier-ignore
    .map(([model, of, attempt, which]) => `${model}@${of}.${attempt}.${which}`);
  const source = fc.oneof(edge, key, fc.constantFrom('model', 'fact', 'update'));
  const sources = fc.oneof(source, fc.array(source, { maxLength: 3 }));
  const content = {
    uris: fc.oneof(fc.constant(undefined), fc.array(fc.oneof(fc.string(), fc.constant('\ud800')), { maxLength: 2 })),
    tags: fc.oneof(
      fc.constant(undefined),
      fc.dictionary(
        fc.string({ maxLength: 4 }),
        fc.oneof(edge, fc.string(), fc.bigInt(), fc.boolean(), fc.constant(-0)),
        {
          maxKeys: 2,
        },
      ),
    ),
    time: fc.oneof(fc.constant(undefined), fc.date({ noInvalidDate: false })),
  };
  const attempt = fc.oneof(
    fc.record({ call: fc.constant('data' as const), name: fc.string(), derivedFrom: sources, ...content }),
    fc.record({ call: fc.constant('update' as const), of: edge, sources, step: edge, ...content }),
    fc.record({ call: fc.constant('dependency' as const), of: edge, source }),
    fc.record({ call: fc.constant('derivation' as const), of: edge, source }),
    fc.record({ call: fc.constant('invalidate' as const), of: edge, cause: fc.string(), cascade: fc.anything() }),
    fc.record({ call: fc.constant('seen' as const), key }),
  );

  it('that is accepted can be decoded, whatever it was given', () => {
    const root = path.dirname(createRequire(import.meta.url).resolve('braid-mpi/package.json'));
    const sqlite = new Database(':memory:');
    sqlite.loadExtension(path.join(root, 'build', 'Release', 'braid_sqlite.so'));
    const load = sqlite.prepare('SELECT braid_round_load(?)').pluck();
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(attempt, { minLength: 1, maxLength: 6 }), (attempts) => {
        const { db, recorder, frame, ops } = memory(2 ** 16);
        const fact = new BraidFact(db, { name: 'fact' });
        const model = new BraidModel(db, { name: 'model' });
        const made = model.update(fact);
        const named = (value: string | number): Source => {
          if (typeof value === 'number') return value;
          if (value === 'model') return model;
          if (value === 'fact') return fact;
          return value === 'update' ? made : BraidVersion.parse(recorder, value);
        };
        const all = (value: string | number | (string | number)[]) =>
          Array.isArray(value) ? value.map(named) : named(value);
        for (const each of attempts) {
          try {
            if (each.call === 'data') {
              const { name, uris, tags, time } = each;
              new BraidData(db, { name, uris, tags, time, derivedFrom: all(each.derivedFrom) });
            } else if (each.call === 'update') {
              const { step, uris, tags, time } = each;
              BraidModel.ref(db, each.of).update(all(each.sources), { step, uris, tags, time });
            } else if (each.call === 'dependency') {
              BraidData.ref(db, each.of).addDependency(named(each.source));
            } else if (each.call === 'derivation') {
              BraidData.ref(db, each.of).addDerivation(named(each.source) as number);
            } else if (each.call === 'invalidate') {
              BraidData.ref(db, each.of).invalidate({ cause: each.cause, cascade: each.cascade as boolean });
            } else {
              const version = BraidVersion.parse(recorder, each.key);
              recorder.seen.set(version.model, version.versionName);
              assert.equal(BraidVersion.parse(recorder, version.key).key, version.key);
            }
            accepted++;
          } catch (error) {
            assert.match(String((error as BraidError).code), /^ERR_BRAID_/, String(error));
          }
        }
        const count = ops().length;
        assert.equal(load.get(frame()), count);
      }),
      { numRuns: 2000 },
    );
    sqlite.close();
    assert.ok(accepted > 500, `${accepted} accepted`);
  });
});

describe('the encoder', () => {
  it('writes nothing that the decoder would refuse, if those who call it have not looked', () => {
    const { sink } = memory();
    const { encoder } = sink;
    const none = 'none' as const;
    const elsewhere = { run: identity.run, attempt: 1 };
    const misfits: (() => void)[] = [
      () => encoder.uri(0, 'x'),
      () => encoder.uri(2 ** 53, 'x'),
      () => encoder.uri(1.5, 'x'),
      () => encoder.record(1, 2, 2 ** 53, 'x'),
      () => encoder.derivation(1, none, 0, 0),
      () => encoder.derivation(1, { step: 2 ** 53 }, 2, 0),
      () => encoder.derivation(1, { rank: 0, ordinal: 2 ** 32 }, 2, 0),
      () => encoder.derivation(1, { rank: -1, ordinal: 0 }, 2, 0),
      () => encoder.derivation(1, { elsewhere: { ...elsewhere, attempt: 0 }, step: 1 }, 2, 0),
      () => encoder.derivation(1, { elsewhere: { ...elsewhere, run: 'no' }, step: 1 }, 2, 0),
      () => encoder.invalidation('no', 1, true, 0, 'x'),
    ];
    for (const write of misfits) {
      encoder.begin(1000);
      assert.throws(write, RangeError, String(write));
    }
    encoder.begin(1000);
    assert.equal(encoder.publish(), 0);
  });
});
