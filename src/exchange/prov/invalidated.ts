import { allInvalid } from '../../store/said-again.js';
import type { Source } from '../source.js';
import { flag, text, time, typed, type Attribute } from './attributes.js';
import { isoTime, names } from './names.js';
import type { Attempt, Range } from './recorded.js';
import type { Statement } from './terms.js';

type RawSaid = [id: string, root: string | null, cause: string, time: string | null, of: string, cascade: number, reason: string | null, taken: string | null]; // prettier-ignore
type RawCause = [id: string, root: string | null, cause: string, time: string | null, inferred: number];
type Invalid = [entity: string, ...RawCause];

/** Nodes are records, or the negative of versions. Of what is said, all that is to be described, with what it comes from. */
const TABLES = `
DROP TABLE IF EXISTS temp.prov_invalid;
DROP TABLE IF EXISTS temp.prov_said;
CREATE TEMP TABLE prov_invalid (id TEXT NOT NULL, node INTEGER NOT NULL, PRIMARY KEY (id, node)) WITHOUT ROWID;
CREATE TEMP TABLE prov_said (id TEXT NOT NULL PRIMARY KEY, root TEXT) WITHOUT ROWID;
CREATE INDEX temp.ix_prov_said_root ON prov_said (root);
`;

/** With those that it comes from, of whatever they are. */
const CHAINS = `
INSERT OR IGNORE INTO temp.prov_said
  WITH RECURSIVE up (id) AS (
    SELECT id FROM temp.prov_invalid
    UNION SELECT i.root_invalidation FROM up CROSS JOIN main.invalidations i USING (id) WHERE i.root_invalidation IS NOT NULL)
  SELECT up.id, i.root_invalidation FROM up LEFT JOIN main.invalidations i USING (id);
`;

/** A cause for what has none, as in databases that somebody has written into by hand. */
const CAUSE = `ifnull(i.cause, 'not recorded')`;

/** What is wrong, and why: an activity for each thing that was said, and for each that is invalid for it. */
export class Invalidated {
  readonly #source: Source;
  readonly #ranges: readonly Range[];
  readonly #attempts: readonly Attempt[];
  readonly #told: boolean;

  constructor(source: Source, ranges: readonly Range[], attempts: readonly Attempt[]) {
    this.#source = source;
    this.#ranges = ranges;
    this.#attempts = attempts;
    // Early databases of Braid-DB know none.
    this.#told = source.has('invalidations');
    if (this.#told) this.#collect();
  }

  *activities(): Iterable<Statement> {
    if (!this.#told) return;
    for (const [id, root, cause, at, of, cascade, reason, taken] of this.#said()) {
      const attributes: Attribute[] = [
        typed('braid:Invalidation'),
        ...(JSON.parse(of) as RawName[]).map((node): Attribute => ['braid:of', { name: nameOf(node) }]),
        ...text('braid:cause', cause),
        ...(root === null ? [] : [['braid:rootInvalidation', { name: names.invalidation(root) }] as const]),
        ...flag('braid:cascade', cascade === 1),
        ...text('braid:revalidationReason', reason),
        ...time('braid:revalidatedAtTime', isoTime(taken)),
      ];
      yield { kind: 'activity', id: names.invalidation(id), args: [isoTime(at), isoTime(at)], attributes };
    }
  }

  *invalidations(): Iterable<Statement> {
    for (const [entity, id, , cause, at, inferred] of this.#invalid()) {
      const attributes = [...text('braid:cause', cause), ...flag('braid:inferred', inferred === 1)];
      yield { kind: 'wasInvalidatedBy', args: [entity, names.invalidation(id), isoTime(at)], attributes };
    }
  }

  *causes(): Iterable<Statement> {
    for (const [, id, root] of this.#invalid()) {
      if (root === null) continue;
      yield { kind: 'wasInformedBy', args: [names.invalidation(id), names.invalidation(root)], attributes: [] };
    }
  }

  /** Notes what is to be described: in tables of this connection, for there may be millions, and several records may have one. */
  #collect(): void {
    const { db } = this.#source.connection;
    db.exec(TABLES);
    const insert = (into: string, values: number[]) => db.prepare(`INSERT OR IGNORE INTO temp.${into}`).run(values);
    for (const { first, last } of this.#ranges) {
      if (this.#source.layout.ours) {
        insert('prov_said SELECT id, NULL FROM main.invalidation_requests WHERE record_id BETWEEN ? AND ?', [
          first,
          last,
        ]);
      }
      const invalid = 'SELECT invalidation_id, record_id FROM main.records WHERE invalidation_id IS NOT NULL';
      insert(`prov_invalid ${invalid} AND record_id BETWEEN ? AND ?`, [first, last]);
    }
    for (const { id } of this.#attempts) {
      const invalid = 'SELECT invalidation_id, -version_id FROM main.versions WHERE invalidation_id IS NOT NULL';
      insert(`prov_invalid ${invalid} AND attempt_id = ?`, [id]);
    }
    db.exec(CHAINS);
  }

  /**
   * What people have said, also of what isn't there yet, or has been taken back; and what is invalid for it. What Braid-DB has
   * said, and nothing of ours has carried on yet, is of the records that are invalid by it, as it will be then.
   */
  *#said(): Iterable<RawSaid> {
    const { layout, connection } = this.#source;
    const theirs = `(SELECT json_group_array(json_array(w.node)) FROM temp.prov_invalid w WHERE w.id = s.id AND s.root IS NULL)`;
    const cascades = `s.root IS NULL AND (EXISTS (SELECT 1 FROM temp.prov_said x WHERE x.root = s.id)
      OR ${allInvalid('(SELECT min(w.node) FROM temp.prov_invalid w WHERE w.id = s.id)', 'i.time')})`;
    const sql = layout.ours
      ? `SELECT s.id, s.root, ifnull(q.cause, ${CAUSE}), ifnull(q.time, i.time),
           iif(q.id IS NULL, ${theirs}, json_array(json_array(q.record_id, q.version_id, v.number))),
           ifnull(q.cascade, ${cascades}), b.reason, b.time
         FROM temp.prov_said s LEFT JOIN main.invalidations i ON i.id = s.id
         LEFT JOIN main.invalidation_requests q ON q.id = s.id LEFT JOIN main.versions v ON v.version_id = q.version_id
         LEFT JOIN main.revalidations b ON b.request_id = q.id`
      : `SELECT s.id, s.root, ${CAUSE}, i.time, ${theirs}, ${cascades}, NULL, NULL
         FROM temp.prov_said s LEFT JOIN main.invalidations i ON i.id = s.id`;
    yield* connection.stream(sql, [], (raw: RawSaid) => raw);
  }

  *#invalid(): Iterable<Invalid> {
    if (!this.#told) return;
    const inferred = this.#source.layout.ours ? 'ifnull(i.inferred, 0)' : '0';
    const cause = (of: string) => `${of}.invalidation_id, i.root_invalidation, ${CAUSE}, i.time, ${inferred}`;
    const records = `SELECT r.record_id, ${cause('r')} FROM records r LEFT JOIN invalidations i ON i.id = r.invalidation_id
      WHERE r.record_id BETWEEN ? AND ? AND r.invalidation_id IS NOT NULL ORDER BY r.record_id`;
    for (const { first, last } of this.#ranges) {
      type Raw = [record: number, ...RawCause];
      for (const raw of this.#source.connection.stream(records, [first, last], (each: Raw) => each)) {
        const [record, ...rest] = raw;
        yield [names.record(record), ...rest];
      }
    }
    const versions = `SELECT v.version_id, v.model_id, v.number, ${cause('v')}
      FROM versions v LEFT JOIN invalidations i ON i.id = v.invalidation_id
      WHERE v.attempt_id = ? AND v.invalidation_id IS NOT NULL ORDER BY v.version_id`;
    for (const { id } of this.#attempts) {
      type Raw = [row: number, model: number, number: number | null, ...RawCause];
      for (const raw of this.#source.connection.stream(versions, [id], (each: Raw) => each)) {
        const [row, model, number, ...rest] = raw;
        yield [names.version(model, number, row), ...rest];
      }
    }
  }
}

type RawName = [record: number, version?: number | null, number?: number | null];

function nameOf([record, version = null, number = null]: RawName): string {
  return version === null ? names.record(record) : names.version(record, number, version);
}
