import { setImmediate } from 'node:timers/promises';
import type { Database } from 'better-sqlite3';
import { BraidError } from '../errors.js';
import { Visits } from '../lineage/visits.js';
import { Walks, type Queries } from '../lineage/walk.js';
import type { PruneOptions, PruneReport } from '../prune.js';
import { readDatabase } from '../query/open.js';
import { openAttempts } from '../store/ledger.js';
import { checkSchema } from '../store/schema.js';
import { explainWriteError } from '../store/sqlite-error.js';
import { timeText } from '../time.js';
import { adopt, noteLookedThrough } from '../store/adopting.js';
import { Bulk } from './bulk.js';
import { countOmissions } from './omissions.js';
import { cutPruned, PRUNED, selectPruned } from './prune-tables.js';

const BUSY_MS = 60_000;
/** How many of those that are needed a message names. */
const NAMED = 3;

/** See `prune`. */
export async function pruneDatabase(path: string, options: PruneOptions): Promise<PruneReport> {
  const { before, run, invalid, keepNeeded = false, dryRun = false, vacuum = false, busyMs = BUSY_MS } = options;
  if (before === undefined && run === undefined && invalid !== true) {
    throw new BraidError('ERR_BRAID_OPTION_INVALID', 'say what to cut: by before, run or invalid');
  }
  if (before !== undefined && Number.isNaN(before.getTime())) {
    throw new BraidError('ERR_BRAID_OPTION_INVALID', 'before must be a valid Date');
  }
  // Before it is opened to be written.
  readDatabase(path, (db) => checkSchema(db));
  const pause = async (table: string) => {
    options.onProgress?.({ table });
    await setImmediate();
    options.signal?.throwIfAborted();
  };
  /** @param cut false: only finds out whether it may. @param keep false: the file stays as it is. */
  const pruned = async (cut: boolean, keep: boolean): Promise<Omit<PruneReport, 'path' | 'dryRun'> | undefined> => {
    const bulk = Bulk.open(path, busyMs, keep);
    try {
      const { db } = bulk;
      const report = await bulk.transaction(async () => {
        checkIdle(db, path);
        if (run !== undefined && !db.prepare('SELECT 1 FROM runs WHERE uuid = ?').get(run)) {
          throw new BraidError('ERR_BRAID_NO_SUCH_RUN', `${path} has no run ${run}: braid stats lists its runs`);
        }
        adopt(db, bulk.invalidations);
        db.exec(PRUNED);
        await pause('what is meant');
        selectPruned(db, { before: before && timeText(before.getTime() * 1000), run, invalid });
        await pause('what is needed');
        const needed = leaveNeeded(db, path, keepNeeded);
        if (!cut) return undefined;
        const counts = await cutAndCount(db, pause);
        // What comes next may get the rows of what was cut.
        noteLookedThrough(db);
        return { ...counts, needed };
      });
      if (vacuum && keep) {
        await pause('the room that is free');
        db.exec('VACUUM');
      }
      return report;
    } finally {
      bulk.close();
    }
  };
  try {
    // What is refused changes nothing of the file, and so does what only tells.
    const told = await pruned(dryRun, false);
    return { path, dryRun, ...(told ?? (await pruned(true, true))!) };
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error;
    throw explainWriteError(error, path);
  }
}

async function cutAndCount(
  db: Database,
  pause: (table: string) => Promise<void>,
): Promise<Omit<PruneReport, 'path' | 'dryRun' | 'needed'>> {
  const attempts = db
    .prepare(
      'SELECT attempt_id FROM attempts WHERE EXISTS (SELECT 1 FROM temp.braid_pruned WHERE node > id_base AND node <= id_end)',
    )
    .pluck()
    .all() as number[];
  const cut = await cutPruned(db, pause);
  countOmissions(db, attempts);
  const of = (...tables: string[]) => tables.reduce((sum, table) => sum + (cut.get(table) ?? 0), 0);
  return { records: of('records'), versions: of('versions'), derivations: of('derivations'), uris: of('uris', 'version_uris'), tags: of('tags', 'version_tags') }; // prettier-ignore
}

/** A run that is going on may yet record what derives from anything that it knows. */
function checkIdle(db: Database, path: string): void {
  const alive = openAttempts(db).find(({ status }) => status === 'RUNNING');
  if (!alive) return;
  throw new BraidError(
    'ERR_BRAID_RUN_ALIVE',
    `run ${alive.run} is recording into ${path}: prune when it has ended. If it is dead, braid recover ${path} ends it`,
  );
}

/**
 * Takes out of `braid_pruned` what something that is kept derives from. Gives how many.
 *
 * @throws BraidError ERR_BRAID_PRUNE_NEEDED, unless they are to be kept
 */
function leaveNeeded(db: Database, path: string, keepNeeded: boolean): number {
  const walks = new Walks(queriesOf(db), { ours: true });
  const pruned = db.prepare('SELECT node FROM temp.braid_pruned').pluck().all() as number[];
  if (pruned.length === 0) return 0;
  const kept = Array.from(walks.nodes('descendants', new Visits(pruned), { depth: 1 }), ([node]) => node);
  if (kept.length === 0) return 0;
  if (!keepNeeded) throw neededError(db, path, kept);
  const needed: number[] = [];
  const meant = new Set(pruned);
  for (const [node] of walks.nodes('ancestors', new Visits(kept, { depths: false }))) {
    if (meant.has(node)) needed.push(node);
  }
  db.prepare('DELETE FROM temp.braid_pruned WHERE node IN (SELECT value FROM json_each(?))').run(
    JSON.stringify(needed),
  );
  return needed.length;
}

function neededError(db: Database, path: string, kept: readonly number[]): BraidError {
  const name = db
    .prepare(
      `SELECT r.record_id || iif(v.number IS NULL, '', '@' || v.number) || ' (' || r.name || ')' FROM json_each(?) j
       LEFT JOIN versions v ON v.version_id = -j.value JOIN records r ON r.record_id = ifnull(v.model_id, j.value)`,
    )
    .pluck();
  const names = name.all(JSON.stringify(kept.slice(0, NAMED))) as string[];
  const more = kept.length > names.length ? ` and ${kept.length - names.length} more` : '';
  return new BraidError(
    'ERR_BRAID_PRUNE_NEEDED',
    `what is kept derives, or may, from what would be cut of ${path}: ${names.join(', ')}${more}. Nothing was cut; cut them, too, or ` +
      'leave what they need (keepNeeded, --keep-needed)',
  );
}

function queriesOf(db: Database): Queries {
  return {
    db,
    all: <Row>(sql: string, ...values: unknown[]) => db.prepare(sql).all(...values) as Row[],
    *stream<Raw extends readonly unknown[], Row>(sql: string, values: unknown[], convert: (raw: Raw) => Row) {
      const rows = db.prepare(sql).raw().iterate(...values) as IterableIterator<Raw>; // prettier-ignore
      for (const row of rows) yield convert(row);
    },
  };
}
