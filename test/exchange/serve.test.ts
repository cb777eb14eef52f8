import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { text as readAll } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Validator } from '@seriousme/openapi-schema-validator';
import Database from 'better-sqlite3';
import { addRecords, recover, serveFunctions, verify, type AddedRecord } from 'braid-mpi';
import { BRAID, makeDirectory } from '../cli/support.js';
import { endWithTest } from '../support/children.js';
import { reading } from './support.js';

const TOKEN = '0123456789abcdef0123456789abcdef';

interface Answer {
  status: number;
  body: unknown;
  headers: Headers;
}

/** A server in a process of its own. */
interface Served {
  readonly url: string;
  readonly child: ChildProcess;
  /** Of its end: exit code, signal, what it has logged. */
  readonly ended: Promise<[number | null, string | null, string]>;
}

async function serve(args: readonly string[], env: Record<string, string> = {}): Promise<Served> {
  const child = endWithTest(
    spawn(process.execPath, [BRAID, 'serve', '--port', '0', '--json', ...args], {
      env: { PATH: process.env.PATH, TMPDIR: process.env.TMPDIR, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
  const log = readAll(child.stderr);
  const ended = once(child, 'close').then(
    async ([code, signal]: unknown[]) => [code, signal, await log] as [number | null, string | null, string],
  );
  for await (const line of createInterface({ input: child.stdout })) {
    return { url: (JSON.parse(line) as { url: string }).url, child, ended };
  }
  throw new Error(`it did not start: ${(await ended).join(' ')}`);
}

async function post(
  url: string,
  path: string,
  body: string | object,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const answer = await fetch(`${url}${path}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
  return { status: answer.status, body: await answer.json(), headers: answer.headers };
}

const codeOf = ({ body }: Answer) => (body as { error: { code: string } }).error.code;

/** One record added by a server; its id. */
async function add(url: string, name: string): Promise<number> {
  const { status, body } = await post(url, '/add_records', { name });
  assert.equal(status, 200);
  return (body as AddedRecord[])[0].record_id;
}

const namesOf = (path: string) => reading(path, (reader) => new Set([...reader.records()].map(({ name }) => name)));

describe('braid serve', function () {
  this.timeout(60_000);
  const directory = makeDirectory();
  after(() => directory.remove());

  describe('on the loopback interface', () => {
    const db = join(directory.path, 'served.db');
    let url: string;
    let close: () => Promise<void>;
    const logged: [number, string | undefined][] = [];
    before(async () => {
      const server = await serveFunctions({
        db,
        port: 0,
        maxBodyBytes: 100_000,
        requestTimeoutMs: 1000,
        onRequest: ({ status, code }) => logged.push([status, code]),
      });
      ({ url } = server);
      close = () => server.close();
    });
    after(() => close());

    it('answers when what a request records is committed, and those that come together at once', async () => {
      assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
      const id = await add(url, 'first');
      assert.equal(
        reading(db, (reader) => reader.record(id)!.name),
        'first',
      );
      const ids = await Promise.all(Array.from({ length: 100 }, (_, i) => add(url, `together-${i}`)));
      assert.equal(new Set(ids).size, 100);
      const names = namesOf(db);
      for (let i = 0; i < 100; i++) assert.ok(names.has(`together-${i}`));
    });

    it('knows what earlier requests have recorded', async () => {
      const first = await post(url, '/add_record_for_action_step', {
        step_name: 'A',
        output_record_defs: { name: 'out' },
      });
      const step = { details: { result: [first.body] } };
      const second = await post(url, '/add_record_for_action_step', {
        step_name: 'B',
        previous_step_output: step,
        input_record_ids: step,
        inputs_from_referenced_outputs: true,
      });
      const { exception_str, flow_state_record_id: id } = second.body as {
        exception_str: null;
        flow_state_record_id: number;
      };
      assert.equal(exception_str, null);
      const names = reading(db, (reader) => reader.sources(id).map(({ name }) => name));
      assert.deepEqual(names.toSorted(), ['Action Step A', 'out']);
      const action = await post(url, '/create_invalidation_action', { command: 'true' });
      const added = await post(url, '/add_invalidation_action_to_record', {
        record_id: { details: { result: [second.body] } },
        invalidation_action_id: { details: { result: [action.body] } },
      });
      assert.equal(added.status, 200);
    });

    const deep = `{"tags": ${'{"a":'.repeat(9000)}1${'}'.repeat(9000)}}`;
    const wrong: [string, string, string, Record<string, string>, number, string][] = [
      ['malformed JSON', '/add_records', '{"name": ', {}, 400, 'ERR_BRAID_INPUT_INVALID'],
      ['no body', '/add_records', '', {}, 400, 'ERR_BRAID_INPUT_INVALID'],
      ['nesting without end', '/add_record_for_action_step', deep, {}, 400, 'ERR_BRAID_INPUT_INVALID'],
      ['what a function does not take', '/add_transfer_request', '{"transfer_input": []}', {}, 400, 'ERR_BRAID_INPUT_INVALID'], // prettier-ignore
      ['a body that is too large', '/add_records', JSON.stringify({ name: 'x'.repeat(100_001) }), {}, 413, 'ERR_BRAID_TOO_LARGE'], // prettier-ignore
      ['a record that is not there', '/add_transfer_request', '{"previous_step_record_id": 987654321}', {}, 422, 'ERR_BRAID_NO_SUCH_RECORD'], // prettier-ignore
      ['an unknown function', '/__proto__', '{}', {}, 404, 'ERR_BRAID_NO_SUCH_FUNCTION'],
      ['another path', '/a/b', '{}', {}, 404, 'ERR_BRAID_HTTP_NOT_FOUND'],
      ['the type of a form', '/add_records', '{}', { 'content-type': 'text/plain' }, 415, 'ERR_BRAID_HTTP_TYPE'],
      ['another character set', '/add_records', '{}', { 'content-type': 'application/json; charset=latin1' }, 415, 'ERR_BRAID_HTTP_TYPE'], // prettier-ignore
      ['a compressed body', '/add_records', '{}', { 'content-encoding': 'gzip' }, 415, 'ERR_BRAID_HTTP_TYPE'],
      ['a web page', '/add_records', '{}', { origin: 'http://localhost' }, 403, 'ERR_BRAID_HTTP_ORIGIN'],
    ];
    for (const [title, path, body, headers, status, code] of wrong) {
      it(`refuses ${title}, and goes on`, async () => {
        const before = namesOf(db).size;
        const answer = await post(url, path, body, headers);
        assert.deepEqual([answer.status, codeOf(answer)], [status, code]);
        assert.deepEqual(logged.at(-1), [status, code]);
        assert.equal(namesOf(db).size, before);
        assert.equal((await fetch(`${url}/openapi.json`)).status, 200);
      });
    }

    it('refuses a body that turns out too large as it comes', async () => {
      const chunks = new ReadableStream({
        pull(controller) {
          controller.enqueue(Buffer.alloc(60_000, 0x20));
        },
      });
      const init = { method: 'POST', body: chunks, duplex: 'half', headers: { 'content-type': 'application/json' } };
      const status = await fetch(`${url}/add_records`, init as RequestInit).then(
        (answer) => answer.status,
        (error: Error) => error.message,
      );
      // The rest is not taken, so the client may find the connection closed before it reads the answer.
      assert.ok(status === 413 || status === 'fetch failed', String(status));
      assert.deepEqual(logged.at(-1), [413, 'ERR_BRAID_TOO_LARGE']);
    });

    it('refuses other methods', async () => {
      const answer = await fetch(`${url}/add_records`);
      assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'POST']);
    });

    it('answers to names of this machine only', async () => {
      const statusFor = async (host: string) => {
        const sent = request(`${url}/openapi.json`, { headers: { host } }).end();
        const [answer] = (await once(sent, 'response')) as [{ statusCode: number; resume(): void }];
        answer.resume();
        return answer.statusCode;
      };
      for (const host of ['localhost:8787', '127.0.0.1', '[::1]:1']) assert.equal(await statusFor(host), 200, host);
      for (const host of ['evil.example', '127.0.0.1.evil.example']) assert.equal(await statusFor(host), 403, host);
    });

    it('keeps names as they are, however hostile', async () => {
      const names = [
        "'); DROP TABLE records; --",
        '\u001b[2J',
        '../../etc/passwd',
        '\u202egnp.exe',
        '{"name"}',
        '🔑'.repeat(99),
      ];
      for (const name of names) await add(url, name);
      const stored = namesOf(db);
      for (const name of names) assert.ok(stored.has(name), name);
    });

    it('closes a connection on which a request does not come to its end', async () => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      socket.write(
        'POST /add_records HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
      );
      const started = performance.now();
      const answer = await readAll(socket);
      assert.match(answer, /^HTTP\/1\.1 408 /);
      assert.ok(performance.now() - started < 10_000);
    });

    it('answers in JSON what is no request', async () => {
      for (const [sent, status] of [
        ['HELO\r\n\r\n', 400],
        [`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
      ] as const) {
        const socket = connect(Number(new URL(url).port), '127.0.0.1');
        socket.write(sent);
        const answer = await readAll(socket);
        assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} [^]*"code":"ERR_BRAID_HTTP_REQUEST"`));
      }
    });

    it('takes a client that goes away for what it is', async () => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      const head = 'POST /add_records HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
      await new Promise<void>((resolve) => {
        socket.write(`${head}Content-Length: 99\r\n\r\n{`, () => resolve());
      });
      await sleep(100);
      socket.resetAndDestroy();
      while (logged.at(-1)?.[1] !== 'ERR_BRAID_HTTP_ABORTED') await sleep(10);
      assert.deepEqual(logged.at(-1), [400, 'ERR_BRAID_HTTP_ABORTED']);
    });

    it('keeps integers of 64 bits as they are', async () => {
      const body =
        '{"name": "wide", "tags": {"a": {"value": 9007199254740993}, "b": {"value": -9223372036854775808, "type": "INT"}}}';
      const answer = await post(url, '/add_records', body);
      const [{ record_id: id, tags }] = answer.body as AddedRecord[];
      assert.equal(tags!.a.value, '9007199254740993');
      reading(db, (reader) => {
        assert.deepEqual(reader.record(id)!.tags, { a: 9007199254740993n, b: -9223372036854775808n });
      });
    });

    it('describes itself in OpenAPI, as it is', async () => {
      const document = (await (await fetch(`${url}/openapi.json`)).json()) as {
        paths: Record<
          string,
          { post: { requestBody: { content: Record<string, { schema: { properties: object } }> } } }
        >;
      };
      const { valid, errors } = await new Validator().validate(document);
      assert.ok(valid, JSON.stringify(errors));
      assert.deepEqual(Object.keys(document.paths), [
        '/add_records',
        '/add_record_for_action_step',
        '/add_transfer_request',
        '/create_invalidation_action',
        '/add_invalidation_action_to_record',
      ]);
      const step = document.paths['/add_record_for_action_step'].post.requestBody.content['application/json'].schema;
      assert.deepEqual(Object.keys(step.properties), [
        'step_name',
        'tags',
        'step_result',
        'previous_step_output',
        'other_predecessor_record_ids',
        'input_record_ids',
        'inputs_from_referenced_outputs',
        'output_record_ids',
        'outputs_from_referenced_inputs',
        'input_record_defs',
        'output_record_defs',
        'uris',
      ]);
      assert.ok(!JSON.stringify(document).includes('$defs'));
    });

    it('is not started twice on one port, and not with options that are wrong', async () => {
      const other = join(directory.path, 'other.db');
      await assert.rejects(serveFunctions({ db: other, port: Number(new URL(url).port) }), { code: 'ERR_BRAID_SERVE_ADDRESS' }); // prettier-ignore
      await assert.rejects(serveFunctions({ db: other, port: 70_000 }), { code: 'ERR_BRAID_OPTION_INVALID', message: /port/ }); // prettier-ignore
      await assert.rejects(serveFunctions({ db: directory.path, port: 0 }), { code: 'ERR_BRAID_DB_IS_DIRECTORY' });
    });
  });

  it('needs a token where others can reach it', async () => {
    const db = join(directory.path, 'token.db');
    const file = join(directory.path, 'token');
    writeFileSync(file, `${TOKEN}\n`);
    await assert.rejects(serve(['--db', db, '--host', '0.0.0.0']), /1 {2}.*ERR_BRAID_SERVE_TOKEN/);
    await assert.rejects(serve(['--db', db], { BRAID_TOKEN: 'short' }), /ERR_BRAID_SERVE_TOKEN/);
    const served = await serve(['--db', db, '--host', '0.0.0.0', '--token-file', file, '--rate', '5']);
    const url = `http://127.0.0.1:${new URL(served.url).port}`;
    const send = (authorization?: string) =>
      post(url, '/add_records', { name: 'x' }, authorization === undefined ? {} : { authorization });
    const first = [
      await send(),
      await send(`Bearer ${TOKEN}x`),
      await send(`Basic ${TOKEN}`),
      await send(`Bearer ${TOKEN}`),
    ];
    assert.deepEqual(
      first.map(({ status }) => status),
      [401, 401, 401, 200],
    );
    assert.equal(codeOf(first[0]), 'ERR_BRAID_HTTP_TOKEN');
    const many = await Promise.all(Array.from({ length: 10 }, () => send(`Bearer ${TOKEN}`)));
    const refused = many.filter(({ status }) => status === 429);
    assert.ok(refused.length >= 5, `${refused.length} of 10`);
    assert.deepEqual([codeOf(refused[0]), refused[0].headers.get('retry-after')], ['ERR_BRAID_HTTP_RATE', '1']);
    served.child.kill('SIGINT');
    const [code, , log] = await served.ended;
    assert.equal(code, 0);
    assert.ok(!log.includes(TOKEN), 'the log does not have the token');
    assert.equal(log.trim().split('\n').length, 14);
  });

  it('records as a whole or not at all, and says so, while the database can not be written', async () => {
    const db = join(directory.path, 'locked.db');
    const { url, child, ended } = await serve(['--db', db, '--max-body', '4000000'], {
      BRAID_BUSY_MS: '1',
      BRAID_SPOOL_LIMIT_BYTES: String(2 ** 21),
    });
    const lock = new Database(db);
    lock.exec('BEGIN IMMEDIATE');
    const kept: string[] = [];
    let answer: Answer;
    for (let i = 0; ; i++) {
      const names = Array.from({ length: 100 }, (_, j) => `${i}.${j}`);
      const tags = { text: { value: 'x'.repeat(3000) } };
      answer = await post(url, '/add_records', names.map((name) => ({ name, tags }))); // prettier-ignore
      if (answer.status !== 202) break;
      assert.deepEqual((answer.body as AddedRecord[]).map(({ name }) => name), names); // prettier-ignore
      kept.push(...names);
    }
    assert.deepEqual([answer.status, codeOf(answer)], [503, 'ERR_BRAID_SPOOL_FULL']);
    assert.ok(kept.length > 100);
    lock.exec('ROLLBACK');
    lock.close();
    const id = await add(url, 'after');
    assert.deepEqual(namesOf(db), new Set([...kept, 'after']));
    assert.equal(
      reading(db, (reader) => reader.record(id)!.name),
      'after',
    );
    child.kill('SIGTERM');
    const [code, , log] = await ended;
    assert.equal(code, 0);
    assert.match(log, /"status":202.*"cause":"ERR_BRAID_DB_BUSY/);
    assert.deepEqual(verify(db).problems, []);
  });

  it('serves others while an action waits for a lock', async () => {
    const db = join(directory.path, 'waiting.db');
    const { url, child, ended } = await serve(['--db', db]);
    const lock = new Database(db);
    lock.exec('BEGIN IMMEDIATE');
    const action = post(url, '/create_invalidation_action', { command: 'true' });
    // It has come.
    await sleep(200);
    assert.equal((await fetch(`${url}/openapi.json`)).status, 200);
    lock.close();
    assert.equal((await action).status, 200);
    child.kill('SIGTERM');
    assert.equal((await ended)[0], 0);
  });

  it('ends on SIGTERM when what has come is answered', async () => {
    const db = join(directory.path, 'stopped.db');
    const { url, child, ended } = await serve(['--db', db]);
    await add(url, 'before');
    const socket: Socket = connect(Number(new URL(url).port), '127.0.0.1');
    const body = JSON.stringify({ name: 'during' });
    const answer = readAll(socket);
    socket.write(
      `POST /add_records HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
    );
    // It has begun to be served.
    await sleep(200);
    child.kill('SIGTERM');
    await sleep(200);
    await assert.rejects(fetch(url), 'takes nothing new');
    socket.write(body.slice(5));
    assert.match(await answer, /^HTTP\/1\.1 200 [^]*connection: close[^]*"during"/i);
    const [code, signal] = await ended;
    assert.deepEqual([code, signal], [0, null]);
    assert.deepEqual(namesOf(db), new Set(['before', 'during']));
    assert.deepEqual(reading(db, (reader) => reader.runs().map(({ name, status }) => `${name} ${status}`)), ['braid serve COMPLETED']); // prettier-ignore
  });

  it('has lost nothing of what it has answered when it is killed', async () => {
    const db = join(directory.path, 'killed.db');
    const { url, child, ended } = await serve(['--db', db, '--rate', '100000']);
    const answered: string[] = [];
    const client = async (who: number) => {
      try {
        for (let i = 0; ; i++) {
          const { status } = await post(url, '/add_records', { name: `${who}-${i}` });
          if (status === 200) answered.push(`${who}-${i}`);
        }
      } catch {
        // It is gone.
      }
    };
    const clients = Array.from({ length: 8 }, (_, who) => client(who));
    await sleep(1000);
    child.kill('SIGKILL');
    await Promise.all([...clients, ended]);
    assert.ok(answered.length > 8, `${answered.length} answers`);
    const committed = namesOf(db);
    for (const name of answered) assert.ok(committed.has(name), name);
    await recover(db);
    const recovered = namesOf(db);
    for (const name of committed) assert.ok(recovered.has(name), name);
    const records = reading(db, (reader) => [...reader.records()]);
    assert.equal(new Set(records.map(({ name }) => name)).size, records.length, 'each is there once');
    assert.deepEqual(verify(db).problems, []);
    const [more] = (await addRecords({ name: 'afterwards' }, { db })) as AddedRecord[];
    assert.ok(records.every(({ id }) => id !== more.record_id));
  });

  it('shares a database with another', async () => {
    const db = join(directory.path, 'shared.db');
    const servers = [await serve(['--db', db]), await serve(['--db', db])];
    const ids = await Promise.all(Array.from({ length: 20 }, (_, i) => add(servers[i % 2].url, `shared-${i}`)));
    assert.equal(new Set(ids).size, 20);
    // Each knows what the other has committed.
    const across = await post(servers[1].url, '/add_record_for_action_step', { step_name: 'x', input_record_ids: ids });
    assert.equal((across.body as { exception_str: null }).exception_str, null);
    for (const { child } of servers) child.kill('SIGTERM');
    for (const { ended } of servers) assert.equal((await ended)[0], 0);
    assert.equal(namesOf(db).size, 21);
    assert.deepEqual(verify(db).problems, []);
  });
});
