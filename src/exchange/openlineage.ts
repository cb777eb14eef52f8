import { createHash } from 'node:crypto';
import { dashed } from '../uuid-text.js';
import { batched } from './batched.js';
import type { ExportSelection, TextExporter } from './exporter.js';
import { Grouped } from './grouped.js';
import { noteUsed } from './elsewhere.js';
import { EventDataset } from './openlineage-dataset.js';
import { datasetFacets, endFacets, jobFacets, lineageStart, Names, rankFacets, runFacets, type NamedRun } from './openlineage-facets.js'; // prettier-ignore
import { producer } from './producer.js';
import { isoTime, runs, titleOf, type Run } from './run.js';
import { NodeRows, type NodeRow } from '../query/rows.js';
import type { Source } from './source.js';

const SPEC = 'https://openlineage.io/spec/2-0-2/OpenLineage.json';
/** Datasets of one event, as text: there are servers and queues that take no more than a megabyte. */
const EVENT_CHARS = 2 ** 19;
/** More sources than these, and the dataset has an event of its own, which is written as they are found. */
const MOST_SOURCES = 5000;

/** The first URI of a record. */
const uriOf = (id: string) => `(SELECT x.uri FROM uris x WHERE x.record_id = ${id} ORDER BY x.id LIMIT 1)`;
/** What a record is named by. */
const named = (id: string) => `${id}, (SELECT n.name FROM records n WHERE n.record_id = ${id}), ${uriOf(id)}`;

type RawSource = readonly [of: number, id: number, name: string | null, uri: string | null];
type RawVersion = readonly [run: number, version: number, modelUri: string | null];

/** What ends a run. */
const ENDS = { COMPLETED: 'COMPLETE', FAILED: 'FAIL', KILLED: 'ABORT', INCOMPLETE: 'ABORT' } as const;

interface Dataset {
  readonly role: 'inputs' | 'outputs';
  readonly name: { namespace: string; name: string };
  readonly facets: Record<string, unknown>;
  readonly sources: Iterable<RawSource>;
  readonly time: Date;
}

/**
 * Run events, a line each: START, as many RUNNING as it takes to tell of its datasets in events of moderate size, and
 * COMPLETE, FAIL or ABORT, which a run that goes on lacks. What no run has made comes in events of datasets.
 */
export const openLineage: TextExporter = {
  *text(source, selection) {
    yield* new Events(source, selection).all();
  },
};

class Events {
  readonly #names: Names;
  readonly #rows: NodeRows;
  readonly #total: number;
  #done = 0;

  constructor(
    private readonly source: Source,
    private readonly selection: ExportSelection,
  ) {
    this.#names = new Names(source);
    this.#rows = new NodeRows(source.connection, source.layout);
    this.#total = source.countRecords(selection.run);
  }

  *all(): IterableIterator<string> {
    const { connection, layout } = this.source;
    const { run: only } = this.selection;
    noteUsed(this.source, only);
    if (layout.ours) {
      // In the order in which they are asked for.
      const versions = new Grouped<RawVersion>(
        connection.stream(
          `SELECT a.run_id, -v.version_id, ${uriOf('v.model_id')}
           FROM versions v JOIN attempts a USING (attempt_id) JOIN runs u USING (run_id)
           WHERE v.number IS NOT NULL AND EXISTS (SELECT 1 FROM records r WHERE r.record_id = v.model_id) AND u.uuid = ifnull(?, u.uuid) ORDER BY a.run_id, v.version_id`,
          [only ?? null],
          (row: RawVersion) => row,
        ),
      );
      try {
        for (const each of runs(this.source, only)) yield* this.#run(each, versions);
      } finally {
        versions.close();
      }
    }
    if (only === undefined) yield* this.#withoutRun();
  }

  *#run(run: Run, versions: Grouped<RawVersion>): IterableIterator<string> {
    const about = this.#named(run);
    const job = { ...about.job, facets: jobFacets(run) };
    const facets = runFacets(run, this.#upstream(run));
    const started = isoTime(run.started)!;
    yield `${JSON.stringify({ eventType: 'START', eventTime: started, run: { ...about.run, facets }, job, ...common('RunEvent') })}\n`;
    const running = (time: Date) => opened({ eventType: 'RUNNING', eventTime: within(time, run), ...about, ...common('RunEvent') }); // prettier-ignore
    const ending =
      run.status === 'RUNNING'
        ? undefined
        : opened({
            eventType: ENDS[run.status],
            eventTime: within(run.ended ?? run.attempts.at(-1)?.ended ?? run.started, run),
            run: { ...about.run, facets: { ...facets, ...endFacets(run) } },
            job,
            ...common('RunEvent'),
          });
    if (this.selection.ranks) yield* this.#ranks(run, about);
    yield* this.#events(this.#datasets(run, versions), running, ending);
  }

  #named(run: Run): NamedRun {
    const namespace = this.selection.namespace ?? namespaceOf(run);
    return { run: { runId: run.uuid }, job: { namespace, name: titleOf(run) } };
  }

  /** Runs that have made what this one has used. */
  #upstream({ id }: Run): NamedRun[] {
    const uuids = this.source.connection.column<string>(
      `SELECT DISTINCT r.uuid FROM temp.used x
       JOIN attempts a ON a.attempt_id = (SELECT b.attempt_id FROM attempts b WHERE b.id_base < x.record_id ORDER BY b.id_base DESC LIMIT 1)
       JOIN runs r ON r.run_id = a.run_id
       WHERE x.run_id = ? AND x.record_id <= a.id_end AND r.run_id <> x.run_id ORDER BY r.run_id`,
      id,
    );
    return uuids.flatMap((uuid) => Array.from(runs(this.source, uuid), (each) => this.#named(each)));
  }

  /** A run for each rank of each attempt, with nothing but its start and its end: what it has made is its run's. */
  *#ranks(run: Run, parent: NamedRun): IterableIterator<string> {
    for (const attempt of run.attempts) {
      const { status, started, ended } = attempt;
      for (const rank of attempt.hostOfRank.keys()) {
        const runId = rankRunId(run.uuid, attempt.attempt, rank);
        const facets = rankFacets(run, parent, attempt, rank);
        const event = (eventType: string, time: Date, more: object) =>
          `${JSON.stringify({ eventType, eventTime: isoTime(time), run: { runId, facets: { ...facets, ...more } }, job: { ...parent.job, name: `${parent.job.name}.rank-${rank}` }, ...common('RunEvent') })}\n`;
        yield event('START', started, {});
        if (status !== 'RUNNING') yield event(ENDS[status], ended ?? started, endFacets({ status }));
      }
    }
  }

  /** Datasets in as many events as they take, of which the last is the one that ends it, if one does. */
  *#events(
    datasets: Iterable<Dataset>,
    running: (time: Date) => string,
    ending: string | undefined,
  ): IterableIterator<string> {
    const lineage = lineageStart();
    const empty = () => ({ inputs: new Map<string, EventDataset>(), outputs: new Map<string, EventDataset>(), chars: 0, time: new Date(0) }); // prettier-ignore
    let event = empty();
    const texts = (of: ReadonlyMap<string, EventDataset>) =>
      Array.from(of.values(), (each) => each.text(lineage)).join();
    const written = (start: string) =>
      `${start},"inputs":[${texts(event.inputs)}],"outputs":[${texts(event.outputs)}]}\n`;
    const take = () => {
      const text = written(running(event.time));
      event = empty();
      return text;
    };
    for (const { role, name, facets, sources, time } of datasets) {
      if (event.chars > EVENT_CHARS) yield take();
      const first: string[] = [];
      const rest = sources[Symbol.iterator]();
      const next = () => {
        const { value, done } = rest.next() as IteratorResult<RawSource, undefined>;
        return done ? undefined : this.#input(value);
      };
      let input: string | undefined;
      while (first.length < MOST_SOURCES && (input = next()) !== undefined) first.push(input);
      if (first.length < MOST_SOURCES) {
        const key = `${name.namespace} ${name.name}`;
        const there = event[role].get(key);
        if (there) there.add(facets, first);
        else event[role].set(key, new EventDataset(name, facets, first));
        event.chars += JSON.stringify(facets).length + first.reduce((chars, each) => chars + each.length + 1, 0);
        if (!(time < event.time)) event.time = time;
        continue;
      }
      if (event.chars > 0) yield take();
      yield `${running(time)},"${role}":[${startOf(name, facets)},"lineage":${lineage}${first.join()}`;
      while ((input = next()) !== undefined) yield `,${input}`;
      yield ']}}}]}\n';
    }
    if (ending !== undefined) yield written(ending);
    else if (event.chars > 0) yield take();
  }

  /** What a run has used: what was made elsewhere, and its facts. Then what it has made: data, models, versions of models. */
  *#datasets(run: Run, versions: Grouped<RawVersion>): IterableIterator<Dataset> {
    const { connection } = this.source;
    const used = connection.stream('SELECT record_id FROM temp.used WHERE run_id = ?', [run.id], node);
    for (const row of this.#rows.complete(used, (each) => each)) yield this.#dataset('inputs', row);
    for (const { base, end } of run.attempts) {
      const sources = new Grouped(this.#sources('d.derivation > ? AND d.derivation <= ? AND d.stated', [base, end]));
      const range = 'SELECT record_id FROM records WHERE record_id > ? AND record_id <= ? ORDER BY record_id';
      try {
        for (const row of this.#rows.complete(connection.stream(range, [base, end], node), (each) => each)) {
          yield this.#dataset(row.kind === 'fact' ? 'inputs' : 'outputs', row, sources.of(row.id));
          this.#progress();
        }
      } finally {
        sources.close();
      }
    }
    for (const batch of batched(versions.of(run.id), 256)) {
      const exposed = new Grouped(this.#exposures(batch.map(([, node]) => -node)));
      const of = batch.map(([, node, uri]) => [node, uri] as const);
      try {
        for (const [row, version, uri] of this.#rows.complete(of, (row, [node, uri]) => [row, -node, uri] as const)) {
          yield this.#dataset('outputs', row, exposed.of(version), { id: version, uri: uri ?? row.uris[0] });
        }
      } finally {
        exposed.close();
      }
    }
  }

  /** What is of no run that is known, each in an event of its own: it has no job. */
  *#withoutRun(): IterableIterator<string> {
    const { connection, layout } = this.source;
    const stated = layout.ours ? 'd.stated' : 'true';
    const sources = new Grouped(this.#sources(stated, []));
    const ids = `SELECT r.record_id FROM records r WHERE ${layout.run} IS NULL ORDER BY r.record_id`;
    try {
      for (const row of this.#rows.complete(connection.stream(ids, [], node), (each) => each)) {
        const { name, facets } = this.#dataset('outputs', row);
        const event = { eventTime: isoTime(row.time) ?? isoTime(new Date(0)), ...common('DatasetEvent') };
        yield `${opened(event)},"dataset":${startOf(name, facets)}`;
        let before = `,"lineage":${lineageStart()}`;
        for (const raw of sources.of(row.id)) {
          yield before + this.#input(raw);
          before = ',';
        }
        yield before === ',' ? ']}}}}\n' : '}}}\n';
        this.#progress();
      }
    } finally {
      sources.close();
    }
  }

  #dataset(
    role: Dataset['role'],
    row: NodeRow,
    sources: Iterable<RawSource> = [],
    version?: { id: number; uri?: string },
  ): Dataset {
    const uri = version === undefined ? row.uris[0] : version.uri;
    const name = this.#names.of(row.id, row.name, uri);
    const facets = datasetFacets(this.source, row, uri, version?.id);
    return { role, name, facets, sources, time: row.time };
  }

  #input([, id, name, uri]: RawSource): string {
    return JSON.stringify({ ...this.#names.of(id, name ?? '', uri), type: 'DATASET' });
  }

  /** By what is derived from them. */
  #sources(where: string, values: unknown[]): IterableIterator<RawSource> {
    const sql = `SELECT d.derivation, ${named('d.record_id')} FROM derivations d WHERE ${where}
      ORDER BY d.derivation, d.record_id`;
    return this.source.connection.stream(sql, values, (row: RawSource) => row);
  }

  /** By the versions that were exposed to them. */
  #exposures(versions: number[]): IterableIterator<RawSource> {
    const sql = `SELECT s.version_id, ${named('s.id')} FROM (
        SELECT DISTINCT u.version_id, e.source_id AS id FROM updates u JOIN exposures e USING (update_id)
        WHERE u.version_id IN (SELECT value FROM json_each(?))) s
      ORDER BY s.version_id, s.id`;
    return this.source.connection.stream(sql, [JSON.stringify(versions)], (row: RawSource) => row);
  }

  #progress(): void {
    this.selection.onProgress?.({ done: ++this.#done, total: this.#total });
  }
}

/** The same each time: a UUID of version 8, which are one's own. */
function rankRunId(run: string, attempt: number, rank: number): string {
  const digest = createHash('sha256').update(`${run} ${attempt} ${rank}`).digest('hex');
  return dashed(`${digest.slice(0, 12)}8${digest.slice(13, 16)}a${digest.slice(17, 32)}`);
}

function node(row: readonly [id: number]): readonly [id: number] {
  return row;
}

function common(type: 'RunEvent' | 'DatasetEvent'): { producer: string; schemaURL: string } {
  return { producer: producer(), schemaURL: `${SPEC}#/$defs/${type}` };
}

/** A dataset up to its facets, which are open. */
function startOf(name: Dataset['name'], facets: Dataset['facets']): string {
  return JSON.stringify({ ...name, facets }).slice(0, -2);
}

/** An object to which more is to be added. */
function opened(object: object): string {
  return JSON.stringify(object).slice(0, -1);
}

/** As clients of OpenLineage have it where nothing is configured. */
function namespaceOf({ context }: Run): string {
  const cluster = context.environment?.SLURM_CLUSTER_NAME;
  return cluster === undefined ? 'default' : `slurm://${cluster}`;
}

/** Programs give records any time; events of a run are in its own. */
function within(time: Date, { started, ended }: Run): string {
  if (!(time >= started)) return isoTime(started)!;
  return isoTime(ended !== undefined && time > ended ? ended : time)!;
}
