import { groupBy } from '../../group-by.js';
import type { ExportSelection } from '../exporter.js';
import type { Source } from '../source.js';
import { Invalidated } from './invalidated.js';
import { baseOf, names } from './names.js';
import { PASSES, Recorded, type Attempt, type Range } from './recorded.js';
import { Actions, Runs } from './runs.js';
import type { Part, ProvDocument, Statement } from './terms.js';

/**
 * A database as a PROV document: runs, and who carried them out, what is invalid, and what no run has recorded; then a bundle
 * for each run, of what it has recorded. Everything is read when it is written, a kind of statement at a time.
 */
export function documentOf(source: Source, selection: ExportSelection): ProvDocument {
  return { base: baseOf(source), parts: partsOf(source, selection) };
}

function* partsOf(source: Source, { run, onProgress }: ExportSelection): Iterable<Part> {
  const { connection, layout } = source;
  const all = layout.ours
    ? connection.all<Attempt>(
        `SELECT attempt_id AS id, uuid AS run, attempt, size, attempts.started, attempts.ended, id_base AS base, id_end AS "end"
         FROM attempts JOIN runs USING (run_id) ORDER BY id_base`,
      )
    : [];
  const attempts = run === undefined ? all : all.filter((attempt) => attempt.run === run);
  const byRun = groupBy(attempts, (attempt) => attempt.run);
  const total = source.countRecords(run);
  let passes = 0;
  const passed = () => onProgress?.({ done: Math.floor(++passes / PASSES), total });
  const loose = run === undefined ? between(all) : [];
  const ranges = [...loose, ...attempts.map(rangeOf)];
  const nobodys = new Recorded(source, loose, [], passed);
  yield { statements: ofDocument(source, nobodys, ranges, [...byRun.keys()], attempts) };
  for (const [uuid, mine] of byRun) {
    const recorded = new Recorded(source, mine.map(rangeOf), mine, passed);
    yield { bundle: names.bundle(uuid), statements: recorded.statements() };
  }
}

function* ofDocument(
  source: Source,
  nobodys: Recorded,
  ranges: readonly Range[],
  uuids: readonly string[],
  attempts: readonly Attempt[],
): Iterable<Statement> {
  const runs = new Runs(source.connection, uuids, attempts);
  const actions = new Actions(source);
  const invalidated = new Invalidated(source, ranges, attempts);
  yield* nobodys.entities();
  yield* runs.bundles();
  yield* actions.plans();
  yield* runs.activities();
  yield* invalidated.activities();
  yield* actions.activities();
  yield* runs.agents();
  yield* nobodys.generations();
  yield* runs.generations();
  yield* invalidated.invalidations();
  yield* invalidated.causes();
  yield* actions.causes();
  yield* nobodys.derivations();
  yield* nobodys.influences();
  yield* nobodys.attributions();
  yield* runs.associations();
  yield* actions.associations();
  yield* runs.delegations();
}

function rangeOf(attempt: Attempt): Range {
  return { first: attempt.base + 1, last: attempt.end, attempt };
}

/** Ids that are of no run: of Braid-DB's records, and of those that it has added to a database of ours. */
function between(attempts: readonly Attempt[]): Range[] {
  const ranges: Range[] = [];
  let first = 1;
  for (const { base, end } of [...attempts, { base: Number.MAX_SAFE_INTEGER, end: 0 }]) {
    if (base >= first) ranges.push({ first, last: base });
    first = Math.max(first, end + 1);
  }
  return ranges;
}
