import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  BraidDB,
  BraidData,
  BraidFact,
  BraidModel,
  BraidReader,
  exportDatabase,
  importDocument,
  invalidate,
  merge,
  prune,
  recover,
  revalidate,
  upgrade,
  verify,
} from 'braid-mpi';
import { braid, braidInThread, makeDirectory, query, sql } from '../cli/support.js';
import { pythonWith } from '../support/python.js';

const SCRIPT = fileURLToPath(new URL('../../../test/exchange/braid_db.py', import.meta.url));
const python = pythonWith('sqlmodel');

describe(`Braid-DB${python ? '' : ': there is no python3 with sqlmodel (Debian: python3-sqlmodel)'}`, function () {
  this.timeout(60_000);
  const directory = makeDirectory();
  before(function () {
    if (!python) this.skip();
  });
  after(() => directory.remove());

  /** What its tools print, one after the other; see braid_db.py. */
  const braidDb = async (path: string, ...commands: readonly string[]) => {
    const words = commands.flatMap((command) => ['--', ...command.split(' ')]).slice(1);
    return JSON.parse((await promisify(execFile)(python!, [SCRIPT, path, ...words])).stdout) as string[];
  };
  const toValidity = (printed: string) => JSON.parse(printed) as [id: number, cause: string, steps: number][];
  const sound = (path: string) => assert.deepEqual(verify(path).problems, []);

  describe('of what we have written', () => {
    const path = join(directory.path, 'ours.db');
    const time = new Date('2026-07-28T09:30:00.123Z');
    before(async () => {
      const db = await BraidDB.open(path, { mpi: 'off' });
      const config = new BraidFact(db, { name: 'config', uris: ['file:///cfg'], time });
      const model = new BraidModel(db, { name: 'model', derivedFrom: config, time });
      const scan = new BraidData(db, {
        name: 'Aufnahme №1',
        derivedFrom: config,
        tags: { frames: 1800, loss: 0.25, ok: true, detector: 'Eiger', big: 2n ** 62n, whole: 1 },
        time,
      });
      scan.addTag('float', 2, 'float').setInvalidationAction({ type: 'shell', command: 'quarantine', args: ['{uri}'] });
      model.update(scan, { step: 1 });
      new BraidData(db, { name: 'peaks', derivedFrom: model, time });
      await db.close();
    });

    it('prints it', async () => {
      const of = (id: number, name: string, derived: string) => `[${String(id).padStart(5)}] : ${name.padEnd(16)} 2026-07-28 09:30:00.123000 <- ${derived}`; // prettier-ignore
      assert.deepEqual((await braidDb(path, 'print'))[0].split('\n'), [
        of(1, 'config', '[2, 3]'),
        '          URI: file:///cfg',
        of(2, 'model', '[4]'),
        of(3, 'Aufnahme №1', '[2]'),
        ...['frames = 1800 (2)', 'loss = 0.25 (3)', 'ok = 1 (2)', 'detector = Eiger (1)', `big = ${2n ** 62n} (2)`, 'whole = 1 (2)', 'float = 2 (3)'].map((tag) => `          TAG: ${tag}`), // prettier-ignore
        of(4, 'peaks', '[]'),
        '',
      ]);
    });

    it('draws it', async () => {
      const lines = (await braidDb(path, 'mermaid 4'))[0].trim().split('\n');
      assert.equal(lines[0], 'graph TD');
      assert.deepEqual(lines.filter((line) => line.includes('-->')).toSorted(), ['record1-->record2', 'record1-->record3', 'record2-->record4', 'record3-->record2']); // prettier-ignore
    });

    it('sees what we invalidate, and why', async () => {
      const copy = join(directory.path, 'invalidated.db');
      copyFileSync(path, copy);
      await invalidate(copy, 3, { cause: 'misaligned' });
      // Of the model a version is invalid, of which it knows nothing, and what was made with that.
      assert.deepEqual(toValidity((await braidDb(copy, 'validity'))[0]), [[3, 'misaligned', 0], [4, 'misaligned', 1]]); // prettier-ignore
    });

    it('adds to it, which we read, and it invalidates, which we see', async () => {
      const copy = join(directory.path, 'added.db');
      copyFileSync(path, copy);
      const id = Number(await braidDb(copy, 'add'));
      sound(copy);
      const reader = BraidReader.open(copy);
      const { name, kind, uris, tags, run, time } = reader.record(id)!;
      assert.deepEqual({ name, kind, uris, tags, run }, { name: 'by Braid-DB', kind: 'record', uris: ['file:///theirs'], tags: { n: 5, x: 0.25, s: 'text' }, run: undefined }); // prettier-ignore
      assert.ok(Math.abs(Date.now() - time.getTime()) < 60_000);
      assert.deepEqual([...reader.ancestors(id)].map(({ name }) => name).slice(0, 2), ['peaks', 'model']);
      await braidDb(copy, 'invalidate 4 rejected');
      assert.deepEqual([reader.record(4)?.valid, reader.record(id)?.valid], [false, false]);
      const { cause, record, own } = reader.invalidation(id)!;
      assert.deepEqual({ cause, record, own }, { cause: 'rejected', record: 4, own: false });
      reader.close();
      sound(copy);
      // And the next run goes on behind its ids.
      const db = await BraidDB.open(copy, { mpi: 'off' });
      const next = new BraidData(db, { name: 'next', derivedFrom: id });
      await db.close();
      assert.ok(next.id > id);
      assert.match((await braidDb(copy, 'print'))[0], /by Braid-DB +\S+ \S+ <- \[\d+\]\n/);
    });
  });

  describe('in a database of ours, by turns', () => {
    const validity = (path: string) => {
      const reader = BraidReader.open(path);
      const found = [...reader.records()].map(({ name, valid }) => (valid ? name : `${name}: ${reader.invalidation(`name:${name}`)!.cause}`)); // prettier-ignore
      reader.close();
      return found;
    };
    const ours = async (name: string, names: readonly string[]) => {
      const path = join(directory.path, `${name}.db`);
      const db = await BraidDB.open(path, { mpi: 'off' });
      let last: BraidData | undefined;
      for (const each of names) last = new BraidData(db, { name: each, derivedFrom: last });
      await db.close();
      return path;
    };

    it('what it derives from what is invalid is invalid, by the next run or by braid recover', async () => {
      const path = await ours('below', ['a', 'b']);
      await invalidate(path, 'name:a', { cause: 'wrong' });
      await braidDb(path, 'add');
      const copy = `${path}.copy`;
      copyFileSync(path, copy);
      assert.match(verify(path).problems[0].message, /braid recover/);
      const db = await BraidDB.open(path, { mpi: 'off' });
      await db.close();
      assert.equal((await recover(copy, { dryRun: true })).invalidated, undefined);
      assert.equal((await recover(copy)).invalidated, 1);
      assert.equal((await recover(copy)).invalidated, undefined);
      for (const each of [path, copy]) {
        assert.deepEqual(validity(each), ['a: wrong', 'b: wrong', 'by Braid-DB: wrong']);
        sound(each);
      }
    });

    it('what it invalidates reaches what we record later, and can be taken back', async () => {
      const path = await ours('above', ['a', 'b', 'c', 'd']);
      await braidDb(path, 'invalidate 2 theirs');
      const db = await BraidDB.open(path, { mpi: 'off' });
      new BraidData(db, { name: 'e', derivedFrom: 4 });
      await db.close();
      assert.deepEqual(validity(path), ['a', 'b: theirs', 'c: theirs', 'd: theirs', 'e: theirs']);
      sound(path);
      await invalidate(path, 'name:a', { cause: 'ours' });
      assert.deepEqual(validity(path), ['a: ours', 'b: theirs', 'c: theirs', 'd: theirs', 'e: theirs']);
      revalidate(path, 'name:a', { reason: 'right' });
      assert.equal(revalidate(path, 'name:b', { reason: 'right' }).records, 4);
      assert.deepEqual(validity(path), ['a', 'b', 'c', 'd', 'e']);
      sound(path);
    });

    it('what it derives from what is invalid is pruned with that', async () => {
      const path = await ours('pruned', ['a', 'b']);
      await invalidate(path, 'name:a', { cause: 'wrong' });
      await braidDb(path, 'add');
      const { records } = await prune(path, { invalid: true });
      assert.equal(records, 3);
      assert.deepEqual(validity(path), []);
      sound(path);
    });

    it('what it has invalidated and then derived from is told in PROV as it is carried on', async () => {
      const path = await ours('told', ['a', 'b']);
      await braidDb(path, 'invalidate 2 theirs');
      await braidDb(path, 'add');
      const document = join(directory.path, 'told.json');
      await exportDatabase(path, document, { format: 'prov-json' });
      const imported = join(directory.path, 'told-again.db');
      await importDocument(imported, document);
      await recover(path);
      assert.deepEqual(validity(path), ['a', 'b: theirs', 'by Braid-DB: theirs']);
      assert.deepEqual(validity(imported).toSorted(), validity(path).toSorted());
    });

    it('what it has written is merged as if it had been carried on', async () => {
      const path = await ours('merged-in', ['a', 'b', 'c']);
      await invalidate(path, 'name:c', { cause: 'ours' });
      await braidDb(path, 'invalidate 1 theirs', 'add');
      const out = await ours('merged-out', ['other']);
      await merge(out, path);
      const is = validity(out);
      assert.deepEqual(is, ['other', 'a: theirs', 'b: theirs', 'c: ours', 'by Braid-DB: ours']);
      sound(out);
      const { records, invalidations } = await merge(out, path);
      assert.deepEqual([records, invalidations], [0, 0]);
      assert.deepEqual(validity(out), is);
      revalidate(out, 'name:c', { reason: 'right' });
      assert.deepEqual(validity(out), ['other', 'a: theirs', 'b: theirs', 'c: theirs', 'by Braid-DB: theirs']);
      revalidate(out, 'name:a', { reason: 'right' });
      assert.deepEqual(validity(out), ['other', 'a', 'b', 'c', 'by Braid-DB']);
      sound(out);
    });

    it('what it derives between records that were there is found by braid recover', async () => {
      const path = await ours('between', ['a']);
      const db = await BraidDB.open(path, { mpi: 'off' });
      new BraidData(db, { name: 'other' });
      await db.close();
      await invalidate(path, 'name:a', { cause: 'wrong' });
      sql(path, "INSERT INTO derivations (record_id, derivation, time) VALUES (1, 2, '2026-01-01 00:00:00.000000')");
      const { stdout } = await braidInThread(['recover', path]);
      assert.match(stdout, /Braid-DB has written to .*: 1 record that derive/);
      assert.deepEqual(validity(path), ['a: wrong', 'other: wrong']);
      sound(path);
    });
  });

  describe('of what it has written', () => {
    const path = join(directory.path, 'theirs.db');
    before(async () => {
      await braidDb(path, 'create', 'invalidate 3 misaligned');
    });

    it('is read', () => {
      const reader = BraidReader.open(path);
      const rows = [...reader.records()];
      assert.deepEqual(rows.map(({ name, valid }) => (valid ? name : `${name}, invalid`)), ['config', 'model, invalid', 'scan-0, invalid', 'scan-1', 'scan-2', 'peaks, invalid', 'alone']); // prettier-ignore
      assert.equal(rows[0].time.toISOString(), '2026-01-02T05:04:05.678Z');
      assert.deepEqual([rows[2].uris, rows[2].tags], [['file:///scan-0.h5'], { frames: 100, detector: 'Eiger', loss: 0.5 }]); // prettier-ignore
      assert.deepEqual(rows[5].tags, { big: 2n ** 70n, odd: 'nan' });
      assert.deepEqual([...reader.ancestors(6)].map(({ name }) => name), ['model', 'scan-2', 'config', 'scan-0', 'scan-1']); // prettier-ignore
      assert.deepEqual(
        [...reader.search('frames>=101 and valid')].map(({ id }) => id),
        [4, 5],
      );
      assert.deepEqual(reader.invalidation(6), { id: reader.invalidation(3)!.id, record: 3, name: 'scan-0', cause: 'misaligned', time: reader.invalidation(3)!.time, cascade: true, own: false }); // prettier-ignore
      reader.close();
    });

    const document = join(directory.path, 'prov.json');
    /** What every command does with it: an exit code, and what is printed, or the code of the error. */
    const COMMANDS: Readonly<Record<string, readonly [args: readonly string[], code: number, told: RegExp]>> = {
      create: [[path], 1, /ERR_BRAID_DB_EXISTS/],
      print: [[path], 0, /config .*<- \[2, 3, 4, 5\]/],
      search: [[path, 'loss<0.3'], 0, /scan-1[^]*scan-2/],
      tail: [[path, '--all', '--until-idle', '0.1'], 0, /scan-2/],
      stats: [[path], 0, /made by Braid-DB\nrecords 7 .*derivations 9 /],
      lineage: [[path, 'name:peaks'], 0, /config/],
      graph: [[path, '6', '--format', 'mermaid'], 0, /scan-2/],
      versions: [[path, 'name:model'], 0, /no versions/],
      why: [[path, '6', '1'], 0, /peaks \[6\].*derived from/],
      common: [[path, '3', '4'], 0, /config/],
      diff: [[path, '3', '6'], 0, /seen|scan-2/],
      statement: [[path, '6'], 0, /made by Braid-DB, which stores no kinds/],
      'check-statement': [[path, SCRIPT], 2, /ERR_BRAID_STATEMENT_INVALID/],
      invalidate: [[path, '3', '--cause', 'x'], 1, /ERR_BRAID_DB_FOREIGN.*braid upgrade/],
      revalidate: [[path, '3', '--reason', 'x'], 1, /ERR_BRAID_DB_FOREIGN.*braid upgrade/],
      invalidations: [[path], 0, /^[^\n]*\[3\] scan-0 {2}misaligned\n$/],
      export: [[path, '--format', 'csv'], 0, /scan-0/],
      verify: [[path], 0, /\(made by Braid-DB\) is sound/],
      recover: [[path], 0, /nothing to recover/],
      doctor: [[path], 1, /ERR_BRAID_DB_FOREIGN|braid upgrade/],
      upgrade: [[path, '--dry-run'], 0, /1 fact, 4 data, 1 model, 1 not known/],
      import: [[path, document], 1, /ERR_BRAID_DB_FOREIGN.*braid upgrade/],
      merge: [[join(directory.path, 'merged.db'), path], 0, /7 records, 9 derivations/],
      lookup: [[path, '1'], 0, /recorded here/],
      extract: [[path, '6', '-o', join(directory.path, 'part.db')], 0, /6 records/],
      prune: [[path, '--before', '2020-01-01'], 1, /ERR_BRAID_DB_FOREIGN.*braid upgrade/],
      serve: [['--db', path, '--port', '0'], 1, /ERR_BRAID_DB_FOREIGN.*braid upgrade/],
      // Its input comes first, and is empty here.
      call: [['add_records', '--db', path], 1, /ERR_BRAID_INPUT_INVALID/],
    };

    it('is taken by every command, or refused with what to do instead', async () => {
      const { stdout } = await braidInThread(['--help']);
      const commands = [...stdout.split(/^Commands:$/m)[1].matchAll(/^ {2}([a-z-]+) /gm)].map(([, name]) => name);
      const others = ['completion', 'help'];
      assert.deepEqual(Object.keys(COMMANDS).toSorted(), commands.filter((name) => !others.includes(name)).toSorted());
      writeFileSync(document, '{"prefix":{"ex":"http://example.org/"},"entity":{"ex:a":{}}}');
      for (const [command, [args, code, told]] of Object.entries(COMMANDS)) {
        // Who records has the main thread.
        const ended = await (command === 'serve' ? braid : braidInThread)([command, ...args]);
        assert.deepEqual(
          [command, ended.code, ended.stderr.includes('INTERNAL')],
          [command, code, false],
          ended.stderr,
        );
        assert.match(ended.stdout + ended.stderr, told, command);
      }
    });

    it('is read on by Braid-DB when it was upgraded, which adds to it and invalidates', async () => {
      const copy = join(directory.path, 'upgraded.db');
      copyFileSync(path, copy);
      const looks = ['print', 'mermaid 1', 'validity'];
      const [print, mermaid, validity] = await braidDb(copy, ...looks);
      const { kinds } = await upgrade(copy);
      assert.deepEqual(kinds, { fact: 1, data: 4, model: 1, record: 1 });
      const after = await braidDb(copy, ...looks, 'add', 'invalidate 1 all');
      assert.deepEqual(after.slice(0, 2), [print, mermaid]);
      const causes = (printed: string) => toValidity(printed).map(([id, cause]) => [id, cause]);
      assert.deepEqual(causes(after[2]), causes(validity));
      const actions = 'SELECT name, action_type, params, cmd FROM invalidation_actions';
      assert.deepEqual(query(copy, actions), query(path, actions));
      const id = Number(after[3]);
      assert.equal(id, 8);
      const db = await BraidDB.open(copy, { mpi: 'off' });
      new BraidData(db, { name: 'of a run', derivedFrom: id });
      await db.close();
      const reader = BraidReader.open(copy);
      assert.deepEqual(
        [...reader.ancestors('name:of a run')].map(({ name }) => name),
        ['by Braid-DB', 'alone'],
      );
      assert.equal(reader.record(1)?.valid, false);
      reader.close();
      sound(copy);
    });

    it('is read and upgraded as far as it goes where Python has written what is no text', async () => {
      const copy = join(directory.path, 'odd.db');
      copyFileSync(path, copy);
      sql(
        copy,
        "UPDATE records SET time = 17 WHERE record_id = 1; UPDATE records SET name = x'61ff' WHERE record_id = 2",
      );
      const problems = () => verify(copy).problems.map(({ message, ids }) => `${message}: ${ids!.join()}`);
      assert.equal(problems().length, 2);
      assert.match(problems()[0], /a time that is none.*: 1$/);
      assert.match(problems()[1], /that is no text.*: 2$/);
      const reader = BraidReader.open(copy);
      assert.equal(reader.record(1)!.time.getTime(), NaN);
      assert.throws(() => reader.record(2), { code: 'ERR_BRAID_DB_CORRUPT', message: /odd\.db.*braid verify/ });
      reader.close();
      await upgrade(copy);
      assert.equal(problems().length, 1);
      assert.match(problems()[0], /a time that is none.*: 1$/);
    });

    it('is not upgraded over tables of somebody by the names of ours', async () => {
      const copy = join(directory.path, 'clash.db');
      copyFileSync(path, copy);
      sql(copy, 'CREATE TABLE Runs (a)');
      for (const dryRun of [true, false]) {
        await assert.rejects(upgrade(copy, { dryRun }), { code: 'ERR_BRAID_NOT_UPGRADABLE', message: /Runs.*rename/ });
      }
    });
  });
});
