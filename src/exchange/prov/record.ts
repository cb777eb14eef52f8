import { BraidError } from '../../errors.js';
import { OP_BOUND, textBound } from '../../frame/encoder.js';
import { KindCode, type SourceVersion, type VersionName } from '../../frame/format.js';
import { storedAction, type StoredAction } from '../../record/action.js';
import { now } from '../../record/clock.js';
import type { Recorder } from '../../record/recorder.js';
import { randomUUID } from 'node:crypto';
import { groupBy } from '../../group-by.js';
import { parseMicros } from './micros.js';
import {
  attributeOf,
  isOurs,
  type Plan,
  type PlannedDerivation,
  type PlannedInvalidation,
  type PlannedVersion,
} from './plan.js';
import { shown } from './parse-json.js';
import type { ImportedNode } from './read.js';
import { contentOf, contentOfNode, nameOf, ofText, ofWhole, type Content, type StoredTag } from './tags.js';

export interface Recorded {
  records: number;
  versions: number;
  derivations: number;
  invalidations: number;
}

/**
 * Records what a document was planned to become.
 *
 * @param nodes all of the document.
 * @param between called now and then, with how many records there are so far.
 */
export function recordPlan(
  plan: Plan,
  nodes: readonly ImportedNode[],
  recorder: Recorder,
  between: (records: number) => void,
): Recorded {
  return new Recording(plan, nodes, recorder).run(between);
}

class Recording {
  readonly #plan: Plan;
  readonly #recorder: Recorder;
  readonly #byIri: ReadonlyMap<string, ImportedNode>;
  readonly #ids = new Map<ImportedNode, number>();
  readonly #times = new Map<ImportedNode, number>();
  /** Of versions, by which their updates go. */
  readonly #made = new Map<ImportedNode, { model: number; name: VersionName }>();

  constructor(plan: Plan, nodes: readonly ImportedNode[], recorder: Recorder) {
    this.#plan = plan;
    this.#recorder = recorder;
    this.#byIri = new Map(nodes.map((node) => [node.iri, node]));
  }

  run(between: (records: number) => void): Recorded {
    const { records, versions, derivations, invalidations } = this.#plan;
    for (const record of records) {
      const { node, kind } = record;
      const time = timeOf(node, record.generated);
      const name = nameOf(node);
      const content = contentOf(record);
      const actions = this.#actions(node, content.tags);
      const id = told(node, () =>
        this.#recorder.create(OP_BOUND + textBound(name) + boundOf(content, actions), (encoder, id) => {
          encoder.record(id, KindCode[kind], time, name);
          for (const uri of content.uris) encoder.uri(id, uri);
          for (const { key, type, text } of content.tags) encoder.tag(id, key, type, text);
          for (const { id: action, type, name, command, params } of actions) {
            encoder.invalidationAction(action, id, type, time, name, command, params);
          }
        }),
      );
      this.#ids.set(node, id);
      this.#times.set(node, time);
      between(this.#ids.size);
    }
    const byModel = groupBy(versions, ({ model }) => model);
    for (const ofModel of byModel.values()) this.#nameVersions(ofModel);
    for (const version of versions) this.#update(version);
    for (const derivation of derivations) this.#derive(derivation);
    for (const invalidation of invalidations) this.#invalidate(invalidation);
    return {
      records: records.length,
      versions: versions.length,
      derivations: derivations.length,
      invalidations: invalidations.length,
    };
  }

  /** Steps are kept where one attempt has made them all: those of several would be taken for each other's. */
  #nameVersions(versions: readonly PlannedVersion[]): void {
    const attempts = versions.map(
      ({ node }) => `${[...node.bundles].join()} ${attributeOf(node, 'braid', 'attempt')[0]?.text}`,
    );
    const keepsSteps = new Set(attempts).size === 1;
    for (const { node, model } of versions) {
      const step = keepsSteps ? Number(attributeOf(node, 'braid', 'step')[0]?.text ?? NaN) : NaN;
      const name =
        Number.isSafeInteger(step) && step >= 0 ? { step } : { rank: 0, ordinal: this.#recorder.nextOrdinal() };
      this.#made.set(node, { model: this.#ids.get(model)!, name });
    }
  }

  /** All updates that made it, as one for each version that they go on from. */
  #update({ node, time: generated, exposures, revisions }: PlannedVersion): void {
    // One that was only named: nobody has updated it.
    if (generated === undefined) return;
    const { model, name } = this.#made.get(node)!;
    const time = timeOf(node, generated);
    const content = contentOfNode(node);
    const step = attributeOf(node, 'braid', 'step')[0]?.text;
    if (step !== undefined && name.step === undefined) content.tags.push(ofWhole('braid:step', step));
    const seen = revisions.length === 0 ? [undefined] : revisions.map((each) => this.#made.get(each)!.name);
    const bound = (seen.length + exposures.length) * 2 * OP_BOUND + boundOf(content, []);
    told(node, () =>
      this.#recorder.write(bound, (encoder) => {
        for (const before of seen.slice(1)) encoder.update(model, name, time, before);
        encoder.update(model, name, time, seen[0]);
        for (const exposure of exposures) {
          const { id, version } = this.#source(exposure);
          encoder.exposure(id, version);
        }
        for (const uri of content.uris) encoder.versionUri(uri);
        for (const { key, type, text } of content.tags) encoder.versionTag(key, type, text);
      }),
    );
  }

  #derive(derivation: PlannedDerivation): void {
    const { derived, time } = derivation;
    const id = this.#ids.get(derived)!;
    const micros = time === undefined ? this.#times.get(derived)! : timeOf(derived, time);
    this.#recorder.write(2 * OP_BOUND, (encoder) => {
      const { id: source, version } = this.#source(derivation);
      encoder.derivation(source, version, id, micros);
      if (derivation.anyVersion && version !== 'unknown') encoder.derivation(source, 'unknown', id, micros);
    });
  }

  #source({ source, anyVersion }: PlannedDerivation): { id: number; version: SourceVersion } {
    const made = this.#made.get(source);
    if (made) return { id: made.model, version: made.name };
    return { id: this.#ids.get(source)!, version: anyVersion ? 'unknown' : 'none' };
  }

  #invalidate({ node, of, cascade }: PlannedInvalidation): void {
    const made = this.#made.get(of);
    const record = made?.model ?? this.#ids.get(of)!;
    const cause = attributeOf(node, 'braid', 'cause')[0]?.text || 'not recorded';
    const uuid = randomUUID().replaceAll('-', '');
    const time = timeOf(node, undefined);
    told(node, () =>
      this.#recorder.write(OP_BOUND + textBound(cause), (encoder) => {
        encoder.invalidation(uuid, record, cascade, time, cause, made?.name);
      }),
    );
  }

  /** Of an export of ours. What Braid-DB's users have stored in a form of their own stays as it was said. */
  #actions(node: ImportedNode, tags: StoredTag[]): StoredAction[] {
    return attributeOf(node, 'braid', 'invalidationAction').flatMap(({ iri, text }) => {
      const plan = this.#byIri.get(iri ?? '');
      const action = plan && isOurs(plan, 'InvalidationAction') ? actionOf(plan) : undefined;
      if (action) return [action];
      tags.push(ofText('braid:invalidationAction', text));
      return [];
    });
  }
}

function actionOf(plan: ImportedNode): StoredAction | undefined {
  const text = (name: string) => attributeOf(plan, 'braid', name)[0]?.text;
  try {
    const { args } = JSON.parse(text('params') ?? '{}') as { args?: string[] };
    const type = text('actionType') === 'AUTOMATE_EVENT' ? 'event' : 'shell';
    return storedAction({ type, name: nameOf(plan), command: text('command') ?? '', args });
  } catch {
    return undefined;
  }
}

/** When it came to be: now, if nothing says so. */
function timeOf(node: ImportedNode, generated: string | undefined): number {
  const said =
    generated ?? attributeOf(node, 'prov', 'startTime')[0]?.text ?? attributeOf(node, 'prov', 'endTime')[0]?.text;
  return (said === undefined ? undefined : parseMicros(said)) ?? now();
}

function boundOf({ uris, tags }: Content, actions: readonly StoredAction[]): number {
  let bound = 0;
  for (const uri of uris) bound += OP_BOUND + textBound(uri);
  for (const { key, text } of tags) bound += OP_BOUND + textBound(key) + textBound(text);
  for (const { name, command, params } of actions)
    bound += OP_BOUND + textBound(name) + textBound(command) + textBound(params);
  return bound;
}

/** Says of what it is that something can't be recorded. */
function told<T>(node: ImportedNode, record: () => T): T {
  try {
    return record();
  } catch (cause) {
    if (!(cause instanceof BraidError)) throw cause;
    throw new BraidError(cause.code, `${shown(node.name)}: ${cause.message}`, { cause });
  }
}
