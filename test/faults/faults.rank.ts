/**
 * A job that makes every kind of recording call and of collective: node faults.rank.js DB [RANK FAULT [PROCESSES]]. That rank
 * dies by that fault; see src/fault.ts. Nothing is recorded before so many processes have opened the database. What a call
 * has returned for is told to a file, which a kill can't take back.
 */
import { mkdirSync, openSync, writeSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import type { Acknowledged } from './promise.js';

const [path, rank, fault, processes = '1'] = process.argv.slice(2);
if (rank === (process.env.OMPI_COMM_WORLD_RANK ?? process.env.PMI_RANK ?? '0')) process.env.BRAID_FAULTS = fault;
const { BraidDB, BraidData, BraidFact, BraidModel } = await import('braid-mpi');
const { acknowledged } = await import('./promise.js');

mkdirSync(`${path}-told`, { recursive: true });
const told = openSync(`${path}-told/${process.pid}`, 'a');
const tell = (what: Acknowledged) => writeSync(told, `${JSON.stringify(what)}\n`);
tell({ started: process.pid, at: Date.now() });

// A round for each frame: the most that can come between.
const db = await BraidDB.open(path, { roundBytes: 1 });
tell({ opened: db.runId, rank: db.rank });
const opened = () => acknowledged(path).filter((lines) => lines.some((each) => 'opened' in each)).length;
while (opened() < Number(processes)) await pause(5);

let count = 0;
const fact = new BraidFact(db, { name: `config-${db.runId}-${db.rank}` });
tell({ record: fact.id, name: fact.name, tags: 0, uris: 0, sources: 0 });
const model = new BraidModel(db, { name: `model-${db.runId}-${db.rank}`, derivedFrom: fact });
tell({ record: model.id, name: model.name, tags: 0, uris: 0, sources: 1 });

function record(calls: number, text = 'text') {
  for (let i = 0; i < calls; i++) {
    const name = `scan-${db.runId}-${db.rank}-${count++}`;
    const scan = new BraidData(db, {
      name,
      uris: [`file:///${name}`],
      tags: { i, text },
      derivedFrom: [fact, model],
    });
    tell({ record: scan.id, name, tags: 2, uris: 1, sources: 2 });
    if (i % 4 === 0) {
      scan.addTag('late', i);
      tell({ tagged: scan.id });
      model.update(scan, { step: count, tags: { loss: 1 / count } });
      tell({ updated: model.id, by: scan.id });
    }
  }
}

record(30);
const first = db.flush();
record(20);
await first;
// More than a segment.
record(24, 'x'.repeat(50_000));
await db.flush();
record(5);
await db.share(db.isRoot ? model : null);
record(5);
await db.onRoot((reader) => reader.runs().length);
record(20);
await db.close();
tell({ closed: db.runId });
