import type { Database } from 'better-sqlite3';

/**
 * Notes of attempts how many records of each rank are missing that the ledger counts, for `braid verify`: what was pruned, or
 * not extracted, is not lost.
 */
export function countOmissions(db: Database, attempts: readonly number[]): void {
  const block = db.prepare('SELECT id_base AS base, id_end AS "end", size FROM attempts WHERE attempt_id = ?');
  const held = db.prepare(
    `SELECT (record_id - @base - 1) % @size AS rank, count(*) AS records FROM records
     WHERE record_id > @base AND record_id <= @end AND kind <> 0 GROUP BY 1`,
  );
  const ledger = db.prepare('SELECT rank, records FROM ledger WHERE attempt_id = ?');
  const clear = db.prepare('DELETE FROM omissions WHERE attempt_id = ?');
  const note = db.prepare('INSERT INTO omissions (attempt_id, rank, records) VALUES (?, ?, ?)');
  for (const attempt of attempts) {
    const there = new Map(
      (held.all(block.get(attempt) as object) as RankRecords[]).map((row) => [row.rank, row.records]),
    );
    clear.run(attempt);
    for (const { rank, records } of ledger.all(attempt) as RankRecords[]) {
      const missing = records - (there.get(rank) ?? 0);
      if (missing > 0) note.run(attempt, rank, missing);
    }
  }
}

interface RankRecords {
  readonly rank: number;
  readonly records: number;
}
