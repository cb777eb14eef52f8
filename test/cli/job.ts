/**
 * A recording job of one process, to be run as a child: `node job.js DB MODE [COUNT]`. It tells what has happened by lines
 * on stdout, each written before the next thing is done.
 */
import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { BraidData, BraidDB, BraidFact, BraidModel } from '#src/index.js';

const [path, mode, count = '0'] = process.argv.slice(2);
const say = (line: string) => new Promise((resolve) => process.stdout.write(`${line}\n`, resolve));

const db = await BraidDB.open(path, { name: mode });
await say(`run ${db.runId}`);

switch (mode) {
  // A small graph: two facts, a model that three scans have taught, what it made.
  case 'graph': {
    const config = new BraidFact(db, {
      name: 'config',
      uris: ['file:///config.json'],
      tags: { energy: 12.4, on: true },
    });
    const other = new BraidFact(db, {
      name: 'twin',
      tags: { text: '1', line: 'two\nlines \u001b[31m', big: 2n ** 60n },
    });
    new BraidFact(db, { name: 'twin' });
    const model = new BraidModel(db, { name: 'model', derivedFrom: [config, other] });
    for (let step = 0; step < 3; step++) {
      const scan = new BraidData(db, { name: `scan-${step}`, derivedFrom: config });
      model.update(scan, { step, tags: { loss: 1 / (step + 1) } });
      new BraidData(db, { name: `peaks-${step}`, derivedFrom: model });
    }
    other.invalidate({ cause: 'wrong', cascade: false });
    await db.close();
    break;
  }
  case 'many':
    for (let i = 0; i < Number(count); i++) new BraidData(db, { name: `record-${i}`, uris: [`file:///${i}`] });
    await db.close();
    break;
  // Records until it is killed, and says which record has been recorded; flushes now and then where COUNT says so.
  case 'endless': {
    const every = Number(count);
    for (let i = 0; ; i++) {
      new BraidData(db, { name: `record-${i}`, tags: { i } });
      await say(`recorded ${i}`);
      if (every > 0 && i % every === 0) await db.flush();
    }
  }
  // Records, and waits for its stdin to end.
  case 'waiting':
    for (let i = 0; i < Number(count); i++) new BraidData(db, { name: `record-${i}` });
    await say('waiting');
    await once(process.stdin.resume(), 'end');
    await db.close();
    break;
  // Records and flushes, and again for each line 'flush' on its stdin; 'record' is without the flush.
  case 'waiting-flushes': {
    const record = () => {
      for (let i = 0; i < Number(count); i++) new BraidData(db, { name: `record-${i}`.padEnd(100, '.') });
    };
    const lines = createInterface({ input: process.stdin });
    record();
    await db.flush();
    await say('flushed');
    for await (const line of lines) {
      record();
      if (line === 'flush') await db.flush();
      await say(line === 'flush' ? 'flushed' : 'recorded');
    }
    break;
  }
  case 'unclosed':
    for (let i = 0; i < Number(count); i++) new BraidData(db, { name: `record-${i}` });
    process.exit(0);
}
