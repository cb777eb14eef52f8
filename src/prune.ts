/** What is told of a long prune now and then. */
export interface PruneProgress {
  /** What is being cut, or done. */
  table: string;
}

export interface PruneOptions {
  /** What was made before this time. */
  before?: Date;
  /** What this run has recorded: its id, as 32 hex digits. */
  run?: string;
  /** What is invalid. */
  invalid?: boolean;
  /** Leave what something that is kept derives from, in place of refusing to cut anything. */
  keepNeeded?: boolean;
  /** Finds out what would be cut, and cuts nothing. */
  dryRun?: boolean;
  /** Give the room of what was cut back to the file system; it takes as much again meanwhile. */
  vacuum?: boolean;
  /** How long to wait for another writer of the database, in milliseconds. Default 60,000. */
  busyMs?: number;
  onProgress?: (progress: PruneProgress) => void;
  /** Ends it; nothing is cut then. */
  signal?: AbortSignal;
}

/** What was cut. */
export interface PruneReport {
  path: string;
  dryRun: boolean;
  records: number;
  versions: number;
  derivations: number;
  uris: number;
  tags: number;
  /** Records and versions that were meant, and are left for what derives from them. */
  needed: number;
}

/**
 * Cuts records and versions of models out of a database, with all that is said of them, in one transaction; those for which all that
 * is given holds. It cuts nothing that something which is kept derives from, or may. Runs stay in the list of runs, and no id is given
 * out again.
 *
 * @throws BraidError ERR_BRAID_OPTION_INVALID, ERR_BRAID_PRUNE_NEEDED, ERR_BRAID_NO_SUCH_RUN, ERR_BRAID_RUN_ALIVE, ERR_BRAID_DB_FOREIGN, ERR_BRAID_DB_…
 */
export async function prune(path: string, options: PruneOptions): Promise<PruneReport> {
  const { pruneDatabase } = await import('./exchange/pruning.js');
  return pruneDatabase(path, options ?? {});
}
