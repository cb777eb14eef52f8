import type { Source } from './source.js';

/**
 * Notes in a table of this connection what each run has used that was made elsewhere: `temp.used (run_id, record_id)`. It is on
 * disk, where SQLite has its temporary files.
 */
export function noteUsed({ connection: { db }, layout }: Source, run?: string): void {
  db.exec(
    `CREATE TEMP TABLE IF NOT EXISTS used (run_id INTEGER, record_id INTEGER, PRIMARY KEY (run_id, record_id)) WITHOUT ROWID;
     DELETE FROM used`,
  );
  if (!layout.ours) return;
  const ofRun = 'a.run_id IN (SELECT run_id FROM main.runs WHERE uuid = ifnull(?, uuid))';
  const insert = (found: string, id: string) =>
    db
      .prepare(
        // What isn't there is lost, or still to come.
        `INSERT OR IGNORE INTO temp.used SELECT a.run_id, ${id} FROM ${found} AND ${ofRun}
           AND EXISTS (SELECT 1 FROM main.records r WHERE r.record_id = ${id})
           AND NOT EXISTS (SELECT 1 FROM main.attempts b WHERE b.run_id = a.run_id AND b.id_base < ${id} AND b.id_end >= ${id})`,
      )
      .run(run ?? null);
  insert(
    'main.attempts a JOIN main.derivations d ON d.derivation > a.id_base AND d.derivation <= a.id_end WHERE d.stated',
    'd.record_id',
  );
  insert(
    `main.versions v JOIN main.attempts a USING (attempt_id) JOIN main.updates u USING (version_id)
       JOIN main.exposures e USING (update_id) WHERE true`,
    'e.source_id',
  );
}
