import type { Database } from 'better-sqlite3';
import { KindCode } from '../frame/format.js';
import { withInput, type Input } from './mapped.js';
import { pieceOf, type Join, type Unplaced } from './ranges.js';

/** By what a model that is merged is the same as one that is there. */
export type JoinBy = 'name' | 'uri';

/** Models of what is read, and of what is written, that have it in common. */
const COMMON: Record<JoinBy, string> = {
  name: `SELECT r.record_id AS model, o.record_id AS here FROM $records r
    CROSS JOIN (SELECT record_id, name FROM main.records WHERE kind = ${KindCode.model}) o ON o.name = r.name
    WHERE r.kind = ${KindCode.model}`,
  uri: `SELECT r.record_id AS model, o.record_id AS here FROM $records r CROSS JOIN $uris u ON u.record_id = r.record_id
    CROSS JOIN (SELECT u.record_id, u.uri FROM main.records r CROSS JOIN main.uris u ON u.record_id = r.record_id
      WHERE r.kind = ${KindCode.model}) o ON o.uri = u.uri
    WHERE r.kind = ${KindCode.model}`,
};

/**
 * Which models of a database become models of another: those that have their name, or a URI, in common with exactly one of
 * that, and are new to it.
 */
export function modelsToJoin(
  db: Database,
  input: Input,
  joinBy: JoinBy,
  pieces: readonly Unplaced[],
  mayJoin: (origin: string, id: number) => boolean = () => true,
): Join[] {
  const common = withInput(COMMON[joinBy], input);
  const sql = `SELECT model, min(here) AS "into" FROM (${common}) GROUP BY model HAVING count(DISTINCT here) = 1`;
  return (db.prepare(sql).all() as Join[]).filter(({ model }) => {
    const piece = pieceOf(pieces, model);
    return piece && piece.offset === undefined && mayJoin(piece.origin, piece.originFirst + model - piece.first);
  });
}
