import type { Database, Statement } from 'better-sqlite3';
import { BraidError } from '../errors.js';
import type { MergeCounts } from '../merge.js';
import { VersionNumbering } from '../store/numbering.js';
import { wantSearchIndexes } from '../store/search-indexes.js';
import type { Bulk } from './bulk.js';
import { mergeAttempts } from './merging-attempts.js';
import { MergedInvalidations } from './merging-invalidations.js';
import { inputOf, mapped, withInput, type Input } from './mapped.js';
import { ModelJoins, type JoinBy } from './merging-models.js';
import { countOmissions } from './omissions.js';
import { join, newRanges, passedRanges, piecesOf, place, readIdSpace, type IdSpace, type Placed } from './ranges.js';

export const NO_COUNTS: MergeCounts = { runs: 0, records: 0, versions: 0, updates: 0, derivations: 0, uris: 0, tags: 0, invalidations: 0, revalidations: 0, actions: 0, actionRuns: 0, joined: 0, ambiguous: 0 }; // prettier-ignore

export interface MergingOptions {
  readonly joinBy?: JoinBy;
  /** Ids stay what they are: of an extract, which begins empty. */
  readonly keepIds?: boolean;
  /** The input was made to be merged: its own ids are nobody's to ask for. */
  readonly staged?: boolean;
  readonly input: Input;
  /** Of the input. */
  readonly path: string;
  readonly time: string;
  /** Called between parts; rejects if it is to end. */
  readonly pause: (progress: TableProgress) => Promise<void>;
}

export interface TableProgress {
  readonly table: string;
  readonly done: number;
  readonly total: number;
}

/** Records of which all is brought in at once. */
const CHUNK = 20_000;

const TABLES = `
  CREATE TEMP TABLE IF NOT EXISTS braid_map (last INTEGER NOT NULL PRIMARY KEY, offset INTEGER NOT NULL, known INTEGER NOT NULL, joined INTEGER NOT NULL);
  CREATE TEMP TABLE IF NOT EXISTS braid_attempts (old INTEGER NOT NULL PRIMARY KEY, new INTEGER NOT NULL, known INTEGER NOT NULL);
  CREATE TEMP TABLE IF NOT EXISTS braid_versions (old INTEGER NOT NULL PRIMARY KEY, new INTEGER NOT NULL, known INTEGER NOT NULL);
  CREATE TEMP TABLE IF NOT EXISTS braid_updates (old INTEGER NOT NULL PRIMARY KEY, new INTEGER NOT NULL);
  DELETE FROM temp.braid_map;
  DELETE FROM temp.braid_attempts;
  DELETE FROM temp.braid_versions;
  DELETE FROM temp.braid_updates;
`;

/** Of a piece, by its ids and their offset. What is there already has a row that is the same, or it is another record. */
const RECORDS = `INSERT INTO records (record_id, name, time, kind, invalidation_id, invalidation_action_id)
  SELECT record_id + @offset, name, time, kind, (SELECT f.id FROM temp.braid_foreign f WHERE f.id = invalidation_id), invalidation_action_id
  FROM $records WHERE record_id BETWEEN @first AND @last ORDER BY record_id ON CONFLICT (record_id) DO NOTHING`;

const CONFLICT = `SELECT r.record_id AS id, r.name, o.record_id AS here, o.name AS nameHere
  FROM $records r JOIN main.records o ON o.record_id = r.record_id + @offset
  WHERE r.record_id BETWEEN @first AND @last AND (o.name <> r.name OR o.time <> r.time OR o.kind <> r.kind AND NOT @inferred) LIMIT 1`;

/** Of what Braid-DB has made: what more is known of a record since tells another kind, and never a lesser one. */
const KINDS = `UPDATE records SET kind = r.kind FROM $records r
  WHERE r.record_id BETWEEN @first AND @last AND records.record_id = r.record_id + @offset AND r.kind > records.kind`;

/** Those of a pair that is there as well say together what either says: as a commit does of what is said again. */
const DERIVATIONS = `INSERT OR IGNORE INTO derivations (record_id, derivation, time, unversioned, stated)
  SELECT record_id + @offset, ${mapped('derivation')}, time, unversioned, stated
  FROM $derivations WHERE record_id BETWEEN @first AND @last
    AND (record_id = derivation OR record_id + @offset IS NOT ${mapped('derivation')})
  ON CONFLICT (record_id, derivation) DO UPDATE SET unversioned = max(unversioned, excluded.unversioned),
    stated = max(stated, excluded.stated),
    time = iif(excluded.stated AND excluded.unversioned, max(time, excluded.time), time)
  WHERE excluded.unversioned > unversioned OR excluded.stated > stated
    OR excluded.stated AND excluded.unversioned AND excluded.time > time`;

/** What may be there several times, as often as in that of the two that has it more often. */
function lacking(table: 'uris' | 'tags', columns: string): string {
  const list = columns.split(', ');
  return `INSERT INTO ${table} (record_id, ${columns}) SELECT record_id + @offset, ${columns} FROM (
      SELECT *, row_number() OVER (PARTITION BY record_id, ${columns} ORDER BY id) AS ordinal
      FROM $${table} WHERE record_id BETWEEN @first AND @last) t
    WHERE ordinal > (SELECT count(*) FROM main.${table} o WHERE o.record_id = t.record_id + @offset
      AND ${list.map((name) => `o.${name} = t.${name}`).join(' AND ')}) ORDER BY id`;
}

const of = (table: 'uris' | 'tags', columns: string) =>
  `INSERT INTO ${table} (record_id, ${columns}) SELECT record_id + @offset, ${columns} FROM $${table}
   WHERE record_id BETWEEN @first AND @last ORDER BY record_id, id`;

const TAG = 'key, value, tag_type, boolean';

/** The row of a version `v`, of attempt `a`, by what it is called. */
const KNOWN_VERSION = `(
  SELECT o.version_id FROM main.versions o WHERE o.model_id = ${mapped('v.model_id')} AND o.attempt_id = a.new AND o.step = v.step
  UNION ALL
  SELECT o.version_id FROM main.versions o WHERE o.model_id = ${mapped('v.model_id')} AND o.attempt_id = a.new AND o.step IS NULL
    AND o.rank = v.rank AND o.ordinal = v.ordinal AND v.step IS NULL)`;

/** Of the model of a version `v`: how it is placed. */
const MODEL_PIECE =
  'temp.braid_map p ON p.last = (SELECT m.last FROM temp.braid_map m WHERE m.last >= v.model_id ORDER BY m.last LIMIT 1)';

const VERSION_MAP = `INSERT INTO temp.braid_versions (old, new, known) SELECT old, ifnull(here, @base + old), here IS NOT NULL FROM (
    SELECT v.version_id AS old, CASE WHEN a.known THEN ${KNOWN_VERSION} END AS here
    FROM $versions v CROSS JOIN temp.braid_attempts a ON a.old = v.attempt_id WHERE ${mapped('v.model_id')} IS NOT NULL)`;

/** A version of each of two models that are one here, of one name: some run knows them as two. */
const ONE_VERSION = `SELECT min(v.model_id) AS one, max(v.model_id) AS other, ${mapped('v.model_id')} AS here
  FROM temp.braid_versions x CROSS JOIN $versions v ON v.version_id = x.old
  GROUP BY here, v.attempt_id, v.step, v.rank, v.ordinal HAVING count(*) > 1 LIMIT 1`;

/** A number is kept where its model is new, or nobody else has it; else it is given anew. */
const VERSIONS = `INSERT INTO versions (version_id, model_id, attempt_id, step, rank, ordinal, number, time)
  SELECT x.new, ${mapped('v.model_id')}, a.new, v.step, v.rank, v.ordinal,
    iif(p.known OR p.joined, NULL, v.number), iif(p.known OR p.joined, NULL, v.time)
  FROM temp.braid_versions x CROSS JOIN $versions v ON v.version_id = x.old
  CROSS JOIN temp.braid_attempts a ON a.old = v.attempt_id CROSS JOIN ${MODEL_PIECE} WHERE NOT x.known ORDER BY x.old`;
const NUMBERS = `UPDATE OR IGNORE versions SET number = f.number, time = f.time FROM (
    SELECT x.new, v.number, v.time FROM temp.braid_versions x CROSS JOIN $versions v ON v.version_id = x.old
    CROSS JOIN ${MODEL_PIECE} WHERE v.number IS NOT NULL AND NOT p.joined) f
  WHERE versions.version_id = f.new AND versions.number IS NULL`;

/** Of a version that was there, those updates that come after the ones that it had. */
const UPDATE_MAP = `INSERT INTO temp.braid_updates (old, new)
  SELECT u.update_id, @base + u.update_id FROM $updates u CROSS JOIN temp.braid_versions x ON x.old = u.version_id WHERE NOT x.known
  UNION ALL
  SELECT t.update_id, @base + t.update_id FROM (
    SELECT u.*, x.new AS here, row_number() OVER (PARTITION BY u.version_id, u.rank, u.time ORDER BY u.update_id) AS ordinal
    FROM temp.braid_versions x CROSS JOIN $updates u ON u.version_id = x.old WHERE x.known) t
  WHERE ordinal > (SELECT count(*) FROM main.updates o WHERE o.version_id = t.here AND o.rank = t.rank AND o.time = t.time)`;
const UPDATES = `INSERT INTO updates (update_id, version_id, rank, time, seen)
  SELECT n.new, x.new, u.rank, u.time, s.new FROM temp.braid_updates n CROSS JOIN $updates u ON u.update_id = n.old
  CROSS JOIN temp.braid_versions x ON x.old = u.version_id LEFT JOIN temp.braid_versions s ON s.old = u.seen ORDER BY n.old`;
const EXPOSURES = `INSERT OR IGNORE INTO exposures (update_id, ordinal, source_id, version_id, unversioned)
  SELECT n.new, e.ordinal, ${mapped('e.source_id')}, x.new, e.unversioned FROM temp.braid_updates n
  CROSS JOIN $exposures e ON e.update_id = n.old LEFT JOIN temp.braid_versions x ON x.old = e.version_id`;

const VERSION_URIS = `INSERT OR IGNORE INTO version_uris (version_id, uri)
  SELECT x.new, u.uri FROM temp.braid_versions x CROSS JOIN $version_uris u ON u.version_id = x.old`;
const VERSION_TAGS = `INSERT INTO version_tags (version_id, rank, ${TAG}) SELECT new, rank, ${TAG} FROM (
     SELECT t.*, x.new, iif(x.known, row_number() OVER (PARTITION BY t.version_id, t.rank, ${TAG} ORDER BY t.id), NULL) AS ordinal
     FROM temp.braid_versions x CROSS JOIN $version_tags t ON t.version_id = x.old) t
   WHERE ordinal IS NULL OR ordinal > (SELECT count(*) FROM main.version_tags o WHERE o.version_id = t.new AND o.rank = t.rank
     AND o.key = t.key AND o.value = t.value AND o.tag_type = t.tag_type AND o.boolean = t.boolean) ORDER BY id`;
const DERIVATION_VERSIONS = `INSERT OR IGNORE INTO derivation_versions (derivation, record_id, version_id)
   SELECT ${mapped('d.derivation')}, ${mapped('d.record_id')}, x.new
   FROM temp.braid_versions x CROSS JOIN $derivation_versions d ON d.version_id = x.old`;

/** Brings what one database has into another, inside a transaction of that. What is there already stays as it is. */
export class Merging {
  readonly counts = { ...NO_COUNTS };
  readonly #db: Database;

  constructor(
    private readonly bulk: Bulk,
    private readonly options: MergingOptions,
  ) {
    this.#db = bulk.db;
  }

  /** @throws BraidError ERR_BRAID_MERGE_CONFLICT, ERR_BRAID_IDS_EXHAUSTED */
  async run(): Promise<void> {
    const db = this.#db;
    const { path, time, input } = this.options;
    db.exec(TABLES);
    const source = readIdSpace(db, input, path, time);
    const target = readIdSpace(db, inputOf('main'), this.bulk.path, time);
    const places = this.#place(source, target);
    const placed = this.#join(source, target, places);
    const firstUpdate = this.#next('updates', 'update_id');
    const invalidations = new MergedInvalidations(this.bulk, input, placed);
    invalidations.begin();
    const { added } = mergeAttempts(db, input, places, { path, sameDatabase: source.uuid === target.uuid });
    this.counts.runs = added;
    this.#reserve(this.#value('SELECT max(id_end) FROM main.attempts') ?? 0);
    await this.#records(placed);
    await this.#versions(placed, firstUpdate);
    await this.#pause('invalidations');
    Object.assign(this.counts, invalidations.end());
    this.#omissions(placed);
    if (this.#wantsSearchIndexes()) wantSearchIndexes(db);
  }

  /** Gives all ids of the source their places, and keeps which. */
  #place(source: IdSpace, target: IdSpace): Placed[] {
    const { keepIds, staged, input } = this.options;
    if ((this.#value(`SELECT min(record_id) FROM ${input.schema}.records`) ?? 1) < 1) {
      throw new BraidError('ERR_BRAID_DB_CORRUPT', `${source.path} has records with ids below 1: see braid verify`);
    }
    const pieces = piecesOf(source);
    const placed = keepIds
      ? pieces.map((piece) => ({ ...piece, offset: 0, known: false, joined: false }))
      : place(pieces, target);
    this.#reserve(Math.max(target.last, ...placed.map(({ last, offset }) => last + offset)));
    const keep = this.#db.prepare(
      'INSERT OR IGNORE INTO merged_ranges (origin, through, first, last, offset, kinds_inferred, path, time) VALUES (@origin, @through, @first, @last, @offset, @kinds_inferred, @path, @time)',
    );
    for (const range of newRanges(placed)) keep.run(range);
    for (const range of passedRanges(placed, source, target)) {
      if (!staged || range.origin !== source.uuid) keep.run(range);
    }
    return placed;
  }

  /** Says where all ids of the source go: to their places or, of models that become others, to those. */
  #join(source: IdSpace, target: IdSpace, places: readonly Placed[]): Placed[] {
    const db = this.#db;
    const { joinBy, input } = this.options;
    const { joins, rows, joined, ambiguous } = new ModelJoins(db, { input, source, target, placed: places, joinBy });
    Object.assign(this.counts, { joined, ambiguous });
    const keep = db.prepare(
      'INSERT INTO joined_models (origin, id, record_id, path, time) VALUES (@origin, @id, @record_id, @path, @time)',
    );
    for (const row of rows) keep.run(row);
    const placed = join(places, joins);
    const add = db.prepare('INSERT INTO temp.braid_map (last, offset, known, joined) VALUES (?, ?, ?, ?)');
    for (const { last, offset, known, joined } of placed) add.run(last, offset, known ? 1 : 0, joined ? 1 : 0);
    return placed;
  }

  #reserve(last: number): void {
    const raised = this.#db
      .prepare("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'records'")
      .run(BigInt(last)).changes;
    if (raised === 0)
      this.#db.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES ('records', ?)").run(BigInt(last));
  }

  async #records(placed: readonly Placed[]): Promise<void> {
    const total = this.#value(`SELECT count(*) FROM ${this.options.input.from('records')}`) ?? 0;
    const prepared = (sql: string) => this.#prepared(sql);
    const [records, conflict, kinds, derivations] = [RECORDS, CONFLICT, KINDS, DERIVATIONS].map(prepared);
    const fresh = { uris: prepared(of('uris', 'uri')), tags: prepared(of('tags', TAG)) };
    const lack = { uris: prepared(lacking('uris', 'uri')), tags: prepared(lacking('tags', TAG)) };
    let done = 0;
    for (const chunk of this.#chunks(placed)) {
      const { offset, known, joined, kindsInferred } = chunk;
      const range = { first: chunk.first, last: chunk.last, offset };
      await this.#pause('records', done, total);
      if (known && !joined) {
        this.#check(conflict.get({ ...range, inferred: kindsInferred ? 1 : 0 }) as Conflict | undefined);
        if (kindsInferred) kinds.run(range);
      }
      this.counts.records += records.run(range).changes;
      const { uris, tags } = known || joined ? lack : fresh;
      this.counts.uris += uris.run(range).changes;
      this.counts.tags += tags.run(range).changes;
      this.counts.derivations += derivations.run(range).changes;
      done += chunk.records;
    }
  }

  /** Pieces of so many records; what names ids that have no record is with the others. */
  *#chunks(placed: readonly Placed[]): Iterable<Placed & { records: number }> {
    const end = this.#db.prepare(
      `SELECT max(record_id) AS last, count(*) AS records FROM (
         SELECT record_id FROM ${this.options.input.from('records')} WHERE record_id BETWEEN ? AND ? ORDER BY record_id LIMIT ${CHUNK})`,
    );
    for (const piece of placed) {
      for (let { first } = piece; first <= piece.last;) {
        const { last, records } = end.get(first, piece.last) as { last: number; records: number };
        const until = records < CHUNK ? piece.last : last;
        yield { ...piece, first, last: until, records };
        first = until + 1;
      }
    }
  }

  async #versions(placed: readonly Placed[], firstUpdate: number): Promise<void> {
    if (this.#value(`SELECT EXISTS (SELECT 1 FROM ${this.options.input.from('versions')})`) === 0) return;
    const run = (sql: string, values: object = {}) => this.#prepared(sql).run(values).changes;
    await this.#pause('versions');
    run(VERSION_MAP, { base: this.#next('versions', 'version_id') });
    if (placed.some(({ joined }) => joined)) this.#checkVersions();
    this.counts.versions = run(VERSIONS);
    if (placed.some(({ known }) => known)) run(NUMBERS);
    await this.#pause('updates');
    run(UPDATE_MAP, { base: firstUpdate });
    this.counts.updates = run(UPDATES);
    await this.#pause('exposures');
    run(EXPOSURES);
    await this.#pause('tags of versions');
    this.counts.uris += run(VERSION_URIS);
    this.counts.tags += run(VERSION_TAGS);
    await this.#pause('derivations from versions');
    run(DERIVATION_VERSIONS);
    if (this.counts.updates > 0 && placed.some(({ known, joined }) => known || joined)) {
      new VersionNumbering(this.#db).run(firstUpdate);
    }
  }

  /** Of attempts of which some records are missing here or there, or have been joined to others: how many are missing now. */
  #omissions(placed: readonly Placed[]): void {
    const db = this.#db;
    const some = ['SELECT x.new FROM temp.braid_attempts x JOIN main.omissions o ON o.attempt_id = x.new'];
    const all = this.options.keepIds === true || placed.some(({ joined }) => joined);
    if (all) some.push('SELECT new FROM temp.braid_attempts');
    else if (this.#value(`SELECT 1 FROM ${this.options.input.schema}.sqlite_schema WHERE name = 'omissions'`) === 1) {
      some.push(
        `SELECT x.new FROM temp.braid_attempts x JOIN ${this.options.input.schema}.omissions o ON o.attempt_id = x.old`,
      );
    }
    countOmissions(db, db.prepare(some.join(' UNION ')).pluck().all() as number[]);
  }

  #wantsSearchIndexes(): boolean {
    return this.#value(`SELECT 1 FROM ${this.options.input.schema}.meta WHERE key = 'search_indexes'`) === 1;
  }

  #check(conflict: Conflict | undefined): void {
    if (!conflict) return;
    const { id, name, here, nameHere } = conflict;
    const { path } = this.options;
    throw new BraidError(
      'ERR_BRAID_MERGE_CONFLICT',
      `record ${id} (${name}) of ${path} has the id of another one, ${here} (${nameHere}) of ${this.bulk.path}: one database was ` +
        'copied, and both were recorded into since. Nothing was merged',
    );
  }

  #checkVersions(): void {
    const two = this.#prepared(ONE_VERSION).get() as { one: number; other: number; here: number } | undefined;
    if (!two) return;
    throw new BraidError(
      'ERR_BRAID_MERGE_CONFLICT',
      `models ${two.one} and ${two.other} of ${this.options.path}, which a run has updated both, were joined to one of ` +
        `${this.bulk.path} (${two.here}). Nothing was merged`,
    );
  }

  #next(table: string, key: string): number {
    return (this.#value(`SELECT max(${key}) FROM main.${table}`) ?? 0) + 1;
  }

  #value(sql: string): number | undefined {
    return (this.#db.prepare(sql).pluck().get() as number | null | undefined) ?? undefined;
  }

  /** @param sql with the tables that are read as `$TABLE`. */
  #prepared(sql: string): Statement {
    return this.#db.prepare(withInput(sql, this.options.input));
  }

  #pause(table: string, done = 0, total = 0): Promise<void> {
    return this.options.pause({ table, done, total });
  }
}

interface Conflict {
  readonly id: number;
  readonly name: string;
  readonly here: number;
  readonly nameHere: string;
}
