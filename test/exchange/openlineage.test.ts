import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  BraidData,
  BraidDB,
  BraidFact,
  BraidModel,
  exportDatabase,
  postOpenLineage,
  type ExportOptions,
} from 'braid-mpi';
import { braid, makeBraidDbFile, sql } from '../cli/support.js';
import Database from 'better-sqlite3';
import { OpenLineageSchemas } from './openlineage-schema.js';
import { endAs, makeDatabase, temporaryFolder, type Made } from './support.js';

interface Dataset {
  namespace: string;
  name: string;
  facets: Record<string, Record<string, unknown>>;
}

interface Event {
  schemaURL: string;
  eventType?: string;
  eventTime: string;
  run: { runId: string; facets: Record<string, Record<string, unknown>> };
  job: { namespace: string; name: string; facets: Record<string, Record<string, unknown>> };
  inputs: Dataset[];
  outputs: Dataset[];
  dataset: Dataset;
}

describe('OpenLineage', function () {
  this.timeout(60_000);
  const folder = temporaryFolder();
  const schemas = new OpenLineageSchemas();
  let made: Made;

  before(async () => {
    made = await makeDatabase(join(folder, 'run.db'), '/data');
  });
  after(() => rmSync(folder, { recursive: true }));

  const output = join(folder, 'out.ndjson');
  async function eventsOf(path: string, options: Partial<ExportOptions> = {}): Promise<Event[]> {
    await exportDatabase(path, output, { ...options, format: 'openlineage' });
    const events = readFileSync(output, 'utf8')
      .split(/\n(?=.)/)
      .map((line) => JSON.parse(line) as Event);
    assert.deepEqual(
      events.flatMap((event) => schemas.problems(event)),
      [],
    );
    return events;
  }
  const names = (datasets: Dataset[]) => datasets.map(({ namespace, name }) => `${namespace} ${name}`);
  const inputsOf = ({ facets }: Dataset) => names((facets.lineage?.inputs ?? []) as Dataset[]);

  it('has START and COMPLETE for each run, with what it used and made', async () => {
    const events = await eventsOf(made.path);
    assert.deepEqual(
      events.map(({ eventType, run, job }) => [eventType, run.runId.replaceAll('-', ''), job.namespace, job.name]),
      [
        ['START', made.runs[0], 'default', 'train'],
        ['COMPLETE', made.runs[0], 'default', 'train'],
        ['START', made.runs[1], 'default', 'infer'],
        ['COMPLETE', made.runs[1], 'default', 'infer'],
      ],
    );
    const [, trained, , inferred] = events;
    assert.match(names(trained.inputs).join(), /^braid:\/\/[0-9a-f]{32} config#1$/);
    assert.deepEqual(names(trained.outputs), ['file /data/scan.h5', 'file /data/peáks.csv', 'file /data/net.onnx']); // prettier-ignore
    assert.deepEqual(names(inferred.inputs), ['file /data/peáks.csv', 'file /data/net.onnx']);
    assert.deepEqual(names(inferred.outputs), ['https://example.org /r?id=1', 'file /data/net.onnx']);
    assert.ok(!readFileSync(output, 'utf8').includes('secret'));
  });

  it('says what each dataset was made of, and which version of a model it is', async () => {
    const [, { outputs: trained }, , { outputs: inferred }] = await eventsOf(made.path);
    const [scan, peaks, first] = trained;
    const [report, second] = inferred;
    assert.deepEqual(inputsOf(scan), []);
    assert.match(inputsOf(peaks).join(), /^braid:\S+ config#1,file \/data\/scan.h5$/);
    assert.match(inputsOf(first).join(), /^braid:\S+ config#1,file \/data\/peáks.csv$/);
    assert.deepEqual(inputsOf(report), ['file /data/peáks.csv', 'file /data/net.onnx']);
    assert.deepEqual(inputsOf(second), ['https://example.org /r?id=1']);
    const [model] = first.facets.braid_record.earlier as { kind: string; version?: number }[];
    assert.deepEqual([model.kind, model.version], ['model', undefined]);
    assert.deepEqual(
      [first, second].map(({ facets }) => facets.version.datasetVersion),
      ['1', '2'],
    );
    assert.deepEqual(
      [first, second].map(({ facets }) => facets.braid_record.version),
      [1, 2],
    );
    assert.equal(second.facets.lifecycleStateChange.lifecycleStateChange, 'OVERWRITE');
    assert.deepEqual(names(second.facets.symlinks.identifiers as Dataset[]), ['file /data/net-2.onnx']);
    assert.deepEqual(names(scan.facets.symlinks.identifiers as Dataset[]), ['s3://bucket scans/1.h5']);
    assert.deepEqual(scan.facets.tags.tags, [
      { key: 'frames', value: '1152921504606846976', source: 'USER' },
      { key: 'dark', value: 'true', source: 'USER' },
    ]);
    const { kind, id, name, rank } = peaks.facets.braid_record;
    assert.deepEqual([kind, id, name, rank], ['data', made.ids.peaks, 'péaks', 0]);
  });

  it('has a dataset once in an event, with what all records of it say', async () => {
    const path = join(folder, 'same.db');
    const db = await BraidDB.open(path, { mpi: 'off' });
    const [uri, uris] = ['file:///x', ['file:///x', 'file:///y']];
    const input = new BraidFact(db, { name: 'in', uris: ['file:///in'], tags: { a: 1 } });
    const first = new BraidData(db, { name: 'first', uris, tags: { a: 1, b: 1 }, derivedFrom: input });
    const model = new BraidModel(db, { name: 'net', uris: ['file:///net'] });
    for (const step of [1, 2, 3]) model.update([first], { step, tags: { loss: 1 / step } });
    const again = new BraidFact(db, { name: 'again', uris: ['file:///in'], tags: { c: 2 } });
    new BraidData(db, { name: 'second', uris: [uri], tags: { a: 2 }, derivedFrom: [input, again] });
    first.invalidate({ cause: 'written over', cascade: false });
    await db.close();
    const [, { inputs, outputs }] = await eventsOf(path);
    assert.deepEqual([names(inputs), names(outputs)], [['file /in'], ['file /x', 'file /net']]);
    const [x, net] = outputs.map(({ facets }) => facets);
    assert.deepEqual((x.tags.tags as { key: string; value: string }[]).map(({ key, value }) => `${key}=${value}`), ['a=2', 'b=1']); // prettier-ignore
    assert.deepEqual(names(x.symlinks.identifiers as Dataset[]), ['file /y']);
    assert.deepEqual(inputsOf(outputs[0]), ['file /in']);
    assert.equal(x.braid_record.name, 'second');
    const [{ name, invalid }] = x.braid_record.earlier as { name: string; invalid?: boolean }[];
    assert.deepEqual([name, invalid, x.braid_invalidation], ['first', true, undefined]);
    assert.equal(net.version.datasetVersion, '3');
    assert.deepEqual((net.braid_record.earlier as { version?: number }[]).map(({ version }) => version), [undefined, 1, 2]); // prettier-ignore
  });

  it('says which runs have made what a run has used', async () => {
    const [{ run: first }, , { run: second }] = await eventsOf(made.path, { namespace: 'lab' });
    const { upstream } = second.facets.jobDependencies as unknown as { upstream: object[] };
    assert.deepEqual(upstream, [{ run: { runId: first.runId }, job: { namespace: 'lab', name: 'train' } }]);
    assert.equal(first.facets.jobDependencies, undefined);
  });

  it('has a run for each rank on request, as a child of its run', async () => {
    const path = join(folder, 'ranks.db');
    copyFileSync(made.path, path);
    endAs({ ...made, path }, 1, 'FAILED');
    sql(
      path,
      `UPDATE attempts SET size = 2;
       INSERT INTO ledger (attempt_id, rank, host, spool, anchor) SELECT attempt_id, 1, 'node-b', '', '' FROM attempts`,
    );
    const events = await eventsOf(path, { ranks: true });
    const told = events.map(({ eventType, job }) => `${eventType} ${job.name}`);
    const ranks = (run: string, end: string) => [0, 1].flatMap((rank) => [`START ${run}.rank-${rank}`, `${end} ${run}.rank-${rank}`]); // prettier-ignore
    assert.deepEqual(told, [
      'START train', ...ranks('train', 'COMPLETE'), 'COMPLETE train',
      'START infer', ...ranks('infer', 'FAIL'), 'FAIL infer',
    ]); // prettier-ignore
    const [, start, end, other] = events;
    assert.equal(start.run.runId, end.run.runId);
    assert.notEqual(start.run.runId, other.run.runId);
    const named = { run: { runId: events[0].run.runId }, job: { namespace: 'default', name: 'train' } };
    const { run, job, root } = start.run.facets.parent;
    assert.deepEqual([{ run, job }, root], [named, named]);
    const { rank, hosts, recordedPerRank } = other.run.facets.braid_mpi;
    assert.deepEqual([rank, hosts, recordedPerRank], [1, ['node-b'], [0]]);
    await assert.rejects(exportDatabase(path, output, { format: 'csv', ranks: true }), {
      code: 'ERR_BRAID_OPTION_INVALID',
    });
  });

  it('says why a dataset is not to be used', async () => {
    const [, { outputs }] = await eventsOf(made.path);
    const invalid = outputs.map(({ facets }) => facets.braid_invalidation);
    assert.deepEqual(
      invalid.slice(0, 2).map(({ cause }) => cause),
      ['the beam was off', 'the beam was off'],
    );
    assert.equal(invalid[0].rootId, invalid[1].rootId);
  });

  it('says how a run was made', async () => {
    const [{ run, job }] = await eventsOf(made.path);
    assert.equal(run.facets.processing_engine.version, process.version);
    const { size, recordedPerRank, attempts } = run.facets.braid_mpi;
    assert.deepEqual([size, recordedPerRank], [1, [4]]);
    assert.equal((attempts as { status: string }[])[0].status, 'COMPLETED');
    assert.deepEqual([job.facets.jobType.processingType, job.facets.jobType.integration], ['BATCH', 'MPI']);
    assert.match(job.facets.documentation.description as string, /mocha/);
  });

  it('says by whom a run was started, with which parameters, and how a dataset is stored', async () => {
    const path = join(folder, 'started.db');
    copyFileSync(made.path, path);
    const of = (run: string) => `airflow/eu/nightly/${run}`;
    const [parent, root] = ['0190a5e2-7d2b-7000-8000-000000000001', '0190a5e2-7d2b-7000-8000-000000000002'];
    const context = {
      argv: ['node', 'train.js', '--steps', '10', '-v', '--rate=-0.5', '--shift', '-3', 'in.h5'],
      environment: {
        OPENLINEAGE_PARENT_ID: of(parent),
        OPENLINEAGE_ROOT_PARENT_ID: of(root),
        SLURM_JOB_START_TIME: '1700000000',
        SLURM_JOB_END_TIME: '1700003600',
      },
    };
    const db = new Database(path);
    db.prepare('UPDATE attempts SET context = ?').run(JSON.stringify(context));
    db.close();
    const [{ run }, { outputs }] = await eventsOf(path);
    const job = { namespace: 'airflow/eu', name: 'nightly' };
    const { run: parentRun, job: parentJob, root: first } = run.facets.parent;
    assert.deepEqual([parentRun, parentJob, first], [{ runId: parent }, job, { run: { runId: root }, job }]);
    const parameters = run.facets.executionParameters.parameters as Record<'key' | 'value', string>[];
    assert.deepEqual(
      parameters.map(({ key, value }) => [key, value]),
      [['steps', '10'], ['v', 'true'], ['rate', '-0.5'], ['shift', '-3']], // prettier-ignore
    );
    const { nominalStartTime, nominalEndTime } = run.facets.nominalTime;
    assert.deepEqual([nominalStartTime, nominalEndTime], ['2023-11-14T22:13:20.000Z', '2023-11-14T23:13:20.000Z']);
    const { storageLayer, fileFormat } = outputs[0].facets.storage;
    assert.deepEqual([storageLayer, fileFormat], ['file', 'application/x-hdf5']);
  });

  it('ends a run as it has ended, and one that goes on not at all', async () => {
    for (const [status, last] of [
      ['FAILED', 'FAIL'],
      ['KILLED', 'ABORT'],
      ['INCOMPLETE', 'ABORT'],
      ['RUNNING', 'RUNNING'],
    ] as const) {
      const path = join(folder, `${status}.db`);
      copyFileSync(made.path, path);
      endAs({ ...made, path }, 1, status);
      const events = (await eventsOf(path)).slice(2);
      assert.deepEqual(events.map(({ eventType }) => eventType), ['START', last]); // prettier-ignore
      assert.equal(events[1].outputs.length, 2);
      const error = events[1].run.facets?.errorMessage;
      assert.equal(error !== undefined, status !== 'RUNNING');
    }
  });

  it('takes one run, and a namespace', async () => {
    const events = await eventsOf(made.path, { run: made.runs[1], namespace: 'lab' });
    assert.deepEqual(
      events.map(({ eventType, job }) => `${eventType} ${job.namespace}/${job.name}`),
      ['START lab/infer', 'COMPLETE lab/infer'],
    );
  });

  it('has the cluster as namespace, and the commit of the program', async () => {
    const path = join(folder, 'slurm.db');
    copyFileSync(made.path, path);
    const context = {
      argv: ['node', 'a b.js', "it's"],
      cwd: '/scratch/u',
      environment: { SLURM_CLUSTER_NAME: 'theta', OMP_NUM_THREADS: '4' },
      git: { commit: 'c'.repeat(40), branch: 'main' },
      mpi: { library: 'Open MPI v4', launcher: 'Open MPI' },
    };
    sql(path, `UPDATE attempts SET size = 3, context = '${JSON.stringify(context).replaceAll("'", "''")}'`);
    const [{ job, run }] = await eventsOf(path);
    assert.equal(job.namespace, 'slurm://theta');
    assert.equal(job.facets.documentation.description, `mpiexec -n 3 node 'a b.js' 'it'\\''s'`);
    const { version, branch, url } = job.facets.sourceCodeLocation;
    assert.deepEqual([version, branch, url], ['c'.repeat(40), 'main', 'file:///scratch/u/a%20b.js']);
    assert.equal(run.facets.processing_engine.version, 'Open MPI v4');
    assert.equal((run.facets.environmentVariables.environmentVariables as unknown[]).length, 2);
  });

  it('takes a context that is damaged', async () => {
    const path = join(folder, 'damaged.db');
    copyFileSync(made.path, path);
    for (const context of ['{"argv": [1], "git": 7, "environment": ["x"], "cwd": {}}', 'null', '"x"', '{']) {
      sql(path, `UPDATE attempts SET context = '${context}'`);
      assert.equal((await eventsOf(path)).length, 4);
    }
  });

  it("has an event for each record of a database of Braid-DB's", async () => {
    const path = join(folder, 'braid-db.db');
    makeBraidDbFile(path);
    const events = await eventsOf(path);
    assert.deepEqual(events.map(({ dataset }) => names([dataset])[0]), ['file /first', 'braid://braid-db.db second#2']); // prettier-ignore
    assert.deepEqual(inputsOf(events[1].dataset), ['file /first']);
    assert.ok(events.every(({ run }) => run === undefined));
  });

  it('takes several events where there is much', async () => {
    const path = join(folder, 'large.db');
    copyFileSync(made.path, path);
    // Of the last run: records of which one is derived from more than an event of many holds.
    sql(
      path,
      `UPDATE attempts SET id_end = 10000 WHERE id_base = (SELECT max(id_base) FROM attempts);
       WITH RECURSIVE n (i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 7999)
         INSERT INTO records (record_id, name, time, kind) SELECT i, 'x' || i, '2026-01-01 00:00:00.000000', 2 FROM n;
       INSERT INTO derivations (record_id, derivation, time) SELECT record_id, 7500, time FROM records WHERE record_id BETWEEN 1000 AND 7499;`,
    );
    const events = (await eventsOf(path)).filter(({ job }) => job.name === 'infer');
    const types = events.map(({ eventType }) => eventType!);
    assert.deepEqual([types[0], types.at(-1)], ['START', 'COMPLETE']);
    assert.ok(types.length > 4 && types.slice(1, -1).every((type) => type === 'RUNNING'), types.join());
    const ids = events.flatMap(({ outputs = [] }) => outputs.map(({ facets }) => facets.braid_record.id as number));
    assert.deepEqual(
      ids.toSorted((a, b) => a - b),
      [made.ids.model, made.ids.report, ...Array.from({ length: 7000 }, (_, i) => 1000 + i)],
    );
    const alone = events.find(({ outputs }) => outputs?.[0]?.facets.braid_record.id === 7500)!;
    assert.equal(alone.outputs.length, 1);
    assert.equal(inputsOf(alone.outputs[0]).length, 6500);
  });

  describe('sent to a server', () => {
    type Answer = (request: IncomingMessage, body: string, response: ServerResponse) => void;
    let answer: Answer;
    const server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => (body += text));
      request.on('end', () => answer(request, body, response));
    });
    let url: string;
    before(async () => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    after(() => {
      server.closeAllConnections();
      server.close();
    });
    const fast = { backoffMs: 1 };

    it('comes event by event, with a key', async () => {
      const got: [string | undefined, string | undefined, string | undefined, string][] = [];
      answer = ({ method, url, headers }, body, response) => {
        got.push([`${method} ${url}`, headers['content-type'], headers.authorization, body]);
        response.writeHead(201).end();
      };
      const report = await postOpenLineage(made.path, url, { apiKey: 'k1' });
      assert.deepEqual(report, { url: `${url}/api/v1/lineage`, events: 4 });
      assert.deepEqual(got.map((each) => each.slice(0, 3).join()), Array(4).fill('POST /api/v1/lineage,application/json,Bearer k1')); // prettier-ignore
      await exportDatabase(made.path, output, { format: 'openlineage' });
      assert.equal(got.map(([, , , body]) => body).join(''), readFileSync(output, 'utf8'));
    });

    it('comes again after what may pass: an overload, an error of the server, of the network, a timeout', async () => {
      const bodies: string[] = [];
      let at = 0;
      answer = (request, body, response) => {
        const kind = at++ % 5;
        if (kind === 0) response.writeHead(429, { 'retry-after': '0' }).end('slow down');
        else if (kind === 1) response.writeHead(503).end();
        else if (kind === 2) request.socket.destroy();
        else if (kind === 3)
          return; // No answer.
        else {
          bodies.push(body);
          response.writeHead(200).end('{}');
        }
      };
      const report = await postOpenLineage(made.path, `${url}/lineage`, { ...fast, timeoutMs: 200 });
      assert.deepEqual([report.url, report.events, at], [`${url}/lineage`, 4, 20]);
      assert.equal(new Set(bodies).size, 4);
    });

    it('says what was sent when it gives up', async () => {
      let at = 0;
      answer = (_, __, response) => response.writeHead(++at > 2 ? 500 : 200).end('no\u001b[31m space');
      await assert.rejects(postOpenLineage(made.path, url, { ...fast, retries: 2 }), {
        code: 'ERR_BRAID_POST',
        message: /^2 events were sent to http:\S+, and then one was not taken: the server answered 500: no\\x1b\[31m space; tried 3 times/, // prettier-ignore
      });
      assert.equal(at, 5);
    });

    it('gives up at once where trying again helps nobody', async () => {
      for (const [status, headers] of [
        [400, {}],
        [401, {}],
        [302, { location: `${url}/elsewhere` }],
      ] as const) {
        // prettier-ignore
        let at = 0;
        answer = (_, __, response) => {
          at++;
          response.writeHead(status, headers).end();
        };
        await assert.rejects(postOpenLineage(made.path, url, fast), { code: 'ERR_BRAID_POST', message: new RegExp(`^0 events.* ${status}`) }); // prettier-ignore
        assert.equal(at, 1);
      }
    });

    it('ends when it is told to', async () => {
      const stop = new AbortController();
      answer = () => stop.abort();
      await assert.rejects(postOpenLineage(made.path, url, { signal: stop.signal }), { name: 'AbortError' });
    });

    it('refuses what is no server', async () => {
      for (const wrong of ['ftp://x', 'localhost', '', 'http://u:p@localhost']) {
        await assert.rejects(postOpenLineage(made.path, wrong), { code: 'ERR_BRAID_OPTION_INVALID' });
      }
      await assert.rejects(postOpenLineage(made.path, url, { retries: -1 }), { code: 'ERR_BRAID_OPTION_INVALID' });
    });

    it('is what braid export --post does', async () => {
      const keys: (string | undefined)[] = [];
      answer = ({ headers }, _, response) => {
        keys.push(headers.authorization);
        response.end();
      };
      const env = { OPENLINEAGE_API_KEY: 'k2', OPENLINEAGE_NAMESPACE: 'lab' };
      const { code, stdout, stderr } = await braid(['export', made.path, '--post', url, '--json'], { env });
      assert.deepEqual([code, stderr], [0, '']);
      assert.deepEqual(JSON.parse(stdout), { url: `${url}/api/v1/lineage`, events: 4 });
      assert.deepEqual(keys, Array(4).fill('Bearer k2'));
    });
  });
});
