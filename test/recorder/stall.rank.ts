/** The last rank never comes to the flush: node stall.rank.js DB. It waits for its own end. */
import { BraidDB } from 'braid-mpi';

const db = await BraidDB.open(process.argv[2], { stallMs: 100, abortMs: 500 });
if (db.rank === db.size - 1) setInterval(() => undefined, 30_000);
else await db.flush();
