import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { recover, verify, type BraidError } from 'braid-mpi';

/** What a job of faults.rank.ts tells of each call that has returned. */
export type Acknowledged =
  | { started: number; at: number }
  | { opened: string; rank: number }
  | { record: number; name: string; tags: number; uris: number; sources: number }
  | { tagged: number }
  | { updated: number; by: number }
  | { closed: string };

/** All that the processes that recorded into a database have told, each in a list of its own. */
export function acknowledged(path: string): Acknowledged[][] {
  if (!existsSync(`${path}-told`)) return [];
  return readdirSync(`${path}-told`).map((file) => {
    const lines = readFileSync(join(`${path}-told`, file), 'utf8').split('\n');
    // A process that is killed while it tells has told nothing.
    return lines.slice(0, -1).map((line) => JSON.parse(line) as Acknowledged);
  });
}

/** Launchers come back before the last rank has ended, and until then its spool is not a leftover. */
async function gone(pid: number): Promise<void> {
  for (const end = Date.now() + 20_000; existsSync(`/proc/${pid}`); await delay(10)) {
    assert.ok(Date.now() < end, `process ${pid} goes on without its job`);
  }
}

const NOT_YET = ['ERR_BRAID_DB_NOT_FOUND', 'ERR_BRAID_DB_EMPTY'];

/** How runs ended, by id. */
export type Statuses = Map<string, string>;

/**
 * Recovers a database, and checks the promise: what was acknowledged is there, once; what was not is one call of each
 * process at most, and whole; the runs' counts are true; nothing is left over.
 */
export async function checkPromise(path: string): Promise<Statuses> {
  const told = acknowledged(path);
  for (const each of told.flat()) if ('started' in each) await gone(each.started);
  const opened = told.flat().some((each) => 'opened' in each);
  const report = await recover(path).catch((error: BraidError) => {
    // Killed before the database was there, or had its tables.
    if (!opened && NOT_YET.includes(error.code)) return undefined;
    throw error;
  });
  if (!report) return new Map();
  assert.deepEqual(report.left, [], 'nothing is left alone');
  assert.deepEqual(
    report.attempts.flatMap(({ lost }) => lost),
    [],
    'nothing is lost',
  );
  const again = await recover(path);
  assert.deepEqual([again.attempts, again.left], [[], []], 'a second recovery finds nothing');
  assert.deepEqual(verify(path).problems, []);
  const remains = readdirSync(dirname(path)).filter((name) => /-(wal|shm|journal)$|-spool-/.test(name));
  assert.deepEqual(remains, [], 'one file remains');

  const db = new Database(path, { readonly: true });
  try {
    checkRecords(db, told);
    checkCounts(db, told);
    return checkRuns(db, told);
  } finally {
    db.close();
  }
}

function checkRecords(db: Database.Database, told: Acknowledged[][]): void {
  const one = (sql: string) => db.prepare(sql).pluck();
  const name = one('SELECT name FROM records WHERE record_id = ?');
  const counts = {
    tags: one(`SELECT count(*) FROM tags WHERE record_id = ? AND key <> 'late'`),
    uris: one('SELECT count(*) FROM uris WHERE record_id = ?'),
    sources: one('SELECT count(*) FROM derivations d JOIN records r ON r.record_id = d.record_id WHERE derivation = ? AND kind <> 2'),
  }; // prettier-ignore
  const late = one(`SELECT count(*) FROM tags WHERE record_id = ? AND key = 'late'`);
  const exposures = one('SELECT count(*) FROM exposures WHERE source_id = ?');
  const calls = { record: 0, tagged: 0, updated: 0 };
  for (const each of told.flat()) {
    if ('record' in each) {
      calls.record++;
      assert.equal(name.get(each.record), each.name, `record ${each.record}`);
      for (const [what, count] of Object.entries(counts)) {
        assert.equal(count.get(each.record), each[what as keyof typeof counts], `${what} of ${each.name}`);
      }
    } else if ('tagged' in each) {
      calls.tagged++;
      assert.equal(late.get(each.tagged), 1, `the late tag of ${each.tagged}`);
    } else if ('updated' in each) {
      calls.updated++;
      assert.equal(exposures.get(each.by), 1, `the update by ${each.by}`);
    }
  }
  const extra =
    (one('SELECT count(*) FROM records').get() as number) - calls.record +
    (one(`SELECT count(*) FROM tags WHERE key = 'late'`).get() as number) - calls.tagged +
    (one('SELECT count(*) FROM updates').get() as number) - calls.updated; // prettier-ignore
  const died = told.filter((lines) => !lines.some((each) => 'closed' in each)).length;
  assert.ok(extra >= 0 && extra <= died, `${extra} calls that nobody told of, from ${died} processes that died`);
  // Each record has its own, so that one that came twice would be seen above; and none is a part of a call.
  const torn = one(
    `SELECT count(*) FROM records r WHERE kind = 2 AND (
      (SELECT count(*) FROM tags t WHERE t.record_id = r.record_id AND key <> 'late') <> 2
      OR NOT EXISTS (SELECT 1 FROM uris u WHERE u.record_id = r.record_id))`,
  );
  assert.equal(torn.get(), 0, 'records of which a part is missing');
}

/** The ops of one call of faults.rank.ts, at most: a record with a URI, two tags and two sources. */
const CALL_OPS = 6;

/**
 * Each rank's count of ops is that of the calls it has told of, and of one more if it died: whoever commits says how many
 * were recorded, too, so that these two would be equal if both were wrong.
 */
function checkCounts(db: Database.Database, told: Acknowledged[][]): void {
  const committed = db
    .prepare(
      'SELECT committed FROM ledger JOIN attempts USING (attempt_id) JOIN runs USING (run_id) WHERE uuid = ? AND rank = ?',
    )
    .pluck();
  for (const lines of told) {
    const identity = lines.find((each) => 'opened' in each);
    if (!identity) continue;
    const ops = lines.reduce((sum, each) => sum + opsOf(each), 0);
    const count = committed.get(identity.opened, identity.rank) as number;
    const more = lines.some((each) => 'closed' in each) ? 0 : CALL_OPS;
    const which = `rank ${identity.rank} of run ${identity.opened}`;
    assert.ok(count >= ops && count <= ops + more, `${count} ops of ${which} are committed, which told of ${ops}`);
  }
}

function opsOf(each: Acknowledged): number {
  if ('record' in each) return 1 + each.tags + each.uris + each.sources;
  if ('tagged' in each) return 1;
  // The version, what it has seen, and its tag.
  return 'updated' in each ? 3 : 0;
}

/** The counts of each run are what is in the tables, and none is called what it isn't. */
function checkRuns(db: Database.Database, told: Acknowledged[][]): Statuses {
  const runs = db
    .prepare(
      `SELECT uuid, r.status, min(l.recorded = l.committed) AS all_in, sum(l.records) AS counted, count(*) AS ranks,
         (SELECT count(*) FROM records WHERE record_id > a.id_base AND record_id <= a.id_base + a.size * 4294967296) AS records
       FROM runs r JOIN attempts a USING (run_id) JOIN ledger l USING (attempt_id) GROUP BY attempt_id`,
    )
    .all() as { uuid: string; status: string; all_in: number; counted: number; ranks: number; records: number }[];
  for (const { uuid, status, all_in, counted, records } of runs) {
    assert.ok(['COMPLETED', 'KILLED', 'INCOMPLETE'].includes(status), `run ${uuid} is ${status}`);
    assert.equal(all_in, 1, `what run ${uuid} recorded is committed`);
    if (runs.length === 1) assert.equal(counted, records, `the records of run ${uuid}`);
  }
  const statuses: Statuses = new Map(runs.map(({ uuid, status }) => [uuid, status]));
  for (const each of told.flat()) {
    if ('opened' in each) assert.ok(statuses.has(each.opened), `run ${each.opened}`);
    if ('closed' in each) assert.equal(statuses.get(each.closed), 'COMPLETED', 'a run that was closed');
  }
  return statuses;
}
