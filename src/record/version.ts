import { BraidError } from '../errors.js';
import { isId, isUint32, type VersionName } from '../frame/format.js';
import type { Recorder } from './recorder.js';

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
    const { step, rank, ordinal, elsewhere } = this.versionName;
    const { run, attempt } = elsewhere ?? this.recorder.identity;
    return `${this.model}@${run}.${attempt}.${step === undefined ? `o${rank}.${ordinal}` : `s${step}`}`;
  }

  /** @internal The inverse of `key`. */
  static parse(recorder: Recorder, key: string): BraidVersion {
    const match = /^(\d{1,16})@([0-9a-f]{32})\.(\d{1,9})\.(?:s(\d{1,16})|o(\d{1,9})\.(\d{1,10}))$/.exec(key);
    if (!match) throw invalid(key);
    const [model, attempt, step, rank, ordinal] = [1, 3, 4, 5, 6].map((group) => Number(match[group]));
    const run = match[2];
    // More digits than the format holds, or an id or attempt of 0: no version was ever called that.
    const sound =
      isId(model) && attempt >= 1 && (match[4] === undefined ? isUint32(ordinal) : Number.isSafeInteger(step));
    if (!sound) throw invalid(key);
    const here = run === recorder.identity.run && attempt === recorder.identity.attempt;
    const name: VersionName = {
      ...(here ? {} : { elsewhere: { run, attempt } }),
      ...(match[4] === undefined ? { rank, ordinal } : { step }),
    };
    return new BraidVersion(recorder, model, name);
  }
}

function invalid(key: string): BraidError {
  return new BraidError('ERR_BRAID_VERSION_INVALID', `${JSON.stringify(key)} is not the key of a version`);
}
