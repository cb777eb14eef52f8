/**
 * Records until a signal ends it: node signals.rank.js DB STAGE. What is acknowledged goes to a file that a kill can't take
 * back. Says when the signal may come.
 */
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { BraidData, BraidDB } from 'braid-mpi';
import { unwatchExit, watchExit } from '#src/exit.js';

const [path, stage] = process.argv.slice(2);
if (stage === 'being closed') {
  const database = { signals: ['SIGTERM'], killed: () => undefined, unclosed: () => undefined };
  watchExit(database);
  // It is there before the next line, and the event loop hears of it later.
  process.kill(process.pid, 'SIGTERM');
  unwatchExit(database);
  await pause(30_000);
}
let count = 0;
const record = (db: BraidDB) => {
  const data = new BraidData(db, { name: `${db.rank}-${count++}`, tags: { stage } });
  appendFileSync(`${path}.acknowledged`, `${data.name}\n`);
};
/** How a program may handle it: WORD is `on`, `once`, `prependListener` or `prependOnceListener`. */
const [, word, when] = /^handling it by (\w+) (before|after)$/.exec(stage) ?? [];
const handle = () =>
  process[word as 'on']('SIGUSR1', () => {
    // Later than the listeners that come behind this one.
    setImmediate(() => {
      record(db);
      void db.close().then(() => process.exit(7));
    });
  });
const open = () => BraidDB.open(path, { signals: ['SIGTERM', 'SIGINT', 'SIGUSR1'] });
const ready = (db: BraidDB) => console.log(`ready ${db.rank} ${process.pid}`);

if (stage === 'opening and closing') {
  for (let i = 0; ; i++) {
    const db = await open();
    record(db);
    if (i === 1) ready(db);
    await db.close();
  }
}

if (when === 'before') handle();
const opening = open();
if (stage === 'opening') {
  while (process.listenerCount('SIGTERM') === 0) await pause(1);
  console.log(`ready 0 ${process.pid}`);
}
const db = await opening;
if (when === 'after') handle();
for (let i = 0; i < 5; i++) record(db);
switch (stage) {
  case 'waiting':
    ready(db);
    setInterval(() => undefined, 30_000);
    break;
  case 'flushing':
    for (let i = 0; ; i++) {
      for (let j = 0; j < 5; j++) record(db);
      if (i === 1) ready(db);
      await db.flush();
    }
  case 'computing': {
    await db.flush();
    ready(db);
    // The event loop's turn comes when this ends.
    const end = performance.now() + 700;
    while (performance.now() < end) record(db);
    setInterval(() => undefined, 30_000);
    break;
  }
  case 'flushing at a word':
  case 'exiting at a word':
    await db.flush();
    record(db);
    ready(db);
    while (!existsSync(`${path}.word`)) await pause(5);
    void db.flush().catch(() => undefined);
    console.log(`flushing ${db.rank}`);
    if (stage === 'exiting at a word') process.exit(3);
    setInterval(() => undefined, 30_000);
    break;
  case 'handling it':
    process.on('SIGUSR1', () => {
      record(db);
      void db.close().then(() => process.exit());
    });
    ready(db);
    setInterval(() => undefined, 30_000);
    break;
  default:
    ready(db);
    setInterval(() => undefined, 30_000);
}
