import { BraidError } from '../errors.js';
import { KINDS, type Kind } from '../frame/format.js';
import type { Tag, Tags } from '../record/tags.js';
import { parseVersionKey, versionKey } from '../record/version-key.js';
import { parseTime, timeText } from '../time.js';
import { Attempts } from './attempts.js';
import type { Connection } from './connection.js';
import type { Layout } from './layout.js';
import { toTags, toUris, VERSION_TAGS, VERSION_URIS } from './rows.js';
import { checkVersionOf, type VersionOf } from './version-names.js';

/** A version of a model, named. */
export interface VersionName {
  /** Of the model. */
  model: number;
  /** `model@number`; undefined while it is only named and no update of it is committed. */
  number?: number;
  step?: number;
  /** What `db.version`, `reader.version` and lineage take. */
  key: string;
}

/** What an update was exposed to. The same source twice is two exposures. */
export interface ExposureRow {
  /** Of the source. */
  id: number;
  kind: Kind;
  /** Undefined while the source is not committed. */
  name?: string;
  /** Of the source, where it is a model whose version is known. */
  version?: VersionName;
  /** It may be a version of the source that was exposed, and which isn't known. */
  unknown?: boolean;
  /** Whose update it was, and when. */
  rank: number;
  time: Date;
}

/** A version of a model, as it is stored. */
export interface VersionRow extends VersionName {
  /** 32 hex digits. */
  run: string;
  /** Of that run: one that was resumed has versions of its own in each. */
  attempt: number;
  /** Of its first update. */
  time?: Date;
  /** Whether neither it nor its model has been invalidated. */
  valid: boolean;
  /** Ranks that took part. */
  ranks: number[];
  uris: string[];
  /** Of a key that was given more than once, as by several ranks, the last. */
  tags: Tags;
  /** All values of each key that has several different ones. */
  tagValues?: Record<string, Tag[]>;
  /** What the ranks had seen before: a version for each that any of them had. */
  seen: VersionName[];
  exposures: ExposureRow[];
}

type RawName = [versionId: number | null, model: number, number: number | null, step: number | null, rank: number, ordinal: number, attempt: number]; // prettier-ignore
type RawExposure = [...version: RawName, id: number, kind: number | null, name: string | null, unversioned: number, rank: number, time: string]; // prettier-ignore
type RawVersion = [...version: RawName, time: string | null, invalidation: string | null, ranks: string, uris: string, tags: string, seen: string, exposures: string]; // prettier-ignore
const NAME_COLUMNS = 7;

const nameColumns = (v: string) =>
  ['version_id', 'model_id', 'number', 'step', 'rank', 'ordinal', 'attempt_id'].map((name) => `${v}.${name}`).join();

const COLUMNS = `${nameColumns('v')}, v.time,
  ifnull(v.invalidation_id, (SELECT m.invalidation_id FROM records m WHERE m.record_id = v.model_id)),
  (SELECT json_group_array(DISTINCT u.rank ORDER BY u.rank) FROM updates u WHERE u.version_id = v.version_id),
  ${VERSION_URIS}, ${VERSION_TAGS},
  (SELECT json_group_array(json_array(${nameColumns('s')}) ORDER BY s.version_id) FROM versions s
    WHERE s.version_id IN (SELECT u.seen FROM updates u WHERE u.version_id = v.version_id)),
  (SELECT json_group_array(json_array(${nameColumns('s')}, e.source_id, r.kind, r.name, e.unversioned, u.rank, u.time)
      ORDER BY u.update_id, e.ordinal)
    FROM updates u CROSS JOIN exposures e USING (update_id)
    LEFT JOIN records r ON r.record_id = e.source_id LEFT JOIN versions s ON s.version_id = e.version_id
    WHERE u.version_id = v.version_id)`;

/** The versions of models. */
export class Versions {
  constructor(
    private readonly connection: Connection,
    private readonly layout: Layout,
  ) {}

  /** Those of a model, by number; those that are only named so far come last. */
  of(model: number): IterableIterator<VersionRow> {
    if (!this.layout.ours) return [][Symbol.iterator]();
    return this.#rows('v.model_id = ? ORDER BY v.number IS NULL, v.number, v.version_id', model);
  }

  row(versionId: number): VersionRow {
    return [...this.#rows('v.version_id = ?', versionId)][0];
  }

  /** The ids of all versions of a model. */
  idsOf(model: number): number[] {
    if (!this.layout.ours) return [];
    return this.connection.column('SELECT version_id FROM versions WHERE model_id = ?', model);
  }

  /** The row of the version with this key, if there is one. */
  byKey(key: string): number | undefined {
    const parts = parseVersionKey(key);
    if (!parts || !this.layout.ours) return undefined;
    const { model, run, attempt, step = null, rank = null, ordinal = null } = parts;
    const name = step === null ? 'step IS NULL AND v.rank = @rank AND v.ordinal = @ordinal' : 'step = @step';
    const values = step === null ? { rank, ordinal } : { step };
    return this.connection.column<number>(
      `SELECT version_id FROM versions v JOIN attempts a USING (attempt_id) JOIN runs u USING (run_id)
       WHERE v.model_id = @model AND u.uuid = @run AND a.attempt = @attempt AND v.${name}`,
      { model, run, attempt, ...values },
    )[0];
  }

  /**
   * The row of the version of a model that is meant, if there is one.
   *
   * @param timeOf when a record was made.
   * @throws BraidError ERR_BRAID_VERSION_AMBIGUOUS, ERR_BRAID_VERSION_INVALID
   */
  find(model: number, which: VersionOf, timeOf: (record: number | string) => string): number | undefined {
    checkVersionOf(which);
    if (!this.layout.ours) return undefined;
    if (typeof which === 'number') {
      return this.connection.column<number>(
        'SELECT version_id FROM versions WHERE model_id = ? AND number = ?',
        model,
        which,
      )[0];
    }
    if ('step' in which) return this.#ofStep(model, which.step, which.run, which.attempt);
    const until = 'time' in which ? timeText(which.time.getTime() * 1000 + 999) : timeOf(which.when);
    return this.connection.column<number>(
      `SELECT version_id FROM versions INDEXED BY ix_versions_time WHERE model_id = ? AND time <= ?
       ORDER BY time DESC, number DESC LIMIT 1`,
      model,
      until,
    )[0];
  }

  #ofStep(model: number, step: number, run = '', attempt: number | null = null): number | undefined {
    const found = this.connection.all<{ id: number; number: number | null; run: string; attempt: number }>(
      `SELECT v.version_id AS id, v.number, u.uuid AS run, a.attempt FROM versions v
       JOIN attempts a USING (attempt_id) JOIN runs u USING (run_id)
       WHERE v.model_id = @model AND v.step = @step AND substr(u.uuid, 1, length(@run)) = @run
         AND (@attempt IS NULL OR a.attempt = @attempt) ORDER BY v.number IS NULL, v.number`,
      { model, step, run, attempt },
    );
    if (found.length < 2) return found[0]?.id;
    const names = found.map(({ number, run, attempt }) => `${number ? `${model}@${number}: ` : ''}step=${step},run=${run.slice(0, 8)},attempt=${attempt}`); // prettier-ignore
    throw new BraidError(
      'ERR_BRAID_VERSION_AMBIGUOUS',
      `several attempts have a step ${step} of model ${model} (${names.slice(0, 5).join('; ')}${found.length > 5 ? '; …' : ''}): say which`,
    );
  }

  #rows(where: string, ...values: unknown[]): IterableIterator<VersionRow> {
    let attempts: Attempts | undefined;
    return this.connection.stream(`SELECT ${COLUMNS} FROM versions v WHERE ${where}`, values, (raw: RawVersion) => {
      attempts ??= new Attempts(this.connection);
      return toVersion(raw, attempts);
    });
  }
}

function toVersion(raw: RawVersion, attempts: Attempts): VersionRow {
  const [time, invalidation, ranks, uris, tags, seen, exposures] = raw.slice(NAME_COLUMNS) as [string | null, string | null, string, string, string, string, string]; // prettier-ignore
  const { run, attempt } = attempts.get(raw[6]);
  return {
    ...toName(raw, attempts),
    run,
    attempt,
    time: time === null ? undefined : parseTime(time),
    valid: invalidation === null,
    ranks: JSON.parse(ranks) as number[],
    uris: toUris(uris),
    ...toTags(tags),
    seen: (JSON.parse(seen) as RawName[]).map((name) => toName(name, attempts)),
    exposures: (JSON.parse(exposures) as RawExposure[]).map((exposure) => toExposure(exposure, attempts)),
  };
}

function toName(
  [, model, number, step, rank, ordinal, attemptId]: readonly [...RawName, ...unknown[]],
  attempts: Attempts,
): VersionName {
  const stepOrNone = step ?? undefined;
  return {
    model,
    number: number ?? undefined,
    step: stepOrNone,
    key: versionKey({ model, ...attempts.get(attemptId), step: stepOrNone, rank, ordinal }),
  };
}

function toExposure(raw: RawExposure, attempts: Attempts): ExposureRow {
  const [id, kindCode, name, unversioned, rank, time] = raw.slice(NAME_COLUMNS) as [number, number | null, string | null, number, number, string]; // prettier-ignore
  const kind = KINDS[kindCode ?? 0] ?? 'record';
  const row: ExposureRow = { id, kind, name: name ?? undefined, rank, time: parseTime(time) };
  if (raw[0] !== null) row.version = toName(raw, attempts);
  // A rank marks an id as not known whose kind it doesn't know, too.
  else if (unversioned === 1 && kind !== 'fact' && kind !== 'data') row.unknown = true;
  return row;
}
