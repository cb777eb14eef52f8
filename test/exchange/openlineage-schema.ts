/**
 * What OpenLineage's published schemas (2-0-2, and those of its facets) demand: written down from them without their
 * descriptions, under their own names, so that `_schemaURL` and `schemaURL` lead here.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

const SPEC = 'https://openlineage.io/spec/2-0-2/OpenLineage.json';
const root = dirname(createRequire(import.meta.url).resolve('braid-mpi/package.json'));

const text = { type: 'string' };
const uri = { type: 'string', format: 'uri' };
const time = { type: 'string', format: 'date-time' };
const uuid = { type: 'string', format: 'uuid' };
const ref = (name: string) => ({ $ref: `#/$defs/${name}` });
const list = (items: object) => ({ type: 'array', items });
const object = (properties: object, required: string[] = []) => ({ type: 'object', properties, required });
const facets = (of: string) => ({ type: 'object', additionalProperties: ref(of) });
const extended = (base: string, more: object) => ({ type: 'object', allOf: [ref(base), more] });

const named = { namespace: text, name: text };
const CORE = {
  $id: SPEC,
  $defs: {
    BaseFacet: object({ _producer: uri, _schemaURL: uri }, ['_producer', '_schemaURL']),
    RunFacet: extended('BaseFacet', {}),
    JobFacet: extended('BaseFacet', object({ _deleted: { type: 'boolean' } })),
    DatasetFacet: extended('BaseFacet', object({ _deleted: { type: 'boolean' } })),
    InputDatasetFacet: extended('BaseFacet', {}),
    OutputDatasetFacet: extended('BaseFacet', {}),
    Run: object({ runId: uuid, facets: facets('RunFacet') }, ['runId']),
    Job: object({ ...named, facets: facets('JobFacet') }, ['namespace', 'name']),
    Dataset: object({ ...named, facets: facets('DatasetFacet') }, ['namespace', 'name']),
    InputDataset: extended('Dataset', object({ inputFacets: facets('InputDatasetFacet') })),
    OutputDataset: extended('Dataset', object({ outputFacets: facets('OutputDatasetFacet') })),
    StaticDataset: extended('Dataset', {}),
    BaseEvent: object({ eventTime: time, producer: uri, schemaURL: uri }, ['eventTime', 'producer', 'schemaURL']),
    RunEvent: extended(
      'BaseEvent',
      object(
        {
          eventType: { type: 'string', enum: ['START', 'RUNNING', 'COMPLETE', 'ABORT', 'FAIL', 'OTHER'] },
          run: ref('Run'),
          job: ref('Job'),
          inputs: list(ref('InputDataset')),
          outputs: list(ref('OutputDataset')),
        },
        ['run', 'job'],
      ),
    ),
    DatasetEvent: extended('BaseEvent', {
      ...object({ dataset: ref('StaticDataset') }, ['dataset']),
      not: { required: ['job', 'run'] },
    }),
  },
};

const STATES = ['ALTER', 'CREATE', 'DROP', 'OVERWRITE', 'RENAME', 'TRUNCATE'];
const tag = object({ key: text, value: text, source: text, field: text }, ['key', 'value']);
const DEPENDENCY = object({ job: object(named, ['namespace', 'name']), run: object({ runId: uuid }, ['runId']) }, [
  'job',
]);
const FACETS: [version: string, file: string, facet: string, base: string, fields: object][] = [
  ['1-1-0', 'ProcessingEngineRunFacet', 'ProcessingEngineRunFacet', 'RunFacet', object({ version: text, name: text, openlineageAdapterVersion: text }, ['version'])], // prettier-ignore
  ['1-0-0', 'EnvironmentVariablesRunFacet', 'EnvironmentVariablesRunFacet', 'RunFacet', object({ environmentVariables: list(object({ name: text, value: text }, ['name', 'value'])) }, ['environmentVariables'])], // prettier-ignore
  ['1-2-0', 'ParentRunFacet', 'ParentRunFacet', 'RunFacet', object({ run: object({ runId: uuid }, ['runId']), job: object(named, ['namespace', 'name']), root: object({ run: object({ runId: uuid }, ['runId']), job: object(named, ['namespace', 'name']) }, ['run', 'job']) }, ['run', 'job'])], // prettier-ignore
  ['1-0-1', 'NominalTimeRunFacet', 'NominalTimeRunFacet', 'RunFacet', object({ nominalStartTime: time, nominalEndTime: time }, ['nominalStartTime'])], // prettier-ignore
  ['1-0-1', 'JobDependenciesRunFacet', 'JobDependenciesRunFacet', 'RunFacet', object({ upstream: list(DEPENDENCY), downstream: list(DEPENDENCY) })], // prettier-ignore
  ['1-0-0', 'ExecutionParametersRunFacet', 'ExecutionParametersRunFacet', 'RunFacet', object({ parameters: list(object({ key: text, name: text, description: text, value: text }, ['key'])) })], // prettier-ignore
  ['1-0-1', 'ErrorMessageRunFacet', 'ErrorMessageRunFacet', 'RunFacet', object({ message: text, programmingLanguage: text, stackTrace: text }, ['message', 'programmingLanguage'])], // prettier-ignore
  ['2-0-4', 'JobTypeJobFacet', 'JobTypeJobFacet', 'JobFacet', object({ processingType: text, integration: text, jobType: text }, ['processingType', 'integration'])], // prettier-ignore
  ['1-1-0', 'SourceCodeLocationJobFacet', 'SourceCodeLocationJobFacet', 'JobFacet', object({ type: text, url: uri, repoUrl: text, path: text, version: text, tag: text, branch: text }, ['type', 'url'])], // prettier-ignore
  ['1-1-0', 'DocumentationJobFacet', 'DocumentationJobFacet', 'JobFacet', object({ description: text, contentType: text }, ['description'])], // prettier-ignore
  ['1-0-1', 'OwnershipJobFacet', 'OwnershipJobFacet', 'JobFacet', object({ owners: list(object({ name: text, type: text }, ['name'])) })], // prettier-ignore
  ['1-0-1', 'DatasetTypeDatasetFacet', 'DatasetTypeDatasetFacet', 'DatasetFacet', object({ datasetType: text, subType: text }, ['datasetType'])], // prettier-ignore
  ['1-0-1', 'DatasetVersionDatasetFacet', 'DatasetVersionDatasetFacet', 'DatasetFacet', object({ datasetVersion: text }, ['datasetVersion'])], // prettier-ignore
  ['1-0-1', 'LifecycleStateChangeDatasetFacet', 'LifecycleStateChangeDatasetFacet', 'DatasetFacet', object({ lifecycleStateChange: { type: 'string', enum: STATES }, previousIdentifier: object(named, ['name', 'namespace']) }, ['lifecycleStateChange'])], // prettier-ignore
  ['1-0-1', 'StorageDatasetFacet', 'StorageDatasetFacet', 'DatasetFacet', object({ storageLayer: text, fileFormat: text }, ['storageLayer'])], // prettier-ignore
  ['1-0-1', 'SymlinksDatasetFacet', 'SymlinksDatasetFacet', 'DatasetFacet', object({ identifiers: list(object({ ...named, type: text }, ['namespace', 'name', 'type'])) })], // prettier-ignore
  ['1-0-0', 'TagsDatasetFacet', 'TagsDatasetFacet', 'DatasetFacet', object({ tags: list(tag) })],
  ['1-0-0', 'LineageFacet', 'LineageDatasetFacet', 'DatasetFacet', object({ inputs: list(object({ ...named, type: { type: 'string', enum: ['DATASET'] }, field: text }, ['namespace', 'name', 'type'])) })], // prettier-ignore
];

/** Validates events and their facets, each by the schema that it names. */
export class OpenLineageSchemas {
  readonly #ajv = new Ajv2020({ allErrors: true });

  constructor() {
    formats.default(this.#ajv);
    this.#ajv.addSchema(CORE);
    for (const [version, file, facet, base, fields] of FACETS) {
      const $id = `https://openlineage.io/spec/facets/${version}/${file}.json`;
      this.#ajv.addSchema({ $id, $defs: { [facet]: { allOf: [{ $ref: `${SPEC}#/$defs/${base}` }, fields] } } });
    }
    const ours = join(root, 'docs/schemas');
    for (const file of readdirSync(ours)) {
      this.#ajv.addSchema(JSON.parse(readFileSync(join(ours, file), 'utf8')) as object);
    }
  }

  /** What is wrong with an event, in any depth. */
  problems(event: { schemaURL: string }): string[] {
    return [...this.#wrong(event.schemaURL, event), ...this.#facets(event)];
  }

  #facets(value: unknown): string[] {
    if (typeof value !== 'object' || value === null) return [];
    const url = (value as { _schemaURL?: string })._schemaURL;
    const own = url === undefined ? [] : this.#wrong(url, value);
    return [...own, ...Object.values(value).flatMap((each) => this.#facets(each))];
  }

  #wrong(url: string, value: unknown): string[] {
    const validate = this.#ajv.getSchema(url) as ValidateFunction | undefined;
    if (!validate) return [`no schema is called ${url}`];
    return validate(value)
      ? []
      : validate.errors!.map(({ instancePath, message }) => `${url}: ${instancePath} ${message}`);
  }
}
