import { braidDbUuid } from '../../query/braid-db-uuid.js';
import { databaseUuid } from '../../query/statement.js';
import { dashed } from '../../uuid-text.js';
import type { Source } from '../source.js';
import { localName } from './terms.js';

/** Names of what is in a database, behind the prefix `db`. */
export const names = {
  record: (id: number) => `db:r${id}`,
  /** By its number, which is for ever; one of which no update is committed has none, and is only this export's. */
  version: (model: number, number: number | null, row: number) =>
    number === null ? `db:r${model}.named${row}` : `db:r${model}.v${number}`,
  update: (version: string) => `${version}.update`,
  run: (uuid: string) => `db:run.${uuid}`,
  rank: (uuid: string, attempt: number, rank: number) => `db:run.${uuid}.${attempt}.${rank}`,
  rankRun: (uuid: string, attempt: number, rank: number) => `db:run.${uuid}.${attempt}.${rank}.work`,
  bundle: (uuid: string) => `db:recorded.${uuid}`,
  user: (user: string) => `db:user.${localName(user)}`,
  invalidation: (id: string) => `db:invalidation.${localName(id)}`,
  action: (id: string) => `db:action.${localName(id)}`,
  actionRun: (id: number) => `db:action-run.${id}`,
};

/** What these names are of: the database, by its UUID. An empty one of Braid-DB has none, and no names. */
export function baseOf({ connection, layout }: Source): string {
  const hex = databaseUuid(connection, layout) ?? braidDbUuid(connection.db) ?? '0'.repeat(32);
  return `urn:uuid:${dashed(hex)}#`;
}

/** Of Braid-DB's form of a time, in UTC; undefined for what isn't one. */
export function isoTime(text: string | null): string | undefined {
  return text !== null && /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?$/.test(text)
    ? `${text.replace(' ', 'T')}Z`
    : undefined;
}
