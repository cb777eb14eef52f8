/**
 * Records until a signal ends it: node signals.rank.js DB STAGE. What is acknowledged goes to a file that a kill can't take
 * back. Says when the signal may come.
 */
import { appendFileSync } from 'node:fs';
import { BraidData, BraidDB } from 'braid-mpi';

const [path, stage] = process.argv.slice(2);
let count = 0;
const record = (db: BraidDB) => {
  const data = new BraidData(db, { name: `${db.rank}-${count++}`, tags: { stage } });
  appendFileSync(`${path}.acknowledged`, `${data.name}\n`);
};
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

const db = await open();
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
  case 'handling it':
    process.on('SIGUSR1', () => {
      record(db);
      void db.close().then(() => process.exit());
    });
    ready(db);
    setInterval(() => undefined, 30_000);
}
