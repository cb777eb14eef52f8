/**
 * How long queries take: query-side.js DIRECTORY RECORDS. Of one database each query is asked of our reader, of SQLite's shell as the
 * best SQL for it by hand, and, where it walks, by a query a node. In turn, five times, or fifteen where that is soon done, for V8
 * compiles what was called often; the medians are told.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { BraidReader, invalidate, revalidate } from 'braid-mpi';
import { parseOptions } from '#src/options.js';
import { Store } from '#src/store/store.js';
import { Ranks } from './rounds.js';
import { chain, wide } from './shapes.js';
import { print, quantile } from './side-figures.js';

const RANKS = 4;
/** What is recorded before it is committed. */
const RECORDED = 250_000;
const TIMES = 5;
/** Of what takes less than this. */
const SHORT_MS = 50;
const SHORT_TIMES = 15;
const LOOKED_UP = 1000;
const MOST_UPDATES = 10_000;

const [directory, argument] = process.argv.slice(2);
const total = Number(argument);
const path = join(directory, 'queried.db');
const steps = Math.floor(total / 20);
make();

const reader = BraidReader.open(path);
const db = new Database(path, { readonly: true });
const idOf = (name: string) => db.prepare('SELECT record_id FROM records WHERE name = ?').pluck().get(name) as number;
const [wideId, chainId, factId] = ['wide', 'chain', 'configuration-0'].map(idOf);
const updates = Math.min(MOST_UPDATES, steps);
const frames = 2800;
const ids = db
  .prepare('SELECT record_id FROM records WHERE record_id % 7 = 0 LIMIT ?')
  .pluck()
  .all(LOOKED_UP) as number[];

const COLUMNS = `r.record_id, r.kind, r.name, r.time, r.invalidation_id,
  (SELECT json_group_array(uri) FROM uris u WHERE u.record_id = r.record_id),
  (SELECT json_group_array(json_array(key, value, tag_type, boolean)) FROM tags t WHERE t.record_id = r.record_id)`;
/** As the index of numbers has them: rounded to 26 bits. */
const ROUNDED = `ifnull(CAST(value AS REAL) * 134217729 - (CAST(value AS REAL) * 134217729 - CAST(value AS REAL)), CAST(value AS REAL))`;
const SQL: Record<string, string> = {
  record: ids.map((id) => `SELECT ${COLUMNS} FROM records r WHERE record_id = ${id};`).join('\n'),
  search: `SELECT ${COLUMNS} FROM records r WHERE record_id IN (SELECT record_id FROM tags WHERE key = 'frames' AND tag_type IN (2, 3)
    AND ${ROUNDED} <= ${frames} AND CAST(value AS NUMERIC) < ${frames}) ORDER BY record_id;`,
  ancestors: `WITH RECURSIVE walk (node) AS (SELECT ${wideId} UNION
      SELECT d.record_id FROM walk w JOIN derivations d ON d.derivation = w.node)
    SELECT ${COLUMNS} FROM walk w CROSS JOIN records r ON r.record_id = w.node;`,
  // Safe in cycles, and where several ways lead to a node: each step once.
  why: `WITH RECURSIVE walk (node, came) AS (SELECT ${wideId}, NULL UNION
      SELECT d.record_id, w.node FROM walk w JOIN derivations d ON d.derivation = w.node),
    arrived AS MATERIALIZED (SELECT node, came FROM walk GROUP BY node),
    way (node) AS (SELECT ${factId} UNION ALL
      SELECT a.came FROM way w JOIN arrived a ON a.node = w.node WHERE a.came IS NOT NULL)
    SELECT node FROM way;`,
  // What a statement counts: the ancestry with its versions, what is invalid of it, what was exposed to what, and where it begins.
  statement: `CREATE TEMP TABLE ancestry AS WITH RECURSIVE walk (node) AS (
      SELECT -version_id FROM versions WHERE model_id = ${chainId} AND number = ${updates}
      UNION SELECT -u.seen FROM walk w JOIN updates u ON u.version_id = -w.node WHERE u.seen IS NOT NULL
      UNION SELECT ifnull(-e.version_id, e.source_id) FROM walk w JOIN updates u ON u.version_id = -w.node
        JOIN exposures e USING (update_id)
      UNION SELECT -(SELECT o.version_id FROM versions o WHERE o.model_id = v.model_id AND o.attempt_id = v.attempt_id
          AND o.step IS NOT NULL AND o.step < v.step ORDER BY o.step DESC LIMIT 1)
        FROM walk w JOIN versions v ON v.version_id = -w.node WHERE v.step IS NOT NULL
      UNION SELECT v.model_id FROM walk w JOIN versions v ON v.version_id = -w.node
      UNION SELECT ifnull(-x.version_id, d.record_id) FROM walk w JOIN derivations d ON d.derivation = w.node AND d.stated = 1
        LEFT JOIN derivation_versions x ON x.derivation = d.derivation AND x.record_id = d.record_id)
    SELECT node FROM walk WHERE node IS NOT NULL;
    SELECT r.kind, count(*), count(r.invalidation_id), min(r.name)
      FROM ancestry a CROSS JOIN records r ON r.record_id = a.node GROUP BY 1;
    SELECT v.attempt_id, count(*), count(v.invalidation_id), min(v.number)
      FROM ancestry a CROSS JOIN versions v ON v.version_id = -a.node GROUP BY 1;
    SELECT count(DISTINCT update_id), count(*), count(DISTINCT e.source_id), min(e.source_id)
      FROM ancestry a CROSS JOIN updates u ON u.version_id = -a.node CROSS JOIN exposures e USING (update_id);
    SELECT count(*), min(a.node) FROM ancestry a
      WHERE a.node > 0 AND NOT EXISTS (SELECT 1 FROM derivations d WHERE d.derivation = a.node);`,
};

const OURS: Record<string, () => void> = {
  record: () => ids.forEach((id) => reader.record(id)),
  search: () => drain(reader.search(`frames<${frames}`)),
  ancestors: () => drain(reader.ancestors(wideId)),
  why: () => void reader.why(wideId, factId),
  statement: () => void reader.statement(`${chainId}@${updates}`),
  open: () => BraidReader.open(path).close(),
};

const sources = db.prepare('SELECT record_id FROM derivations WHERE derivation = ?').pluck();
const whole = db.prepare(`SELECT ${COLUMNS} FROM records r WHERE record_id = ?`);
const exposed = db
  .prepare('SELECT e.source_id FROM updates u JOIN exposures e USING (update_id) WHERE u.version_id = ?')
  .pluck();
const before = db.prepare('SELECT seen FROM updates WHERE version_id = ? AND seen IS NOT NULL').pluck();
const NODES: Record<string, () => void> = {
  ancestors: () => walkByNode([wideId], (id) => sources.all(id) as number[], true),
  why: () => walkByNode([wideId], (id) => sources.all(id) as number[], false),
  statement: () => {
    const last = db.prepare('SELECT version_id FROM versions WHERE model_id = ? AND number = ?').pluck();
    const versions = walkByNode([last.get(chainId, updates) as number], (id) => before.all(id) as number[], false);
    const scans = [...versions].flatMap((id) => exposed.all(id) as number[]);
    walkByNode(scans, (id) => sources.all(id) as number[], true);
  },
};

const figures: Record<string, number> = {};
for (const query of Object.keys(OURS)) {
  const each = query === 'record' ? LOOKED_UP : 1;
  const times: Record<string, number[]> = {};
  const first = milliseconds(OURS[query]);
  for (let i = 0; i < (first < SHORT_MS ? SHORT_TIMES : TIMES); i++) {
    (times[query] ??= []).push(i === 0 ? first : milliseconds(OURS[query]));
    if (query in SQL) (times[`${query} sql`] ??= []).push(shellMilliseconds(SQL[query]));
    if (query in NODES) (times[`${query} nodes`] ??= []).push(milliseconds(NODES[query]));
  }
  for (const [name, all] of Object.entries(times)) figures[name] = quantile(Float64Array.from(all), 0.5) / each;
}
reader.close();
db.close();
figures.cascade = await cascadeMilliseconds();
print(figures);

function make(): void {
  const store = new Store({ path, busyMs: 1000 });
  const ranks = Ranks.begin(store, directory, RANKS, true);
  const { roundBytes } = parseOptions({}, {});
  const commit = () => {
    for (const round of ranks.gather(roundBytes)) store.commit(round);
  };
  const ancestors = Math.floor(total / 1000) * 100;
  for (let left = total - steps - ancestors; left > 0; left -= RECORDED) {
    ranks.record(Math.min(left, RECORDED));
    commit();
  }
  chain(ranks, steps);
  wide(ranks, ancestors);
  commit();
  ranks.finish(store);
  ranks.end();
}

/** Of a cascade to 100,000, by one to all that derives from a fact: a fifth of what there is. */
async function cascadeMilliseconds(): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < TIMES; i++) {
    const started = performance.now();
    const { records, versions } = await invalidate(path, factId, { cause: 'not calibrated' });
    times.push(((performance.now() - started) / (records + versions)) * 100_000);
    revalidate(path, factId, { reason: 'it was' });
  }
  return quantile(Float64Array.from(times), 0.5);
}

function milliseconds(run: () => void): number {
  const started = performance.now();
  run();
  return performance.now() - started;
}

/** What the shell itself says that it took: its start isn't in it. Its rows go nowhere. */
function shellMilliseconds(sql: string): number {
  const clock = "SELECT 'CLOCK', julianday('now');";
  const input = `${clock}\n.output /dev/null\n${sql}\n.output stdout\n${clock}\n`;
  const { stdout, stderr, status } = spawnSync('sqlite3', ['-readonly', path], { input, encoding: 'utf8' });
  const clocks = [...stdout.matchAll(/^CLOCK\|(.*)$/gm)].map(([, days]) => Number(days));
  if (status !== 0 || clocks.length !== 2) throw new Error(`sqlite3: ${stderr}`);
  return Math.max(0.001, (clocks[1] - clocks[0]) * 86_400_000);
}

function drain(rows: Iterable<unknown>): void {
  // Read and dropped, as who streams does.
  for (const row of rows) void row;
}

function walkByNode(start: readonly number[], sourcesOf: (id: number) => number[], read: boolean): Set<number> {
  const met = new Set(start);
  for (const id of met) {
    if (read) whole.get(id);
    for (const source of sourcesOf(id)) met.add(source);
  }
  return met;
}
