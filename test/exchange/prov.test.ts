import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { PassThrough } from 'node:stream';
import {
  BraidData,
  BraidDB,
  BraidError,
  BraidFact,
  BraidModel,
  BraidReader,
  exportDatabase,
  importDocument,
  invalidate,
  merge,
  revalidate,
  verify,
  type ExportFormat,
} from 'braid-mpi';
import { Parser } from 'n3';
import { BRAID, makeBraidDbFile, query, sql } from '../cli/support.js';
import { statementsOf } from './provn.js';

const CHECK = join(import.meta.dirname, '../../../test/exchange/prov_check.py');
const DATA = join(import.meta.dirname, '../../../test/exchange/data');
/** Debian's packages are for its own, whichever comes first in PATH. */
const PYTHON = ['python3', '/usr/bin/python3'].find(
  (each) => spawnSync(each, ['-c', 'import prov, rdflib']).status === 0,
);
const HOSTILE = 'key =,:;[]()\'"%é/#?<>\\-.';

type Statements = Record<string, Record<string, unknown>>;
type Body = Record<string, Statements>;
type Document = Body & { prefix: Record<string, string>; bundle: Record<string, Body> };

interface Checked {
  bundles: Record<string, Record<string, number>>;
  relationIds: number;
  distinctRelationIds: number;
  jsonEqual: boolean;
  provn: string;
  triples: number;
  properties: Record<string, number>;
}

describe('PROV', function () {
  this.timeout(60_000);
  const directory = mkdtempSync(join(tmpdir(), 'braid-prov-'));
  const at = (name: string) => join(directory, name);
  const path = at('own.db');
  const files = { 'prov-json': at('own.json'), provn: at('own.provn'), turtle: at('own.ttl') };
  let runs: string[];
  let document: Document;

  before(async () => {
    runs = await recordOwn(path);
    for (const [format, file] of Object.entries(files))
      await exportDatabase(path, file, { format: format as ExportFormat });
    document = JSON.parse(readFileSync(files['prov-json'], 'utf8')) as Document;
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  describe('export', () => {
    const bundle = (run: string) => document.bundle[`db:recorded.${run}`];

    it('has a bundle for each run, and what no run has recorded beside them', () => {
      assert.deepEqual(Object.keys(document.bundle), runs.map((run) => `db:recorded.${run}`)); // prettier-ignore
      assert.deepEqual(Object.keys(bundle(runs[0]).entity), ['db:r1', 'db:r2', 'db:r3', 'db:r4', 'db:r5', 'db:r3.v1', 'db:r3.v2', 'db:r3.v3']); // prettier-ignore
      const loose = Object.entries(document.entity).filter(([id]) => /^db:r\d/.test(id));
      assert.deepEqual(loose.map(([, { 'prov:label': label }]) => label), ['by hand']); // prettier-ignore
      for (const run of runs) assert.ok(document.activity[`db:run.${run}`], 'a run is an activity');
      const [rank] = Object.values(document.agent).filter((agent) => 'braid:host' in agent);
      assert.deepEqual(rank['prov:type'], [named('prov:SoftwareAgent'), named('braid:Rank')]);
    });

    it('has versions as revisions, which an update has made of what it was exposed to', () => {
      const { wasDerivedFrom, wasGeneratedBy, used, specializationOf, activity } = bundle(runs[0]);
      const revisions = Object.values(wasDerivedFrom).filter((each) =>
        isDeepStrictEqual(each['prov:type'], named('prov:Revision')),
      );
      assert.deepEqual(
        revisions.map((each) => [each['prov:generatedEntity'], each['prov:usedEntity']]),
        [
          ['db:r3.v2', 'db:r3.v1'],
          ['db:r3.v3', 'db:r3.v2'],
        ],
      );
      assert.deepEqual(revisions[0]['prov:type'], named('prov:Revision'));
      const update = 'db:r3.v2.update';
      assert.deepEqual(activity[update]['prov:type'], named('braid:ModelUpdate'));
      const ofUpdate = Object.values(used).filter((each) => each['prov:activity'] === update);
      assert.deepEqual(ofUpdate.map((each) => each['prov:entity']).sort(), ['db:r1', 'db:r2', 'db:r3.v1']);
      assert.ok(Object.values(wasGeneratedBy).some((each) => each['prov:activity'] === update && each['prov:entity'] === 'db:r3.v2')); // prettier-ignore
      assert.ok(Object.values(specializationOf).every((each) => each['prov:generalEntity'] === 'db:r3'));
      // That of a later run derives from a version of the first.
      const [later] = Object.values(bundle(runs[1]).wasDerivedFrom);
      assert.equal(later['prov:usedEntity'], 'db:r3.v1');
    });

    it('has facts as primary sources, and the work of ranks as parts of runs', () => {
      const [sources, others] = [true, false].map((is) =>
        Object.values(bundle(runs[0]).wasDerivedFrom)
          .filter((each) => isDeepStrictEqual(each['prov:type'], named('prov:PrimarySource')) === is)
          .map((each) => each['prov:usedEntity']),
      );
      assert.ok(sources.length > 0 && sources.every((each) => each === 'db:r1'));
      assert.ok(others.length > 0 && !others.includes('db:r1'));
      for (const run of runs) {
        const part = `db:run.${run}.1.0.work`;
        assert.deepEqual(document.activity[part]['dcterms:isPartOf'], named(`db:run.${run}`));
        assert.ok(Object.values(document.wasAssociatedWith).some((each) => each['prov:activity'] === part && each['prov:agent'] === `db:run.${run}.1.0`)); // prettier-ignore
      }
    });

    it('says why what is invalid is so', () => {
      const invalid = Object.values(document.wasInvalidatedBy);
      assert.ok(invalid.every((each) => each['braid:cause'] === 'too "high"'));
      const own = invalid.find((each) => each['prov:entity'] === 'db:r3.v1')!['prov:activity'] as string;
      assert.deepEqual(document.activity[own]['braid:of'], named('db:r3.v1'));
      const informed = Object.values(document.wasInformedBy);
      assert.ok(informed.length > 0 && informed.every((each) => each['prov:informant'] === own));
      const taken = Object.values(document.activity).find((each) => each['braid:revalidationReason'] !== undefined);
      assert.equal(taken?.['braid:revalidationReason'], 'it was right');
    });

    it('keeps all tags, with their types, under names that are valid', () => {
      const { 'db:r1': fact, 'db:r2': data } = bundle(runs[0]).entity;
      assert.deepEqual(fact['tag:big'], { $: String(2n ** 62n), type: 'xsd:long' });
      assert.deepEqual(fact['tag:ok'], { $: 'true', type: 'xsd:boolean' });
      assert.deepEqual(data['tag:lr'], [{ $: '1', type: 'xsd:double' }, { $: '2', type: 'xsd:double' }]); // prettier-ignore
      for (const name of Object.keys(fact)) assert.match(name, /^\w+:(\w|%[0-9A-F]{2})([\w.-]|%[0-9A-F]{2})*$/);
    });

    it('is only of one run, if that is asked for', async () => {
      const out = new PassThrough();
      const all = text(out);
      await exportDatabase(path, out, { format: 'prov-json', run: runs[1] });
      out.end();
      const one = JSON.parse(await all) as Document;
      assert.deepEqual(Object.keys(one.bundle), [`db:recorded.${runs[1]}`]);
      assert.deepEqual(Object.keys(one.activity), [`db:run.${runs[1]}`, ...Object.keys(one.activity).slice(1)]);
      assert.ok(!Object.keys(one.entity).some((id) => /^db:r\d/.test(id)));
    });

    it('is of a database that Braid-DB has made, too', async () => {
      makeBraidDbFile(at('theirs.db'));
      await exportDatabase(at('theirs.db'), at('theirs.json'), { format: 'prov-json' });
      const theirs = JSON.parse(readFileSync(at('theirs.json'), 'utf8')) as Document;
      const records = query<{ n: number }>(at('theirs.db'), 'SELECT count(*) AS n FROM records')[0].n;
      const derivations = query<{ n: number }>(at('theirs.db'), 'SELECT count(*) AS n FROM derivations')[0].n;
      assert.equal(Object.keys(theirs.entity).filter((id) => /^db:r\d/.test(id)).length, records);
      assert.equal(Object.keys(theirs.wasDerivedFrom).length, derivations);
      await importDocument(at('from-theirs.db'), at('theirs.json'));
      assert.equal(query<{ n: number }>(at('from-theirs.db'), 'SELECT count(*) AS n FROM records')[0].n, records);
    });

    it('is Turtle that N3 can read', () => {
      const quads = new Parser({ format: 'Turtle' }).parse(readFileSync(files.turtle, 'utf8'));
      const of = (subject: string, property: string) =>
        quads.filter(
          (quad) => quad.subject.value.endsWith(`#${subject}`) && quad.predicate.value.endsWith(`#${property}`),
        );
      assert.equal(of('r3.v2', 'wasRevisionOf')[0].object.value, `${document.prefix.db}r3.v1`);
      assert.equal(of('r3.v1', 'qualifiedInvalidation').length, 1);
      assert.equal(of('r2', 'hadPrimarySource')[0].object.value, `${document.prefix.db}r1`);
      assert.equal(of('r1', encodeURIComponent(HOSTILE).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`).replace(/\.$/, '%2E')).length, 1); // prettier-ignore
    });

    it(`is what Python's prov and rdflib read${PYTHON ? '' : ' (not here: python3-prov and python3-rdflib are not installed)'}`, function () {
      if (!PYTHON) this.skip();
      const output = execFileSync(PYTHON, [CHECK, files['prov-json'], files.turtle], {
        encoding: 'utf8',
        maxBuffer: 2 ** 26,
      });
      const checked = JSON.parse(output) as Checked;
      assert.ok(checked.jsonEqual, 'what prov writes of it is equal to it');
      assert.equal(checked.distinctRelationIds, checked.relationIds);
      assert.deepEqual(Object.keys(checked.bundles), Object.keys(document.bundle));
      const first = checked.bundles[`db:recorded.${runs[0]}`];
      assert.equal(first.Entity, Object.keys(bundle(runs[0]).entity).length);
      assert.equal(first.Derivation, Object.keys(bundle(runs[0]).wasDerivedFrom).length);
      // It writes PROV-N of our PROV-JSON: the same as ours.
      assert.deepEqual(statementsOf(readFileSync(files.provn, 'utf8')), statementsOf(checked.provn));
      const quads = new Parser().parse(readFileSync(files.turtle, 'utf8'));
      assert.equal(checked.triples, new Set(quads.map((quad) => JSON.stringify(quad))).size);
      assert.equal(checked.properties['http://www.w3.org/ns/prov#wasRevisionOf'], 2);
    });

    it('takes memory that is bounded', () => {
      const large = at('large.db');
      const records = 30_000;
      execFileSync(process.execPath, ['--input-type=module', '-e', `
        import { BraidDB, BraidData, BraidFact } from 'braid-mpi';
        const db = await BraidDB.open(${JSON.stringify(large)}, { mpi: 'off' });
        const fact = new BraidFact(db, { name: 'first' });
        for (let i = 1; i < ${records}; i++) new BraidData(db, { name: 'data-' + i, uris: ['file:///data/' + i], tags: { i, loss: i / 7 }, derivedFrom: fact });
        await db.close();`]); // prettier-ignore
      const program = `
        import { exportDatabase } from 'braid-mpi';
        import { Writable } from 'node:stream';
        let [bytes, most] = [0, 0];
        const out = new Writable({ write(piece, _, done) {
          const before = bytes;
          bytes += piece.length;
          if (bytes >> 22 !== before >> 22) { gc(); most = Math.max(most, process.memoryUsage().heapUsed); }
          done();
        } });
        gc();
        const before = process.memoryUsage().heapUsed;
        await exportDatabase(${JSON.stringify(large)}, out, { format: 'prov-json' });
        console.log(JSON.stringify({ bytes, grown: most - before }));`;
      const args = ['--expose-gc', '--input-type=module', '-e', program];
      const told = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Record<string, number>;
      assert.ok(told.bytes > records * 500, `${told.bytes} bytes`);
      assert.ok(told.grown < 10 * 2 ** 20, `the heap grew by ${told.grown}`);
    });
  });

  describe('import', () => {
    it('brings back what was exported', async () => {
      const back = at('back.db');
      const report = await importDocument(back, files['prov-json']);
      assert.deepEqual({ ...report, run: '' }, { run: '', imported: true, records: 7, versions: 3, derivations: 6, invalidations: 1 }); // prettier-ignore
      assert.deepEqual(verify(back).problems, []);
      assert.deepEqual(factsOf(back), factsOf(path));
      const reader = BraidReader.open(back);
      const [model] = reader.records({ name: 'net' });
      const versions = [...reader.versions(model.id)];
      assert.deepEqual(versions.map(({ step }) => step), [1, 2, undefined]); // prettier-ignore
      assert.deepEqual(versions[0].tags, { loss: 0.5, 'prov:id': `${document.prefix.db}r3.v1`, 'prov:bundle': `db:recorded.${runs[0]}` }); // prettier-ignore
      assert.deepEqual(versions[0].uris, ['file:///checkpoint 1']);
      assert.equal(reader.invalidations()[0].cause, 'too "high"');
      const [scan] = reader.records({ name: 'scan' });
      assert.equal(reader.query<{ n: number }>('SELECT count(*) AS n FROM records WHERE invalidation_action_id IS NOT NULL')[0].n, 1); // prettier-ignore
      assert.equal(scan.kind, 'data');
      reader.close();
    });

    it('brings back what Braid-DB has invalidated, in a database of ours and of its own', async () => {
      const insert = (id: string, root: string, cause: string) =>
        `INSERT INTO invalidations (id, root_invalidation, cause, time) VALUES ('${id}', ${root}, '${cause}', '2026-02-03 04:05:06.000000');`;
      const theirs = at('invalid-theirs.db');
      makeBraidDbFile(theirs);
      sql(theirs, `INSERT INTO records (record_id, name, time) VALUES (3, 'third', '2026-01-02 03:04:07.000000'), (4, 'fourth', '2026-01-02 03:04:08.000000')`); // prettier-ignore
      const ours = at('invalid-ours.db');
      copyFileSync(path, ours);
      for (const [database, first, second, alone] of [
        [theirs, 1, 2, [3, 4]],
        [ours, 1, 2, query<{ id: number }>(ours, `SELECT record_id AS id FROM records WHERE name = 'by hand'`).map(({ id }) => id)], // prettier-ignore
      ] as const) {
        sql(
          database,
          `${insert('a'.repeat(32), 'NULL', 'said there')} ${insert('b'.repeat(32), `'${'a'.repeat(32)}'`, 'said there')}
           ${insert('c'.repeat(32), 'NULL', 'for several')}
           UPDATE records SET invalidation_id = '${'a'.repeat(32)}' WHERE record_id = ${first};
           UPDATE records SET invalidation_id = '${'b'.repeat(32)}' WHERE record_id = ${second};
           UPDATE records SET invalidation_id = '${'c'.repeat(32)}' WHERE record_id IN (${alone.join()});`,
        );
        const [file, back] = [`${database}.json`, `${database}.back.db`];
        await exportDatabase(database, file, { format: 'prov-json' });
        await importDocument(back, file);
        assert.deepEqual(verify(back).problems, []);
        const causes = (which: string) =>
          query<{ name: string; cause: string }>(which, 'SELECT r.name, i.cause FROM records r JOIN invalidations i ON i.id = r.invalidation_id ORDER BY r.name'); // prettier-ignore
        const here = new Map(causes(back).map(({ name, cause }) => [name, cause]));
        // What derives from it, too: as when it is carried on.
        for (const { name } of causes(database)) assert.ok(here.has(name), name);
        const named = (id: number) => query<{ name: string }>(database, `SELECT name FROM records WHERE record_id = ${id}`)[0].name; // prettier-ignore
        assert.deepEqual([first, second].map((id) => here.get(named(id))), ['said there', 'said there']); // prettier-ignore
        for (const id of alone) assert.equal(here.get(named(id)), 'for several');
        assert.equal(query(back, 'SELECT 1 FROM records').length, query(database, 'SELECT 1 FROM records').length);
      }
    });

    it('keeps of one run what is invalid for another', async () => {
      const [one, back] = [at('second.json'), at('second.db')];
      await exportDatabase(path, one, { format: 'prov-json', run: runs[1] });
      await importDocument(back, one);
      const [later] = query<{ cause: string }>(back, `SELECT cause FROM records r JOIN invalidations i ON i.id = r.invalidation_id WHERE r.name = 'later'`); // prettier-ignore
      assert.equal(later.cause, 'too "high"');
      assert.ok(!query<{ name: string }>(back, 'SELECT name FROM records').some(({ name }) => name.includes('invalidation'))); // prettier-ignore
    });

    it('changes nothing for a document that was imported before', async () => {
      const again = at('again.db');
      const first = await importDocument(again, join(DATA, 'primer.json'));
      const second = await importDocument(again, join(DATA, 'primer.json'));
      assert.deepEqual([second.imported, second.run, second.records], [false, first.run, 0]);
      assert.equal(query(again, 'SELECT 1 FROM runs').length, 1);
      assert.equal((await importDocument(again, join(DATA, 'constructs.json'))).imported, true);
      assert.deepEqual(verify(again).problems, []);
    });

    it('tells what comes from what in the example of the PROV Primer', async () => {
      const primer = at('primer.db');
      await importDocument(primer, join(DATA, 'primer.json'));
      const reader = BraidReader.open(primer);
      const names = (rows: Iterable<{ name: string }>) => Array.from(rows, ({ name }) => name).sort();
      assert.deepEqual(names(reader.ancestors('name:exc:composition')), ['exc:chartgen', 'exc:compose1', 'exc:derek', 'exc:regionList', 'exg:dataset1']); // prettier-ignore
      assert.ok(names(reader.ancestors('name:exc:chart2')).includes('exg:edith'));
      assert.ok(names(reader.descendants('name:exc:instructions')).includes('exg:dataset2'));
      assert.deepEqual(names(reader.descendants('name:exn:article')), [
        'exb:blogEntry',
        'exn:articleV1',
        'exn:articleV2',
      ]);
      const record = (name: string) => [...reader.records({ name })][0];
      assert.deepEqual([record('exg:dataset1').kind, record('exc:chart1').kind, record('exc:compile1').kind], ['fact', 'data', 'data']); // prettier-ignore
      const compose = record('exc:compose1');
      assert.equal(compose.tags['prov:type'], 'prov:Activity');
      assert.equal(compose.tags['prov:used exg:dataset1'], "used(exc:compose1, exg:dataset1, -, [prov:role='exc:dataToCompose'])"); // prettier-ignore
      assert.equal(record('exn:articleV2').tags['prov:alternateOf exn:articleV1'], 'alternateOf(exn:articleV2, exn:articleV1)'); // prettier-ignore
      assert.equal(record('exn:article').tags['dcterms:title'], 'Crime rises in cities');
      assert.equal(record('exc:derek').tags['foaf:givenName'], 'Derek');
      assert.equal(record('exc:chart1').time.toISOString(), '2012-03-02T10:30:00.000Z');
      reader.close();
    });

    it('keeps every kind of relation and of value', async () => {
      const constructs = at('constructs.db');
      await importDocument(constructs, join(DATA, 'constructs.json'));
      const reader = BraidReader.open(constructs);
      const record = (name: string) => [...reader.records({ name })][0];
      const { tags, uris, time, id } = record('bonjour');
      assert.deepEqual(uris, ['file:///report']);
      assert.equal(time.toISOString(), '2011-11-16T16:30:00.123Z');
      assert.deepEqual(tags, {
        'prov:label@fr': 'bonjour',
        'prov:label': 'the report',
        'prov:location': 'Southampton',
        'prov:value': 42,
        'ex:size': 12345678901234567n,
        'ex:ratio': 0.25,
        'ex:final': true,
        'ex:day': '2011-07-16',
        'ex:huge': '123456789012345678901234567890',
        'ex:text': '',
        'in:said': 'in the bundle',
        'prov:id': 'http://www.example.org/report',
        'prov:bundle': 'ex:bundle1',
        'prov:wasGeneratedBy ex:write': 'wasGeneratedBy(ex:g1; ex:report, ex:write, 2011-11-16T16:30:00.123456Z, [ex:port="p1"])', // prettier-ignore
        'prov:wasDerivedFrom ex:many': 'wasDerivedFrom(ex:report, ex:many, ex:write, ex:g1, _:u1)',
        'prov:wasAttributedTo ex:tool': 'wasAttributedTo(ex:report, ex:tool)',
      });
      const many = query<{ value: string }>(constructs, `SELECT value FROM tags WHERE key = 'ex:version' ORDER BY id`);
      assert.deepEqual(many.map(({ value }) => value), ['first', 'second']); // prettier-ignore
      // What ended, or is gone, is not what something comes from.
      const names = Array.from(reader.ancestors(id), ({ name }) => name).sort();
      assert.deepEqual(names, ['ex:boot', 'ex:m1', 'ex:many', 'ex:plan', 'ex:tool', 'ex:write', 'unprefixed']);
      assert.ok(record('ex:many').valid);
      assert.match(String(record('ex:write').tags['prov:wasEndedBy ex:m2']), /^wasEndedBy\(ex:write, ex:m2, -, 2011/);
      assert.match(String(record('ex:many').tags['prov:wasInvalidatedBy ex:plan']), /^wasInvalidatedBy\(/);
      assert.deepEqual(Array.from(reader.ancestors('name:ex:set'), ({ name }) => name), ['ex:m1', 'ex:m2']); // prettier-ignore
      reader.close();
    });

    const e = { 'ex:e': {} };
    const doc = (body: object) => JSON.stringify({ prefix: { ex: 'http://example.org/' }, ...body });
    const derived = (...pairs: string[]) =>
      Object.fromEntries(pairs.map((pair, i) => [`_:d${i}`, { 'prov:generatedEntity': `ex:${pair[0]}`, 'prov:usedEntity': `ex:${pair[1]}` }])); // prettier-ignore
    const special = (...pairs: string[]) =>
      Object.fromEntries(pairs.map((pair, i) => [`_:s${i}`, { 'prov:specificEntity': `ex:${pair[0]}`, 'prov:generalEntity': `ex:${pair[1]}` }])); // prettier-ignore
    const BAD: readonly (readonly [what: string, content: string | Buffer, message: RegExp])[] = [
      ['nothing', '', /it is not JSON/],
      ['half of a document', doc({ entity: e }).slice(0, -3), /it is not JSON.*line 1, column \d+/],
      ['no object', '[1]', /it must be an object/],
      ['JSON of something else', '{"a": 1}', /no PROV-JSON/],
      ['a null', doc({ entity: { 'ex:e': null } }), /\/entity\/ex:e: it must be an object/],
      [
        'a key twice, of the same value',
        '{"entity": {"prov:e": {}, "prov:\\u0065": {}}}',
        /the key "prov:e" twice, at line 1, column 27/,
      ],
      [
        'a name that is too long to be shown',
        doc({
          entity: { [`ex:${'n'.repeat(70_000)}`]: {} },
          activity: { [`ex:${'n'.repeat(70_000)}`]: { 'prov:startTime': 'x' } },
        }),
        /^(?=[^]{0,700}$).*can't be both/,
      ],
      [
        'a source that is itself, of a long name',
        doc({
          wasDerivedFrom: {
            '_:d': {
              'prov:generatedEntity': `ex:${'n'.repeat(70_000)}`,
              'prov:usedEntity': `ex:${'n'.repeat(70_000)}`,
            },
          },
        }),
        /^(?=[^]{0,700}$).*can't come from itself/,
      ],
      ['text in UTF-16', Buffer.from(`\ufeff${doc({})}`, 'utf16le'), /it is UTF-16/],
      ['text in Latin-1', Buffer.from(doc({ entity: { 'ex:é': {} } }), 'latin1'), /it is not UTF-8/],
      [
        'deep nesting',
        `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
        /nested deeper than PROV-JSON is, at line 1, column 11/,
      ],
      [
        'a key twice',
        '{"entity": {"prov:e": {"prov:label": "a"}, "prov:e": {}}}',
        /an object has the key "prov:e" twice, at line 1, column 44/,
      ],
      [
        'a name that is an entity and an activity',
        doc({ entity: e, activity: e }),
        /\/activity\/ex:e: ex:e can't be both/,
      ],
      ['two starts of an activity', doc({ activity: { 'ex:a': [{ 'prov:startTime': '2020-01-01T00:00:00Z' }, { 'prov:startTime': '2021-01-01T00:00:00Z' }] } }), /prov:startTime: another statement says 2020/], // prettier-ignore
      ['a prefix that is not declared', doc({ entity: { 'nope:e': {} } }), /the prefix "nope" is not declared/],
      ['a name without a namespace', doc({ entity: { e: {} } }), /there is no default namespace/],
      ['a relation that there is not', doc({ wasFoundBy: {} }), /PROV-JSON has no "wasFoundBy"/],
      ['a relation without its subject', doc({ used: { '_:u': { 'prov:entity': 'ex:e' } } }), /\/used\/_:u: prov:activity is missing/], // prettier-ignore
      [
        'a time that is none',
        doc({ activity: { 'ex:a': { 'prov:startTime': 'yesterday' } } }),
        /"yesterday" is not a time/,
      ],
      ['a day that there is not', doc({ used: { '_:u': { 'prov:activity': 'ex:a', 'prov:time': '2012-02-31T00:00:00Z' } } }), /"2012-02-31T00:00:00Z" is not a time/], // prettier-ignore
      [
        'a cycle of specializations',
        doc({ specializationOf: special('ab', 'ba') }),
        /a cycle.*ex:a from ex:b from ex:a/,
      ],
      [
        'a cycle of both',
        doc({ wasDerivedFrom: derived('ab'), specializationOf: special('bc', 'ca') }),
        /a cycle.*from/,
      ],
      ['a value without a value', doc({ entity: { 'ex:e': { 'ex:x': { type: 'ex:t' } } } }), /a value needs its "\$"/],
      ['a bundle in a bundle', doc({ bundle: { 'ex:b': { bundle: {} } } }), /a bundle has none in it/],
      ['itself as a source', doc({ wasDerivedFrom: derived('aa') }), /ex:a can't come from itself/],
      [
        'a cycle',
        doc({ wasDerivedFrom: derived('ab', 'xa', 'bc', 'ca') }),
        /a cycle.*ex:a from ex:b from ex:c from ex:a/,
      ],
      ['a NUL', doc({ entity: { 'ex:e': { 'prov:label': '\0' } } }), /prov:label: it has a NUL/],
      ['half a character', '{"entity": {"prov:e": {"prov:label": "\\ud800"}}}', /a lone surrogate/],
      ['a record that is too large', doc({ entity: { 'ex:e': { 'ex:x': 'x'.repeat(9 * 2 ** 20) } } }), /^ex:e: one recording call/], // prettier-ignore
    ];
    for (const [what, content, message] of BAD) {
      it(`refuses ${what}, and leaves the database as it was`, async () => {
        const file = at('bad.json');
        writeFileSync(file, content);
        const before = factsOf(path);
        await assert.rejects(importDocument(path, file), (error) => {
          assert.ok(error instanceof BraidError, String(error));
          assert.match(error.code, /^ERR_BRAID_(IMPORT_INVALID|TOO_LARGE)$/);
          assert.match(error.message, message);
          return true;
        });
        assert.deepEqual(factsOf(path), before);
        assert.equal(query(path, 'SELECT 1 FROM runs').length, 2);
        // Nor is a database made for it, or anything beside that.
        const files = readdirSync(at('.'));
        await assert.rejects(importDocument(at('not-made.db'), file), BraidError);
        assert.deepEqual(readdirSync(at('.')), files);
      });
    }

    it('makes no database where its disk or directory does not let it', async () => {
      await assert.rejects(importDocument(at('none/new.db'), join(DATA, 'primer.json')), { code: 'ERR_BRAID_DB_UNWRITABLE' }); // prettier-ignore
      const linked = at('linked.db');
      symlinkSync('behind.db', linked);
      const { imported } = await importDocument(linked, join(DATA, 'primer.json'));
      assert.deepEqual([imported, existsSync(at('behind.db')), verify(linked).problems], [true, true, []]);
      assert.deepEqual(readdirSync(at('.')).filter((name) => /^(linked|behind)/.test(name)), ['behind.db', 'linked.db']); // prettier-ignore
    });

    it('keeps an activity that uses what it makes, and a name by two prefixes as one', async () => {
      const file = at('cycle.json');
      writeFileSync(
        file,
        doc({
          prefix: { ex: 'http://example.org/', same: 'http://example.org/' },
          entity: { 'ex:e': { 'ex:x': 1 }, 'same:e': { 'ex:y': 2 } },
          wasGeneratedBy: { '_:g': { 'prov:entity': 'ex:e', 'prov:activity': 'ex:a' } },
          used: { '_:u': { 'prov:activity': 'ex:a', 'prov:entity': 'same:e' } },
          wasInformedBy: { '_:i': { 'prov:informed': 'ex:a', 'prov:informant': 'ex:a' } },
        }),
      );
      const cycle = at('cycle.db');
      await importDocument(cycle, file);
      assert.deepEqual(verify(cycle).problems, []);
      const reader = BraidReader.open(cycle);
      const [entity, activity] = reader.records();
      assert.deepEqual([entity.tags['ex:x'], entity.tags['ex:y'], activity.name], [1, 2, 'ex:a']);
      assert.deepEqual(Array.from(reader.ancestors(entity.id), ({ id }) => id), [activity.id]); // prettier-ignore
      assert.match(String(activity.tags['prov:wasInformedBy ex:a']), /^wasInformedBy/);
      assert.equal([...reader.records()].length, 2);
      reader.close();
    });

    it('brings back what Braid-DB derives from itself, at once or by others', async () => {
      const [learning, file, back] = [at('learning.db'), at('learning.json'), at('learning-back.db')];
      makeBraidDbFile(learning);
      const time = '2026-01-02 03:04:06.000000';
      sql(
        learning,
        `INSERT INTO records (record_id, name, time) VALUES (3, 'third', '${time}');
         INSERT INTO derivations VALUES (3, 3, '${time}'), (2, 1, '${time}')`,
      );
      await exportDatabase(learning, file, { format: 'prov-json' });
      const { wasInfluencedBy } = JSON.parse(readFileSync(file, 'utf8')) as Document;
      assert.deepEqual(Object.values(wasInfluencedBy), [{ 'prov:influencee': 'db:r3', 'prov:influencer': 'db:r3' }]);
      await importDocument(back, file);
      assert.deepEqual(verify(back).problems, []);
      const derivations = (of: string) =>
        query<{ pair: string }>(of, `SELECT s.name || ' ' || r.name AS pair FROM derivations d JOIN records s USING (record_id) JOIN records r ON r.record_id = d.derivation ORDER BY 1`); // prettier-ignore
      assert.deepEqual(derivations(back), derivations(learning));
      assert.equal(query<{ kind: number }>(back, `SELECT kind FROM records WHERE name = 'third'`)[0].kind, 3);
      assert.deepEqual(query(back, `SELECT 1 FROM tags WHERE key LIKE 'prov:was%'`), []);
    });

    it('names files as they were asked for, and not those that it writes first', async () => {
      const name = at('n'.repeat(250));
      const told = (error: unknown) => {
        assert.ok(error instanceof BraidError);
        assert.ok(error.message.includes(name) && !error.message.includes('.tmp'), error.message);
        return true;
      };
      await assert.rejects(importDocument(name, join(DATA, 'primer.json')), told);
      await assert.rejects(exportDatabase(path, name, { format: 'provn' }), told);
      await assert.rejects(merge(name, [path]), told);
    });

    it('takes back a name that somebody has written with a NUL, and no document that is called so', async () => {
      const [nul, file] = [at('nul.db'), at('nul.json')];
      copyFileSync(path, nul);
      sql(
        nul,
        `UPDATE runs SET name = 'a' || char(0) || 'b'; UPDATE records SET name = 'r' || char(0) WHERE record_id = 1`,
      );
      await exportDatabase(nul, file, { format: 'prov-json' });
      await importDocument(at('nul-back.db'), file);
      assert.equal(query(at('nul-back.db'), `SELECT 1 FROM records WHERE name = 'r\ufffd'`).length, 1);
      await assert.rejects(importDocument(nul, file, { name: 'a\0' }), { code: 'ERR_BRAID_TEXT_INVALID' });
    });

    it('takes hostile names as they are', async () => {
      const hostile = at('hostile.db');
      const name = `ex:'; DROP TABLE records; --\u202e%00"\\`;
      writeFileSync(at('hostile.json'), doc({ entity: { [name]: { 'ex:__proto__': 'x' }, 'ex:__proto__': {}, 'ex:constructor': {} } })); // prettier-ignore
      await importDocument(hostile, at('hostile.json'));
      const reader = BraidReader.open(hostile);
      const [row] = reader.records({ name });
      assert.deepEqual(row.tags, { 'ex:__proto__': 'x', 'prov:id': name.replace('ex:', 'http://example.org/') });
      assert.equal([...reader.records()].length, 3);
      reader.close();
    });

    it('refuses a document that is too large, and a file that is not there', async () => {
      const piece = Buffer.alloc(2 ** 22);
      async function* endless() {
        for (;;) yield await Promise.resolve(piece);
      }
      await assert.rejects(importDocument(path, endless()), { code: 'ERR_BRAID_IMPORT_TOO_LARGE' });
      await assert.rejects(importDocument(path, at('none.json')), { code: 'ERR_BRAID_IMPORT_UNREADABLE' });
    });

    for (const point of ['commit.inserted', 'commit.committed']) {
      it(`that is killed at ${point} leaves the database as it was`, async () => {
        const killed = at(`${point}.db`);
        await importDocument(killed, join(DATA, 'primer.json'));
        const before = factsOf(killed);
        const env = { ...process.env, BRAID_FAULTS: point };
        const { signal } = spawnSync(process.execPath, [BRAID, 'import', killed, files['prov-json']], { env });
        assert.equal(signal, 'SIGKILL');
        assert.deepEqual(factsOf(killed), before);
        assert.equal(query(killed, 'SELECT 1 FROM runs').length, 1);
        const { status } = spawnSync(process.execPath, [BRAID, 'import', killed, '-', '--json'], { input: readFileSync(files['prov-json']) }); // prettier-ignore
        assert.equal(status, 0);
        assert.deepEqual(verify(killed).problems, []);
      });
    }
  });
});

const named = (name: string) => ({ $: name, type: 'prov:QUALIFIED_NAME' });

/** Two runs, versions of a model with and without a step, what is invalid and is valid again, and a record by Braid-DB. */
async function recordOwn(path: string): Promise<string[]> {
  const first = await BraidDB.open(path, { mpi: 'off', name: 'first' });
  const fact = new BraidFact(first, {
    name: 'config "x"',
    uris: ['file:///a b', 'not a URI'],
    tags: { lr: 0.1, big: 2n ** 62n, ok: true, [HOSTILE]: 'two\nlines, [and] "more"', '-.': -1.5, empty: '' },
  });
  const data = new BraidData(first, { name: 'scan', derivedFrom: fact });
  data.addTag('lr', 1, 'float').addTag('lr', 2, 'float');
  data.setInvalidationAction({ type: 'shell', command: 'true', args: ['{name}'] });
  const model = new BraidModel(first, { name: 'net', derivedFrom: fact });
  const version = model.update(data, { step: 1, tags: { loss: 0.5 }, uris: ['file:///checkpoint 1'] });
  model.update([data, fact], { step: 2 });
  model.update(data);
  const output = new BraidData(first, { name: 'output', derivedFrom: [model, data] });
  new BraidData(first, { name: 'of any version', derivedFrom: model.id });
  const { runId } = first;
  await first.close();
  const second = await BraidDB.open(path, { mpi: 'off', name: 'second' });
  const reader = second.reader;
  const [row] = reader.versions(model.id);
  new BraidData(second, { name: 'later', derivedFrom: second.version(row.key) });
  const runs = [runId, second.runId];
  await second.close();
  sql(path, `INSERT INTO records (name, time) VALUES ('by hand', '2026-01-01 00:00:00.000000')`);
  await invalidate(path, version.key, { cause: 'too "high"' });
  await invalidate(path, output.id, { cause: 'mistaken', cascade: false });
  revalidate(path, output.id, { reason: 'it was right' });
  return runs;
}

/** What a database holds, without ids: records by name, with what they derive from, and what is invalid. */
function factsOf(path: string): unknown {
  const reader = BraidReader.open(path);
  try {
    const records = Array.from(reader.records(), ({ id, name, kind, time, uris, tags, valid }) => {
      const own = Object.fromEntries(
        Object.entries(tags).filter(([key]) => key !== 'prov:id' && key !== 'prov:bundle'),
      );
      const ancestors = Array.from(reader.ancestors(id), (row) => `${row.name}@${row.version} ${row.inferred}`); // prettier-ignore
      return {
        name,
        kind: kind === 'record' ? 'fact' : kind,
        time,
        uris,
        tags: own,
        valid,
        ancestors: ancestors.sort(),
      };
    });
    return records.sort((a, b) => (a.name < b.name ? -1 : 1));
  } finally {
    reader.close();
  }
}
