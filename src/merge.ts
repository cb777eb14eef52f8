/** How many rows of each table a merge has added. Of derivations and runs, also those that it has brought up to date. */
export interface MergeCounts {
  runs: number;
  records: number;
  versions: number;
  updates: number;
  derivations: number;
  /** Of records and of versions. */
  uris: number;
  tags: number;
  /** Requests, of which each may have made many records invalid; and those that Braid-DB has stored, one for each record. */
  invalidations: number;
  /** Requests that were taken back. */
  revalidations: number;
  /** Invalidation actions that records have got. */
  actions: number;
  /** What was begun of them, or has ended since. */
  actionRuns: number;
  /** Models that became one that was there, and are no records of their own. */
  joined: number;
  /** Models that were to be joined, and are kept apart: what they have in common they have with several, on one side or the other. */
  ambiguous: number;
}

/** What is told of a long merge now and then. */
export interface MergeProgress {
  /** The database that is being brought in, counted from 1, and of how many. */
  input: number;
  inputs: number;
  path: string;
  /** What of it; of `records`, with all that is said of them, also how many are done. */
  table: string;
  done: number;
  total: number;
}

export interface MergeOptions {
  /** Models become one with the only model that has their name, or one of their URIs. Default: they are kept apart. */
  joinBy?: 'name' | 'uri';
  /** Finds out what would be added, and adds nothing. It takes as long. */
  dryRun?: boolean;
  /** How long to wait for another writer of the database, in milliseconds. Default 60,000. */
  busyMs?: number;
  onProgress?: (progress: MergeProgress) => void;
  /** Ends it; nothing is merged then. */
  signal?: AbortSignal;
}

/** What was added, in all. Nothing, if all of it was there. */
export interface MergeReport extends MergeCounts {
  path: string;
  /** Absolute. */
  inputs: string[];
  dryRun: boolean;
}

/**
 * Brings databases into one, which is made if it isn't there: all of them or, if something fails, none. What was merged
 * before is told by who gave out its id, over however many databases it came, and isn't added again; what is new of it is.
 * A job may be recording into any of them: what is committed so far is merged.
 *
 * @param out the database that is written.
 * @param inputs those that are read.
 * @throws BraidError ERR_BRAID_MERGE_CONFLICT, ERR_BRAID_OPTION_INVALID, ERR_BRAID_IDS_EXHAUSTED, ERR_BRAID_DB_FOREIGN, ERR_BRAID_DB_…
 */
export async function merge(
  out: string,
  inputs: string | readonly string[],
  options: MergeOptions = {},
): Promise<MergeReport> {
  // Who records merges nothing.
  const { mergeDatabases } = await import('./exchange/merger.js');
  return mergeDatabases(out, typeof inputs === 'string' ? [inputs] : inputs, options);
}
