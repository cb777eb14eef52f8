import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidData, BraidDB, BraidModel, extract, merge, prune, type BraidError, type MergeReport } from 'braid-mpi';
import { braidInThread, query } from '../cli/support.js';
import { reading } from './support.js';
import { contentOf, problemsOf } from './tables.js';

const counts = (report: MergeReport) => Object.fromEntries(Object.entries(report).filter(([, count]) => typeof count === 'number' && count > 0)); // prettier-ignore

/** A model that one scan has trained. */
function net(db: BraidDB, name = 'net', uri = 'file:///net'): BraidModel {
  const model = new BraidModel(db, { name, uris: [uri] });
  model.update(new BraidData(db, { name: `scan of ${name}` }), { step: 0 });
  return model;
}

describe('joining models', function () {
  this.timeout(60_000);
  let directory: string;
  let count = 0;
  const file = () => join(directory, `${count++}.db`);
  before(() => (directory = mkdtempSync(join(tmpdir(), 'braid-joining-'))));
  after(() => rmSync(directory, { recursive: true }));

  const made = async (record: (db: BraidDB) => void, path = file()) => {
    const db = await BraidDB.open(path);
    try {
      record(db);
    } finally {
      await db.close();
    }
    return path;
  };
  const copyOf = (path: string) => {
    const copy = file();
    copyFileSync(path, copy);
    return copy;
  };
  const models = (path: string) =>
    query<{ id: number; name: string; versions: number }>(path, 'SELECT record_id AS id, name, (SELECT count(*) FROM versions WHERE model_id = record_id) AS versions FROM records WHERE kind = 3 ORDER BY 1'); // prettier-ignore
  const runOf = (path: string, id: number) => reading(path, (reader) => reader.record(id)!.run);

  it('keeps apart two models of a database that both fit one, and says so', async () => {
    const two = await made((db) => {
      net(db);
      net(db);
      net(db, 'other', 'file:///other');
    });
    for (const joinBy of ['name', 'uri'] as const) {
      const out = await made((db) => {
        net(db);
        net(db, 'other', 'file:///other');
      });
      const { joined, ambiguous } = await merge(out, two, { joinBy, dryRun: true });
      assert.deepEqual([joined, ambiguous], [1, 2]);
      const cli = await braidInThread(['merge', out, two, '--join-by', joinBy]);
      assert.match(cli.stdout, /\n1 model joined to one that was there\n2 models kept apart: /);
      assert.deepEqual(models(out).map(({ name, versions }) => [name, versions]), [['net', 1], ['other', 2], ['net', 1], ['net', 1]]); // prettier-ignore
      assert.deepEqual(problemsOf(out), []);
      assert.deepEqual(counts(await merge(out, two, { joinBy })), {});
    }
  });

  it('never makes one of two models of a database that come one after the other', async () => {
    const out = await made((db) => net(db));
    const source = await made((db) => net(db));
    assert.equal((await merge(out, source, { joinBy: 'name' })).joined, 1);
    await made((db) => net(db), source);
    const { joined, ambiguous } = await merge(out, source, { joinBy: 'name' });
    assert.deepEqual([joined, ambiguous], [0, 1]);
    // Nor by parts of it, of which neither has both.
    const whole = await made((db) => [net(db, 'a'), net(db, 'b')]);
    const parts = [file(), file()];
    for (const [i, part] of parts.entries()) await extract(whole, `name:${'ab'[i]}@1`, part);
    const into = await made((db) => net(db));
    assert.equal((await merge(into, parts[0], { joinBy: 'uri' })).joined, 1);
    const later = await merge(into, parts[1], { joinBy: 'uri' });
    assert.deepEqual([later.joined, later.ambiguous], [0, 1]);
    for (const path of [out, into]) assert.deepEqual(problemsOf(path), []);
    await merge(into, whole);
    assert.deepEqual(problemsOf(into), []);
  });

  it('does the same of many databases as of one after the other', async () => {
    const inputs: string[] = [];
    for (let i = 0; i < 10; i++) {
      inputs.push(await made((db) => {
        net(db, `net-${i % 4}`);
        if (i === 5) net(db, 'net-1');
        if (i === 7) net(db, 'net-0');
      })); // prettier-ignore
    }
    const out = await made((db) => [net(db, 'net-0'), net(db, 'net-2'), net(db, 'net-2')]);
    const one = copyOf(out);
    const sums = { joined: 0, ambiguous: 0 };
    for (const input of inputs) {
      const { joined, ambiguous } = await merge(one, input, { joinBy: 'name' });
      sums.joined += joined;
      sums.ambiguous += ambiguous;
    }
    const { joined, ambiguous } = await merge(out, inputs, { joinBy: 'name' });
    assert.deepEqual({ joined, ambiguous }, sums);
    assert.deepEqual(contentOf(out), contentOf(one));
    assert.deepEqual(problemsOf(out), []);
  });

  it('knows two models as one where another database does, and takes what two sites have of each other', async () => {
    const [a, b] = [await made((db) => net(db)), await made((db) => net(db))];
    assert.equal((await merge(a, b, { joinBy: 'name' })).joined, 1);
    assert.equal((await merge(b, a)).joined, 1);
    for (const path of [a, b]) {
      assert.deepEqual(models(path).map(({ versions }) => versions), [2]); // prettier-ignore
      assert.deepEqual(problemsOf(path), []);
    }
    for (const [out, path] of [[a, b], [b, a]]) assert.deepEqual(counts(await merge(out, path)), {}); // prettier-ignore
    reading(b, (reader) => assert.equal(reader.byOrigin(a, 1), 1));
  });

  it("keeps the output's own action of a model, and takes one where there is none", async () => {
    const acted = (command: string) => (db: BraidDB) => net(db).setInvalidationAction({ type: 'shell', command });
    const source = await made(acted('theirs'));
    const action = (path: string) => query<{ cmd: string }>(path, 'SELECT a.cmd FROM records r JOIN invalidation_actions a ON a.id = r.invalidation_action_id WHERE r.kind = 3').map(({ cmd }) => cmd); // prettier-ignore
    const [own, none] = [await made(acted('ours')), await made((db) => net(db))];
    // Said later than that of the output.
    const later = await made(acted('later'));
    for (const path of [source, later, source]) {
      for (const out of [own, none]) await merge(out, path, { joinBy: 'name' });
      assert.deepEqual([action(own), action(none)], [['ours'], ['theirs']]);
    }
    for (const path of [own, none]) assert.deepEqual(problemsOf(path), []);
    // What the output says of it later counts.
    await made((db) => BraidModel.ref(db, 1).setInvalidationAction({ type: 'shell', command: 'own now' }), none);
    await merge(none, [source, later]);
    assert.deepEqual(action(none), ['own now']);
  });

  it('gives what had become a model that was pruned its own place, when it is merged again', async () => {
    const first = await made((db) => net(db));
    const source = await made((db) => net(db));
    const out = file();
    await merge(out, first);
    await merge(out, source, { joinBy: 'name' });
    assert.equal((await prune(out, { before: new Date(Date.now() + 1000) })).records, 3);
    assert.deepEqual(problemsOf(out), []);
    await merge(out, source);
    const [again] = models(out);
    assert.equal(runOf(out, again.id), runOf(source, 1));
    assert.deepEqual(problemsOf(out), []);
    // The other comes back, too.
    await merge(out, first);
    assert.deepEqual(models(out).map(({ id }) => runOf(out, id)), [runOf(first, 1), runOf(source, 1)]); // prettier-ignore
    assert.deepEqual(problemsOf(out), []);
    reading(out, (reader) => assert.deepEqual([reader.byOrigin(first, 1), reader.byOrigin(source, 1)], models(out).map(({ id }) => id))); // prettier-ignore
    // Of a run that has recorded nothing but what was joined.
    const lone = await made((db) => void new BraidModel(db, { name: 'net' }));
    const into = await made((db) => net(db));
    const run = reading(into, (reader) => reader.runs()[0].id);
    assert.deepEqual(counts(await merge(into, lone, { joinBy: 'name' })), { runs: 1, joined: 1 });
    await prune(into, { run });
    await merge(into, lone);
    assert.equal(runOf(into, models(into)[0].id), runOf(lone, 1));
    assert.deepEqual(problemsOf(into), []);
  });

  it('finds what came through a database by the ids that it had there, when that is gone', async () => {
    const [first, second, between] = [await made((db) => net(db)), await made((db) => net(db)), file()];
    // What it has of its own comes between.
    await merge(between, first);
    await made((db) => net(db, 'own'), between);
    await merge(between, second, { joinBy: 'name' });
    const ids = reading(between, (reader) => Array.from(reader.records(), ({ id, name, run }) => ({ id, name, run })));
    const uuid = reading(between, (reader) => reader.uuid!);
    const outs = [file(), file(), await made((db) => net(db)), file(), file()];
    await merge(outs[0], between);
    await merge(outs[1], outs[0]);
    await merge(outs[2], [between, first], { joinBy: 'name' });
    // By way of what is made for so many.
    await merge(outs[3], first);
    await merge(outs[3], [...Array.from({ length: 8 }, () => copyOf(first)), outs[0]]);
    await extract(outs[0], ids.map(({ id }) => id), outs[4]); // prettier-ignore
    const twice = contentOf(outs[1]);
    assert.deepEqual(counts(await merge(outs[1], [between, outs[0], first])), {});
    assert.deepEqual(contentOf(outs[1]), twice);
    rmSync(between);
    for (const [i, out] of outs.entries()) {
      assert.deepEqual(problemsOf(out), []);
      reading(out, (reader) => {
        for (const database of [between, uuid, uuid.slice(0, 10)]) {
          for (const { id, name, run } of ids) {
            const found = reader.record(reader.byOrigin(database, id)!)!;
            assert.equal(found.name, name);
            // There, it became that of the output.
            if (i !== 2 || name !== 'net') assert.equal(found.run, run);
          }
        }
        assert.equal(reader.byOrigin(between, 99), undefined);
      });
    }
    const [, last] = reading(outs[1], (reader) => reader.origins(reader.byOrigin(first, 2)!));
    assert.deepEqual([last.database, last.id, last.path, last.through], [uuid, 2, between, true]);
    const { stdout } = await braidInThread(['lookup', outs[1], '--origin', `${between}:2`]);
    assert.match(stdout, /scan of net\n {2}2 in .* merged 20.*\n {2}2 in .* merged from there 20/);
  });

  it('refuses what a run knows as two where they were made one', async () => {
    const [a, b, both] = [await made((db) => net(db)), await made((db) => net(db)), file()];
    await merge(both, [a, b]);
    await made((db) => {
      for (const { id } of models(both))
        BraidModel.ref(db, id).update(new BraidData(db, { name: 'more' }), { step: 5 });
    }, both);
    const out = await made((db) => net(db));
    for (const path of [a, b]) assert.equal((await merge(out, path, { joinBy: 'name' })).joined, 1);
    const was = contentOf(out);
    await assert.rejects(merge(out, both), (error: BraidError) => error.code === 'ERR_BRAID_MERGE_CONFLICT' && error.message.includes('a run has updated both')); // prettier-ignore
    assert.deepEqual(contentOf(out), was);
  });
});
