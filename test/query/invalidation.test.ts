import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import {
  BraidData,
  BraidDB,
  BraidFact,
  BraidModel,
  BraidReader,
  invalidate,
  revalidate,
  verify,
  type BraidError,
} from 'braid-mpi';
import Database from 'better-sqlite3';
import { braid, makeBraidDbFile } from '../cli/support.js';

const code = (code: string) => (error: BraidError) => error.code === code;

describe('invalidation', function () {
  this.timeout(60_000);
  let directory: string;
  let path: string;
  let count = 0;
  let db: BraidDB;
  before(() => (directory = mkdtempSync(join(tmpdir(), 'braid-invalidate-'))));
  after(() => rmSync(directory, { recursive: true }));
  beforeEach(async () => {
    path = join(directory, `${count++}.db`);
    db = await BraidDB.open(path);
  });
  afterEach(() => db.close());

  const invalid = () => {
    const reader = BraidReader.open(path);
    try {
      return Array.from(reader.records(), ({ name, valid }) => (valid ? '' : name)).filter((name) => name !== '');
    } finally {
      reader.close();
    }
  };

  it('of a version goes to the later ones and what was made with them, and not to the model or what came before', async () => {
    const scans = [1, 2, 3].map((i) => new BraidData(db, { name: `scan-${i}` }));
    const model = new BraidModel(db, { name: 'm' });
    const versions: string[] = [];
    for (const [step, scan] of scans.entries()) {
      versions.push(model.update(scan, { step }).key);
      new BraidData(db, { name: `made-${step}`, derivedFrom: model });
    }
    model.at({ step: 1 }).invalidate({ cause: 'learning rate' });
    await db.flush();
    assert.deepEqual(invalid(), ['made-1', 'made-2']);
    const reader = BraidReader.open(path);
    assert.deepEqual(Array.from(reader.versions(model.id), ({ step, valid }) => [step, valid]), [[0, true], [1, false], [2, false]]); // prettier-ignore
    const { own, version, cause, record } = reader.invalidation(versions[2])!;
    assert.deepEqual(
      { own, version, cause, record },
      { own: false, version: 2, cause: 'learning rate', record: model.id },
    );
    assert.equal(reader.invalidation(`${model.id}@1`), undefined);
    assert.deepEqual(Array.from(reader.descendants(scans[1].id), ({ name, valid }) => `${name}:${valid}`), ['m:false', 'made-1:false', 'm:false', 'made-2:false']); // prettier-ignore
    reader.close();
    // A later update goes on from what is invalid, and what is committed with it derives from it.
    model.update(new BraidData(db, { name: 'scan-4' }), { step: 3 });
    new BraidData(db, { name: 'made-3', derivedFrom: model });
    await db.flush();
    assert.deepEqual(invalid(), ['made-1', 'made-2', 'made-3']);
    assert.deepEqual(verify(path).problems, []);
  });

  it('includes what may derive from it, and says so', async () => {
    const model = new BraidModel(db, { name: 'm' });
    const version = model.update(new BraidData(db, { name: 's' }), { step: 1 });
    // An id of another rank says nothing of what it had seen.
    const blind = new BraidData(db, { name: 'blind' });
    await db.flush();
    await db.close();
    db = await BraidDB.open(path);
    new BraidData(db, { name: 'maybe', derivedFrom: model.id });
    await db.flush();
    const report = await invalidate(path, { key: version.key }, { cause: 'x' });
    assert.deepEqual({ ...report, invalidations: report.invalidations.length }, { records: 1, versions: 1, inferred: 1, invalidations: 1, dryRun: false, actions: [] }); // prettier-ignore
    const reader = BraidReader.open(path);
    assert.equal(reader.invalidation('name:maybe')?.inferred, true);
    assert.equal(reader.invalidation(blind.id), undefined);
    reader.close();
  });

  it('keeps the first cause, goes on behind what did not cascade, and is the same by the library in a run and without', async () => {
    const [a, b] = ['a', 'b'].map((name) => new BraidData(db, { name }));
    const c = new BraidData(db, { name: 'c', derivedFrom: [a, b] });
    const d = new BraidData(db, { name: 'd', derivedFrom: c });
    c.invalidate({ cause: 'first', cascade: false });
    await db.flush();
    assert.deepEqual(invalid(), ['c']);
    assert.deepEqual(Object.entries(await invalidate(path, b.id, { cause: 'second' })).slice(0, 2), [['records', 2], ['versions', 0]]); // prettier-ignore
    a.invalidate({ cause: 'third' });
    const late = new BraidData(db, { name: 'late', derivedFrom: c });
    await db.flush();
    const reader = BraidReader.open(path);
    assert.deepEqual([a, b, c, d, late].map(({ id }) => reader.invalidation(id)?.cause), ['third', 'second', 'first', 'second', 'second']); // prettier-ignore
    assert.equal(reader.invalidations().length, 3);
    reader.close();
    // What one taken back had reached is reached by another.
    assert.deepEqual(Object.entries(revalidate(path, b.id, { reason: 'r' })).slice(0, 2), [
      ['records', 1],
      ['versions', 0],
    ]);
    assert.deepEqual(invalid(), ['a', 'c', 'd', 'late']);
    assert.throws(() => revalidate(path, d.id, { reason: 'r' }), (error: BraidError) => error.code === 'ERR_BRAID_NOT_INVALIDATED' && error.message.includes(`revalidate ${a.id}`)); // prettier-ignore
    assert.throws(() => revalidate(path, b.id, { reason: 'r' }), code('ERR_BRAID_NOT_INVALIDATED'));
    revalidate(path, [a.id, c.id], { reason: 'looked again' });
    new BraidData(db, { name: 'later', derivedFrom: [a, c] });
    await db.flush();
    assert.deepEqual(invalid(), []);
    const again = BraidReader.open(path);
    assert.deepEqual(again.invalidations().map(({ cause, revalidated }) => [cause, revalidated?.reason]), [['first', 'looked again'], ['second', 'r'], ['third', 'looked again']]); // prettier-ignore
    again.close();
    assert.deepEqual(verify(path).problems, []);
  });

  it('goes by tag as key and value, typed; a dry run says what the real one does, and changes no byte', async () => {
    for (const detector of [2, '2', 3]) {
      const scan = new BraidData(db, { name: `of ${JSON.stringify(detector)}`, tags: { detector } });
      new BraidData(db, { name: `from ${JSON.stringify(detector)}`, derivedFrom: scan });
    }
    await db.close();
    const bytes = readFileSync(path);
    const which = { tag: { detector: 2 } };
    const { invalidations, dryRun, ...counts } = await invalidate(path, which, { cause: 'pixels', dryRun: true });
    const shown = await braid(['invalidate', path, '--tag', 'detector=2', '--cause', 'pixels', '--dry-run']);
    assert.match(
      shown.stdout,
      /^ {2}0 {2}\[1\] data of 2 .*\n {2}1 .*from 2.*\n2 records and versions would become invalid\n$/,
    );
    assert.deepEqual(readFileSync(path), bytes);
    assert.deepEqual([invalidations, dryRun], [[], true]);
    const real = await invalidate(path, which, { cause: 'pixels' });
    assert.deepEqual({ ...real, invalidations, dryRun }, { ...counts, invalidations, dryRun });
    assert.deepEqual(invalid(), ['of 2', 'from 2']);
    await assert.rejects(invalidate(path, { tag: { detector: 9 } }, { cause: 'x' }), code('ERR_BRAID_NO_SUCH_RECORD'));
    // Against one that came later nothing was said.
    const again = await BraidDB.open(path);
    new BraidData(again, { name: 'later', tags: { detector: 2 } });
    await again.close();
    assert.equal(revalidate(path, which, { reason: 'in order' }).records, 2);
    assert.deepEqual(invalid(), []);
    assert.throws(() => revalidate(path, which, { reason: 'in order' }), code('ERR_BRAID_NOT_INVALIDATED'));
  });

  it('goes by tag to versions, too, and from them to what goes on from them', async () => {
    const model = new BraidModel(db, { name: 'm', tags: { rate: 0.5 } });
    new BraidData(db, { name: 'scan', tags: { rate: 0.2 } });
    for (const [step, rate] of [0.1, 0.2, 0.3].entries()) {
      model.update([], { step, tags: { rate } });
      new BraidData(db, { name: `made-${step}`, derivedFrom: model });
    }
    await db.close();
    const which = { tag: { rate: 0.2 } };
    const { invalidations, records, versions } = await invalidate(path, which, { cause: 'too high' });
    assert.deepEqual([invalidations.length, records, versions], [2, 3, 2]);
    assert.deepEqual(invalid(), ['scan', 'made-1', 'made-2']);
    const reader = BraidReader.open(path);
    assert.deepEqual(Array.from(reader.versions(model.id), ({ valid }) => valid), [true, false, false]); // prettier-ignore
    assert.deepEqual(
      Array.from(reader.search('invalid and kind=model'), ({ version }) => version),
      [2, 3],
    );
    reader.close();
    assert.deepEqual(revalidate(path, which, { reason: 'it was not' }), { records: 3, versions: 2, invalidations }); // prettier-ignore
    await assert.rejects(invalidate(path, { tag: {} }, { cause: 'x' }), code('ERR_BRAID_NO_SUCH_RECORD'));
    assert.deepEqual(verify(path).problems, []);
  });

  it('keeps all that was said, with what came of it, and lists it', async () => {
    const model = new BraidModel(db, { name: 'm' });
    const scan = new BraidData(db, { name: 'scan' });
    const made = new BraidData(db, { name: 'made', derivedFrom: scan });
    made.setInvalidationAction({ name: 'tell', type: 'shell', command: 'printf', args: ['%s gone', '{name}'] });
    for (let step = 0; step < 2; step++) model.update([], { step });
    await db.close();
    await invalidate(path, scan.id, { cause: 'misaligned', runActions: true });
    revalidate(path, scan.id, { reason: 'it was the other' });
    await invalidate(path, `${model.id}@2`, { cause: 'diverged\n', cascade: false });
    const reader = BraidReader.open(path);
    try {
      const [first, second, ...more] = reader.invalidations();
      assert.deepEqual(more, []);
      assert.deepEqual([first.record, first.name, first.cause, first.cascade, first.revalidated?.reason], [scan.id, 'scan', 'misaligned', true, 'it was the other']); // prettier-ignore
      const [{ started, ended, ...action }, ...others] = first.actions;
      assert.deepEqual([action, others], [{ record: made.id, name: 'tell', type: 'shell', outcome: 'succeeded', status: 0, output: 'made gone' }, []]); // prettier-ignore
      assert.ok(ended! >= started);
      assert.deepEqual([second.record, second.version, second.cascade, second.actions], [model.id, 2, false, []]);
      const of = (node: string | number) => reader.invalidations(node).map(({ cause }) => cause);
      assert.deepEqual([of(scan.id), of(made.id), of(model.id), of(`${model.id}@1`), of(`${model.id}@2`)], [['misaligned'], [], ['diverged\n'], [], ['diverged\n']]); // prettier-ignore
    } finally {
      reader.close();
    }
    await invalidate(path, scan.id, { cause: 'misaligned again' });
    const { stdout } = await braid(['invalidations', path, String(made.id)]);
    assert.match(stdout, /^[\d-]+ [\d:.]+ {2}\[\d\] scan {2}misaligned again\n$/);
    const all = await braid(['invalidations', path]);
    assert.match(
      all.stdout,
      /^.* scan {2}misaligned\n {2}action tell of \[\d\]: succeeded \(0\) {2}made gone\n {2}taken back .*: it was the other\n.* m@2 step 1 {2}diverged\\n {2}\(not what derives from it\)\n.* scan {2}misaligned again\n$/,
    );
    assert.deepEqual(verify(path).problems, []);
  });

  it('refuses what it cannot do before it writes anything', async () => {
    const { id } = new BraidFact(db, { name: 'a' });
    await db.flush();
    for (const cause of ['', undefined, 3] as string[]) {
      await assert.rejects(invalidate(path, id, { cause }), code('ERR_BRAID_CAUSE_INVALID'));
      assert.throws(() => revalidate(path, id, { reason: cause }), code('ERR_BRAID_CAUSE_INVALID'));
    }
    await assert.rejects(invalidate(path, id, { cause: '\0' }), code('ERR_BRAID_TEXT_INVALID'));
    await assert.rejects(invalidate(path, [], { cause: 'x' }), code('ERR_BRAID_NO_SUCH_RECORD'));
    await assert.rejects(invalidate(path, [id, 999], { cause: 'x' }), code('ERR_BRAID_NO_SUCH_RECORD'));
    await assert.rejects(invalidate(path, `${id}@7`, { cause: 'x' }), code('ERR_BRAID_NO_SUCH_VERSION'));
    await assert.rejects(invalidate(path, id, { cause: 'x', actionTimeoutMs: 0 }), code('ERR_BRAID_OPTION_INVALID'));
    await assert.rejects(
      invalidate(path, id, { cause: 'x', actionUrls: ['ftp://x'] }),
      code('ERR_BRAID_OPTION_INVALID'),
    );
    await assert.rejects(invalidate(join(directory, 'none.db'), id, { cause: 'x' }), code('ERR_BRAID_DB_NOT_FOUND'));
    const foreign = join(directory, 'foreign.db');
    makeBraidDbFile(foreign);
    const bytes = readFileSync(foreign);
    await assert.rejects(invalidate(foreign, 1, { cause: 'x' }), code('ERR_BRAID_DB_FOREIGN'));
    assert.deepEqual(readFileSync(foreign), bytes);
    assert.deepEqual(invalid(), []);
    const data = new BraidData(db, { name: 'd' });
    const wrong = (action: object) => assert.throws(() => data.setInvalidationAction(action as never), code('ERR_BRAID_ACTION_INVALID')); // prettier-ignore
    wrong({ type: 'run', command: 'x' });
    wrong({ type: 'shell' });
    wrong({ type: 'shell', command: 'x', args: [1] });
    wrong({ type: 'event', command: 'file:///etc/passwd' });
    wrong({ type: 'event', command: 'http://u:secret@localhost/' });
    wrong({ type: 'event', command: 'http://u@localhost/' });
    wrong({ type: 'shell', command: 'x', argz: [] });
  });

  it('by the command line names what it did, and takes it back', async () => {
    const scan = new BraidData(db, { name: 'scan' });
    const model = new BraidModel(db, { name: 'm' });
    model.update(scan, { step: 1 });
    model.update(new BraidData(db, { name: 'other' }), { step: 2 });
    await db.close();
    const done = await braid(['invalidate', path, 'name:m@step=2', '--cause', 'x']);
    assert.equal(done.stdout, '1 version has become invalid\n');
    const json = await braid(['invalidate', path, 'name:scan', '--cause', 'y', '--json']);
    assert.equal((JSON.parse(json.stdout) as { versions: number }).versions, 1);
    assert.equal((await braid(['revalidate', path, 'name:m@2', '--reason', 'r'])).stdout, 'taken back; what it had reached is invalid for other causes, too\n'); // prettier-ignore
    assert.equal((await braid(['revalidate', path, 'name:scan', '--reason', 'r'])).stdout, '1 record and 2 versions are valid again\n'); // prettier-ignore
    const wrong = await braid(['invalidate', path, '--cause', 'x']);
    assert.deepEqual([wrong.code, wrong.stderr.split(':')[1]], [2, ' ERR_BRAID_OPTION_INVALID']);
    assert.equal((await braid(['revalidate', path, 'name:scan', '--reason', 'r'])).code, 1);
  });

  describe('actions', () => {
    const runs = () => {
      const tables = new Database(path, { readonly: true });
      try {
        return tables
          .prepare('SELECT record_id, outcome, status, output FROM action_runs ORDER BY action_run_id')
          .all();
      } finally {
        tables.close();
      }
    };
    const program = (script: string, ...args: string[]) => ({
      type: 'shell' as const,
      name: 'test',
      command: process.execPath,
      args: ['-e', script, ...args],
    });

    it('put what a record has into their arguments, each as one, by no shell, and run only when that is asked for', async () => {
      const hostile = '$(touch pwned) "; rm -rf . #';
      const data = new BraidData(db, { name: hostile, uris: ['file:///a', 'file:///b'], tags: { loss: 0.5 } });
      data.setInvalidationAction(program('process.exit(3)'));
      data.setInvalidationAction(program('console.log(JSON.stringify(process.argv.slice(1)))', '{name}', 'u={uri}', '{loss}/{id}', '{"a": 1}')); // prettier-ignore
      const derived = new BraidData(db, { name: 'derived', derivedFrom: data });
      derived.setInvalidationAction(program('process.exit(3)'));
      const broken = new BraidData(db, { name: 'broken', derivedFrom: derived });
      broken.setInvalidationAction(program('', '{energy}'));
      const missing = new BraidData(db, { name: 'missing', derivedFrom: derived });
      missing.setInvalidationAction({ type: 'shell', command: '/no/such/program' });
      await db.flush();
      const without = await invalidate(path, missing.id, { cause: 'alone' });
      assert.deepEqual(without.actions, []);
      const { actions } = await invalidate(path, data.id, { cause: 'x', runActions: true });
      assert.deepEqual(actions.map(({ record, outcome, status }) => [record, outcome, status]), [[data.id, 'succeeded', 0], [derived.id, 'failed', 3], [broken.id, 'failed', undefined], [missing.id, 'failed', undefined]]); // prettier-ignore
      assert.deepEqual(JSON.parse(actions[0].output), [
        hostile,
        'u=file:///a',
        'u=file:///b',
        `0.5/${data.id}`,
        '{"a": 1}',
      ]);
      assert.match(actions[2].output, /no tag energy/);
      assert.equal(runs().length, 4);
      assert.ok(!existsSync('pwned'));
      assert.equal(invalid().length, 4);
      assert.deepEqual(verify(path).problems, []);
    });

    it('put tags in the place of any key of theirs, each once, and say what is none', async () => {
      const tags = { 'k v': 'a b;c', 'a': '{name}', 'a}{b': '$&', '(x|y)*': '$(id)', ' ': 'blank', 'q":,\'': "it's", '\n': '\\', 'é ü': 1, ['__proto__']: 'p' }; // prettier-ignore
      const data = new BraidData(db, { name: 'd {k v}', tags });
      const args = [
        ...Object.keys(tags).map((key) => `<{${key}}>`),
        '{name}',
        '{"a": 1}',
        '{ print }',
        '{a}{k v}{a}',
        '{}',
      ];
      data.setInvalidationAction(program('console.log(JSON.stringify(process.argv.slice(1)))', ...args));
      await db.flush();
      const { actions } = await invalidate(path, data.id, { cause: 'x', runActions: true });
      const put = Object.values(tags).map((value) => `<${value}>`);
      assert.deepEqual(JSON.parse(actions[0].output), [...put, 'd {k v}', '{"a": 1}', '{ print }', '{name}a b;c{name}', '{}']); // prettier-ignore
      const without = new BraidData(db, { name: 'without' });
      without.setInvalidationAction({ type: 'shell', command: 'echo', args: ['{k v}'] });
      await db.flush();
      const failed = await invalidate(path, without.id, { cause: 'x', runActions: true });
      assert.equal(failed.actions[0].outcome, 'failed');
      assert.match(failed.actions[0].output, /no tag k v, .*\{ k v \}/);
    });

    it('are shown by the command line with what they have put out, cut where it is long', async () => {
      const long = 'head -c 100000 /dev/zero | tr "\\0" x';
      const scripts = ['true', 'echo one', 'printf "\\033[31mred\\nsecond\\n"', long, 'seq 13'];
      for (const script of scripts) {
        const data = new BraidData(db, { name: 'd', tags: { bad: true } });
        data.setInvalidationAction({ type: 'shell', name: 'says', command: 'sh', args: ['-c', script] });
      }
      await db.flush();
      const { stdout } = await braid(['invalidate', path, '--tag', 'bad=true', '--cause', 'x', '--run-actions']);
      const head = (id: number) => `  action says of [${id}]: succeeded (0)`;
      assert.deepEqual(stdout.split('\n').slice(1, -1), [
        head(1), `${head(2)}  one`, head(3), '    \\x1b[31mred', '    second', `${head(4)}  ${'x'.repeat(200)}…`,
        head(5), ...Array.from({ length: 10 }, (_, i) => `    ${i + 1}`), '    … 3 more lines: --json shows all that is kept',
      ]); // prettier-ignore
    });

    it('run once for an invalidation, whoever has invalidated, and of what is invalid already', async () => {
      const log = join(directory, `${count}.log`);
      const says = { type: 'shell' as const, command: 'sh', args: ['-c', 'echo "$1" >> "$2"', 'sh', '{name}', log] };
      const logged = () => (existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(0, -1) : []);
      const [scan, other] = ['scan', 'other'].map((name) => new BraidData(db, { name }));
      scan.setInvalidationAction(says);
      new BraidData(db, { name: 'peaks', derivedFrom: scan }).setInvalidationAction(says);
      other.setInvalidationAction(says);
      for (const record of [scan, other]) record.invalidate({ cause: 'by the job' });
      await db.flush();
      assert.deepEqual((await invalidate(path, scan.id, { cause: 'x', cascade: false, runActions: true })).actions.length, 1); // prettier-ignore
      assert.deepEqual(logged(), ['scan']);
      // As of a process that has ended in the midst of it.
      const tables = new Database(path);
      tables.exec(`UPDATE action_runs SET outcome = 'begun', ended = started, status = NULL, output = ''`);
      tables.close();
      const { actions, records } = await invalidate(path, scan.id, { cause: 'x', runActions: true });
      assert.deepEqual([records, ...actions.map(({ record, outcome }) => [record, outcome])], [0, [scan.id, 'begun'], [scan.id + 2, 'succeeded']]); // prettier-ignore
      assert.match(actions[0].output, /may have run.*--retry-actions/);
      const shown = await braid(['invalidate', path, String(scan.id), '--cause', 'x', '--run-actions']);
      assert.equal(shown.code, 1);
      assert.match(
        shown.stdout,
        /^nothing has become invalid: it was already\n {2}action sh of \[1\]: begun\b.*may have run/,
      );
      assert.deepEqual(logged(), ['scan', 'peaks']);
      await invalidate(path, scan.id, { cause: 'x', runActions: 'retry' });
      assert.deepEqual((await invalidate(path, scan.id, { cause: 'x', runActions: true })).actions, []);
      assert.deepEqual(logged(), ['scan', 'peaks', 'scan']);
      assert.deepEqual(verify(path).problems, []);
      // Another invalidation is another one.
      revalidate(path, scan.id, { reason: 'r' });
      await invalidate(path, scan.id, { cause: 'again', runActions: true });
      assert.deepEqual(logged(), ['scan', 'peaks', 'scan', 'scan', 'peaks']);
      await assert.rejects(invalidate(path, scan.id, { cause: 'x', runActions: 'yes' as never }), code('ERR_BRAID_OPTION_INVALID')); // prettier-ignore
    });

    it('are not begun, nor stored, after an end was asked for; and what was refused, or failed, may be tried again', async () => {
      const data = new BraidData(db, { name: 'd' });
      data.setInvalidationAction({ type: 'shell', command: 'false' });
      const event = new BraidData(db, { name: 'e', derivedFrom: data });
      event.setInvalidationAction({ type: 'event', command: 'http://127.0.0.1:1/hook' });
      await db.flush();
      const outcomes = async (options: object) =>
        (await invalidate(path, data.id, { cause: 'x', runActions: true, ...options })).actions.map(({ outcome }) => outcome); // prettier-ignore
      assert.deepEqual(await outcomes({ signal: AbortSignal.abort() }), ['interrupted', 'interrupted']);
      assert.deepEqual(runs(), []);
      assert.deepEqual(await outcomes({}), ['failed', 'refused']);
      assert.deepEqual(await outcomes({}), ['refused']);
      assert.deepEqual(await outcomes({ runActions: 'retry' }), ['failed', 'refused']);
    });

    it('run for the cause that a record has, and what came of the one before stays', async () => {
      const [a, b] = ['a', 'b'].map((name) => new BraidData(db, { name }));
      const c = new BraidData(db, { name: 'c', derivedFrom: [a, b] });
      c.setInvalidationAction(program('console.log(1)'));
      await db.flush();
      // Said first, and committed last.
      a.invalidate({ cause: 'first' });
      const ran = async (what: BraidData) => (await invalidate(path, what.id, { cause: 'x', runActions: true })).actions.map(({ record }) => record); // prettier-ignore
      assert.deepEqual(await ran(b), [c.id]);
      await db.flush();
      assert.deepEqual(verify(path).problems, []);
      assert.deepEqual(await ran(b), [c.id]);
      assert.deepEqual(await ran(a), []);
    });

    it('of a model run once where versions of it become invalid', async () => {
      const scans = [0, 1, 2].map((i) => new BraidData(db, { name: `scan-${i}` }));
      const model = new BraidModel(db, { name: 'm', tags: { arch: 'cnn' } });
      model.setInvalidationAction(program('console.log(process.argv[1])', '{name} {arch}'));
      for (const [step, scan] of scans.entries()) model.update(scan, { step });
      await db.flush();
      const ran = async (what: string | number, options = {}) =>
        (await invalidate(path, what, { cause: 'x', runActions: true, ...options })).actions.map(({ record, output }) => [record, output]); // prettier-ignore
      assert.deepEqual(await ran(`${model.id}@2`), [[model.id, 'm cnn\n']]);
      assert.deepEqual(await ran(`${model.id}@2`), []);
      // The first version, and the model itself, become invalid for something else.
      assert.deepEqual(await ran(`${model.id}@1`, { cascade: false }), [[model.id, 'm cnn\n']]);
      assert.deepEqual(await ran(model.id), [[model.id, 'm cnn\n']]);
      assert.deepEqual(verify(path).problems, []);
    });

    it('are ended with all that they have started when their time is over', async () => {
      const data = new BraidData(db, { name: 'slow' });
      const child = `require('child_process').spawn('sleep', ['4711'], { stdio: 'inherit' }); console.log('begun'); setInterval(() => {}, 1000); process.on('SIGTERM', () => {})`;
      data.setInvalidationAction(program(child));
      await db.flush();
      const { actions } = await invalidate(path, data.id, { cause: 'x', runActions: true, actionTimeoutMs: 700 });
      assert.deepEqual([actions[0].outcome, actions[0].output], ['timeout', 'begun\n']);
      const { stdout } = spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' });
      assert.ok(!/^sleep 4711/m.test(stdout));
      const endless = new BraidData(db, { name: 'endless' });
      endless.setInvalidationAction(program("process.stdout.write('x'.repeat(1e6)); setInterval(() => {}, 1000)"));
      await db.flush();
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 700);
      const stopped = await invalidate(path, endless.id, { cause: 'x', runActions: true, signal: stop.signal });
      assert.deepEqual([stopped.actions[0].outcome, stopped.actions[0].output.length], ['interrupted', 16 * 1024]);
    });

    it('send an event to a server that is allowed, again where it fails, and to no other', async () => {
      const bodies: string[] = [];
      const server: Server = createServer((request, response) => {
        let body = '';
        request.on('data', (chunk) => (body += String(chunk)));
        request.on('end', () => {
          bodies.push(body);
          if (request.url === '/hooks/moved') response.writeHead(302, { location: '/secret' });
          else if (request.url === '/hooks/wrong') response.statusCode = 400;
          else if (request.url === '/hooks/slow') return;
          else if (bodies.length === 1) response.statusCode = 503;
          response.end('heard');
        });
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const send = async (url: string, options = {}) => {
        const data = new BraidData(db, { name: 'd', uris: ['file:///d'], tags: { big: 2n ** 60n } });
        data.setInvalidationAction({ type: 'event', command: origin + url, args: ['{uri}'] });
        await db.flush();
        const report = await invalidate(path, data.id, { cause: 'x', runActions: true, actionUrls: [`${origin}/hooks`], ...options }); // prettier-ignore
        const [{ outcome, status, output }] = report.actions;
        return { id: data.id, came: [outcome, status, output] };
      };
      try {
        const { id, came } = await send('/hooks/a');
        assert.deepEqual(came, ['succeeded', 200, 'heard']);
        assert.equal(bodies.length, 2);
        const event = JSON.parse(bodies[1]) as Record<string, never>;
        assert.deepEqual([event.event, (event.record as { id: number }).id, event.cause, event.args], ['invalidation', id, 'x', ['file:///d']]); // prettier-ignore
        assert.deepEqual((await send('/hooks/wrong')).came, ['failed', 400, 'heard']);
        assert.deepEqual((await send('/hooks/moved')).came, ['failed', 302, 'heard']);
        assert.equal(bodies.length, 4);
        assert.equal((await send('/hooks/slow', { actionTimeoutMs: 500 })).came[0], 'timeout');
        for (const url of ['/hooksmore', '/hooks/../secret', '/']) assert.equal((await send(url)).came[0], 'refused');
        assert.equal((await send('/hooks/a', { actionUrls: undefined })).came[0], 'refused');
        assert.equal(bodies.length, 5);
      } finally {
        server.closeAllConnections();
        server.close();
      }
    });
  });

  it('finds what is not as it should be', async () => {
    const scan = new BraidData(db, { name: 'scan' });
    new BraidData(db, { name: 'derived', derivedFrom: scan });
    new BraidModel(db, { name: 'm' }).update(scan);
    scan.invalidate({ cause: 'x' });
    await db.close();
    const problems = (...sql: string[]) => {
      const copy = join(directory, `${count++}.db`);
      const source = new Database(path);
      source.exec(`VACUUM INTO '${copy}'`);
      source.close();
      const changed = new Database(copy);
      changed.exec(`PRAGMA foreign_keys = OFF; ${sql.join(';')}`);
      changed.close();
      return verify(copy).problems.map(({ check }) => check);
    };
    assert.deepEqual(problems('SELECT 1'), []);
    assert.deepEqual(problems("UPDATE records SET invalidation_id = NULL WHERE name = 'derived'"), ['validity']);
    assert.deepEqual(problems('UPDATE versions SET invalidation_id = NULL'), ['validity']);
    assert.deepEqual(problems('DELETE FROM invalidation_reach WHERE node = 2'), ['validity']);
    assert.deepEqual(problems('UPDATE invalidation_requests SET done = 0'), ['validity', 'validity']);
    assert.deepEqual(problems("INSERT INTO revalidations SELECT id, 'r', time FROM invalidation_requests"), ['validity', 'validity']); // prettier-ignore
    assert.deepEqual(problems('UPDATE derivations SET stated = 0'), ['references']);
    assert.deepEqual(problems('DELETE FROM derivations WHERE NOT stated'), ['references']);
    assert.deepEqual(problems("UPDATE versions SET invalidation_id = 'none'"), ['references']);
  });
});
