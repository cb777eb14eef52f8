import { BraidError } from '../errors.js';
import type { VersionName } from '../frame/format.js';
import { recordInvalidation, type InvalidateInit } from './invalidation.js';
import type { Recorder } from './recorder.js';
import { parseVersionKey, versionKey } from './version-key.js';

/**
 * A model as it was after one update of it, or after the updates of one step. A handle: whether such a version exists is
 * known when the update is committed.
 */
export class BraidVersion {
  /** Id of the model. */
  readonly model: number;
  /** @internal */
  readonly recorder: Recorder;
  /** @internal Its name as the database that `recorder` writes to knows it. */
  readonly versionName: VersionName;

  /** @internal Use `model.update`, `model.at` or `db.version`. */
  constructor(recorder: Recorder, model: number, name: VersionName) {
    this.recorder = recorder;
    this.model = model;
    this.versionName = name;
  }

  get step(): number | undefined {
    return this.versionName.step;
  }

  /** A string that names the version to another rank or process: `db.version(key)` takes it. */
  get key(): string {
    const { elsewhere, ...name } = this.versionName;
    const { run, attempt } = elsewhere ?? this.recorder.identity;
    return versionKey({ model: this.model, run, attempt, ...name });
  }

  /**
   * Says that this version is wrong, and why; with `cascade` (the default), so are those that go on from it, and what was
   * made with them. The model itself stays valid.
   *
   * @throws BraidError as `record.invalidate`
   */
  invalidate(options: InvalidateInit): void {
    recordInvalidation(this.recorder, this.model, this.versionName, options);
  }

  /** @internal The inverse of `key`. */
  static parse(recorder: Recorder, key: string): BraidVersion {
    const parts = parseVersionKey(key);
    if (!parts) throw invalid(key);
    const { model, run, attempt, ...name } = parts;
    const here = run === recorder.identity.run && attempt === recorder.identity.attempt;
    return new BraidVersion(recorder, model, here ? name : { elsewhere: { run, attempt }, ...name });
  }
}

function invalid(key: string): BraidError {
  return new BraidError('ERR_BRAID_VERSION_INVALID', `${JSON.stringify(key)} is not the key of a version`);
}
