import { basename, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { packageVersion } from '../package.js';
import { NodeRows, type NodeRow } from '../query/rows.js';
import { batched } from './batched.js';
import { crateUri, parameterId, type CrateFile, type CrateFiles, type Role } from './crate-files.js';
import type { Written } from './crate-writer.js';
import { encodingFormat } from './encoding-format.js';
import type { ExportSelection } from './exporter.js';
import { commandOf, failureOf, isoTime, program, runs, titleOf, type Run } from './run.js';
import type { Source } from './source.js';

export const METADATA = 'ro-crate-metadata.json';
const CRATE = 'https://w3id.org/ro/crate/1.1';
const PROFILE = 'https://w3id.org/ro/wfrun/process/0.5';
const CONTEXT = [`${CRATE}/context`, 'https://w3id.org/ro/terms/workflow-run/context'];
const SIF_IMAGE = 'https://w3id.org/ro/terms/workflow-run#SIFImage';
/** How many rows are made at once. */
const BATCH = 256;

type Entity = Readonly<Record<string, unknown>> & { readonly '@id': string };

/** A file of the crate that tells of the whole. */
export interface Part extends Written {
  readonly name: string;
  readonly title: string;
  readonly encodingFormat: string;
  /** What its form is described by. */
  readonly conformsTo?: string;
}

const ref = (id: string) => ({ '@id': id });

/**
 * The metadata of a Process Run Crate, piece by piece: no list of it is ever in memory.
 */
export class CrateMetadata {
  /** Those that runs have in common: each is described once. */
  readonly #shared = new Map<string, Entity>();

  constructor(
    private readonly source: Source,
    private readonly files: CrateFiles,
    private readonly parts: readonly Part[],
    private readonly selection: ExportSelection,
  ) {}

  *text(): IterableIterator<string> {
    yield `{"@context":${JSON.stringify(CONTEXT)},"@graph":[\n`;
    yield JSON.stringify({ '@id': METADATA, '@type': 'CreativeWork', conformsTo: ref(CRATE), about: ref('./') });
    yield* this.#root();
    for (const run of this.#runs()) yield* this.#action(run);
    for (const part of this.parts) yield* this.#part(part);
    yield* this.#fileEntities();
    for (const [record, ids] of this.files.collections()) {
      const [row] = this.#rows([record]);
      const parts = (JSON.parse(ids) as string[]).map(ref);
      yield entity({ '@id': collectionId(record), '@type': 'Collection', name: row?.name ?? String(record), mainEntity: parts[0], hasPart: parts }); // prettier-ignore
    }
    yield* this.#parameters();
    for (const each of this.#shared.values()) yield entity(each);
    yield '\n]}\n';
  }

  #runs(): IterableIterator<Run> {
    return runs(this.source, this.selection.run);
  }

  *#root(): IterableIterator<string> {
    const { license, run } = this.selection;
    const terms = license === undefined ? undefined : (crateUri(license) ?? license);
    const titles: string[] = [];
    let count = 0;
    for (const each of this.#runs()) if (count++ < 3) titles.push(titleOf(each));
    const what = titles.length === 0 ? basename(this.source.path) : titles.join(', ') + (count > 3 ? ', …' : '');
    const profile = count > 0 ? [PROFILE] : [];
    if (count > 0) this.#share({ '@id': PROFILE, '@type': 'CreativeWork', name: 'Process Run Crate', version: '0.5' });
    if (terms !== undefined) this.#share({ '@id': terms, '@type': 'CreativeWork', name: license });
    yield* list(
      {
        '@id': './',
        '@type': 'Dataset',
        name: `Provenance of ${what}`,
        description:
          run === undefined
            ? `What ${count === 1 ? 'a run' : `${count} runs`} recorded with Braid-MPI ${packageVersion()}: inputs, outputs, models and what each was derived from.`
            : `What one run recorded with Braid-MPI ${packageVersion()}: inputs, outputs, models and what each was derived from.`,
        datePublished: new Date().toISOString(),
        license: terms === undefined ? 'No licence is stated.' : ref(terms),
        ...(profile.length > 0 ? { conformsTo: profile.map(ref) } : {}),
      },
      {
        hasPart: () =>
          concat(
            this.parts.map(({ name }) => name),
            this.#fileIds(),
          ),
        mentions: () =>
          concat(
            map(this.#runs(), actionId),
            map(this.files.collections(), ([id]) => collectionId(id)),
          ),
      },
    );
  }

  *#fileIds(): IterableIterator<string> {
    for (const { id } of this.files.all()) yield id;
  }

  *#action(run: Run): IterableIterator<string> {
    const { id, status, started, ended, attempts, context } = run;
    const command = commandOf(run);
    const made = this.files.has(id, 'result');
    const last = attempts.at(-1);
    const failure = failureOf(status);
    const environment = Object.entries(context.environment ?? {});
    yield* list(
      {
        '@id': actionId(run),
        '@type': !made ? 'ActivateAction' : this.#hasRecords(run) ? 'CreateAction' : 'UpdateAction',
        name: `Run of ${titleOf(run)}`,
        description: command,
        instrument: ref(this.#program(run)),
        containerImage: this.#image(context.environment ?? {}),
        agent: context.user === undefined ? undefined : ref(this.#named('Person', 'user', context.user)),
        startTime: isoTime(started),
        endTime: isoTime(ended),
        actionStatus: `http://schema.org/${status === 'RUNNING' ? 'Active' : failure === undefined ? 'Completed' : 'Failed'}ActionStatus`, // prettier-ignore
        error: failure,
      },
      {
        location: () => (last?.hosts ?? []).map((host) => this.#named('Place', 'host', host)),
        environment: () => environment.map(([name]) => variableId(run, name)),
        object: () => concat(this.#used(id, 'object'), this.#used(id, 'parameter')),
        result: () => this.#used(id, 'result'),
      },
    );
    for (const [name, value] of environment) {
      yield entity({ '@id': variableId(run, name), '@type': 'PropertyValue', name, value });
    }
  }

  #used(run: number, role: Role): IterableIterator<string> {
    return this.files.ofRun(run, role);
  }

  #hasRecords({ attempts }: Run): boolean {
    const sql = 'SELECT 1 FROM records WHERE record_id > ? AND record_id <= ? LIMIT 1';
    return attempts.some(({ base, end }) => this.source.connection.column(sql, base, end).length > 0);
  }

  *#part({ name, title, bytes, sha256, encodingFormat, conformsTo }: Part): IterableIterator<string> {
    if (conformsTo !== undefined) this.#share({ '@id': conformsTo, '@type': 'CreativeWork', name: conformsTo });
    yield* list(
      {
        '@id': name,
        '@type': 'File',
        name: title,
        encodingFormat,
        contentSize: String(bytes),
        sha256,
        conformsTo: conformsTo === undefined ? undefined : ref(conformsTo),
      },
      { about: () => map(this.#runs(), actionId) },
    );
  }

  *#fileEntities(): IterableIterator<string> {
    for (const batch of batched(this.files.all(), BATCH)) {
      const nodes = batch.map(({ record_id, version_id }) => (version_id === null ? record_id : -version_id));
      let at = 0;
      for (const row of new NodeRows(this.source.connection, this.source.layout).of(nodes)) {
        const file = fileEntity(batch[at++], row);
        // One that a record has a URI of, too, as a licence: it is described once.
        const shared = this.#shared.get(file['@id']);
        yield entity(shared ? { ...shared, ...file, '@type': [file['@type'], shared['@type']] } : file);
        this.#shared.delete(file['@id']);
      }
    }
  }

  *#parameters(): IterableIterator<string> {
    for (const batch of batched(this.files.parameters(), BATCH)) {
      for (const row of this.#rows(batch.map(([id]) => id))) {
        if (!row) continue;
        const tags = Object.entries(row.tags).map(([key, value]) => [key, typeof value === 'bigint' ? String(value) : value]); // prettier-ignore
        // One is the parameter's value, and of several each has its name.
        const value = tags.length === 1 ? tags[0][1] : tags.length === 0 ? row.name : JSON.stringify(Object.fromEntries(tags)); // prettier-ignore
        yield entity({ '@id': parameterId(row.id), '@type': 'PropertyValue', name: row.name, value });
      }
    }
  }

  #rows(records: readonly number[]): IterableIterator<NodeRow | undefined> {
    return new NodeRows(this.source.connection, this.source.layout).of(records);
  }

  #program({ context }: Run): string {
    const path = program(context);
    const { library } = (context.mpi ?? {}) as { library?: unknown };
    const needs = [
      ...(context.node === undefined ? [] : [{ name: 'Node.js', version: context.node }]),
      ...(typeof library === 'string' ? [{ name: 'MPI', version: library.split('\n')[0] }] : []),
      ...(context.braid === undefined ? [] : [{ name: 'Braid-MPI', version: context.braid }]),
    ].map(
      ({ name, version }) =>
      this.#share({ '@id': `#software-${encodeURIComponent(`${name}-${version}`)}`, '@type': 'SoftwareApplication', name, softwareVersion: version }), // prettier-ignore
    );
    const url = path === undefined ? undefined : pathToFileURL(resolve(context.cwd ?? '/', path)).href;
    const version = context.git?.commit;
    return this.#share({
      '@id': `#program-${encodeURIComponent([url ?? 'unknown', ...(version === undefined ? [] : [version])].join('@'))}`,
      '@type': 'SoftwareApplication',
      name: path === undefined ? 'a program that is not known' : basename(path),
      url,
      softwareVersion: version,
      softwareRequirements: needs.map(ref),
    });
  }

  /** What it has run in, as Apptainer, or Singularity, says: a file. */
  #image({ APPTAINER_CONTAINER, SINGULARITY_CONTAINER }: Partial<Record<string, string>>): object | undefined {
    const image = APPTAINER_CONTAINER ?? SINGULARITY_CONTAINER;
    if (image === undefined || image === '') return undefined;
    const id = this.#share({
      '@id': `#image-${encodeURIComponent(image)}`,
      '@type': 'ContainerImage',
      additionalType: image.endsWith('.sif') ? ref(SIF_IMAGE) : undefined,
      name: basename(image),
      description: image,
    });
    return ref(id);
  }

  #named(type: string, prefix: string, name: string): string {
    return this.#share({ '@id': `#${prefix}-${encodeURIComponent(name)}`, '@type': type, name });
  }

  #share(each: Entity): string {
    if (!this.#shared.has(each['@id'])) this.#shared.set(each['@id'], each);
    return each['@id'];
  }
}

function fileEntity(
  { id, uri, folder, copied, bytes, sha256, version_id }: CrateFile,
  row: NodeRow | undefined,
): Entity {
  const version = version_id === null || row?.version === undefined ? '' : `@${row.version}`;
  return {
    '@id': id,
    '@type': folder ? 'Dataset' : 'File',
    name: row?.name ? `${row.name}${version}` : uri,
    ...(row && !row.valid ? { description: 'What was recorded of it has been invalidated.' } : {}),
    encodingFormat: folder ? undefined : encodingFormat(new URL(uri).pathname),
    dateCreated: isoTime(row?.time),
    contentSize: bytes === null ? undefined : String(bytes),
    sha256: sha256 ?? undefined,
    // Where it was.
    url: copied === null ? undefined : uri,
  };
}

function actionId({ uuid }: Run): string {
  return `#run-${uuid}`;
}

function collectionId(record: number): string {
  return `#collection-${record}`;
}

function variableId({ uuid }: Run, name: string): string {
  return `#environment-${uuid}-${encodeURIComponent(name)}`;
}

function entity(each: Entity): string {
  return `,\n${JSON.stringify(each)}`;
}

/** An entity with lists of others, however long. Those that are empty are left out. */
function* list(each: Entity, lists: Readonly<Record<string, () => Iterable<string>>>): IterableIterator<string> {
  yield entity(each).slice(0, -1);
  for (const [key, ids] of Object.entries(lists)) {
    let before = `,${JSON.stringify(key)}:[`;
    for (const id of ids()) {
      yield before + JSON.stringify(ref(id));
      before = ',';
    }
    if (before === ',') yield ']';
  }
  yield '}';
}

function* concat<T>(...all: Iterable<T>[]): IterableIterator<T> {
  for (const each of all) yield* each;
}

function* map<T, U>(items: Iterable<T>, convert: (item: T) => U): IterableIterator<U> {
  for (const item of items) yield convert(item);
}
