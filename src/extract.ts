import type { MergeCounts } from './merge.js';
import type { NodeName } from './query/resolve.js';

/** What is told of a long extract now and then. */
export interface ExtractProgress {
  /** What is looked for, or copied. */
  table: string;
  done: number;
  total: number;
}

export interface ExtractOptions {
  /** All that this run has recorded, by its id (32 hex digits), beside what is named. */
  run?: string;
  /** Take every source that ever was, whatever had been seen when. */
  ever?: boolean;
  /** Put it in the place of a file that is there. */
  force?: boolean;
  onProgress?: (progress: ExtractProgress) => void;
  /** Ends it; what was there before stays. */
  signal?: AbortSignal;
}

/** What the extract has. */
export interface ExtractReport extends Omit<MergeCounts, 'joined' | 'ambiguous'> {
  path: string;
  output: string;
}

/**
 * Makes a database of its own of records, or versions of models, with all that they come from: their runs, versions and updates, and
 * what was said against them. Ids stay what they are, and it can be merged.
 *
 * @param nodes as `reader.ancestors` takes them; a model without a version is all that it has ever learnt. None, where a run is given.
 * @throws BraidError ERR_BRAID_DB_EXISTS, ERR_BRAID_DB_FOREIGN, ERR_BRAID_NO_SUCH_RECORD, ERR_BRAID_NO_SUCH_RUN, ERR_BRAID_DB_…, and as `reader.ancestors`
 */
export async function extract(
  path: string,
  nodes: NodeName | readonly NodeName[],
  output: string,
  options: ExtractOptions = {},
): Promise<ExtractReport> {
  const { extractDatabase } = await import('./exchange/extracting.js');
  return extractDatabase(
    path,
    Array.isArray(nodes) ? (nodes as readonly NodeName[]) : [nodes as NodeName],
    output,
    options,
  );
}
