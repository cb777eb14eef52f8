import { existsSync, rmSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { BraidError } from '../errors.js';
import { KindCode } from '../frame/format.js';
import type { MergeCounts, MergeOptions, MergeProgress, MergeReport } from '../merge.js';
import { readDatabase } from '../query/open.js';
import { now } from '../record/clock.js';
import { realPath } from '../store/real-path.js';
import { buildSearchIndexes, lacksSearchIndexes } from '../store/search-indexes.js';
import { sqliteCode } from '../store/sqlite.js';
import { explainSqliteError, explainWriteError } from '../store/sqlite-error.js';
import { timeText } from '../time.js';
import { AsOurs } from './as-ours.js';
import { Bulk, makeBeside, MOST_ATTACHED } from './bulk.js';
import { extractInput, NODES } from './extract-tables.js';
import { inputOf } from './mapped.js';
import { Merging, NO_COUNTS, type TableProgress } from './merging.js';
import type { JoinBy } from './merging-models.js';

const BUSY_MS = 60_000;

/** See `merge`. */
export async function mergeDatabases(
  out: string,
  inputs: readonly string[],
  options: MergeOptions,
): Promise<MergeReport> {
  const { dryRun = false, busyMs = BUSY_MS } = options;
  const paths = checked(out, inputs, options);
  const { onProgress, signal } = options;
  const asOurs = new AsOurs({
    beside: out,
    signal,
    onProgress: (path, done, total) =>
      onProgress?.({
        input: paths.indexOf(path) + 1,
        inputs: paths.length,
        path,
        table: 'rows of Braid-DB',
        done,
        total,
      }),
  });
  const read: MergedInput[] = [];
  const all = new Merger(out, read, options);
  try {
    for (const path of paths) read.push({ path, file: await asOurs.file(path) });
    if (existsSync(realPath(out))) {
      const bulk = Bulk.open(out, busyMs, !dryRun);
      try {
        await all.into(bulk);
      } finally {
        bulk.close();
      }
    } else {
      await makeBeside(out, async (bulk) => {
        await all.apart(bulk);
        return !dryRun;
      });
    }
  } catch (error) {
    throw explained(error, out, paths);
  } finally {
    asOurs.close();
  }
  return { path: out, inputs: paths, dryRun, ...all.counts };
}

/** What is merged: as it is called, and the file that is read. */
interface MergedInput {
  readonly path: string;
  readonly file: string;
}

class Merger {
  readonly counts = { ...NO_COUNTS };
  readonly #time = timeText(now());

  constructor(
    private readonly out: string,
    private readonly inputs: readonly MergedInput[],
    private readonly options: MergeOptions,
    private readonly staged = false,
  ) {}

  /** Into a database that is there: in one transaction. */
  async into(bulk: Bulk): Promise<void> {
    if (this.inputs.length > MOST_ATTACHED) return this.#byStage(bulk);
    this.inputs.forEach(({ file }, i) => bulk.attach(file, `braid_in${i}`));
    await bulk.transaction(async () => {
      for (const [i, { path }] of this.inputs.entries()) await this.#one(bulk, `braid_in${i}`, path, i);
    });
    if (!this.options.dryRun) await this.#searchIndexes(bulk);
  }

  /** Into one that nobody knows of yet: one after the other. */
  async apart(bulk: Bulk): Promise<void> {
    for (const [i, { path, file }] of this.inputs.entries()) {
      bulk.attach(file, 'braid_in');
      await bulk.transaction(() => this.#one(bulk, 'braid_in', path, i));
      bulk.detachAll();
    }
    await this.#searchIndexes(bulk);
  }

  /** More than SQLite can read at once become one beside the database, and that is merged. */
  async #byStage(bulk: Bulk): Promise<void> {
    const stage = `${realPath(this.out)}.${process.pid}.merge`;
    const { joinBy } = this.options;
    try {
      const staged = Bulk.make(stage);
      const parts = new Merger(stage, this.inputs, this.options);
      try {
        if (joinBy !== undefined) await parts.#modelsOf(staged, this.out);
        await parts.apart(staged);
      } finally {
        staged.close();
      }
      const whole = new Merger(this.out, [{ path: stage, file: stage }], { ...this.options, joinBy: undefined }, true);
      await whole.into(bulk);
      const { joined, ambiguous } = parts.counts;
      Object.assign(this.counts, whole.counts, { joined, ambiguous });
    } finally {
      rmSync(stage, { force: true });
    }
  }

  /** So that each model becomes what it would become there, and its versions get their numbers behind the last one there. */
  async #modelsOf(bulk: Bulk, path: string): Promise<void> {
    const { db } = bulk;
    bulk.attach(path, 'braid_in');
    db.exec(NODES);
    db.exec(`INSERT INTO temp.braid_nodes (node) SELECT record_id FROM braid_in.records WHERE kind = ${KindCode.model}
      UNION ALL SELECT -version_id FROM (SELECT version_id, max(number) FROM braid_in.versions WHERE number IS NOT NULL GROUP BY model_id)`);
    await bulk.transaction(() => {
      const input = extractInput(db, 'braid_in', { ever: false });
      const pause = (progress: TableProgress) =>
        this.#pause({ input: 1, inputs: this.inputs.length, path, ...progress });
      return new Merging(bulk, { input, path: resolve(path), time: this.#time, keepIds: true, pause }).run();
    });
    bulk.detachAll();
  }

  async #one(bulk: Bulk, schema: string, path: string, index: number): Promise<void> {
    const { joinBy } = this.options;
    const merging = new Merging(bulk, {
      joinBy,
      staged: this.staged,
      input: inputOf(schema),
      path,
      time: this.#time,
      pause: (progress) => this.#pause({ input: index + 1, inputs: this.inputs.length, path, ...progress }),
    });
    await merging.run();
    for (const [name, count] of Object.entries(merging.counts) as [keyof MergeCounts, number][]) {
      this.counts[name] += count;
    }
  }

  async #searchIndexes(bulk: Bulk): Promise<void> {
    if (!lacksSearchIndexes(bulk.db)) return;
    const inputs = this.inputs.length;
    await this.#pause({ input: inputs, inputs, path: this.out, table: 'search indexes', done: 0, total: 0 });
    await bulk.transaction(() => Promise.resolve(buildSearchIndexes(bulk.db)));
  }

  async #pause(progress: MergeProgress): Promise<void> {
    this.options.onProgress?.(progress);
    await setImmediate();
    this.options.signal?.throwIfAborted();
  }
}

const JOIN_BY: readonly unknown[] = [undefined, 'name', 'uri'] satisfies (JoinBy | undefined)[];

/** The inputs, each once, which are databases of ours, and none of them the output. */
function checked(out: string, inputs: readonly string[], { joinBy }: MergeOptions): string[] {
  if (inputs.length === 0) throw new BraidError('ERR_BRAID_OPTION_INVALID', 'name databases to merge');
  if (!JOIN_BY.includes(joinBy)) {
    throw new BraidError('ERR_BRAID_OPTION_INVALID', `joinBy must be 'name' or 'uri', not ${String(joinBy)}`);
  }
  const paths = new Map(inputs.map((path) => [fileOf(path), resolve(path)]));
  const same = paths.get(fileOf(out));
  if (same !== undefined) {
    const which = realPath(same) === realPath(out) ? out : `${same} is the same file as ${out}, which`;
    throw new BraidError('ERR_BRAID_OPTION_INVALID', `${which} can't be merged into itself`);
  }
  for (const path of paths.values()) AsOurs.check(path);
  return [...paths.values()];
}

/** What tells a file from others, whatever links lead to it. */
function fileOf(path: string): string {
  const file = realPath(path);
  const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
  return stat ? `${stat.dev} ${stat.ino}` : file;
}

/** The error to give for what a statement over several databases threw: of the one that is damaged, if one is. */
export function explained(error: unknown, out: string, inputs: readonly string[]): unknown {
  if ((error as Error).name === 'AbortError') return error;
  const cause = error instanceof BraidError ? error.cause : error;
  if (/^SQLITE_(CORRUPT|NOTADB|IOERR)/.test(sqliteCode(cause) ?? '')) {
    for (const path of inputs) {
      try {
        const sound = readDatabase(path, (db) => db.pragma('quick_check(1)', { simple: true }));
        if (sound !== 'ok') return explainSqliteError(cause, path);
      } catch {
        return explainSqliteError(cause, path);
      }
    }
  }
  return explainWriteError(error, out);
}
