import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { BraidError } from '../errors.js';
import type { ExtractOptions, ExtractProgress, ExtractReport } from '../extract.js';
import { Visits } from '../lineage/visits.js';
import { Walks } from '../lineage/walk.js';
import type { MergeCounts } from '../merge.js';
import { BraidReader } from '../query/reader.js';
import { findRun } from '../query/find.js';
import { resolveNode, startOf, type NodeName } from '../query/resolve.js';
import { now } from '../record/clock.js';
import { realPath } from '../store/real-path.js';
import { buildSearchIndexes, lacksSearchIndexes } from '../store/search-indexes.js';
import { timeText } from '../time.js';
import { AsOurs } from './as-ours.js';
import { makeBeside } from './bulk.js';
import { extractInput, NODES } from './extract-tables.js';
import { explained } from './merger.js';
import { Merging } from './merging.js';
import { Source } from './source.js';

/** How many nodes are noted at once. */
const BATCH = 10_000;

/**
 * See `extract`.
 *
 * @param origin where it is told to come from: a copy that is read has no name to be kept.
 */
export async function extractDatabase(
  path: string,
  nodes: readonly NodeName[],
  output: string,
  options: ExtractOptions,
  origin = path,
): Promise<ExtractReport> {
  const { ever = false, force = false } = options;
  AsOurs.check(path);
  if (realPath(output) === realPath(path)) {
    throw new BraidError('ERR_BRAID_OPTION_INVALID', `an extract of ${path} can't take its place: name another file`);
  }
  if (existsSync(output) && !force) {
    throw new BraidError(
      'ERR_BRAID_DB_EXISTS',
      `${output} exists: name another file, or put it in its place (--force)`,
    );
  }
  const { start, run } = startsOf(path, nodes, ever, options.run);
  const pause = async (progress: ExtractProgress) => {
    options.onProgress?.(progress);
    await setImmediate();
    options.signal?.throwIfAborted();
  };
  const asOurs = new AsOurs({
    beside: output,
    signal: options.signal,
    onProgress: (_, done, total) => options.onProgress?.({ table: 'rows of Braid-DB', done, total }),
  });
  let counts: MergeCounts | undefined;
  try {
    await makeBeside(output, async (bulk) => {
      const { db } = bulk;
      db.exec(NODES);
      const add = db.prepare('INSERT OR IGNORE INTO temp.braid_nodes (node) SELECT value FROM json_each(?)');
      for (const batch of found(path, start, ever)) {
        add.run(JSON.stringify(batch));
        await pause({ table: 'what it comes from', done: 0, total: 0 });
      }
      bulk.attach(await asOurs.file(path), 'braid_in');
      await bulk.transaction(async () => {
        const input = extractInput(db, 'braid_in', { ever, run });
        const merging = new Merging(bulk, {
          input,
          path: resolve(origin),
          time: timeText(now()),
          keepIds: true,
          pause,
        });
        await merging.run();
        ({ counts } = merging);
      });
      if (lacksSearchIndexes(db)) await bulk.transaction(() => Promise.resolve(buildSearchIndexes(db)));
      return true;
    });
  } catch (error) {
    throw explained(error, output, [path]);
  } finally {
    asOurs.close();
  }
  const { runs, records, versions, updates, derivations, uris, tags, invalidations, revalidations, actions, actionRuns } = counts!; // prettier-ignore
  return { path, output, runs, records, versions, updates, derivations, uris, tags, invalidations, revalidations, actions, actionRuns }; // prettier-ignore
}

function startsOf(
  path: string,
  names: readonly NodeName[],
  ever: boolean,
  name: string | undefined,
): { start: number[]; run?: string } {
  if (names.length === 0 && name === undefined)
    throw new BraidError('ERR_BRAID_NO_SUCH_RECORD', 'nothing is named: give records or versions, or a run');
  const reader = BraidReader.open(path);
  try {
    const named = names.flatMap((name) => {
      const node = resolveNode(reader, name);
      reader.node(node.record);
      return ever ? [node.record] : startOf(node, reader.versionTable);
    });
    if (name === undefined) return { start: named };
    const run = findRun(reader, name);
    return { start: [...named, ...madeBy(reader, run)], run };
  } finally {
    reader.close();
  }
}

/** What a run has recorded: records, and the versions of models that it made. */
function madeBy(reader: BraidReader, run: string): number[] {
  return reader
    .query<{ node: number }>(
      `WITH a AS (SELECT * FROM attempts JOIN runs USING (run_id) WHERE uuid = ?)
       SELECT r.record_id AS node FROM a CROSS JOIN records r ON r.record_id > a.id_base AND r.record_id <= a.id_end
       UNION ALL SELECT -v.version_id FROM a CROSS JOIN versions v ON v.attempt_id = a.attempt_id WHERE v.number IS NOT NULL`,
      run,
    )
    .map(({ node }) => node);
}

/** What is extracted, as nodes of lineage. */
function* found(path: string, start: readonly number[], ever: boolean): Iterable<readonly number[]> {
  yield start;
  const source = Source.open(path);
  try {
    let batch: number[] = [];
    const visits = new Visits(start, { depths: false });
    for (const [node] of new Walks(source.connection, source.layout).nodes('ancestors', visits, { ever })) {
      if (batch.push(node) < BATCH) continue;
      yield batch;
      batch = [];
    }
    yield batch;
  } finally {
    source.close();
  }
}
