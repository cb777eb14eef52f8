import { createHash } from 'node:crypto';
import type { Database } from 'better-sqlite3';

interface InvalidationRequest {
  id: string;
  record_id: number;
  cascade: number;
  cause: string;
  time: string;
}

/**
 * Carries out the invalidations that were asked for, to be called inside the transaction that brought them. One whose
 * record has not been committed yet waits for it. A record that is invalid already keeps its first cause.
 */
export function applyInvalidations(db: Database): void {
  const requests = db
    .prepare(
      `SELECT q.* FROM invalidation_requests q JOIN records r USING (record_id)
       WHERE NOT EXISTS (SELECT 1 FROM invalidations i WHERE i.id = q.id) ORDER BY q.time, q.id`,
    )
    .all() as InvalidationRequest[];
  for (const request of requests) apply(db, request);
}

function apply(db: Database, { id, record_id, cascade, cause, time }: InvalidationRequest): void {
  const insert = db.prepare('INSERT INTO invalidations (id, root_invalidation, cause, time) VALUES (?, ?, ?, ?)');
  const mark = db.prepare('UPDATE records SET invalidation_id = ? WHERE record_id = ? AND invalidation_id IS NULL');
  const derived = db
    .prepare(
      `SELECT d.derivation FROM derivations d JOIN records r ON r.record_id = d.derivation
       WHERE d.record_id = ? AND r.invalidation_id IS NULL ORDER BY d.derivation`,
    )
    .pluck();
  insert.run(id, null, cause, time);
  mark.run(id, record_id);
  if (!cascade) return;
  // Breadth first, so that each record's cause is the nearest one; marked records are not visited again, so cycles end.
  const queue = [{ record: record_id, invalidation: id }];
  for (let next = queue.shift(); next; next = queue.shift()) {
    for (const record of derived.all(next.record) as number[]) {
      const invalidation = derivedId(id, record);
      insert.run(invalidation, next.invalidation, cause, time);
      mark.run(invalidation, record);
      queue.push({ record, invalidation });
    }
  }
}

/** The id of a cascaded invalidation follows from its cause and its record, so that the same request gives the same rows. */
function derivedId(request: string, record: number): string {
  return createHash('sha256').update(`${request}/${record}`).digest('hex').slice(0, 32);
}
