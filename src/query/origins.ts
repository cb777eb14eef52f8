import { resolve } from 'node:path';
import { hasMergedRanges } from '../store/schema.js';
import { parseTime } from '../time.js';
import type { Connection } from './connection.js';

/** Where a record came from that was merged. */
export interface RecordOrigin {
  /** The uuid of the database that gave out its id, as 32 hex digits. */
  database: string;
  /** Of the record there. */
  id: number;
  /** The file of that database, absolute, as it was called when it was merged first. */
  path: string;
  /** When it was merged first. */
  merged: Date;
  /** It is a model that became one that was there. */
  joined: boolean;
}

interface Row {
  readonly origin: string;
  readonly id: number;
  readonly path: string;
  readonly time: string;
  readonly joined: number;
}

/** Where a record came from; of a model that others were joined to, all of them. None if it was recorded here. */
export function originsOf(connection: Connection, id: number): RecordOrigin[] {
  if (!hasMergedRanges(connection.db)) return [];
  const rows = connection.all<Row>(
    `SELECT origin, @id - offset AS id, path, time, 0 AS joined FROM merged_ranges WHERE @id BETWEEN first + offset AND last + offset
     UNION ALL SELECT origin, id, path, time, 1 FROM joined_models WHERE record_id = @id
     ORDER BY joined, time, origin`,
    { id },
  );
  return rows.map(({ origin, id, path, time, joined }) => ({
    database: origin,
    id,
    path,
    merged: parseTime(time),
    joined: joined === 1,
  }));
}

/**
 * The ids that a database may have given the record that is `id` in it: its own, and, where it came to that by merging, that of
 * the first.
 */
export function namesOf(connection: Connection, uuid: string, id: number): { origin: string; id: number }[] {
  const came = originsOf(connection, id).filter(({ joined }) => !joined);
  return [...came.map(({ database, id }) => ({ origin: database, id })), { origin: uuid, id }];
}

/** The id that a record has here which database `origin` gave the id `id`; undefined if no such id was merged. */
export function idByOrigin(
  connection: Connection,
  uuid: string | null,
  origin: string,
  id: number,
): number | undefined {
  if (!hasMergedRanges(connection.db)) return origin === uuid ? id : undefined;
  return connection.column<number>(
    `SELECT record_id FROM joined_models WHERE origin = @origin AND id = @id
     UNION ALL SELECT @id WHERE @origin = @uuid
     UNION ALL SELECT @id + offset FROM merged_ranges WHERE origin = @origin AND first <= @id AND last >= @id`,
    { uuid, origin, id },
  )[0];
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
