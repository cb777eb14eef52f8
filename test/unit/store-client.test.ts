import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { StoreClient } from '#src/store/store-client.js';

describe('the thread that writes the database', () => {
  let directory: string;
  let path: string;
  let client: StoreClient;
  let threads: Worker[];
  const added = (worker: Worker) => threads.push(worker);
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'braid-store-'));
    path = join(directory, 'run.db');
    threads = [];
    process.on('worker', added);
    client = new StoreClient();
    await client.open({ path, busyMs: 1000 });
    // Nothing is gathered, and what is done with that is done there.
    await client.call('commit', Buffer.alloc(0));
  });
  afterEach(async () => {
    process.off('worker', added);
    await client.terminate();
    rmSync(directory, { recursive: true });
  });

  const context = { name: 'a run', context: {}, ranks: [{ host: 'h', spool: '/s', anchor: 'a' }] };

  it('fails what it has not answered when it dies, and the next call goes on with another', async () => {
    const named = await client.call('nextAttempt');
    await client.call('beginRun', { ...named, ...context });
    void threads[0].terminate();
    const unanswered = client.call('openAttempts');
    await assert.rejects(async () => unanswered, { code: 'ERR_BRAID_DB', message: /^the thread that writes/ });
    const [running] = await client.call('openAttempts');
    assert.equal(running.run, named.run);
    assert.equal(threads.length, 2);
    await client.call('close');
  });

  it('is not started for what the main thread has done sooner, and goes on from there', async () => {
    const other = new StoreClient();
    await other.open({ path, busyMs: 1000 });
    const named = await other.call('nextAttempt');
    await other.call('beginRun', { ...named, ...context });
    await other.call('endAttempt', named.run, named.attempt, 'COMPLETED');
    await other.call('close');
    await other.terminate();
    assert.equal(threads.length, 1);
  });

  it('waits for the lock of another, where the main thread does not', async () => {
    const other = new StoreClient();
    await other.open({ path, busyMs: 10_000 });
    const named = await other.call('nextAttempt');
    const writer = new Database(path);
    writer.exec('BEGIN IMMEDIATE');
    assert.equal(threads.length, 1);
    const beginning = other.call('beginRun', { ...named, ...context });
    writer.exec('COMMIT');
    writer.close();
    assert.equal(beginning.done, false);
    await beginning;
    assert.equal(threads.length, 2);
    await other.call('close');
    await other.terminate();
  });

  it('is replaced when it died while nothing was asked of it', async () => {
    await threads[0].terminate();
    assert.deepEqual(await client.call('openAttempts'), []);
    await client.call('close');
  });

  it('does not keep waiting a caller that holds up the event loop', () => {
    // Without an event loop nobody hears of its end.
    void threads[0].terminate();
    const unanswered = client.call('openAttempts');
    client.waitFor(unanswered);
    assert.match(String(unanswered.error), /the thread that writes the database ended/);
    const again = client.call('openAttempts');
    client.waitFor(again);
    assert.deepEqual(again.value, []);
  });

  it('goes on with no other database than the one it had', async () => {
    await threads[0].terminate();
    rmSync(path);
    await assert.rejects(async () => client.call('openAttempts'), { code: 'ERR_BRAID_DB_REPLACED' });
    const other = new StoreClient();
    await other.open({ path, busyMs: 1000 });
    await other.call('close');
    await other.terminate();
    await assert.rejects(async () => client.call('openAttempts'), { code: 'ERR_BRAID_DB_REPLACED' });
  });
});
