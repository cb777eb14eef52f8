/** What a database has, whatever ids it has given: to compare one with what was merged, or extracted, of it. */
import Database from 'better-sqlite3';
import { verify } from 'braid-mpi';

const version = (v: string, offset: number) => `(${v}.model_id - ${offset}) || '@' || (SELECT substr(u.uuid, 1, 4) || '.' || a.attempt
  FROM attempts a JOIN runs u USING (run_id) WHERE a.attempt_id = ${v}.attempt_id) || '.' || ifnull('s' || ${v}.step, 'o' || ${v}.rank || '.' || ${v}.ordinal)`; // prettier-ignore
const named = (id: string, offset: number) =>
  `(SELECT ${version('nv', offset)} FROM versions nv WHERE nv.version_id = ${id})`;
const cause = (id: string) =>
  `(SELECT ifnull(i.root_invalidation, i.id) || '/' || i.inferred FROM invalidations i WHERE i.id = ${id})`;

/** @param offset of its ids. @param ids only these, and what is of them. */
export function contentOf(path: string, offset = 0, last = Infinity): Record<string, unknown[]> {
  const db = new Database(path, { readonly: true });
  const ours = (id: string) => `${id} > ${offset} AND ${id} <= ${last === Infinity ? 9e15 : offset + last}`;
  const tables: Record<string, string> = {
    records: `SELECT record_id - ${offset}, name, time, kind, ${cause('invalidation_id')} FROM records WHERE ${ours('record_id')}`,
    uris: `SELECT record_id - ${offset}, uri FROM uris WHERE ${ours('record_id')} ORDER BY record_id, id`,
    tags: `SELECT record_id - ${offset}, key, value, tag_type, boolean FROM tags WHERE ${ours('record_id')} ORDER BY record_id, id`,
    derivations: `SELECT record_id - ${offset}, derivation - ${offset}, time, unversioned, stated FROM derivations WHERE ${ours('record_id')}`,
    derivation_versions: `SELECT derivation - ${offset}, record_id - ${offset}, ${named('d.version_id', offset)} FROM derivation_versions d WHERE ${ours('record_id')}`,
    versions: `SELECT ${version('v', offset)}, number, time, ${cause('v.invalidation_id')} FROM versions v WHERE ${ours('model_id')}`,
    updates: `SELECT ${named('u.version_id', offset)} AS v, u.rank, u.time, ${named('u.seen', offset)},
        (SELECT group_concat((e.source_id - ${offset}) || ':' || ifnull(${named('e.version_id', offset)}, '') || ':' || e.unversioned ORDER BY e.ordinal)
          FROM exposures e WHERE e.update_id = u.update_id)
      FROM updates u JOIN versions x USING (version_id) WHERE ${ours('x.model_id')} ORDER BY v, u.rank, u.update_id`,
    version_tags: `SELECT ${named('t.version_id', offset)} AS v, t.rank, t.key, t.value, t.tag_type, t.boolean FROM version_tags t
      JOIN versions x USING (version_id) WHERE ${ours('x.model_id')} ORDER BY v, t.id`,
    version_uris: `SELECT ${named('t.version_id', offset)}, t.uri FROM version_uris t JOIN versions x USING (version_id) WHERE ${ours('x.model_id')}`,
    requests: `SELECT id, record_id - ${offset}, ${named('q.version_id', offset)}, cascade, cause, time, done FROM invalidation_requests q WHERE ${ours('record_id')}`,
    revalidations: `SELECT request_id, reason FROM revalidations`,
    reach: `SELECT CASE WHEN node < 0 THEN ${named('-k.node', offset)} ELSE node - ${offset} END, request_id, inferred FROM invalidation_reach k`,
    ledger: `SELECT uuid, attempt, rank, recorded, committed, records, frame FROM ledger JOIN attempts USING (attempt_id) JOIN runs USING (run_id)
      WHERE ${ours('(id_base + 1)')}`,
    runs: `SELECT uuid, attempt, a.status, r.status, id_base - ${offset} FROM attempts a JOIN runs r USING (run_id) WHERE ${ours('(id_base + 1)')}`,
  };
  try {
    return Object.fromEntries(
      Object.entries(tables).map(([name, sql]) => {
        const rows = db.prepare(sql).raw().all().map((row) => JSON.stringify(row)); // prettier-ignore
        // Of rows of one version, or record, the order counts.
        return [name, sql.includes('ORDER BY') ? rows : rows.sort()];
      }),
    );
  } finally {
    db.close();
  }
}

/** What verify finds, without the ids. */
export function problemsOf(path: string): string[] {
  return verify(path).problems.map(({ check, message }) => `${check}: ${message}`);
}
