import { resolve } from 'node:path';
import { hasMergedRanges } from '../store/schema.js';
import { parseTime } from '../time.js';
import type { Connection } from './connection.js';

/** Where a record came from that was merged. */
export interface RecordOrigin {
  /** The uuid of the database, as 32 hex digits: the one that gave out its id or, if it came `through` it, one that had merged it. */
  database: string;
  /** Of the record there. */
  id: number;
  /** The file of that database, absolute, as it was called when it was merged first. */
  path: string;
  /** When it was merged first. */
  merged: Date;
  /** It is a model that became one that was there. */
  joined: boolean;
  /** That database had it by merging, too. */
  through: boolean;
}

interface Row {
  readonly origin: string;
  readonly id: number;
  readonly path: string;
  readonly time: string;
  readonly joined: number;
  readonly through: number;
}

/** Where a record came from; of a model that others were joined to, all of them. None if it was recorded here. */
export function originsOf(connection: Connection, id: number): RecordOrigin[] {
  if (!hasMergedRanges(connection.db)) return [];
  const rows = connection.all<Row>(
    `SELECT origin, @id - offset AS id, path, time, 0 AS joined, through FROM merged_ranges WHERE @id BETWEEN first + offset AND last + offset
     UNION ALL SELECT origin, id, path, time, 1, 0 FROM joined_models WHERE record_id = @id
     ORDER BY joined, through, time, origin`,
    { id },
  );
  return rows.map(({ origin, id, path, time, joined, through }) => ({
    database: origin,
    id,
    path,
    merged: parseTime(time),
    joined: joined === 1,
    through: through === 1,
  }));
}

/**
 * The ids by which the record that is `id` in a database may be known: that one, and, where it came to that by merging, those that it
 * had before.
 */
export function namesOf(connection: Connection, uuid: string, id: number): { origin: string; id: number }[] {
  const came = originsOf(connection, id).filter(({ joined }) => !joined);
  return [...came.map(({ database, id }) => ({ origin: database, id })), { origin: uuid, id }];
}

/**
 * The ids that a record may have here which is `id` in database `origin`, whether that gave it out or had it by merging; a model
 * that became another has that one's. None if no such id was merged.
 *
 * @param uuid of this database.
 */
export function idsByOrigin(connection: Connection, uuid: string | null, origin: string, id: number): number[] {
  if (!hasMergedRanges(connection.db)) return origin === uuid ? [id] : [];
  return connection.column<number>(
    `SELECT ifnull(j.record_id, p.place) FROM (
       SELECT @id AS place, 0 AS through WHERE @origin = @uuid
       UNION ALL SELECT @id + offset, through FROM merged_ranges WHERE origin = @origin AND first <= @id AND last >= @id) p
     LEFT JOIN (
       SELECT id AS place, record_id FROM joined_models WHERE origin = @uuid
       UNION ALL SELECT j.id + r.offset, j.record_id FROM joined_models j
         JOIN merged_ranges r ON r.origin = j.origin AND NOT r.through AND r.first <= j.id AND r.last >= j.id) j ON j.place = p.place
     ORDER BY p.through`,
    { uuid, origin, id },
  );
}

/**
 * The uuids of the databases that may be meant, of those that were merged: by their uuid, its first digits, or the name that the file
 * had.
 */
export function mergedDatabases(connection: Connection, text: string): string[] {
  if (!hasMergedRanges(connection.db)) return [];
  const sql = `SELECT DISTINCT origin FROM merged_ranges WHERE path = ? OR ? <> '' AND substr(origin, 1, length(?)) = ?`;
  const hex = text.toLowerCase().replaceAll('-', '');
  const digits = /^[0-9a-f]{1,32}$/.test(hex) ? hex : '';
  return connection.column<string>(sql, resolve(text), digits, digits, digits);
}
