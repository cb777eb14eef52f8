import { BraidError } from '../errors.js';
import { Ancestry } from './ancestry.js';
import type { Connection } from './connection.js';
import type { Layout } from './layout.js';
import type { Nodes } from './lineage.js';
import { nodeOf, type ResolvedNode } from './resolve.js';
import { Composer, TOPICS, type Sentence } from './statement-composer.js';
import { contextSentences } from './statement-makers.js';
import { lineageSentences } from './statement-lineage.js';
import { subjectSentences } from './statement-subject.js';
import { validitySentences } from './statement-validity.js';
import type { Walks } from '../lineage/walk.js';

export const STATEMENT_FORMAT = 'braid-mpi statement';
/** Raised with every change of the sentences, for `checkStatement` compares them. */
export const STATEMENT_VERSION = 4;

/** What a database says of a record or a version. As JSON it can be kept, and checked by `checkStatement`. */
export interface Statement {
  format: typeof STATEMENT_FORMAT;
  formatVersion: number;
  /** The database's UUID, as 32 hex digits; null for one that Braid-DB has made. */
  database: string | null;
  /** When it was made, in UTC, as ISO 8601. */
  made: string;
  subject: { record: number; version?: string };
  limit: number;
  sentences: Sentence[];
}

export interface StatementOptions {
  /** How many records and versions a sentence lists at most. Default 10, at most 10,000. */
  limit?: number;
}

const DEFAULT_LIMIT = 10;
export const MOST_LISTED = 10_000;
interface Asked extends ResolvedNode {
  readonly start: readonly number[];
}

/** @throws BraidError ERR_BRAID_OPTION_INVALID */
export function statement(
  connection: Connection,
  layout: Layout,
  walks: Walks,
  nodes: Nodes,
  { record, version, start }: Asked,
  { limit = DEFAULT_LIMIT }: StatementOptions,
): Statement {
  if (!Number.isInteger(limit) || limit < 0 || limit > MOST_LISTED) {
    throw new BraidError('ERR_BRAID_OPTION_INVALID', `limit must be a whole number up to ${MOST_LISTED}`);
  }
  const composer = new Composer(new Ancestry(connection, layout, walks, start), nodes, limit);
  const subject = nodeOf({ record, version });
  const [row] = nodes.rows([[subject, 0, 0]]);
  if (!row) {
    composer.say('answer', 'answer', `There is no record ${record} in this database.`, []);
  } else {
    subjectSentences(composer, row, subject);
    lineageSentences(composer, row, subject);
    contextSentences(composer, connection, layout);
    validitySentences(composer, connection, layout, row);
  }
  const order = (sentence: Sentence) => TOPICS.indexOf(sentence.topic);
  return {
    format: STATEMENT_FORMAT,
    formatVersion: STATEMENT_VERSION,
    database: databaseUuid(connection, layout),
    made: new Date().toISOString(),
    subject: { record, ...(row?.key === undefined ? {} : { version: row.key }) },
    limit,
    sentences: composer.sentences.sort((a, b) => order(a) - order(b)),
  };
}

export function databaseUuid(connection: Connection, layout: Layout): string | null {
  if (!layout.ours) return null;
  return connection.column<string>("SELECT value FROM meta WHERE key = 'uuid'")[0] ?? null;
}
