import { BraidError } from '../errors.js';
import { OP_BOUND } from '../frame/encoder.js';
import type { VersionName } from '../frame/format.js';
import { now } from './clock.js';
import type { HasRecorder } from './recorder.js';
import {
  BraidRecord,
  Existing,
  contentBound,
  eachSource,
  microseconds,
  sourceId,
  sourceVersion,
  sourcesBound,
  type RecordInit,
  type Source,
} from './record.js';
import { tagText, tagTypeOf, type Tags } from './tags.js';
import { BraidVersion } from './version.js';

export interface UpdateInit {
  /** Updates with the same step, on whatever ranks, make one version. A non-negative safe integer. */
  step?: number;
  /** Where the version is found: its checkpoint. */
  uris?: string[];
  /** What is known of the version: its loss. */
  tags?: Tags;
  time?: Date;
}

/** A record that changes over time and may influence other models, cycles included. */
export class BraidModel extends BraidRecord {
  /** @internal */
  override readonly kind = 'model' as const;

  /**
   * Stores a model, with all that `init` names.
   *
   * @throws BraidError as `BraidData`
   */
  constructor(db: HasRecorder, init: RecordInit | Existing) {
    super(db, init, 'model');
  }

  /**
   * Records that the model was updated by exposure to `sources`, and returns the version that this makes: of its step, or
   * one of its own. From then on this rank has seen it: what it derives from the model is derived from this version.
   *
   * @throws BraidError ERR_BRAID_STEP_INVALID, and as `addDependency`, `addUri` and `addTag`
   */
  update(sources: Source | Source[], init: UpdateInit = {}): BraidVersion {
    const { recorder, id } = this;
    const { step, uris, tags } = init;
    if (step !== undefined) checkStep(step);
    const time = init.time === undefined ? now() : microseconds(init.time);
    const bound = 2 * OP_BOUND + sourcesBound(sources) + contentBound(uris, tags);
    eachSource(sources, (source) => sourceId(recorder, source, id));
    const made: VersionName =
      step === undefined ? { rank: recorder.identity.rank, ordinal: recorder.nextOrdinal() } : { step };
    recorder.write(bound, (encoder) => {
      encoder.update(id, made, time, recorder.seen.get(id));
      eachSource(sources, (source) => {
        encoder.exposure(sourceId(recorder, source, id), sourceVersion(recorder, source));
      });
      if (uris) for (const uri of uris) encoder.versionUri(uri);
      if (tags) {
        for (const key of Object.keys(tags)) {
          const value = tags[key];
          encoder.versionTag(key, tagTypeOf(key, value), tagText(value));
        }
      }
    });
    recorder.seen.set(id, made);
    return new BraidVersion(recorder, id, made);
  }

  /**
   * The version of a step of this attempt of this run, whoever makes it.
   *
   * @throws BraidError ERR_BRAID_STEP_INVALID
   */
  at(which: { step: number }): BraidVersion {
    checkStep(which?.step);
    return new BraidVersion(this.recorder, this.id, { step: which.step });
  }
}

function checkStep(step: unknown): void {
  if (typeof step === 'number' && Number.isSafeInteger(step) && step >= 0) return;
  throw new BraidError('ERR_BRAID_STEP_INVALID', `a step must be a non-negative safe integer, not ${String(step)}`);
}
