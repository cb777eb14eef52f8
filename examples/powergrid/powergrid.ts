/**
 * Finds out what becomes of a power grid when something in it fails, and records it, on as many ranks as it is started with:
 *
 *   node dist-dev/examples/powergrid/powergrid.js
 *   mpiexec -n 4 node dist-dev/examples/powergrid/powergrid.js
 *
 * A case is one outage on one day. How long one takes isn't known before, so rank 0 gives them out one by one to whoever
 * is free; and whoever works on a case records it.
 */
import { BraidData, BraidDB, BraidFact } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';
import { analyse, branchName, drawLoads, outagesOf, withLoads, type Outage, type Result } from './contingency.js';
import { GRID_URI, IEEE14, LIMITS } from './grid.js';
import { readOptions } from './options.js';
import { caseName, countOutcomes, loadsName, rankOutages, table, worstOf, type Finding } from './report.js';
import { tasksOf, type Task } from './work.js';

const options = readOptions();
const { days, pairs, seed, flushEvery } = options;
// The same program, and nothing recorded: the difference is what recording costs.
if (!options.record) process.env.BRAID = 'off';

const db = await BraidDB.open(options.db, { name: 'powergrid' });
const { rank, size, isRoot } = db;
const say = (text: string) => {
  if (isRoot) process.stderr.write(`${text}\n`);
};

const outages = outagesOf(IEEE14, pairs);
const cases = days * outages.length;
const started = performance.now();
let recordingMs = 0;
let flushes = 0;

// What the job is given from outside: facts. The root states them once, and every rank gets a handle.
const { buses, branches, generators } = IEEE14;
const counts = { buses: buses.length, branches: branches.length, generators: generators.length };
const grid = await db.share(isRoot ? new BraidFact(db, { name: 'ieee14', uris: [GRID_URI], tags: counts }) : null);
const limits = await db.share(
  isRoot ? new BraidFact(db, { name: 'limits', tags: { v_min: LIMITS.vMin, v_max: LIMITS.vMax } }) : null,
);
if (isRoot) {
  for (const branch of branches) limits.addTag(`mva.branch-${branchName(branch)}`, branch.rating);
  for (const { bus, pMax } of generators) limits.addTag(`mw.generator-${bus}`, pMax);
}
const settings = isRoot ? new BraidFact(db, { name: 'settings', tags: { days, pairs, seed } }) : null;

const findings: Finding[] = [];
for await (const [number, loadsId, flushesDue] of tasksOf(supply(), 3, size)) {
  flushUpTo(flushesDue);
  const { day, outage } = caseOf(number);
  const result = analyse(gridOf(day), outage);
  const id = timed(() => record(day, outage, result, loadsId));
  const { outcome, margin, violations } = result;
  findings.push({ id, rank, outage: outage.name, day, outcome, margin, worst: worstOf(violations) });
}
// All ranks flush as often, also those whose last task came before the last flush.
flushUpTo(Math.floor((cases - 1) / flushEvery));

// A record can be derived from those of other ranks by their ids.
const gathered = size > 1 ? MPI.COMM_WORLD.gatherObjects({ findings, recordingMs }) : [{ findings, recordingMs }];
const all = gathered?.flatMap((part) => part.findings) ?? [];
const outcomes = countOutcomes(all);
if (isRoot) {
  timed(() => {
    const summary = new BraidData(db, { name: 'summary', tags: { cases, ...outcomes } });
    for (const { id } of all) summary.addDependency(BraidData.ref(db, id));
  });
}
const closing = performance.now();
await db.close();
const closeSeconds = (performance.now() - closing) / 1000;
const seconds = (performance.now() - started) / 1000;

if (isRoot) {
  const rows = rankOutages(all);
  const perRank = gathered!.map((part) => part.findings.length);
  // Of the rank where it took longest.
  const recordingSeconds = Math.max(...gathered!.map((part) => part.recordingMs)) / 1000;
  const path = options.record ? db.path : null;
  const result = { cases, ...outcomes, ranks: size, perRank, seconds, recordingSeconds, closeSeconds, rows, db: path };
  console.log(options.json ? JSON.stringify(result) : table(rows.slice(0, options.top), days));
  say(
    `${cases} cases on ${size} rank${size > 1 ? `s (${perRank.join(', ')})` : ''} in ${seconds.toFixed(2)} s; ` +
      (options.record
        ? `recording took ${recordingSeconds.toFixed(2)} s of a rank, and the end ${closeSeconds.toFixed(2)} s`
        : 'nothing recorded'),
  );
}

/** The cases, made by rank 0 as they are asked for: the number of each, the id of its loads' record, the flushes before it. */
function* supply(): Generator<Task> {
  let loads: BraidData;
  for (let number = 0; number < cases; number++) {
    const { day, place } = caseOf(number);
    if (place === 0) loads = timed(() => recordLoads(day));
    flushUpTo(Math.floor(number / flushEvery));
    yield Float64Array.of(number, loads!.id, flushes);
  }
}

function caseOf(number: number) {
  const place = number % outages.length;
  return { day: (number - place) / outages.length, place, outage: outages[place] };
}

function gridOf(day: number) {
  const factors = drawLoads(IEEE14, day, seed);
  return withLoads(IEEE14, (place) => factors[place]);
}

function recordLoads(day: number): BraidData {
  const drawn = gridOf(day).buses.filter(({ p }) => p > 0);
  const tags = {
    mw: drawn.reduce((sum, { p }) => sum + p, 0),
    ...Object.fromEntries(drawn.map(({ id, p }) => [`mw.${id}`, p])),
  };
  return new BraidData(db, { name: loadsName(day), derivedFrom: [grid, settings!], tags });
}

/** The case, and each limit that isn't kept in it. The loads' record may be another rank's: its id came with the task. */
function record(day: number, outage: Outage, result: Result, loadsId: number): number {
  const { outcome, violations, cut, lostMw, margin, lossesMw, iterations } = result;
  const name = caseName(day, outage.name);
  const made = new BraidData(db, {
    name,
    derivedFrom: [grid, limits, BraidData.ref(db, loadsId)],
    tags: { outage: outage.name, outcome, margin, iterations, losses_mw: lossesMw, violations: violations.length },
  });
  if (cut.length > 0) made.addTag('cut', cut.join(' ')).addTag('lost_mw', lostMw);
  for (const { of, value, limit } of violations) {
    new BraidData(db, { name: `${name}/${of}`, derivedFrom: made, tags: { value, limit } });
  }
  return made.id;
}

/** Flushes until this rank has done so `due` times. Nobody waits: what is recorded from now on goes into the next one. */
function flushUpTo(due: number): void {
  for (; flushes < due; flushes++) void db.flush();
}

function timed<T>(call: () => T): T {
  const before = performance.now();
  const value = call();
  recordingMs += performance.now() - before;
  return value;
}
