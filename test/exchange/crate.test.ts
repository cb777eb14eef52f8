import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { BraidData, BraidDB, BraidReader, exportDatabase, verify, type ExportOptions, type SkippedFile } from 'braid-mpi'; // prettier-ignore
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import { braid, makeBraidDbFile, query, sql } from '../cli/support.js';
import { endAs, makeDatabase, temporaryFolder, type Made } from './support.js';

type Entity = Record<string, unknown> & { '@id': string; '@type': string };

/** Somebody else's reader of crates. It is of another licence, and so only here. */
interface Library {
  ROCrate: new (json: object, options: object) => { entities(): Iterable<Entity>; rootDataset: Entity };
  Validator: new () => {
    parseJSON(json: object): void;
    rootDataEntity(): void;
    checkFiles(files: Record<string, { exists: boolean; isDir: boolean }>): void;
    results: { id: string; status: string; message: string; entity?: string }[];
  };
}
const require = createRequire(import.meta.url);
const { ROCrate, Validator } = require('ro-crate') as Library;
/** The context that the library brings, for there may be no network. */
const { '@context': TERMS } = require('ro-crate/lib/context.json') as { '@context': Record<string, string> };
/** Terms of https://w3id.org/ro/terms/workflow-run. */
const RUN_TERMS = ['environment', 'containerImage', 'ContainerImage'];

/** An entity whose every value is a list. */
function asLists(read: Entity): Entity {
  const { '@id': id, ...rest } = JSON.parse(JSON.stringify(read)) as Entity;
  return {
    '@id': id,
    ...Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, [value].flat()])),
  } as Entity;
}
const ids = (list: unknown) => ((list ?? []) as { '@id': string }[]).map((each) => each['@id']);

describe('RO-Crate', function () {
  this.timeout(60_000);
  const folder = temporaryFolder();
  const files = join(folder, 'da ta');
  let made: Made;
  let number = 0;

  before(async () => {
    mkdirSync(files);
    writeFileSync(join(files, 'scan.h5'), 'photons');
    writeFileSync(join(files, 'peáks.csv'), 'x,y\n');
    made = await makeDatabase(join(folder, 'run.db'), encodeURI(files));
  });
  after(() => rmSync(folder, { recursive: true }));

  async function crateOf(path: string, options: Partial<ExportOptions> = {}) {
    const output = join(folder, `crate-${number++}`);
    const skipped: SkippedFile[] = [];
    await exportDatabase(path, output, { ...options, format: 'ro-crate', onSkipped: (file) => skipped.push(file) });
    return { output, skipped, ...checked(output) };
  }

  /** A crate as others read it, with what they find wrong. */
  function checked(output: string): { graph: Map<string, Entity>; root: Entity } {
    const json = JSON.parse(readFileSync(join(output, 'ro-crate-metadata.json'), 'utf8')) as { '@graph': Entity[] };
    const all = json['@graph'].map((each) => each['@id']);
    assert.equal(new Set(all).size, all.length, 'an @id for one entity');
    const validator = new Validator();
    validator.parseJSON({ ...json, '@context': TERMS });
    validator.rootDataEntity();
    const there = readdirSync(output, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
    const named = there.map(({ parentPath, name }) => encodeURI(join(parentPath, name).slice(output.length + 1)));
    validator.checkFiles(Object.fromEntries(named.map((name) => [name, { exists: true, isDir: false }])));
    assert.deepEqual(validator.results.filter(({ status }) => status !== 'success' && status !== 'info'), []); // prettier-ignore
    const terms = new Set(json['@graph'].flatMap((each) => [...Object.keys(each), each['@type']].flat()));
    const unknown = [...terms].filter((term) => !term.startsWith('@') && !(term in TERMS) && !RUN_TERMS.includes(term));
    assert.deepEqual(unknown, [], 'terms of no context');
    const crate = new ROCrate(json, { array: true, link: false });
    const graph = new Map([...crate.entities()].map((each) => [each['@id'], asLists(each)]));
    // What is referred to is described.
    const dangling = json['@graph'].flatMap((each) =>
      Object.entries(each)
        .filter(([key]) => key !== '@type')
        .flatMap(([key, value]) =>
          // prettier-ignore
          ids(Array.isArray(value) ? value : typeof value === 'object' ? [value] : [])
          .filter((id) => !graph.has(id) && key !== 'additionalType' && !(key === 'conformsTo' && each['@id'] === 'ro-crate-metadata.json'))
          .map((id) => `${each['@id']} ${key} ${id}`),
        ),
    );
    assert.deepEqual(dangling, []);
    return { graph, root: graph.get('./')! };
  }
  const file = (name: string) => `file://${encodeURI(join(files, name))}`;
  const copied = (name: string) => `files${encodeURI(join(files, name))}`;

  it('is a Process Run Crate of runs, programs, users, files and parameters', async () => {
    const { graph, root } = await crateOf(made.path, { license: 'https://spdx.org/licenses/CC-BY-4.0' });
    assert.deepEqual(ids(root.conformsTo), ['https://w3id.org/ro/wfrun/process/0.5']);
    assert.deepEqual(ids(root.license), ['https://spdx.org/licenses/CC-BY-4.0']);
    const actions = [...graph.values()].filter(({ '@type': type }) => String(type).endsWith('Action'));
    assert.deepEqual(actions.map(({ '@type': type, name }) => `${String(type)}: ${String(name)}`), ['CreateAction: Run of train', 'CreateAction: Run of infer']); // prettier-ignore
    for (const action of actions) assert.ok(ids(root.mentions).includes(action['@id']));
    const [train, infer] = actions;
    assert.deepEqual(ids(train.object), [`#record-${made.ids.config}`]);
    assert.deepEqual(ids(train.result), [
      file('scan.h5'),
      's3://bucket/scans/1.h5',
      file('peáks.csv'),
      file('net.onnx'),
    ]);
    assert.deepEqual(ids(infer.object), [file('peáks.csv'), file('net.onnx')]);
    assert.deepEqual(ids(infer.result), ['https://example.org/r?id=1', file('net-2.onnx')]);
    assert.deepEqual(graph.get(`#record-${made.ids.config}`)!.value, ['{"lr":0.5,"host":"a \\"b\\""}']);
    const program = graph.get(ids(train.instrument)[0])!;
    assert.deepEqual(program['@type'], ['SoftwareApplication']);
    assert.equal(graph.get(ids(train.agent)[0])!['@type'][0], 'Person');
    assert.deepEqual(train.actionStatus, ['http://schema.org/CompletedActionStatus']);
    assert.ok(Date.parse(String(train.endTime)) >= Date.parse(String(train.startTime)));
    assert.deepEqual(graph.get(file('net-2.onnx'))!.name, ['net@2']);
    assert.deepEqual(graph.get('s3://bucket/scans/1.h5')!.encodingFormat, ['application/x-hdf5']);
    const collection = graph.get(`#collection-${made.ids.scan}`)!;
    assert.deepEqual(ids(collection.hasPart), [file('scan.h5'), 's3://bucket/scans/1.h5']);
    assert.deepEqual(ids(root.hasPart).filter((id) => !id.includes(':')), ['provenance.db', 'provenance.prov.json']); // prettier-ignore
  });

  it('has the database in it, as one file that is sound', async () => {
    const { output, graph } = await crateOf(made.path);
    const path = join(output, 'provenance.db');
    const bytes = readFileSync(path);
    const { contentSize, sha256 } = graph.get('provenance.db')!;
    assert.deepEqual(
      [contentSize, sha256],
      [[String(bytes.length)], [createHash('sha256').update(bytes).digest('hex')]],
    );
    assert.deepEqual(query(path, 'PRAGMA journal_mode'), [{ journal_mode: 'delete' }]);
    assert.deepEqual(verify(path).problems, []);
    const reader = BraidReader.open(path);
    assert.equal([...reader.records()].length, 5);
    reader.close();
    assert.deepEqual(readdirSync(output).filter((name) => name.startsWith('provenance.db')), ['provenance.db']); // prettier-ignore
  });

  it('has PROV-JSON in it', async () => {
    const { output, graph } = await crateOf(made.path);
    const inside = readFileSync(join(output, 'provenance.prov.json'), 'utf8');
    const alone = join(folder, 'alone.json');
    await exportDatabase(made.path, alone, { format: 'prov-json' });
    assert.equal(inside, readFileSync(alone, 'utf8'));
    const { sha256, about } = graph.get('provenance.prov.json')!;
    assert.deepEqual(sha256, [createHash('sha256').update(inside).digest('hex')]);
    assert.equal(ids(about).length, 2);
  });

  it('says in which container a run was', async () => {
    const path = join(folder, 'container.db');
    copyFileSync(made.path, path);
    const environment = { APPTAINER_CONTAINER: '/images/a b.sif' };
    sql(
      path,
      `UPDATE attempts SET context = '${JSON.stringify({ argv: ['node', 'x.js'], environment })}' WHERE attempt_id = 1`,
    );
    const { graph } = await crateOf(path);
    const [train, infer] = [...graph.values()].filter(({ '@type': type }) => String(type).endsWith('Action'));
    const image = graph.get(ids(train.containerImage)[0])!;
    assert.deepEqual([image['@type'], image.name, ids(image.additionalType), infer.containerImage], [
      ['ContainerImage'],
      ['a b.sif'],
      ['https://w3id.org/ro/terms/workflow-run#SIFImage'],
      undefined,
    ]); // prettier-ignore
  });

  it('says how a run has ended', async () => {
    for (const [status, said] of [
      ['FAILED', 'Failed'],
      ['KILLED', 'Failed'],
      ['RUNNING', 'Active'],
    ] as const) {
      // prettier-ignore
      endAs(made, 1, status);
      const { graph } = await crateOf(made.path);
      const action = [...graph.values()].find(({ name }) => String(name) === 'Run of infer')!;
      assert.deepEqual(action.actionStatus, [`http://schema.org/${said}ActionStatus`]);
      assert.equal(action.error === undefined, said === 'Active');
      assert.equal(action.endTime === undefined, said === 'Active');
    }
    endAs(made, 1, 'COMPLETED');
  });

  it('takes one run', async () => {
    const { graph, root } = await crateOf(made.path, { run: made.runs[1] });
    assert.equal(ids(root.mentions).length, 1);
    assert.deepEqual(
      [...graph.keys()].filter((id) => id.includes('scan')),
      [],
    );
    assert.ok(graph.has(file('peáks.csv')), 'what it has used');
  });

  it('has of one run the database with what that comes from, and no more', async () => {
    const { output } = await crateOf(made.path, { run: made.runs[0] });
    const [part, whole] = [join(output, 'provenance.db'), made.path].map((path) => BraidReader.open(path));
    const recorded = Array.from(whole.search(`run=${made.runs[0]} and kind!=version`), ({ id }) => id);
    assert.deepEqual(Array.from(part.records(), ({ id }) => id), recorded); // prettier-ignore
    assert.ok(recorded.length < [...whole.records()].length);
    for (const reader of [part, whole]) reader.close();
  });

  it('copies files, with their checksums, and tells of those that it can not', async () => {
    const { output, graph, skipped, root } = await crateOf(made.path, { withFiles: true });
    assert.deepEqual(skipped, [
      { uri: file('net.onnx'), why: 'is not there' },
      { uri: file('net-2.onnx'), why: 'is not there' },
    ]);
    assert.equal(readFileSync(join(output, 'files', files, 'scan.h5'), 'utf8'), 'photons');
    const scan = graph.get(copied('scan.h5'))!;
    assert.deepEqual(scan.sha256, [createHash('sha256').update('photons').digest('hex')]);
    assert.deepEqual([scan.contentSize, scan.url], [['7'], [file('scan.h5')]]);
    assert.ok(existsSync(join(output, decodeURI(copied('peáks.csv')))));
    assert.ok(ids(root.hasPart).includes(copied('peáks.csv')));
    assert.deepEqual(graph.get(file('net.onnx'))!.sha256, undefined);
  });

  it('copies nothing that a name leads astray to, and nothing that is no file', async () => {
    const path = join(folder, 'hostile.db');
    symlinkSync(join(files, 'scan.h5'), join(files, 'link'));
    writeFileSync(join(files, 'new\nline'), '');
    const elsewhere = `${encodeURI(files)}/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd`;
    const uris = [
      `file://${encodeURI(files)}/link`,
      `file://${elsewhere}`,
      `file://${encodeURI(files)}/%00`,
      `file://${encodeURI(files)}`,
      `file://${encodeURI(files)}/`,
      'file:///proc/self/environ',
      'file:///dev/zero',
      'file://another-host/scan.h5',
      `file://${encodeURI(files)}/a%5Cb`,
      `file://${encodeURI(files)}/${'x'.repeat(300)}`,
      'file:///',
      '../scan.h5',
      'no uri at all',
      'urn:x',
    ];
    const good = [
      join(files, 'scan.h5'),
      `file://localhost${encodeURI(files)}/./sub/../scan.h5`,
      `file:${encodeURI(files)}/new%0Aline`,
    ];
    const db = await BraidDB.open(path, { mpi: 'off' });
    for (const uri of [...uris, ...good]) new BraidData(db, { name: uri.slice(0, 40), uris: [uri] });
    await db.close();
    const { output, skipped, root } = await crateOf(path, { withFiles: true });
    const found = readdirSync(join(output, 'files'), { recursive: true, withFileTypes: true });
    assert.deepEqual(found.filter((each) => !each.isDirectory()).map(({ name }) => name).toSorted(), ['new\nline', 'scan.h5']); // prettier-ignore
    assert.deepEqual(skipped.map(({ why }) => why), [
      'is a symbolic link',
      'has a name that is not safe',
      'has a name that is not safe',
      'is a folder',
      'is no regular file',
      'is no regular file',
      'is on another-host',
      'has a name that is not safe',
      'has a name that is too long',
    ]); // prettier-ignore
    assert.ok(ids(root.hasPart).includes(copied('new\nline').replace('\n', '%0A')));
    assert.ok(ids(root.hasPart).includes('urn:x'));
  });

  it('follows a link to a folder only where it stays in the folder that it is in', async () => {
    const [path, secret] = [join(folder, 'linked.db'), join(folder, 'secret')];
    mkdirSync(secret);
    writeFileSync(join(secret, 'key'), 'secret');
    mkdirSync(join(files, 'run-1', 'deep'), { recursive: true });
    writeFileSync(join(files, 'run-1', 'deep', 'out'), 'result');
    symlinkSync('run-1', join(files, 'newest'));
    symlinkSync(secret, join(files, 'out'));
    symlinkSync('..', join(files, 'run-1', 'up'));
    const db = await BraidDB.open(path, { mpi: 'off' });
    for (const name of ['newest/deep/out', 'out/key', 'run-1/up/scan.h5']) {
      new BraidData(db, { name, uris: [file(name)] });
    }
    await db.close();
    const { output, skipped } = await crateOf(path, { withFiles: true });
    const why = 'is behind a symbolic link that leads out of its folder';
    assert.deepEqual(skipped, ['out/key', 'run-1/up/scan.h5'].map((name) => ({ uri: file(name), why }))); // prettier-ignore
    assert.equal(readFileSync(join(output, 'files', files, 'newest/deep/out'), 'utf8'), 'result');
    assert.ok(!existsSync(join(output, 'files', files, 'out')));
  });

  it('names each thing once, folders as such, and all by what is a URI', async () => {
    const path = join(folder, 'names.db');
    const license = 'https://example.org/our terms';
    const uris = [
      license,
      'https://w3id.org/ro/wfrun/process/0.5',
      'https://www.w3.org/submissions/prov-json/',
      file('.').replace('/.', ''),
      `${file('.').replace('/.', '')}/`,
      'https://example.org/set/',
      'C:\\data\\x y.h5',
      'urn:a b#c#d%zz',
      'file:///data/%ff.h5',
      's3://bucket/a[1]|{2}^.csv',
      'https://user:pw@example.org:8080/a b?c=[d]',
    ];
    const db = await BraidDB.open(path, { mpi: 'off' });
    for (const uri of uris) new BraidData(db, { name: uri.slice(0, 40), uris: [uri] });
    await db.close();
    const { graph, skipped } = await crateOf(path, { license, withFiles: true });
    for (const uri of [encodeURI(license), uris[1]])
      assert.deepEqual(graph.get(uri)!['@type'], ['File', 'CreativeWork']);
    const [directory] = uris.slice(4);
    assert.deepEqual([graph.get(directory)!['@type'], graph.has(uris[3])], [['Dataset'], false]);
    const reference =
      /^[a-z][a-z0-9+.-]*:([\w.~:/?@!$&'()*+,;=-]|%[0-9A-F]{2})*(#([\w.~:/?@!$&'()*+,;=-]|%[0-9A-F]{2})*)?$/i;
    const external = [...graph.values()].filter(({ '@type': type }) => /File|Dataset/.test(String(type))).map((each) => each['@id']).filter((id) => /^\w+:/.test(id)); // prettier-ignore
    assert.equal(external.length, uris.length - 1);
    for (const id of external) assert.match(id, reference);
    assert.ok(external.includes('file:///C%3A/data/x%20y.h5') && external.includes('file:///data/%ff.h5'));
    assert.ok(external.includes('https://example.org:8080/a%20b?c=%5Bd%5D'));
    assert.deepEqual(skipped.find(({ uri }) => uri.includes('ff'))?.uri, 'file:///data/%ff.h5');
  });

  it('is a zip file by its name', async () => {
    const output = join(folder, 'crate.zip');
    await exportDatabase(made.path, output, { format: 'ro-crate', withFiles: true });
    const unpacked = join(folder, 'unpacked');
    const zip = (await promisify(yauzl.open as (path: string, options: object, done: (error: Error | null, zip: ZipFile) => void) => void)(output, { lazyEntries: false, autoClose: false })); // prettier-ignore
    const entries: Entry[] = [];
    zip.on('entry', (entry: Entry) => entries.push(entry));
    await once(zip, 'end');
    for (const entry of entries) {
      const content = await buffer(await zip.openReadStreamPromise(entry));
      mkdirSync(join(unpacked, entry.fileName, '..'), { recursive: true });
      writeFileSync(join(unpacked, entry.fileName), content);
    }
    zip.close();
    const { root } = checked(unpacked);
    assert.ok(ids(root.hasPart).includes(copied('scan.h5')));
    assert.equal(readFileSync(join(unpacked, 'files', files, 'scan.h5'), 'utf8'), 'photons');
    assert.deepEqual(verify(join(unpacked, 'provenance.db')).problems, []);
  });

  it("has a database of Braid-DB's, without runs", async () => {
    const path = join(folder, 'braid-db.db');
    makeBraidDbFile(path);
    const { root } = await crateOf(path);
    assert.deepEqual([root.conformsTo, root.mentions], [undefined, undefined]);
    assert.ok(ids(root.hasPart).includes('file:///first'));
  });

  it('leaves nothing behind when it is ended, and replaces no folder', async () => {
    for (const name of ['ended', 'ended.zip']) {
      const stop = new AbortController();
      const output = join(folder, name);
      const options: ExportOptions = { format: 'ro-crate', withFiles: true, signal: stop.signal, onSkipped: () => stop.abort() }; // prettier-ignore
      await assert.rejects(exportDatabase(made.path, output, options), { name: 'AbortError' });
    }
    assert.deepEqual(readdirSync(folder).filter((name) => /ended|tmp/.test(name)), []); // prettier-ignore
    const output = join(folder, 'there');
    mkdirSync(output);
    await assert.rejects(exportDatabase(made.path, output, { format: 'ro-crate' }), { code: 'ERR_BRAID_OUTPUT' });
    assert.deepEqual(readdirSync(output), []);
    const file = join(folder, 'a-file');
    writeFileSync(file, 'x');
    await assert.rejects(exportDatabase(made.path, file, { format: 'ro-crate' }), { code: 'ERR_BRAID_OUTPUT' });
    assert.equal(readFileSync(file, 'utf8'), 'x');
  });

  it('refuses what is not of it', async () => {
    const output = join(folder, 'refused');
    for (const options of [
      { format: 'ndjson', withFiles: true },
      { format: 'ro-crate', namespace: 'x' },
      { format: 'ro-crate', license: 'CC BY' },
    ] as const) {
      await assert.rejects(exportDatabase(made.path, output, options), { code: 'ERR_BRAID_OPTION_INVALID' });
    }
    await assert.rejects(exportDatabase(made.path, process.stdout, { format: 'ro-crate' }), { code: 'ERR_BRAID_OPTION_INVALID' }); // prettier-ignore
    assert.ok(!existsSync(output));
  });

  it('is what braid export makes, and says which files it lacks', async () => {
    const output = join(folder, 'by-command.zip');
    const said = await braid(['export', made.path, '-o', output, '--with-files']);
    assert.deepEqual([said.code, said.stdout], [0, `written to ${output}: 5 records\n`]);
    assert.match(said.stderr, /^braid: not copied: file:\S+net.onnx is not there\nbraid: not copied: .*\n$/);
    assert.ok(existsSync(output));
  });
});
