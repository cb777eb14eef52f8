import type { Database } from 'better-sqlite3';
import { BraidError } from '../errors.js';
import { withInput, type Input } from './mapped.js';
import { indexFor, placeOf, type Placed } from './ranges.js';

interface RunRow {
  readonly run_id: number;
  readonly uuid: string;
}

interface AttemptRow {
  readonly attempt_id: number;
  readonly uuid: string;
  readonly attempt: number;
  readonly id_base: number;
  readonly id_end: number;
}

/** A run, or an attempt, that has ended is newer than one that had not yet when it was merged. */
const NEWER = 'excluded.ended IS NOT NULL AND (ended IS NULL OR excluded.ended > ended)';

const LEDGER = `INSERT INTO ledger (attempt_id, rank, host, spool, anchor, settled, recorded, committed, records, bytes, frame)
  SELECT a.new, l.rank, l.host, l.spool, l.anchor, max(l.settled, @settled), l.recorded, l.committed, l.records, l.bytes, l.frame
  FROM temp.braid_attempts a CROSS JOIN $ledger l ON l.attempt_id = a.old WHERE true
  ON CONFLICT (attempt_id, rank) DO UPDATE SET recorded = excluded.recorded, committed = excluded.committed,
    records = excluded.records, bytes = excluded.bytes, frame = excluded.frame
  WHERE excluded.frame > frame OR excluded.frame = frame AND excluded.recorded > recorded`;

const GAPS = `INSERT OR IGNORE INTO ledger_gaps (attempt_id, rank, frame, reason)
  SELECT a.new, g.rank, g.frame, g.reason FROM temp.braid_attempts a CROSS JOIN $ledger_gaps g ON g.attempt_id = a.old`;

/**
 * Brings in runs and their attempts, by what they are called, with the ledger: what more was committed of them since they were
 * merged, and how they ended. Fills `braid_attempts`.
 *
 * @param placed by their own places, whatever became of the models that are there.
 * @returns how many runs are new, or have ended since.
 * @throws BraidError ERR_BRAID_MERGE_CONFLICT
 */
export function mergeAttempts(
  db: Database,
  input: Input,
  placed: readonly Placed[],
  { path, sameDatabase }: { path: string; sameDatabase: boolean },
): { added: number } {
  const sql = (text: string) => db.prepare(withInput(text, input));
  let added = 0;
  const addRun = db.prepare(
    `INSERT INTO runs (uuid, name, status, started, ended) VALUES (@uuid, @name, @status, @started, @ended)
     ON CONFLICT (uuid) DO UPDATE SET ended = excluded.ended WHERE ${NEWER}`,
  );
  for (const run of sql('SELECT * FROM $runs ORDER BY run_id').all() as RunRow[]) added += addRun.run(run).changes;

  const find = db.prepare(
    'SELECT attempt_id, id_base, id_end FROM attempts JOIN runs USING (run_id) WHERE uuid = ? AND attempt = ?',
  );
  const add = db.prepare(
    `INSERT INTO attempts (run_id, attempt, size, status, started, ended, id_base, id_end, context, report)
     SELECT run_id, @attempt, @size, @status, @started, @ended, @id_base, @id_end, @context, @report FROM runs WHERE uuid = @uuid
     ON CONFLICT (run_id, attempt) DO UPDATE SET status = excluded.status, ended = excluded.ended, report = excluded.report,
       id_end = min(id_end, excluded.id_end) WHERE ${NEWER}`,
  );
  const map = db.prepare('INSERT INTO temp.braid_attempts (old, new, known) VALUES (?, ?, ?)');
  const attempts = sql('SELECT r.uuid, a.* FROM $attempts a JOIN $runs r USING (run_id) ORDER BY attempt_id');
  for (const row of attempts.all() as AttemptRow[]) {
    const { attempt_id, uuid, attempt } = row;
    const known = find.get(uuid, attempt) as AttemptRow | undefined;
    const placedBlock = blockOf(row, placed);
    const gone = known && row.id_end === row.id_base;
    const block = gone ? { id_base: known.id_base, id_end: known.id_base } : placedBlock;
    if (known && known.id_end > known.id_base && known.id_base !== block.id_base) {
      throw new BraidError(
        'ERR_BRAID_MERGE_CONFLICT',
        `attempt ${attempt} of run ${uuid} of ${path} is another one here: the database was copied, and the run was resumed ` +
          'in both. Nothing was merged',
      );
    }
    add.run({ ...row, ...block });
    const found = (known ?? find.get(uuid, attempt)) as AttemptRow;
    map.run(attempt_id, found.attempt_id, known ? 1 : 0);
  }
  // A run is what its last attempt says.
  db.exec(`UPDATE runs SET (status, ended) = (SELECT a.status, a.ended FROM attempts a WHERE a.run_id = runs.run_id ORDER BY a.attempt DESC LIMIT 1)
    WHERE run_id IN (SELECT a.run_id FROM attempts a JOIN temp.braid_attempts x ON x.new = a.attempt_id)`);
  // What a merged run has in spools is recovered into the database that it was recorded into, and not here.
  sql(LEDGER).run({ settled: sameDatabase ? 0 : 1 });
  sql(GAPS).run();
  return { added };
}

/** Where the ids of an attempt are. */
function blockOf({ id_base, id_end }: AttemptRow, placed: readonly Placed[]): Pick<AttemptRow, 'id_base' | 'id_end'> {
  let at = indexFor(placed, id_base + 1);
  const piece = placed.at(at);
  // One that has recorded nothing of its own: of it there is nothing to find.
  if (!piece || id_end === id_base) {
    const base = placeOf(placed, id_base) ?? 0;
    return { id_base: base, id_end: base };
  }
  // What it had reserved when it was merged, and another run got since, may go on elsewhere.
  while (at < placed.length && placed[at].offset === piece.offset) at++;
  const last = Math.min(id_end, placed[at - 1].last);
  return { id_base: id_base + piece.offset, id_end: last + piece.offset };
}
