import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { BraidDB, BraidData, BraidModel, follow, type FollowEvent } from 'braid-mpi';
import { endWithTest } from '../support/children.js';
import { SimulatedWorld } from '../support/simulated-communicator.js';
import { BRAID, braid, makeBraidDbFile, makeDirectory, runJob, sql, startJob } from './support.js';

interface Line {
  type: 'record' | 'version' | 'run';
  record: { id: number; name: string };
  version: { name: string; number: number; step: number; tags: object };
  run: { id: string; status: string; liveness?: string };
}

describe('braid tail', function () {
  this.timeout(60_000);
  let directory: ReturnType<typeof makeDirectory>;
  let path: string;
  beforeEach(() => {
    directory = makeDirectory();
    path = join(directory.path, 'run.db');
  });
  afterEach(() => directory.remove());

  const tail = (...args: string[]) => {
    const child = endWithTest(
      spawn(process.execPath, [BRAID, 'tail', path, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }),
    );
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const ended = once(child, 'close').then(([code, signal]) => ({
      code: code as number,
      signal: signal as string,
      stderr,
    }));
    const next = async () => (await lines.next()).value as string;
    return { child: child as ChildProcess, next, json: async () => JSON.parse(await next()) as Line, ended, lines };
  };
  /** What has ended before it has looked for the first time is not told. */
  const opens = async ({ pid }: ChildProcess) => {
    const files = `/proc/${pid}/fd`;
    while (!readdirSync(files).some((fd) => isLinkTo(join(files, fd), path))) await delay(5);
  };
  const records = (text: string) =>
    text.trimEnd().split('\n').map((line) => JSON.parse(line) as Line).filter(({ type }) => type === 'record').map(({ record }) => record.name); // prettier-ignore

  it('follows a job that records: runs, records as they are committed, and the end', async () => {
    const job = startJob(path, 'waiting-flushes', 3);
    await job.line('flushed');
    const { json, ended } = tail('--json', '--interval', '0.05', '--until-end');
    const first = await json();
    assert.deepEqual([first.type, first.run.status], ['run', 'RUNNING']);
    for (let i = 0; i < 3; i++) {
      job.child.stdin!.write('flush\n');
      for (let k = 0; k < 3; k++) assert.equal((await json()).record.name.replace(/\.+$/, ''), `record-${k}`);
    }
    // It ends with a run that is dead: nobody may ever recover it.
    await job.kill();
    const last = await json();
    assert.deepEqual([last.type, last.run.status, last.run.liveness, last.run.id], ['run', 'RUNNING', 'dead', first.run.id]); // prettier-ignore
    assert.deepEqual(await ended, { code: 1, signal: null, stderr: '' });
    const text = await braid(['tail', path, '--until-end']);
    assert.match(
      text.stdout,
      /^run \w{8} .* {2}RUNNING {2}1 rank\nrun \w{8} .* {2}RUNNING {2}1 rank {2}no rank of it is alive: braid recover\n$/,
    );
    await braid(['recover', path]);
    const recovered = await braid(['tail', path, '--all', '--until-end', '--json']);
    assert.match(recovered.stdout, /"status":"INCOMPLETE"/);
  });

  it('begins with all that is there where it is told to, and ends with the run', async () => {
    await runJob(path, 'graph');
    const { code, stdout, stderr } = await braid(['tail', path, '--all', '--until-end', '--json']);
    assert.deepEqual([code, stderr], [0, '']);
    const lines = stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Line); // prettier-ignore
    assert.equal(lines.filter(({ type }) => type === 'record').length, 10);
    assert.deepEqual(
      lines.filter(({ type }) => type === 'version').map(({ version: { name, number, step, tags } }) => ({ name, number, step, tags })), // prettier-ignore
      [0, 1, 2].map((step) => ({ name: 'model', number: step + 1, step, tags: { loss: 1 / (step + 1) } })),
    );
    assert.equal(lines.at(-1)!.run.status, 'COMPLETED');
    const text = (await braid(['tail', path, '--all', '--until-end'])).stdout;
    assert.match(text, /^\[4\] model model {2}/m);
    assert.match(text, /^\[4\] model@2 step 1 {2}.* {2}loss=0.5$/m);
    assert.match(text, /^run [0-9a-f]{8} graph {2}.* {2}COMPLETED {2}1 rank$/m);
  });

  it('ends when nothing is committed for so long, and without it begins with nothing', async () => {
    await runJob(path, 'graph');
    const { code, stdout, stderr } = await braid(['tail', path, '--until-idle', '0.2']);
    assert.deepEqual([code, stdout, stderr], [0, '', '']);
  });

  it('waits for the first run where none is there, and tells of one that came and went in between', async () => {
    await braid(['create', path]);
    const { child, json, ended } = tail('--json', '--until-end', '--interval', '0.2');
    await opens(child);
    await runJob(path, 'many', 2);
    const lines = [];
    for (;;) {
      const line = await json();
      if (line.type === 'run' && line.run.status !== 'RUNNING') break;
      if (line.type === 'record') lines.push(line.record.name);
    }
    // What was there when it came is not told.
    assert.deepEqual(lines, ['record-0', 'record-1'].slice(2 - lines.length));
    assert.equal((await ended).code, 0);
  });

  it('ends at once, and cleanly, by Ctrl-C', async () => {
    await runJob(path, 'graph');
    const { child, next, ended } = tail('--all');
    await next();
    child.kill('SIGINT');
    assert.deepEqual(await ended, { code: 130, signal: null, stderr: '' });
  });

  it('ends without a word when its reader has gone', async () => {
    const job = startJob(path, 'endless', 1);
    await job.line('recorded');
    const { child, ended } = tail('--all', '--interval', '0.05');
    child.stdout!.once('data', () => child.stdout!.destroy());
    assert.deepEqual(await ended, { code: 0, signal: null, stderr: '' });
    await job.kill();
  });

  it('tells of each record of several ranks once, in whatever order they are committed', async () => {
    const size = 3;
    const seen: number[] = [];
    const versions: string[] = [];
    const stop = new AbortController();
    const made: number[] = [];
    await braid(['create', path]);
    const note = (event: FollowEvent) => {
      if (event.type === 'record') seen.push(event.record.id);
      if (event.type === 'version') versions.push(`${event.version.name}@${event.version.number}`);
    };
    const following = (async () => {
      for await (const events of follow(path, { all: true, intervalMs: 5, untilEnd: true, signal: stop.signal })) {
        for (const event of events) note(event);
      }
    })();
    await Promise.all(
      new SimulatedWorld(size, 5).comms.map(async (comm) => {
        const db = await BraidDB.open(path, { comm });
        const model = new BraidModel(db, { name: `m${comm.rank}` });
        made.push(model.id);
        for (let round = 0; round < 6; round++) {
          // The ranks differ, and ids interleave: later commits have lower ids.
          for (let i = 0; i < (round % size === comm.rank ? 1500 : 2); i++) {
            made.push(new BraidData(db, { name: `r${round}`, derivedFrom: model.at({ step: round + 1 }) }).id);
          }
          model.update(made.at(-1)!, { step: round });
          await db.flush();
        }
        await db.close();
      }),
    );
    await following;
    assert.equal(new Set(seen).size, seen.length);
    assert.deepEqual(seen.toSorted((a, b) => a - b), made.toSorted((a, b) => a - b)); // prettier-ignore
    assert.deepEqual(versions.toSorted(), [0, 1, 2].flatMap((rank) => [1, 2, 3, 4, 5, 6].map((number) => `m${rank}@${number}`))); // prettier-ignore
  });

  it('follows a file that Braid-DB has made', async () => {
    makeBraidDbFile(path);
    const { json, ended } = tail('--json', '--all', '--interval', '0.05', '--until-idle', '2');
    assert.equal((await json()).record.name, 'first');
    assert.equal((await json()).record.name, 'second');
    sql(path, `INSERT INTO records (name, time) VALUES ('third', '2026-01-02 03:04:07.000000')`);
    assert.equal((await json()).record.name, 'third');
    assert.equal((await ended).code, 0);
    assert.deepEqual(records((await braid(['tail', path, '--json', '--all', '--until-idle', '0.1'])).stdout), ['first', 'second', 'third']); // prettier-ignore
  });

  it('takes only seconds that there are', async () => {
    await braid(['create', path]);
    for (const value of ['0', '-1', 'x', '', '1e99']) {
      const { code, stderr } = await braid(['tail', path, '--interval', value]);
      assert.equal(code, 2, value);
      assert.match(stderr, /ERR_BRAID_USAGE: .*number of seconds/);
    }
  });
});

function isLinkTo(link: string, path: string): boolean {
  try {
    return readlinkSync(link) === path;
  } catch {
    // Closed meanwhile.
    return false;
  }
}
