import { basename, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { packageVersion } from '../package.js';
import { whyInvalid } from '../query/invalidations.js';
import type { NodeRow } from '../query/rows.js';
import { databaseUuid } from '../query/statement.js';
import { dashed } from '../uuid-text.js';
import { encodingFormat } from './encoding-format.js';
import { locationOf, type Location } from './location.js';
import { producer, schemaUrn } from './producer.js';
import { commandOf, failureOf, isoTime, program, type Attempt, type Run } from './run.js';
import type { Source } from './source.js';

/** The versions of OpenLineage's own schemas that are followed. */
const FACETS = {
  ProcessingEngineRunFacet: '1-1-0',
  EnvironmentVariablesRunFacet: '1-0-0',
  ParentRunFacet: '1-2-0',
  NominalTimeRunFacet: '1-0-1',
  JobDependenciesRunFacet: '1-0-1',
  ExecutionParametersRunFacet: '1-0-0',
  ErrorMessageRunFacet: '1-0-1',
  JobTypeJobFacet: '2-0-4',
  SourceCodeLocationJobFacet: '1-1-0',
  DocumentationJobFacet: '1-1-0',
  OwnershipJobFacet: '1-0-1',
  DatasetTypeDatasetFacet: '1-0-1',
  DatasetVersionDatasetFacet: '1-0-1',
  LifecycleStateChangeDatasetFacet: '1-0-1',
  StorageDatasetFacet: '1-0-1',
  SymlinksDatasetFacet: '1-0-1',
  TagsDatasetFacet: '1-0-0',
} as const;

type Json = Record<string, unknown>;

function facet(schema: keyof typeof FACETS, fields: Json): Json {
  const url = `https://openlineage.io/spec/facets/${FACETS[schema]}/${schema}.json#/$defs/${schema}`;
  return { _producer: producer(), _schemaURL: url, ...fields };
}

function ourFacet(schema: string, fields: Json): Json {
  return { _producer: producer(), _schemaURL: schemaUrn(schema), ...fields };
}

/** A run of a job, as facets name it. */
export interface NamedRun {
  readonly run: { readonly runId: string };
  readonly job: { readonly namespace: string; readonly name: string };
}

/**
 * All that is known of a run when it starts.
 *
 * @param upstream runs that have made what it has used.
 */
export function runFacets(run: Run, upstream: readonly NamedRun[]): Json {
  const { context, attempts } = run;
  const { library, standard, launcher } = (context.mpi ?? {}) as Record<string, unknown>;
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  const last = attempts.at(-1);
  const environment = Object.entries(context.environment ?? {}).map(([name, value]) => ({ name, value }));
  const parent = parentOf(context.environment ?? {});
  const nominal = nominalTimeOf(context.environment ?? {});
  const parameters = parametersOf(context.argv?.slice(2) ?? []);
  return {
    ...(parent === undefined ? {} : { parent: facet('ParentRunFacet', parent) }),
    ...(nominal === undefined ? {} : { nominalTime: facet('NominalTimeRunFacet', nominal) }),
    ...(upstream.length > 0 ? { jobDependencies: facet('JobDependenciesRunFacet', { upstream, downstream: [] }) } : {}),
    ...(parameters.length > 0 ? { executionParameters: facet('ExecutionParametersRunFacet', { parameters }) } : {}),
    processing_engine: facet('ProcessingEngineRunFacet', {
      ...(context.mpi
        ? { name: 'MPI', version: text(library) ?? text(standard) ?? 'unknown' }
        : { name: 'Node.js', version: context.node ?? 'unknown' }),
      openlineageAdapterVersion: packageVersion(),
    }),
    ...(environment.length > 0
      ? { environmentVariables: facet('EnvironmentVariablesRunFacet', { environmentVariables: environment }) }
      : {}),
    braid_mpi: ourFacet('BraidMpiRunFacet', {
      size: last?.size ?? 1,
      hosts: last?.hosts ?? [],
      mpiLibrary: text(library),
      launcher: text(launcher),
      recordedPerRank: last?.recordsOfRanks ?? [],
      attempts: attempts.map(attemptOf),
    }),
  };
}

function attemptOf({ attempt, status, size, started, ended }: Attempt): Json {
  return { attempt, status, size, started: isoTime(started), ended: isoTime(ended) };
}

/** Of the run of a rank, in an attempt of its run. */
export function rankFacets(run: Run, parent: NamedRun, attempt: Attempt, rank: number): Json {
  const { root = undefined, ...starter } = parentOf(run.context.environment ?? {}) ?? {};
  return {
    parent: facet('ParentRunFacet', { ...parent, root: root ?? ('run' in starter ? starter : parent) }),
    braid_mpi: ourFacet('BraidMpiRunFacet', {
      rank,
      size: attempt.size,
      hosts: [attempt.hostOfRank[rank]],
      recordedPerRank: [attempt.recordsOfRanks[rank]],
      attempts: [attemptOf(attempt)],
    }),
  };
}

/** From when until when its scheduler has given it the nodes: Slurm says so, in seconds since 1970. */
function nominalTimeOf(environment: Record<string, string>): Json | undefined {
  const time = (name: string) => {
    const text = environment[name] ?? '';
    return /^\d{1,11}$/.test(text) ? isoTime(new Date(Number(text) * 1000)) : undefined;
  };
  const nominalStartTime = time('SLURM_JOB_START_TIME');
  return nominalStartTime === undefined ? undefined : { nominalStartTime, nominalEndTime: time('SLURM_JOB_END_TIME') };
}

/** Who has started it, as schedulers tell those that they start: `NAMESPACE/JOB/RUN`, and the same of whoever started that. */
function parentOf({
  OPENLINEAGE_PARENT_ID: parent,
  OPENLINEAGE_ROOT_PARENT_ID: root,
}: Record<string, string>): Json | undefined {
  const named = (text: string | undefined) => {
    const [, namespace, name, runId] =
      /^(.+)\/([^/]+)\/([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})$/i.exec(text ?? '') ?? [];
    return namespace === undefined ? undefined : { run: { runId }, job: { namespace, name } };
  };
  const [by, first] = [named(parent), named(root)];
  return by && { ...by, ...(first ? { root: first } : {}) };
}

/** The options of a command: `--steps 10`, `--steps=10`; `true` of one without a value. */
function parametersOf(argv: readonly string[]): { key: string; name: string; value: string }[] {
  return argv.flatMap((argument, i) => {
    const [, name, , inline] = /^--?([^=\s-][^=\s]*)(=([^]*))?$/.exec(argument) ?? [];
    // A negative number is a value.
    const isOption = (text: string) => /^-(?![\d.])./.test(text);
    if (name === undefined || !isOption(argument)) return [];
    const next = argv[i + 1] as string | undefined;
    const value = inline ?? (next === undefined || isOption(next) ? 'true' : next);
    return [{ key: name, name: argument.split('=', 1)[0], value }];
  });
}

/** What there is to say of how it ended. */
export function endFacets({ status }: Pick<Run, 'status'>): Json {
  const message = failureOf(status);
  return message === undefined
    ? {}
    : { errorMessage: facet('ErrorMessageRunFacet', { message, programmingLanguage: 'JavaScript' }) };
}

export function jobFacets({ attempts, context, ...run }: Run): Json {
  const path = program(context);
  const command = commandOf({ attempts, context, ...run });
  const { git, user } = context;
  return {
    jobType: facet('JobTypeJobFacet', { processingType: 'BATCH', integration: 'MPI', jobType: 'JOB' }),
    ...(command === undefined ? {} : { documentation: facet('DocumentationJobFacet', { description: command }) }),
    ...(user === undefined ? {} : { ownership: facet('OwnershipJobFacet', { owners: [{ name: `user:${user}` }] }) }),
    ...(git && path !== undefined
      ? {
          sourceCodeLocation: facet('SourceCodeLocationJobFacet', {
            type: 'git',
            // Where its repository is isn't known.
            url: pathToFileURL(resolve(context.cwd ?? '/', path)).href,
            path: basename(path),
            version: git.commit,
            branch: git.branch,
          }),
        }
      : {}),
  };
}

/** Names a record to OpenLineage: by where it is, and if that isn't known as one of this database. */
export class Names {
  readonly #own: string;

  constructor(source: Source) {
    const uuid = databaseUuid(source.connection, source.layout) ?? basename(source.path);
    this.#own = `braid://${encodeURIComponent(uuid)}`;
  }

  /** @param uri the first of the record. */
  of(id: number, name: string, uri: string | null | undefined): { namespace: string; name: string } {
    const location = uri === null || uri === undefined ? undefined : locationOf(uri);
    return location === undefined
      ? { namespace: this.#own, name: `${name}#${id}` }
      : { namespace: location.namespace, name: location.name };
  }
}

/**
 * All but what a record is derived from.
 *
 * @param uri what it is named by, if that is known.
 */
export function datasetFacets(source: Source, row: NodeRow, uri: string | undefined, version?: number): Json {
  const place = uri === undefined ? undefined : locationOf(uri);
  const format = place && encodingFormat(place.name);
  // A version is the model as it was then: its own files are other names of it.
  const others = (version === undefined ? row.uris.slice(1) : row.uris)
    .map(locationOf)
    .filter((location): location is Location => location !== undefined);
  const tags = Object.entries(row.tags).map(([key, value]) => ({ key, value: String(value), source: 'USER' }));
  const why = row.valid ? undefined : whyInvalid(source.connection, { record: row.id, version }, source.layout.ours);
  return {
    datasetType: facet('DatasetTypeDatasetFacet', { datasetType: row.kind === 'model' ? 'MODEL' : 'FILE' }),
    ...(row.version === undefined
      ? {}
      : {
          version: facet('DatasetVersionDatasetFacet', { datasetVersion: String(row.version) }),
          lifecycleStateChange: facet('LifecycleStateChangeDatasetFacet', { lifecycleStateChange: 'OVERWRITE' }),
        }),
    ...(others.length === 0
      ? {}
      : {
          symlinks: facet('SymlinksDatasetFacet', {
            identifiers: others.map(({ namespace, name }) => ({ namespace, name, type: 'LOCATION' })),
          }),
        }),
    ...(place === undefined
      ? {}
      : {
          storage: facet('StorageDatasetFacet', {
            storageLayer: place.namespace.split(':', 1)[0],
            ...(format === undefined ? {} : { fileFormat: format }),
          }),
        }),
    ...(tags.length === 0 ? {} : { tags: facet('TagsDatasetFacet', { tags }) }),
    braid_record: ourFacet('BraidRecordDatasetFacet', {
      kind: row.kind,
      id: row.id,
      name: row.name,
      time: isoTime(row.time),
      rank: row.rank,
      version: row.version,
      step: row.step,
    }),
    ...(why === undefined
      ? {}
      : {
          braid_invalidation: ourFacet('BraidInvalidationDatasetFacet', {
            cause: why.cause,
            time: isoTime(why.time),
            rootId: dashed(why.id),
            inferred: why.inferred,
          }),
        }),
  };
}

/** The facet of what a dataset was made of, up to its list of inputs; `]}` ends it. */
export function lineageStart(): string {
  const url = 'https://openlineage.io/spec/facets/1-0-0/LineageFacet.json#/$defs/LineageDatasetFacet';
  return `${JSON.stringify({ _producer: producer(), _schemaURL: url }).slice(0, -1)},"inputs":[`;
}
