import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { PassThrough } from 'node:stream';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import {
  BraidDB,
  BraidData,
  BraidFact,
  BraidModel,
  EXPORT_TABLES,
  exportDatabase,
  type ExportOptions,
} from 'braid-mpi';
import { braidInThread, makeBraidDbFile, makeDirectory, query, sql } from '../cli/support.js';

const MIB = 2 ** 20;
const TIME = new Date('2026-07-28T09:30:00.123Z');

describe('flat files', function () {
  this.timeout(60_000);
  const directory = makeDirectory();
  const path = join(directory.path, 'run.db');
  let [first, second] = ['', ''];
  let duck: DuckDBConnection;
  before(async () => {
    duck = await (await DuckDBInstance.create()).connect();
    await duck.run("SET TimeZone = 'UTC'");
    const db = await BraidDB.open(path, { mpi: 'off', name: 'first' });
    first = db.runId;
    const config = new BraidFact(db, {
      name: 'config, "the" one',
      uris: ['file:///a', 'file:///b,c'],
      tags: { energy: 12, name: 'as a column is named', mixed: 1, big: 2n ** 62n },
      time: TIME,
    });
    const model = new BraidModel(db, { name: 'model', derivedFrom: config, time: TIME });
    for (const step of [1, 2]) {
      const scan = new BraidData(db, {
        name: `=HYPERLINK("${step}")`,
        derivedFrom: config,
        tags: { energy: step / 4, ok: step === 1, Energy: 'but for its case the same', mixed: 'two\r\nlines' },
        time: TIME,
      });
      model.update(scan, { step, tags: { loss: 1 / step }, uris: [`file:///ckpt/${step}`] });
    }
    new BraidData(db, { name: 'peaks', derivedFrom: model, tags: { empty: '' }, time: TIME });
    model.at({ step: 1 }).invalidate({ cause: 'it was "wrong"' });
    await db.close();
    const other = await BraidDB.open(path, { mpi: 'off' });
    second = other.runId;
    new BraidData(other, { name: 'another run', time: TIME });
    await other.close();
  });
  after(() => {
    duck.closeSync();
    directory.remove();
  });

  const fresh = (ending: string) => join(directory.path, `${Math.random().toString(36).slice(2)}.${ending}`);
  const exported = async (options: ExportOptions, from = path) => {
    const file = fresh(options.format);
    await exportDatabase(from, file, options);
    return file;
  };
  const printed = async (options: ExportOptions, from = path) => {
    const stream = new PassThrough();
    const all = text(stream);
    await exportDatabase(from, stream, options);
    stream.end();
    return all;
  };
  const duckdb = async (sql: string) => (await duck.runAndReadAll(sql)).getRowObjectsJson();

  /** How DuckDB reads each, and what of it is JSON where the format has no lists. */
  const READ = {
    csv: (file: string) =>
      `SELECT * REPLACE (uris::JSON::VARCHAR[] AS uris, sources::JSON::BIGINT[] AS sources) FROM read_csv('${file}', header = true, allow_quoted_nulls = false)`,
    ndjson: (file: string) => `SELECT * FROM read_json('${file}', sample_size = -1)`,
    parquet: (file: string) => `SELECT * FROM read_parquet('${file}')`,
  };

  for (const format of ['csv', 'ndjson', 'parquet'] as const) {
    it(`${format} has a row for each record, with its tags in columns, for DuckDB`, async () => {
      const rows = await duckdb(
        `SELECT id::INT AS id, kind, name, epoch_ms(time::TIMESTAMPTZ)::VARCHAR AS time, valid, cause,
           replace(run::VARCHAR, '-', '') AS run, rank::INT AS rank, uris, sources::INT[] AS sources,
           "Energy", big::VARCHAR AS big, empty, mixed, ok, "tag.energy", "tag.name"
         FROM (${READ[format](await exported({ format, table: 'joined' }))}) ORDER BY id`,
      );
      const none = { Energy: null, big: null, empty: null, mixed: null, ok: null, 'tag.energy': null, 'tag.name': null }; // prettier-ignore
      const of = (id: number, kind: string, name: string, run = first) =>
        ({ id, kind, name, time: String(TIME.getTime()), valid: true, cause: null, run, rank: 0, uris: [], sources: [], ...none }); // prettier-ignore
      const scan = { Energy: 'but for its case the same', mixed: 'two\r\nlines', sources: [1] };
      assert.deepEqual(rows, [
        { ...of(1, 'fact', 'config, "the" one'), uris: ['file:///a', 'file:///b,c'], 'tag.energy': 12, 'tag.name': 'as a column is named', mixed: '1', big: String(2n ** 62n) }, // prettier-ignore
        { ...of(2, 'model', 'model'), sources: [1, 3, 4] },
        { ...of(3, 'data', '=HYPERLINK("1")'), ...scan, 'tag.energy': 0.25, ok: true },
        { ...of(4, 'data', '=HYPERLINK("2")'), ...scan, 'tag.energy': 0.5, ok: false },
        { ...of(5, 'data', 'peaks'), sources: [2], empty: '', valid: false, cause: 'it was "wrong"' },
        of(6, 'data', 'another run', second),
      ]);
    });

    it(`${format} has all tables in a folder, as they are`, async () => {
      const folder = await exported({ format, table: 'all' });
      const tables = EXPORT_TABLES.filter((table) => table !== 'joined' && table !== 'all');
      assert.deepEqual(readdirSync(folder).toSorted(), tables.map((table) => `${table}.${format}`).toSorted());
      const SOURCES: Partial<Record<(typeof EXPORT_TABLES)[number], string>> = { requests: 'invalidation_requests', actions: 'invalidation_actions', runs: 'attempts', ranks: 'ledger' }; // prettier-ignore
      for (const table of tables) {
        const [{ n: stored }] = query<{ n: number }>(path, `SELECT count(*) AS n FROM ${SOURCES[table] ?? table}`);
        const file = join(folder, `${table}.${format}`);
        if (stored === 0 && format === 'ndjson') {
          assert.equal(readFileSync(file, 'utf8'), '');
          continue;
        }
        const read = { csv: 'read_csv', ndjson: 'read_json', parquet: 'read_parquet' }[format];
        const [{ n }] = await duckdb(`SELECT count(*)::INT AS n FROM ${read}('${file}'${format === 'csv' ? ', header = true' : ''})`); // prettier-ignore
        assert.equal(n, stored, table);
      }
    });
  }

  it('has types in Parquet, of tags those of their values', async () => {
    const file = await exported({ format: 'parquet' });
    const columns = await duckdb(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM '${file}')`);
    const types = Object.fromEntries(columns.map((column) => [column.column_name as string, column.column_type]));
    assert.deepEqual(types, {
      id: 'BIGINT', kind: 'VARCHAR', name: 'VARCHAR', time: 'TIMESTAMP WITH TIME ZONE', valid: 'BOOLEAN', cause: 'VARCHAR',
      run: 'VARCHAR', rank: 'BIGINT', uris: 'VARCHAR[]', sources: 'BIGINT[]',
      Energy: 'VARCHAR', big: 'BIGINT', empty: 'VARCHAR', mixed: 'VARCHAR', ok: 'BOOLEAN', 'tag.energy': 'DOUBLE', 'tag.name': 'VARCHAR',
    }); // prettier-ignore
  });

  it('joins tables by their ids', async () => {
    const folder = await exported({ format: 'parquet', table: 'all' });
    const rows = await duckdb(
      `SELECT m.name, v.number::INT AS number, v.step::INT AS step, t.number AS loss, s.name AS source, v.valid
       FROM '${folder}/versions.parquet' v JOIN '${folder}/records.parquet' m ON m.id = v.model
       JOIN '${folder}/version_tags.parquet' t ON t.version = v.id JOIN '${folder}/updates.parquet' u ON u.version = v.id
       JOIN '${folder}/exposures.parquet' e ON e.update = u.id JOIN '${folder}/records.parquet' s ON s.id = e.source
       ORDER BY 2`,
    );
    assert.deepEqual(rows, [
      { name: 'model', number: 1, step: 1, loss: 1, source: '=HYPERLINK("1")', valid: false },
      { name: 'model', number: 2, step: 2, loss: 0.5, source: '=HYPERLINK("2")', valid: false },
    ]);
  });

  it('is text as RFC 4180 has it: CRLF, quotes where they are needed, "" for an empty text and nothing for none', async () => {
    const csv = await printed({ format: 'csv', table: 'tags' });
    assert.equal(csv.split('\r\n')[0], 'record,key,value,type,number');
    assert.ok(csv.includes('\r\n5,empty,"",string,\r\n'), csv);
    assert.ok(csv.includes('\r\n3,mixed,"two\r\nlines",string,\r\n'));
    assert.ok(csv.includes('\r\n3,ok,true,boolean,1\r\n'));
    assert.ok((await printed({ format: 'csv', table: 'records' })).includes('1,fact,"config, ""the"" one",2026-07-28T09:30:00.123000Z,true,,,')); // prettier-ignore
  });

  it('has what one run has recorded, and nothing else', async () => {
    for (const table of ['joined', 'records'] as const) {
      const lines = (await printed({ format: 'ndjson', table, run: second })).trim().split('\n');
      assert.deepEqual(lines.map((line) => (JSON.parse(line) as { name: string }).name), ['another run']); // prettier-ignore
    }
    assert.doesNotMatch(await printed({ format: 'csv', run: second }), /Energy/);
    for (const table of ['tags', 'versions', 'requests', 'exposures'] as const) {
      assert.equal(await printed({ format: 'ndjson', table, run: second }), '');
      assert.notEqual(await printed({ format: 'ndjson', table, run: first }), '');
    }
  });

  it('reads a file of Braid-DB, whose tables have no index, and says what it lacks', async () => {
    const theirs = fresh('db');
    makeBraidDbFile(theirs);
    sql(theirs, `INSERT INTO tags (record_id, key, value, tag_type) VALUES (1, 'x', 'nan', 3), (2, 'x', '-inf', 3), (2, 'n', '7', 2),
      (1, 'huge', '99999999999999999999', 2), (9, 'of nobody', '1', 2)`); // prettier-ignore
    const rows = await duckdb(`SELECT * EXCLUDE (time) FROM '${await exported({ format: 'parquet' }, theirs)}'`);
    assert.deepEqual(rows, [
      { id: '1', kind: 'record', name: 'first', valid: true, cause: null, run: null, rank: null, uris: ['file:///first'], sources: [], huge: '99999999999999999999', n: null, 'of nobody': null, x: 'NaN' },
      { id: '2', kind: 'record', name: 'second', valid: true, cause: null, run: null, rank: null, uris: [], sources: ['1'], huge: null, n: '7', 'of nobody': null, x: '-Infinity' },
    ]); // prettier-ignore
    const folder = await exported({ format: 'csv', table: 'all' }, theirs);
    assert.deepEqual(readdirSync(folder).toSorted(), ['actions', 'derivations', 'invalidations', 'records', 'tags', 'uris'].map((name) => `${name}.csv`)); // prettier-ignore
    await assert.rejects(exported({ format: 'csv', table: 'versions' }, theirs), { code: 'ERR_BRAID_OPTION_INVALID', message: /Braid-DB/ }); // prettier-ignore
  });

  it('refuses what it can not write, and leaves what was there', async () => {
    const option = { code: 'ERR_BRAID_OPTION_INVALID' };
    await assert.rejects(exported({ format: 'csv', table: 'record' as 'records' }), { ...option, message: /one of joined/ }); // prettier-ignore
    const nowhere = new Writable();
    await assert.rejects(exportDatabase(path, nowhere, { format: 'parquet' }), { ...option, message: /parquet is no text/ }); // prettier-ignore
    await assert.rejects(exportDatabase(path, nowhere, { format: 'csv', table: 'all' }), { ...option, message: /folder/ }); // prettier-ignore
    const folder = fresh('d');
    await exportDatabase(path, folder, { format: 'csv', table: 'all' });
    await assert.rejects(exportDatabase(path, folder, { format: 'csv', table: 'all' }), { code: 'ERR_BRAID_OUTPUT' });
    const file = fresh('parquet');
    writeFileSync(file, 'before');
    const stop = new AbortController();
    const onProgress = () => stop.abort();
    await assert.rejects(exportDatabase(path, file, { format: 'parquet', signal: stop.signal, onProgress }), { name: 'AbortError' }); // prettier-ignore
    assert.equal(readFileSync(file, 'utf8'), 'before');
    const left = readdirSync(directory.path).filter((name) => name.endsWith('.tmp'));
    assert.deepEqual(left, []);
  });

  it('takes the place of no database, device or pipe, and follows links', async () => {
    const before = readFileSync(path);
    const linked = join(directory.path, 'linked.db');
    linkSync(path, linked);
    for (const output of [path, linked]) {
      await assert.rejects(exportDatabase(path, output, { format: 'csv' }), { code: 'ERR_BRAID_OPTION_INVALID' });
      for (const command of [
        ['graph', path, '1', '--format', 'svg'],
        ['statement', path, '1'],
        ['export', path, '--format', 'ndjson'],
      ]) {
        const { code, stderr } = await braidInThread([...command, '-o', output]);
        assert.deepEqual([code, stderr.split(': ')[1]], [2, 'ERR_BRAID_OPTION_INVALID'], command.join(' '));
      }
    }
    const pipe = join(directory.path, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await assert.rejects(exportDatabase(path, pipe, { format: 'csv' }), { code: 'ERR_BRAID_OUTPUT' });
    assert.ok(statSync(pipe).isFIFO());
    const [target, link] = ['target.csv', 'link.csv'].map((name) => join(directory.path, name));
    symlinkSync(target, link);
    await exportDatabase(path, link, { format: 'csv' });
    assert.ok(lstatSync(link).isSymbolicLink() && statSync(target).size > 0);
    assert.deepEqual(readFileSync(path), before);
  });

  it('refuses a column for each of too many keys', async () => {
    const wide = fresh('db');
    makeBraidDbFile(wide);
    sql(wide, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001)
      INSERT INTO tags (record_id, key, value, tag_type) SELECT 1, 'key-' || i, '1', 2 FROM n`); // prettier-ignore
    await assert.rejects(exported({ format: 'csv' }, wide), { code: 'ERR_BRAID_TABLE_TOO_WIDE', message: /--table tags/ }); // prettier-ignore
    assert.equal((await printed({ format: 'csv', table: 'tags' }, wide)).trim().split('\r\n').length, 1 + 1 + 1001);
  });

  it('is what braid export writes', async () => {
    const file = fresh('parquet');
    const { code, stdout } = await braidInThread(['export', path, '-o', file, '--run', second.slice(0, 8), '--json']);
    assert.deepEqual([code, JSON.parse(stdout)], [0, { output: file, format: 'parquet', records: 1 }]);
    assert.deepEqual(await duckdb(`SELECT name FROM '${file}'`), [{ name: 'another run' }]);
    const told = await braidInThread(['export', path, '--format', 'csv', '--table', 'uris']);
    assert.equal(told.stdout, 'record,uri\r\n1,file:///a\r\n1,"file:///b,c"\r\n');
    const folder = fresh('d');
    assert.match((await braidInThread(['export', path, '--format', 'csv', '--table', 'all', '-o', folder])).stdout, /^written to .*: \d+ rows\n$/); // prettier-ignore
    assert.ok(existsSync(join(folder, 'records.csv')));
  });

  it('takes memory that does not grow with the database', () => {
    const large = fresh('db');
    makeBraidDbFile(large);
    const program = (format: string) => `
      import { exportDatabase } from 'braid-mpi';
      let [most, rows] = [0, 0];
      gc();
      const before = process.memoryUsage().heapUsed;
      const onProgress = ({ done }) => {
        if ((rows = done) % 30_000 !== 29_000) return;
        gc();
        most = Math.max(most, process.memoryUsage().heapUsed - before);
      };
      await exportDatabase(${JSON.stringify(large)}, ${JSON.stringify(fresh(format))}, { format: '${format}', onProgress });
      console.log(JSON.stringify({ rows, most }));`;
    // Of Parquet a group of 50,000 rows is held.
    for (const [format, from, to, mostBytes] of [
      ['csv', 3, 60_000, 10 * MIB],
      ['parquet', 60_001, 130_000, 64 * MIB],
    ] as const) {
      // prettier-ignore
      const added = `FROM records WHERE record_id BETWEEN ${from} AND ${to}`;
      sql(large, `WITH RECURSIVE n (i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${to})
        INSERT INTO records (record_id, name, time) SELECT i, 'record-' || i, '2026-01-01 00:00:00.000000' FROM n;
        INSERT INTO tags (record_id, key, value, tag_type) SELECT record_id, 'number', record_id, 2 ${added};
        INSERT INTO tags (record_id, key, value, tag_type) SELECT record_id, 'path', '/scratch/run/' || record_id, 1 ${added};
        INSERT INTO uris (record_id, uri) SELECT record_id, 'file:///data/' || record_id ${added};
        INSERT INTO derivations SELECT record_id - 1, record_id, time ${added}`); // prettier-ignore
      const args = ['--expose-gc', '--input-type=module', '-e', program(format)];
      const { rows, most } = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Record<string, number>; // prettier-ignore
      assert.equal(rows, to);
      assert.ok(most < mostBytes, `${format}: the heap grew by ${most / MIB} MiB`);
    }
  });
});
