import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  BraidData,
  BraidDB,
  BraidFact,
  BraidModel,
  extract,
  invalidate,
  merge,
  prune,
  revalidate,
  upgrade,
  verify,
  type BraidError,
  type MergeReport,
} from 'braid-mpi';
import Database from 'better-sqlite3';
import { braidInThread, makeBraidDbFile, query, sql } from '../cli/support.js';
import { reading } from './support.js';
import { contentOf, problemsOf } from './tables.js';

const code = (code: string) => (error: BraidError) => error.code === code;
const counts = (report: MergeReport) => Object.fromEntries(Object.entries(report).filter(([, count]) => typeof count === 'number' && count > 0)); // prettier-ignore

/** A fact, a model that scans train, and what each of its versions made. */
async function job(path: string, scans: number, name = 'braggnn'): Promise<void> {
  const db = await BraidDB.open(path);
  record(db, scans, name);
  await db.close();
}

function record(db: BraidDB, scans: number, name: string): BraidModel {
  const fact = new BraidFact(db, { name: `${name}-config`, tags: { rate: 0.5, deep: true } });
  const model = new BraidModel(db, { name, uris: [`file:///${name}`] });
  for (let step = 0; step < scans; step++) {
    const scan = new BraidData(db, { name: `${name}-scan-${step}`, uris: [`file:///scan/${step}`], derivedFrom: fact });
    model.update(scan, { step, tags: { loss: 1 / (step + 1) }, uris: [`file:///checkpoint/${step}`] });
    new BraidData(db, { name: `${name}-peaks-${step}`, derivedFrom: model });
  }
  return model;
}

describe('merging databases', function () {
  this.timeout(60_000);
  let directory: string;
  let a: string;
  let b: string;
  let count = 0;
  const file = (name = `${count++}.db`) => join(directory, name);
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'braid-merging-'));
    // What SQLite, a URL or a shell would take for something else.
    mkdirSync(join(directory, 'file:x?mode=memory&%41 #'));
    a = join(directory, 'file:x?mode=memory&%41 #', "it's.db");
    b = file('b.db');
    await job(a, 3);
    await job(b, 2);
  });
  after(() => rmSync(directory, { recursive: true }));

  it('keeps apart what has the same name, and finds what was merged by the id that it had', async () => {
    const out = file();
    assert.deepEqual(counts(await merge(out, [a, b, b])), { runs: 2, records: 14, versions: 5, updates: 5, derivations: 15, uris: 12, tags: 9 }); // prettier-ignore
    assert.deepEqual(problemsOf(out), []);
    assert.deepEqual([contentOf(out, 0, 8), contentOf(out, 8, 6)].map((content) => ({ ...content, reach: [], revalidations: [] })), [contentOf(a), contentOf(b)]); // prettier-ignore
    reading(out, (reader) => {
      assert.equal(Array.from(reader.records({ name: 'braggnn' })).length, 2);
      const uuid = reading(b, (reader) => reader.uuid!);
      const [origin, ...none] = reader.origins(10);
      assert.deepEqual([origin.database, origin.id, origin.path, origin.joined, none], [uuid, 2, b, false, []]);
      for (const name of [b, uuid, uuid.slice(0, 12).toUpperCase()]) assert.equal(reader.byOrigin(name, 2), 10);
      assert.equal(reader.byOrigin(b, 99), undefined);
      assert.throws(() => reader.byOrigin('nowhere.db', 2), code('ERR_BRAID_NO_SUCH_ORIGIN'));
      assert.deepEqual(Array.from(reader.versions(10), ({ number, step }) => [number, step]), [[1, 0], [2, 1]]); // prettier-ignore
      assert.equal(
        reader.record(10)?.run,
        reading(b, (reader) => reader.record(2)?.run),
      );
      assert.deepEqual(reader.origins(1).map(({ path }) => path), [a]); // prettier-ignore
    });
    // Over another database, its records are still known by who gave out their ids.
    const over = file();
    await merge(over, out);
    assert.deepEqual(counts(await merge(over, [b, a, out])), {});
    reading(over, (reader) => assert.deepEqual([reader.byOrigin(out, 10), reader.byOrigin(b, 2)], [10, 10]));
  });

  it('adds what is new of a run that goes on, and leaves recovering it to its own database', async () => {
    const [source, out] = [file(), file()];
    await job(out, 1, 'own');
    const db = await BraidDB.open(source);
    const model = record(db, 2, 'going-on');
    await db.flush();
    await merge(out, source);
    assert.deepEqual(problemsOf(out), []);
    const status = () =>
      reading(out, (reader) => reader.runs().map(({ status, committed }) => [status, committed > 0]));
    assert.deepEqual(status(), [['COMPLETED', true], ['RUNNING', true]]); // prettier-ignore
    // A run of the target itself, which is under way while more is merged into it.
    const own = await BraidDB.open(out);
    const before = new BraidData(own, { name: 'before' });
    await own.flush();
    assert.deepEqual(status()[1], ['RUNNING', true]);
    model.update(new BraidData(db, { name: 'late', derivedFrom: 1 }), { step: 9 });
    db.ref(1).addTag('late', 'yes');
    await db.close();
    await invalidate(source, 'name:going-on@step=9', { cause: 'late' });
    assert.deepEqual(counts(await merge(out, source)), { runs: 1, records: 1, versions: 1, updates: 1, derivations: 2, tags: 1, invalidations: 1 }); // prettier-ignore
    const after = new BraidData(own, { name: 'after', derivedFrom: before });
    await own.close();
    assert.deepEqual(problemsOf(out), []);
    assert.deepEqual(status(), [['COMPLETED', true], ['COMPLETED', true], ['COMPLETED', true]]); // prettier-ignore
    reading(out, (reader) => {
      assert.equal(reader.record(after.id)?.name, 'after');
      assert.deepEqual(Array.from(reader.versions(reader.byOrigin(source, 2)!), ({ step, valid }) => [step, valid]), [[0, true], [1, true], [9, false]]); // prettier-ignore
    });
  });

  it('joins models by name or URI where they are asked to, and keeps that', async () => {
    for (const joinBy of ['name', 'uri'] as const) {
      const out = file();
      await merge(out, a);
      const report = await merge(out, b, { joinBy });
      assert.deepEqual([report.joined, report.records], [1, 5]);
      assert.deepEqual(problemsOf(out), []);
      assert.deepEqual(counts(await merge(out, [a, b])), {});
      reading(out, (reader) => {
        const model = reader.byOrigin(a, 2)!;
        assert.equal(reader.byOrigin(b, 2), model);
        assert.deepEqual(reader.origins(model).map(({ id, joined }) => [id, joined]), [[2, false], [2, true]]); // prettier-ignore
        assert.deepEqual(Array.from(reader.versions(model), ({ number, step }) => [number, step]), [[1, 0], [2, 1], [3, 2], [4, 0], [5, 1]]); // prettier-ignore
        // The others keep their run and rank.
        const run = reading(b, (reader) => reader.runs()[0].id);
        assert.deepEqual(Array.from(reader.records({ run }), ({ name }) => name).sort(), ['braggnn-config', ...[0, 1].flatMap((i) => [`braggnn-peaks-${i}`, `braggnn-scan-${i}`])].sort()); // prettier-ignore
      });
      // Where the two are kept apart, they can't come joined.
      const apart = file();
      await merge(apart, [a, b]);
      const was = contentOf(apart);
      await assert.rejects(merge(apart, out), code('ERR_BRAID_MERGE_CONFLICT'));
      assert.deepEqual(contentOf(apart), was);
    }
  });

  it('takes more databases than SQLite can read at once, into one that is there', async () => {
    const inputs: string[] = [];
    for (let i = 0; i < 11; i++) {
      inputs.push(file());
      await job(inputs[i], 1, `task-${i % 10}`);
    }
    const out = file();
    await merge(out, [inputs[0], a]);
    const dry = await merge(out, inputs, { joinBy: 'name', dryRun: true });
    const report = await merge(out, inputs, { joinBy: 'name' });
    assert.deepEqual({ ...dry, dryRun: false }, report);
    assert.deepEqual([report.runs, report.joined, report.records], [10, 1, 39]);
    assert.deepEqual(problemsOf(out), []);
    assert.deepEqual(counts(await merge(out, inputs)), {});
    reading(out, (reader) => assert.equal(reader.byOrigin(inputs[10], 2), reader.byOrigin(inputs[0], 2)));
    assert.deepEqual(readdirSync(directory).filter((name) => /tmp|merge$/.test(name)), []); // prettier-ignore
  });

  it('brings along actions, what came of them, and what Braid-DB itself has invalidated', async () => {
    const source = file();
    const db = await BraidDB.open(source);
    const [bad, worse] = ['bad', 'worse'].map((name) => new BraidData(db, { name }));
    const made = new BraidData(db, { name: 'made', derivedFrom: bad });
    made.setInvalidationAction({ type: 'shell', command: 'true', args: ['{id}'] });
    await db.close();
    await invalidate(source, bad.id, { cause: 'bad', runActions: true });
    const id = 'f'.repeat(32);
    sql(source, `INSERT INTO invalidations (id, cause, time) VALUES ('${id}', 'theirs', '2026-01-01 00:00:00.000000'); UPDATE records SET invalidation_id = '${id}' WHERE record_id = ${worse.id}`); // prettier-ignore
    const out = file();
    await merge(out, [b, source]);
    assert.deepEqual(problemsOf(out), []);
    const rows = (path: string) => query(path, `SELECT r.name, r.invalidation_action_id, i.cause, a.outcome FROM records r LEFT JOIN invalidations i ON i.id = r.invalidation_id LEFT JOIN action_runs a ON a.record_id = r.record_id AND a.invalidation_id = r.invalidation_id WHERE i.id IS NOT NULL ORDER BY r.record_id`); // prettier-ignore
    assert.equal(rows(source).length, 3);
    assert.deepEqual(rows(out), rows(source));
    assert.deepEqual(counts(await merge(out, source)), {});
    // An action that was under way when it was merged has ended since.
    sql(out, `UPDATE action_runs SET outcome = 'begun', ended = started, output = ''`);
    await merge(out, source);
    assert.deepEqual(rows(out), rows(source));
    sql(source, `UPDATE action_runs SET outcome = 'begun', ended = started, output = ''`);
    await merge(out, source);
    assert.equal(query(out, "SELECT 1 FROM action_runs WHERE outcome = 'succeeded'").length, 1);
  });

  it('takes what Braid-DB has made, when it is upgraded, and goes on telling which kinds nobody stated', async () => {
    const theirs = file();
    makeBraidDbFile(theirs);
    await upgrade(theirs);
    await job(theirs, 1, 'ours');
    const [out, part] = [file(), file()];
    await merge(out, [a, theirs]);
    await extract(out, 'name:second', part);
    for (const path of [out, part]) {
      assert.deepEqual(problemsOf(path), []);
      const kinds = reading(path, (reader) => Array.from(reader.records(), ({ name, kindInferred }) => [name, kindInferred] as const).filter(([name]) => /^(first|second|ours)$/.test(name))); // prettier-ignore
      assert.deepEqual(kinds.slice(0, 2), [['first', true], ['second', true]]); // prettier-ignore
      if (path === out) assert.deepEqual(kinds[2], ['ours', undefined]);
    }
    assert.deepEqual(counts(await merge(out, [part, theirs])), {});
  });

  it('refuses what can not be merged, and leaves the target as it was', async () => {
    const out = file();
    await merge(out, a);
    const was = readFileSync(out);
    const other = file();
    sql(other, 'CREATE TABLE cats (name)');
    const cut = file();
    copyFileSync(b, cut);
    truncateSync(cut, 40_000);
    const none = file();
    const refused: [string[], string, RegExp][] = [
      [[b, other], 'ERR_BRAID_DB_FOREIGN', /other tables/],
      [[b, cut], 'ERR_BRAID_DB_CORRUPT', new RegExp(cut)],
      [[b, none], 'ERR_BRAID_DB_NOT_FOUND', new RegExp(none)],
      [[b, import.meta.filename], 'ERR_BRAID_DB_NOT_SQLITE', /merge\.test/],
      [[out], 'ERR_BRAID_OPTION_INVALID', /itself/],
      [[], 'ERR_BRAID_OPTION_INVALID', /name databases/],
    ];
    for (const [inputs, expected, message] of refused) {
      for (const target of [out, none]) {
        if (inputs.includes(target) && target === none) continue;
        if (inputs[0] === out && target === none) continue;
        await assert.rejects(merge(target, inputs), (error: BraidError) => error.code === expected && message.test(error.message), expected); // prettier-ignore
      }
    }
    assert.ok(!existsSync(none) && readFileSync(out).equals(was));
    // Somebody ends it half-way.
    for (const target of [out, none]) {
      const stop = new AbortController();
      await assert.rejects(
        merge(target, b, { signal: stop.signal, onProgress: ({ table }) => table === 'updates' && stop.abort() }),
        { name: 'AbortError' },
      );
    }
    assert.equal((await merge(none, b, { dryRun: true })).records, 6);
    assert.deepEqual(counts(await merge(out, b, { dryRun: true })), counts(await merge(none, b)));
    assert.ok(readFileSync(out).equals(was) || contentOf(out).records.length === 8);
    assert.deepEqual(readdirSync(directory).filter((name) => /tmp$|merge$/.test(name)), []); // prettier-ignore
  });

  it('knows the output by any name, and leaves it as it was where nothing is to be kept', async () => {
    const out = file();
    await merge(out, [a, b]);
    const link = file();
    linkSync(out, link);
    await assert.rejects(merge(out, [a, link]), (error: BraidError) => error.code === 'ERR_BRAID_OPTION_INVALID' && error.message.includes(`${link} is the same file as ${out}`)); // prettier-ignore
    rmSync(link);
    const more = file();
    await job(more, 400);
    const stateOf = (path: string) => ({
      mtime: statSync(path).mtimeMs,
      sha: createHash('sha256').update(readFileSync(path)).digest('hex'),
    });
    let was = stateOf(out);
    assert.equal((await merge(out, more, { dryRun: true, joinBy: 'name' })).runs, 1);
    const [run] = reading(out, (reader) => reader.runs().map(({ id }) => id));
    assert.equal((await prune(out, { run, dryRun: true })).records, 8);
    await assert.rejects(prune(out, { before: new Date(), run: 'f'.repeat(32) }), code('ERR_BRAID_NO_SUCH_RUN'));
    assert.deepEqual(stateOf(out), was);
    // What something that is kept comes from.
    sql(
      out,
      `INSERT INTO derivations (record_id, derivation, time) SELECT 1, record_id, time FROM records WHERE name = 'braggnn-scan-0' AND record_id > 8`,
    );
    was = stateOf(out);
    await assert.rejects(prune(out, { run }), code('ERR_BRAID_PRUNE_NEEDED'));
    assert.deepEqual(stateOf(out), was);
  });

  it('tells also what was only taken back, or said of what is there', async () => {
    const [source, out] = [file(), file()];
    await job(source, 1);
    await merge(out, source);
    const added = async () => ({ ...counts(await merge(out, source)), again: counts(await merge(out, source)) });
    await invalidate(source, 1, { cause: 'wrong' });
    assert.deepEqual(await added(), { invalidations: 1, again: {} });
    revalidate(source, 1, { reason: 'right' });
    const { stdout } = await braidInThread(['merge', out, source, '--dry-run']);
    assert.match(stdout, /: 1 revalidation\n$/);
    assert.deepEqual(await added(), { revalidations: 1, again: {} });
    const db = await BraidDB.open(source);
    db.ref(1).setInvalidationAction({ type: 'shell', command: 'true' });
    await db.close();
    assert.deepEqual(await added(), { runs: 1, actions: 1, again: {} });
    await invalidate(source, 1, { cause: 'wrong again', runActions: true });
    assert.deepEqual(await added(), { invalidations: 1, actionRuns: 1, again: {} });
    const id = 'f'.repeat(32);
    sql(source, `INSERT INTO records (record_id, name, time) VALUES (99, 'theirs', '2026-01-01 00:00:00.000000')`);
    assert.deepEqual(await added(), { records: 1, again: {} });
    sql(source, `INSERT INTO invalidations (id, cause, time) VALUES ('${id}', 'theirs', '2026-01-01 00:00:00.000000'); UPDATE records SET invalidation_id = '${id}' WHERE record_id = 99`); // prettier-ignore
    assert.deepEqual(await added(), { invalidations: 1, again: {} });
    assert.deepEqual(problemsOf(out), []);
  });

  it('tells a database from its copy, if both were recorded into', async () => {
    const [original, copy, out] = [file(), file(), file()];
    await job(original, 1);
    copyFileSync(original, copy);
    await job(copy, 2, 'copied');
    // One is only further than the other.
    const newer = file();
    copyFileSync(copy, newer);
    await merge(original, newer);
    assert.deepEqual(contentOf(original), contentOf(newer));
    assert.deepEqual(problemsOf(original), []);
    const [one, other] = [file(), file()];
    for (const path of [one, other]) copyFileSync(b, path);
    await job(one, 1, 'here');
    await job(other, 1, 'there');
    await merge(out, one);
    const was = contentOf(out);
    await assert.rejects(merge(out, other), (error: BraidError) => error.code === 'ERR_BRAID_MERGE_CONFLICT' && error.message.includes('there-config')); // prettier-ignore
    assert.deepEqual(contentOf(out), was);
  });

  it('is a command, with a way to look ids up', async () => {
    const out = file();
    const merged = await braidInThread(['merge', out, a, b]);
    assert.deepEqual([merged.code, merged.stderr], [0, '']);
    assert.match(merged.stdout, /^added to .* of 2 databases: 2 runs, 14 records, 5 versions, /);
    assert.match((await braidInThread(['merge', out, a, b])).stdout, /^nothing of 2 databases is new to /);
    const joined = await braidInThread(['merge', file(), a, b, '--join-by', 'name', '--dry-run', '--json']);
    assert.equal((JSON.parse(joined.stdout) as MergeReport).joined, 1);
    const found = await braidInThread(['lookup', out, '--origin', `${b}:2`, '--json']);
    const { id, name, origins } = JSON.parse(found.stdout) as { id: number; name: string; origins: object[] };
    assert.deepEqual([name, origins.length], ['braggnn', 1]);
    assert.match((await braidInThread(['lookup', out, String(id)])).stdout, /^\[ *10\] : braggnn\n {2}2 in .*b\.db \([0-9a-f]{32}\), merged 20/); // prettier-ignore
    assert.match((await braidInThread(['lookup', b, '2'])).stdout, /recorded here/);
    for (const [args, exit, expected] of [
      [['lookup', out], 2, 'OPTION_INVALID'],
      [['lookup', out, '--origin', 'b.db'], 2, 'OPTION_INVALID'],
      [['lookup', out, '--origin', 'nowhere.db:1'], 1, 'NO_SUCH_ORIGIN'],
      [['lookup', out, '--origin', `${b}:4711`], 1, 'NO_SUCH_RECORD'],
      [['merge', out, out], 2, 'OPTION_INVALID'],
    ] as const) {
      const { code, stderr } = await braidInThread(args);
      assert.deepEqual([code, stderr.includes(`ERR_BRAID_${expected}`)], [exit, true], args.join(' '));
    }
  });
});

describe('archiving', function () {
  this.timeout(60_000);
  let directory: string;
  let path: string;
  const file = (name: string) => join(directory, name);
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'braid-archive-'));
    path = file('run.db');
    await job(path, 4);
    await job(path, 2, 'other');
    await invalidate(path, 'name:braggnn-scan-2', { cause: 'misaligned' });
    const db = await BraidDB.open(path);
    new BraidData(db, { name: 'downstream', derivedFrom: 3 });
    await db.close();
  });
  after(() => rmSync(directory, { recursive: true }));

  it('extracts a version with what it comes from, and nothing that came later', async () => {
    const part = file('part.db');
    const report = await extract(path, 'name:braggnn@step=1', part);
    assert.deepEqual([report.records, report.versions, report.runs, report.invalidations], [4, 2, 1, 0]);
    assert.deepEqual(problemsOf(part), []);
    reading(part, (reader) => {
      assert.deepEqual(Array.from(reader.records(), ({ name }) => name), ['braggnn-config', 'braggnn', 'braggnn-scan-0', 'braggnn-scan-1']); // prettier-ignore
      assert.notEqual(
        reader.uuid,
        reading(path, (reader) => reader.uuid),
      );
      assert.equal(reader.byOrigin(path, 2), 2);
      assert.equal(reader.version('name:braggnn@2')?.uris[0], 'file:///checkpoint/1');
    });
    // It can be gone on with, and its ids are nobody's else.
    await job(part, 1, 'later');
    assert.deepEqual(problemsOf(part), []);
    await merge(path, part, { dryRun: true });
  });

  it('extracts what a run has recorded, with what it comes from', async () => {
    const part = file('of-run.db');
    const [, second] = reading(path, (reader) => reader.runs());
    const { code: ended, stderr } = await braidInThread(['extract', path, '--run', second.id.slice(0, 8), '-o', part]);
    assert.deepEqual([ended, stderr], [0, '']);
    assert.deepEqual(problemsOf(part), []);
    const idsOf = (path: string, expression: string) =>
      reading(path, (reader) => Array.from(reader.search(`(${expression}) and kind!=version`), ({ id }) => id));
    const expected = reading(path, (reader) => {
      const made = Array.from(reader.search(`run=${second.id}`), ({ id }) => id);
      const all = made.flatMap((id) => [id, ...Array.from(reader.ancestors(id), ({ id }) => id)]);
      return [...new Set(all)].sort((a, b) => a - b);
    });
    assert.ok(expected.length > 0 && expected.length < idsOf(path, 'valid or invalid').length);
    assert.deepEqual(idsOf(part, 'valid or invalid'), expected);
    await assert.rejects(extract(path, [], file('no.db'), { run: 'f'.repeat(32) }), code('ERR_BRAID_NO_SUCH_RUN'));
    await assert.rejects(extract(path, [], file('no.db')), code('ERR_BRAID_NO_SUCH_RECORD'));
  });

  it('extracts why something is invalid, and does not write over a file by mistake', async () => {
    const part = file('invalid.db');
    const extracted = await braidInThread(['extract', path, 'name:braggnn-peaks-3', 'name:other', '-o', part]);
    assert.deepEqual([extracted.code, extracted.stderr], [0, '']);
    assert.match(extracted.stdout, /^written to .*: 2 runs, 11 records, 6 versions, .* 1 invalidation\n$/);
    assert.equal(
      reading(part, (reader) => reader.invalidation('name:braggnn-peaks-3')?.cause),
      'misaligned',
    );
    await assert.rejects(extract(path, 'name:other', part), code('ERR_BRAID_DB_EXISTS'));
    await assert.rejects(extract(path, 'name:other', path, { force: true }), code('ERR_BRAID_OPTION_INVALID'));
    await assert.rejects(extract(path, 'name:nobody', part, { force: true }), code('ERR_BRAID_NO_SUCH_RECORD'));
    assert.equal((await extract(path, 'name:other-config', part, { force: true })).records, 1);
    assert.deepEqual(problemsOf(part), []);
  });

  it('prunes what is not needed, and names what needs the rest', async () => {
    const whole = file('whole.db');
    copyFileSync(path, whole);
    const was = contentOf(whole);
    const [run] = reading(whole, (reader) => reader.runs().map(({ id }) => id));
    await assert.rejects(prune(whole, { run }), (error: BraidError) => error.code === 'ERR_BRAID_PRUNE_NEEDED' && error.message.includes(': 17 (downstream). Nothing')); // prettier-ignore
    await assert.rejects(prune(whole, {}), code('ERR_BRAID_OPTION_INVALID'));
    await assert.rejects(prune(whole, { run: 'f'.repeat(32) }), code('ERR_BRAID_NO_SUCH_RUN'));
    const dry = await prune(whole, { run, keepNeeded: true, dryRun: true });
    assert.deepEqual([dry.records, dry.versions, dry.needed], [8, 4, 2]);
    assert.deepEqual(contentOf(whole), was);
    // All that derives from a bad scan is invalid: nothing that is kept needs it.
    const pruned = await braidInThread(['prune', whole, '--invalid', '--vacuum']);
    assert.deepEqual([pruned.code, pruned.stderr], [0, '']);
    assert.match(pruned.stdout, /^cut from .*: 3 records, 2 versions, /);
    assert.deepEqual(problemsOf(whole), []);
    assert.equal((await prune(whole, { run, keepNeeded: true })).records, 5);
    assert.deepEqual(problemsOf(whole), []);
    reading(whole, (reader) => {
      assert.deepEqual([reader.runs().length, Array.from(reader.records()).length], [3, 9]);
      assert.deepEqual(Array.from(reader.search('invalid')), []);
    });
    // The ids stay used up.
    const db = await BraidDB.open(whole);
    assert.ok(new BraidData(db, { name: 'next' }).id > 17);
    await db.flush();
    await assert.rejects(prune(whole, { invalid: true }), code('ERR_BRAID_RUN_ALIVE'));
    await db.close();
    await prune(whole, { before: new Date(Date.now() + 1000) });
    assert.deepEqual([problemsOf(whole), contentOf(whole).records], [[], []]);
  });

  it('merges what was pruned again, where it still is', async () => {
    const [out, cut] = [file('out.db'), file('cut.db')];
    await merge(out, path);
    copyFileSync(out, cut);
    await prune(cut, { invalid: true });
    assert.ok(query<{ records: number }>(cut, 'SELECT sum(records) AS records FROM omissions')[0].records > 0);
    await merge(cut, path);
    assert.deepEqual(contentOf(cut), contentOf(out));
    assert.equal(verify(cut).problems.length, 0);
    const db = new Database(cut, { readonly: true });
    assert.equal(db.prepare('SELECT count(*) FROM omissions').pluck().get(), 0);
    db.close();
  });
});
