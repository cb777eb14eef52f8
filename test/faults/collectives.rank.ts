/**
 * Every call of the root against every other of the last rank, one after another: node collectives.rank.js DIRECTORY. What
 * rank R is told goes to DIRECTORY/told.R: a launcher may tear lines that ranks print at once. The ranks go on together.
 */
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { BraidData, BraidDB, BraidFact } from 'braid-mpi';

const [directory] = process.argv.slice(2);
const at = (name: string) => join(directory, name);
const options = { stallMs: 60_000 };

const db = await BraidDB.open(at('table.db'), options);
const last = db.size - 1;

const CALLS = {
  open: () => BraidDB.open(at('other.db'), options),
  share: () => db.share(db.isRoot ? new BraidFact(db, { name: 'shared' }) : null),
  onRoot: () => db.onRoot(() => 1),
  flush: () => db.flush(),
  close: () => db.close(),
};
type Call = keyof typeof CALLS;
const names = Object.keys(CALLS) as Call[];

/** What a call that must fail has failed with. */
async function failure(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => assert.fail('it was no error'),
    (error: Error & { code: string }) => error,
  );
  return `${error.code} ${error.message}`;
}

const say = (title: string, what: string) => appendFileSync(at(`told.${db.rank}`), `${title}\t${what}\n`);

for (const root of names) {
  for (const other of names) {
    if (root === other) continue;
    const title = `${root}/${other}`;
    new BraidData(db, { name: `${title} ${db.rank}` });
    say(title, await failure(CALLS[db.rank === last ? other : root]()));
    await db.flush();
  }
}

// A database that one rank alone wanted to open is nobody's, and the next is everybody's.
const second = await BraidDB.open(at('second.db'), options);
say('flush of two', await failure((db.rank === last ? second : db).flush()));
new BraidData(second, { name: `second ${db.rank}` });

const here = at(db.rank === last ? 'b.db' : 'a.db');
const there = at(db.rank === last ? 'a.db' : 'b.db');
say('first of two paths', await failure(BraidDB.open(here, options)));
say('second of two paths', await failure(BraidDB.open(there, options)));

// Two at once are not two one after another.
if (db.rank === last) {
  const both = [BraidDB.open(at('c.db'), options), BraidDB.open(at('d.db'), options)];
  say('of two at once', await failure(both[1]));
  await failure(both[0]);
} else {
  say('of two at once', await failure(BraidDB.open(at('c.db'), options)));
  await failure(BraidDB.open(at('d.db'), options));
}

// One that doesn't wait makes the same calls in the same order.
if (db.rank === last) {
  void db.flush();
  void db.share(null);
  await Promise.all([db.close(), second.close()]);
} else {
  await db.flush();
  await CALLS.share();
  await db.close();
  await second.close();
}
