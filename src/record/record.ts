import { BraidError } from '../errors.js';
import { OP_BOUND, textBound } from '../frame/encoder.js';
import { KindCode, MAX_ID, type Kind, type SourceVersion } from '../frame/format.js';
import { recordAction, storedAction, type InvalidationAction } from './action.js';
import { now } from './clock.js';
import { recordInvalidation, type InvalidateInit } from './invalidation.js';
import { recorderOf, type HasRecorder, type Recorder } from './recorder.js';
import { tagText, tagTypeOf, type Tag, type Tags, type TagTypeName } from './tags.js';
import { BraidVersion } from './version.js';

/** What a record can be derived from: a record, a version of a model, or the id of a record of any rank. */
export type Source = BraidRecord | BraidVersion | number;

export interface RecordInit {
  /** Not empty. Names need not be unique. */
  name: string;
  uris?: string[];
  tags?: Tags;
  derivedFrom?: Source | Source[];
  /** When it came to be; now, if left out. */
  time?: Date;
}

/** @internal A record that is stored already, for which a handle is made. */
export class Existing {
  constructor(
    readonly id: number,
    readonly name?: string,
    readonly time?: number,
  ) {}
}

/**
 * A record: something whose origin matters. Made as a `BraidFact`, `BraidData` or `BraidModel`, which stores it; or as a
 * handle on one that is stored already, by `ref`.
 *
 * Every method that records is synchronous and waits for nothing: when it returns, what it recorded survives the death
 * of the process, and the next `flush` brings it into the database.
 */
export abstract class BraidRecord {
  /** Known at once, unique in the database, and the same for ever. */
  readonly id: number;
  /** @internal */
  readonly recorder: Recorder;
  /** @internal */
  abstract readonly kind: Kind;
  #name: string | undefined;
  /** Microseconds since 1970. */
  #time: number | undefined;

  /** @internal */
  protected constructor(db: HasRecorder, init: RecordInit | Existing, kind: Exclude<Kind, 'record'> | undefined) {
    this.recorder = recorderOf(db);
    if (init instanceof Existing) {
      this.id = checkId(init.id);
      this.#name = init.name;
      this.#time = init.time;
    } else {
      if (!kind) {
        throw new BraidError(
          'ERR_BRAID_KIND_INVALID',
          'a record is made as a BraidFact, a BraidData or a BraidModel, or a class of yours that extends one',
        );
      }
      this.#time = init?.time === undefined ? now() : microseconds(init.time);
      this.#name = init?.name;
      this.id = store(this.recorder, KindCode[kind], init, this.#time);
    }
  }

  /**
   * A handle on a record that was made elsewhere: by another rank, in another run.
   *
   * @param id of the record; only its form is checked here. `braid verify` lists ids that turn out to be nobody's.
   * @throws BraidError ERR_BRAID_ID_INVALID
   */
  static ref<T>(this: new (...args: never[]) => T, db: HasRecorder, id: number): T {
    const Handle = this as unknown as new (db: HasRecorder, existing: Existing) => T;
    return new Handle(db, new Existing(id));
  }

  /**
   * Its name. Of a record that this rank has only an id of it is read from the database.
   *
   * @throws BraidError ERR_BRAID_NOT_ON_ROOT, ERR_BRAID_NO_SUCH_RECORD
   */
  get name(): string {
    return (this.#name ??= this.recorder.describe(this.id).name);
  }

  /** @internal What this rank knows of it without asking. Times are microseconds. */
  known(): { name?: string; time?: number } {
    return { name: this.#name, time: this.#time };
  }

  get time(): Date {
    this.#time ??= this.recorder.describe(this.id).time.getTime() * 1000;
    return new Date(this.#time / 1000);
  }

  /** Its id. Constructing it has stored it; this is here because Braid-DB's users call it. */
  store(): number {
    this.recorder.assertOpen();
    return this.id;
  }

  /**
   * Adds a place where the record's content is found.
   *
   * @throws BraidError ERR_BRAID_URI_INVALID, ERR_BRAID_TEXT_INVALID, ERR_BRAID_TOO_LARGE, ERR_BRAID_SPOOL_FULL, ERR_BRAID_CLOSED
   */
  addUri(uri: string): this {
    checkUri(uri);
    this.recorder.write(OP_BOUND + textBound(uri), (encoder) => encoder.uri(this.id, uri));
    return this;
  }

  /**
   * Adds a typed value. A key may be added more than once; all are kept, and readers see the last.
   *
   * @param type if the value's own type is not what is meant: a whole number as `'float'`.
   * @throws BraidError ERR_BRAID_TAG_INVALID, ERR_BRAID_TEXT_INVALID, ERR_BRAID_TOO_LARGE, ERR_BRAID_SPOOL_FULL, ERR_BRAID_CLOSED
   */
  addTag(key: string, value: Tag, type?: TagTypeName): this {
    checkTagKey(key);
    const code = tagTypeOf(key, value, type);
    const text = tagText(value);
    const bound = OP_BOUND + textBound(key) + textBound(text);
    this.recorder.write(bound, (encoder) => encoder.tag(this.id, key, code, text));
    return this;
  }

  /**
   * Says that this record is derived from `source`.
   *
   * Of a model it is derived from the version that this rank has seen, if any; name another by a `BraidVersion`.
   *
   * @throws BraidError ERR_BRAID_FACT_DERIVED, ERR_BRAID_SELF_DEPENDENCY, ERR_BRAID_OTHER_DATABASE, ERR_BRAID_ID_INVALID, ERR_BRAID_SPOOL_FULL, ERR_BRAID_CLOSED
   */
  addDependency(source: Source): this {
    assertDerivable(this);
    const { recorder } = this;
    const id = sourceId(recorder, source, this.id);
    recorder.write(OP_BOUND, (encoder) => {
      encoder.derivation(id, sourceVersion(recorder, source), this.id, now());
    });
    return this;
  }

  /**
   * Says that `derived` is derived from this record: `addDependency` seen from the other end, the direction that
   * Braid-DB's `add_derivation` documents.
   *
   * @throws BraidError as `addDependency`
   */
  addDerivation(derived: BraidRecord | number): this {
    if (derived instanceof BraidRecord) assertDerivable(derived);
    const { recorder } = this;
    const id = sourceId(recorder, derived, this.id);
    recorder.write(OP_BOUND, (encoder) => {
      encoder.derivation(this.id, sourceVersion(recorder, this), id, now());
    });
    return this;
  }

  /**
   * Says that the record is wrong, and why; with `cascade` (the default), so is all that is derived from it.
   *
   * @throws BraidError ERR_BRAID_CAUSE_INVALID, ERR_BRAID_TEXT_INVALID, ERR_BRAID_SPOOL_FULL, ERR_BRAID_CLOSED
   */
  invalidate(options: InvalidateInit): void {
    recordInvalidation(this.recorder, this.id, 'none', options);
  }

  /**
   * Says what is to be done when the record is invalidated, or a version of it, by who invalidates it and asks for that
   * (`runActions`). The last that was said counts.
   *
   * @throws BraidError ERR_BRAID_ACTION_INVALID, ERR_BRAID_TEXT_INVALID, ERR_BRAID_TOO_LARGE, ERR_BRAID_SPOOL_FULL, ERR_BRAID_CLOSED
   */
  setInvalidationAction(action: InvalidationAction): this {
    recordAction(this.recorder, this.id, storedAction(action));
    return this;
  }
}

/** Validates all of `init`, then writes it as one call. Returns the id. */
function store(recorder: Recorder, kind: number, init: RecordInit, time: number): number {
  const { name, uris, tags, derivedFrom } = init ?? ({} as RecordInit);
  if (typeof name !== 'string' || name === '') {
    throw new BraidError('ERR_BRAID_NAME_INVALID', 'a record needs a name: a string that is not empty');
  }
  checkKeys(init);
  const bound = OP_BOUND + textBound(name) + contentBound(uris, tags) + sourcesBound(derivedFrom);
  return recorder.create(bound, (encoder, id) => {
    encoder.record(id, kind, time, name);
    if (uris) for (const uri of uris) encoder.uri(id, uri);
    if (tags) {
      for (const key of Object.keys(tags)) {
        const value = tags[key];
        encoder.tag(id, key, tagTypeOf(key, value), tagText(value));
      }
    }
    if (derivedFrom !== undefined) {
      if (kind === KindCode.fact) throw factDerived();
      eachSource(derivedFrom, (source) => {
        encoder.derivation(sourceId(recorder, source, id), sourceVersion(recorder, source), id, time);
      });
    }
  });
}

/** A misspelt property would be provenance that is lost in silence. */
function checkKeys(init: RecordInit): void {
  for (const key in init) {
    switch (key) {
      case 'name':
      case 'uris':
      case 'tags':
      case 'derivedFrom':
      case 'time':
        break;
      default:
        throw new BraidError(
          'ERR_BRAID_INIT_INVALID',
          `a record has no property ${JSON.stringify(key)}: it has name, uris, tags, derivedFrom and time`,
        );
    }
  }
}

/** Checks URIs and tag keys, and gives an upper bound of the bytes that their ops take. */
export function contentBound(uris: string[] | undefined, tags: Tags | undefined): number {
  let bound = 0;
  if (uris !== undefined) {
    if (!Array.isArray(uris)) throw new BraidError('ERR_BRAID_URI_INVALID', 'uris must be an array of strings');
    for (const uri of uris) {
      checkUri(uri);
      bound += OP_BOUND + textBound(uri);
    }
  }
  if (tags !== undefined) {
    if (typeof tags !== 'object' || tags === null || Symbol.iterator in tags) {
      throw new BraidError(
        'ERR_BRAID_TAG_INVALID',
        'tags must be a plain object of keys and values, not a Map or an array',
      );
    }
    for (const key of Object.keys(tags)) {
      checkTagKey(key);
      const value = tags[key];
      bound += OP_BOUND + textBound(key) + (typeof value === 'string' ? textBound(value) : 24);
    }
  }
  return bound;
}

export function sourcesBound(sources: Source | Source[] | undefined): number {
  return Array.isArray(sources) ? sources.length * OP_BOUND : OP_BOUND;
}

export function eachSource(sources: Source | Source[], visit: (source: Source) => void): void {
  if (Array.isArray(sources)) for (const source of sources) visit(source);
  else visit(sources);
}

/** The id of a source, checked: of this database, not the derived record itself, of the right form. */
export function sourceId(recorder: Recorder, source: Source, derived: number): number {
  let id: number;
  if (source instanceof BraidRecord || source instanceof BraidVersion) {
    if (source.recorder !== recorder) {
      throw new BraidError(
        'ERR_BRAID_OTHER_DATABASE',
        'a dependency cannot cross databases, or two openings of one: pass the id of a record of this database',
      );
    }
    id = source instanceof BraidVersion ? source.model : source.id;
  } else {
    id = checkId(source);
  }
  if (id === derived) {
    throw new BraidError('ERR_BRAID_SELF_DEPENDENCY', `record ${id} cannot be derived from itself`);
  }
  return id;
}

/** What this rank knows of the version of a source. */
export function sourceVersion(recorder: Recorder, source: Source): SourceVersion {
  if (source instanceof BraidVersion) return source.versionName;
  if (source instanceof BraidRecord) {
    if (source.kind === 'fact' || source.kind === 'data') return 'none';
    return recorder.seen.get(source.id) ?? 'unknown';
  }
  return recorder.seen.get(source) ?? 'unknown';
}

function assertDerivable(record: BraidRecord): void {
  if (record.kind === 'fact') throw factDerived();
}

function factDerived(): BraidError {
  return new BraidError(
    'ERR_BRAID_FACT_DERIVED',
    'a BraidFact is trusted from outside and derives from nothing here: make it a BraidData',
  );
}

function checkId(id: unknown): number {
  if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 1 && id <= MAX_ID) return id;
  throw new BraidError(
    'ERR_BRAID_ID_INVALID',
    `a record, a version or the id of a record (a positive safe integer) is needed, not ${
      typeof id === 'number' ? id : id === null ? 'null' : `a value of type ${typeof id}`
    }`,
  );
}

function checkUri(uri: unknown): void {
  if (typeof uri !== 'string' || uri === '') {
    throw new BraidError('ERR_BRAID_URI_INVALID', 'a URI must be a string that is not empty');
  }
}

function checkTagKey(key: unknown): void {
  if (typeof key !== 'string' || key === '') {
    throw new BraidError('ERR_BRAID_TAG_INVALID', 'a tag key must be a string that is not empty');
  }
}

/** Microseconds since 1970 of a date that SQLite's format can hold. */
export function microseconds(time: Date): number {
  const value = time instanceof Date ? time.getTime() * 1000 : NaN;
  // Braid-DB's text form has four digits for the year, and beyond 2^53 microseconds would not be exact.
  if (Number.isSafeInteger(value)) return value;
  throw new BraidError('ERR_BRAID_TIME_INVALID', 'time must be a valid Date within 285 years of 1970');
}
