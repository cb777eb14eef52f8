import { isKindInferred, type Layout } from '../../query/layout.js';
import { VERSION_TAGS, VERSION_URIS } from '../../query/rows.js';
import { KINDS } from '../../frame/format.js';
import type { Source } from '../source.js';
import { flag, label, locations, tags, time, typed, whole, type Attribute } from './attributes.js';
import { isoTime, names } from './names.js';
import type { Statement } from './terms.js';

export interface Attempt {
  readonly id: number;
  readonly run: string;
  readonly attempt: number;
  readonly size: number;
  readonly started: string;
  readonly ended: string | null;
  readonly base: number;
  readonly end: number;
}

/** Records with ids from the first to the last; all of one attempt, or of none. */
export interface Range {
  readonly first: number;
  readonly last: number;
  readonly attempt?: Attempt;
}

const TYPES = ['Record', 'Fact', 'Data', 'Model'].map((name) => `braid:${name}`);
const TAG = 'json_array(t.key, t.value, t.tag_type';

/** Braid-DB has no index by which the tags of a record are found: there, all are grouped once. */
function recordsSql({ ours, kind, boolean }: Layout): string {
  const [uris, tags] = ours
    ? [
        '(SELECT json_group_array(u.uri) FROM uris u WHERE u.record_id = r.record_id)',
        `(SELECT json_group_array(${TAG}, ${boolean})) FROM tags t WHERE t.record_id = r.record_id)`,
      ]
    : ['u.uris', 't.tags'];
  const joins = ours
    ? ''
    : `LEFT JOIN (SELECT record_id, json_group_array(uri) AS uris FROM uris GROUP BY record_id) u USING (record_id)
       LEFT JOIN (SELECT record_id, json_group_array(${TAG}, 0)) AS tags FROM tags t GROUP BY record_id) t USING (record_id)`;
  return `SELECT r.record_id, ${kind}, r.name, r.invalidation_action_id, ${uris}, ${tags}
    FROM records r ${joins} WHERE r.record_id BETWEEN ? AND ? ORDER BY r.record_id`;
}

type RawRecord = [id: number, kind: number, name: string, action: string | null, uris: string | null, tags: string | null]; // prettier-ignore
type RawName = [row: number, model: number, number: number | null];
type RawVersion = [...RawName, step: number | null, name: string | null, uris: string, tags: string];
type RawUpdate = [...RawName, first: string, last: string, step: number | null];

const VERSION = 'v.version_id, v.model_id, v.number';
/** Whether a row `e` of exposures, or `d` of derivations, may be of any version of its source, a row `k` of records. */
const anyVersion = (row: string) => `${row}.unversioned = 1 AND ifnull(k.kind, 0) NOT IN (1, 2)`;

/** What one run has recorded, or nobody's run, as statements; and so of what derives from what. */
export class Recorded {
  readonly #source: Source;
  readonly #ranges: readonly Range[];
  readonly #attempts: readonly Attempt[];
  readonly #passed: () => void;

  /**
   * @param attempts whose versions are meant.
   * @param passed called PASSES times for each record.
   */
  constructor(source: Source, ranges: readonly Range[], attempts: readonly Attempt[], passed: () => void) {
    this.#source = source;
    this.#ranges = ranges;
    this.#attempts = attempts;
    this.#passed = passed;
  }

  *statements(): Iterable<Statement> {
    yield* this.entities();
    yield* this.#updates();
    yield* this.generations();
    yield* this.#uses();
    yield* this.derivations();
    yield* this.influences();
    yield* this.attributions();
    yield* this.#associations();
    yield* this.#specializations();
  }

  *entities(): Iterable<Statement> {
    const { layout } = this.#source;
    const sql = recordsSql(layout);
    for (const [id, kind, name, action, uris, tagged] of this.#inRanges<RawRecord>(sql)) {
      const attributes: Attribute[] = [
        typed(TYPES[kind] ?? TYPES[0]),
        ...flag('braid:kindInferred', kind > 0 && isKindInferred(layout, id)),
        ...label(name),
        ...locations(uris),
        ...(action === null ? [] : [['braid:invalidationAction', { name: names.action(action) }] as const]),
        ...tags(tagged),
      ];
      this.#passed();
      yield { kind: 'entity', id: names.record(id), args: [], attributes };
    }
    const versions = `SELECT ${VERSION}, v.step, r.name, ${VERSION_URIS}, ${VERSION_TAGS}
      FROM versions v LEFT JOIN records r ON r.record_id = v.model_id WHERE v.attempt_id = ? ORDER BY v.version_id`;
    for (const [attempt, [row, model, number, step, name, uris, tagged]] of this.#ofAttempts<RawVersion>(versions)) {
      const attributes: Attribute[] = [
        typed('braid:ModelVersion'),
        ...label(name === null || number === null ? name : `${name}@${number}`),
        ...whole('braid:number', number),
        ...whole('braid:step', step),
        ...whole('braid:attempt', attempt.attempt),
        ...locations(uris),
        ...tags(tagged),
      ];
      yield { kind: 'entity', id: names.version(model, number, row), args: [], attributes };
    }
  }

  /** The updates of all ranks that made a version are one activity: what is made at once has one that made it. */
  *#updates(): Iterable<Statement> {
    const sql = `SELECT ${VERSION}, min(u.time), max(u.time), v.step FROM versions v CROSS JOIN updates u USING (version_id)
      WHERE v.attempt_id = ? GROUP BY v.version_id ORDER BY v.version_id`;
    for (const [, [row, model, number, first, last, step]] of this.#ofAttempts<RawUpdate>(sql)) {
      yield {
        kind: 'activity',
        id: names.update(names.version(model, number, row)),
        args: [isoTime(first), isoTime(last)],
        attributes: [typed('braid:ModelUpdate'), ...whole('braid:step', step)],
      };
    }
  }

  /** A fact is trusted from outside: that it is from then on is known, and not what made it. */
  *generations(): Iterable<Statement> {
    const { kind } = this.#source.layout;
    const sql = `SELECT r.record_id, ${kind}, r.time FROM records r WHERE r.record_id BETWEEN ? AND ? ORDER BY r.record_id`;
    for (const [id, code, at, { attempt }] of this.#inRanges<[number, number, string]>(sql)) {
      this.#passed();
      const by = attempt && KINDS[code] !== 'fact' ? names.run(attempt.run) : undefined;
      yield { kind: 'wasGeneratedBy', args: [names.record(id), by, isoTime(at)], attributes: [] };
    }
    const versions = `SELECT ${VERSION}, v.time FROM versions v
      WHERE v.attempt_id = ? AND v.time IS NOT NULL ORDER BY v.version_id`;
    for (const [, [row, model, number, at]] of this.#ofAttempts<[...RawName, string]>(versions)) {
      const version = names.version(model, number, row);
      yield { kind: 'wasGeneratedBy', args: [version, names.update(version), isoTime(at)], attributes: [] };
    }
  }

  *#uses(): Iterable<Statement> {
    const exposures = `SELECT ${VERSION}, e.source_id, e.version_id, s.number, u.time, u.rank
      FROM versions v CROSS JOIN updates u USING (version_id) CROSS JOIN exposures e USING (update_id)
      LEFT JOIN versions s ON s.version_id = e.version_id WHERE v.attempt_id = ?`;
    const seen = `SELECT ${VERSION}, s.model_id, s.version_id, s.number, u.time, u.rank
      FROM versions v CROSS JOIN updates u USING (version_id) CROSS JOIN versions s ON s.version_id = u.seen
      WHERE v.attempt_id = ?`;
    type Raw = [...RawName, source: number, of: number | null, number: number | null, time: string, rank: number];
    for (const sql of [exposures, seen]) {
      for (const [, [row, model, number, source, of, sourceNumber, at, rank]] of this.#ofAttempts<Raw>(sql)) {
        const update = names.update(names.version(model, number, row));
        yield {
          kind: 'used',
          args: [update, nodeName(source, of, sourceNumber), isoTime(at)],
          attributes: whole('braid:rank', rank),
        };
      }
    }
  }

  *derivations(): Iterable<Statement> {
    yield* this.#stated('wasDerivedFrom', 'd.record_id <> d.derivation');
    const exposures = `SELECT DISTINCT ${VERSION}, e.source_id, e.version_id, s.number, ${anyVersion('e')}, k.kind
      FROM versions v CROSS JOIN updates u USING (version_id) CROSS JOIN exposures e USING (update_id)
      LEFT JOIN versions s ON s.version_id = e.version_id LEFT JOIN records k ON k.record_id = e.source_id
      WHERE v.attempt_id = ?`;
    type RawExposure = [...RawName, source: number, of: number | null, number: number | null, any: number, kind: number | null]; // prettier-ignore
    for (const [, [row, model, number, source, of, ofNumber, any, kind]] of this.#ofAttempts<RawExposure>(exposures)) {
      const version = names.version(model, number, row);
      yield {
        kind: 'wasDerivedFrom',
        args: [version, nodeName(source, of, ofNumber), names.update(version)],
        attributes: [...this.#primary(kind, source), ...flag('braid:anyVersion', any === 1)],
      };
    }
    // Those that its ranks had seen, and that of the step before.
    const revisions = `SELECT ${VERSION}, s.version_id, s.number FROM versions v JOIN versions s ON s.version_id IN (
        SELECT u.seen FROM updates u WHERE u.version_id = v.version_id
        UNION SELECT (SELECT o.version_id FROM versions o WHERE o.model_id = v.model_id AND o.attempt_id = v.attempt_id
          AND o.step IS NOT NULL AND o.step < v.step ORDER BY o.step DESC LIMIT 1))
      WHERE v.attempt_id = ?`;
    type RawRevision = [...RawName, of: number, number: number | null];
    for (const [, [row, model, number, of, ofNumber]] of this.#ofAttempts<RawRevision>(revisions)) {
      const version = names.version(model, number, row);
      yield {
        kind: 'wasDerivedFrom',
        args: [version, names.version(model, ofNumber, of), names.update(version)],
        attributes: [typed('prov:Revision')],
      };
    }
  }

  /** What Braid-DB derives from itself is a model that went on learning: PROV has no such derivation. */
  influences(): Iterable<Statement> {
    return this.#stated('wasInfluencedBy', 'd.record_id = d.derivation');
  }

  *#stated(kind: 'wasDerivedFrom' | 'wasInfluencedBy', where: string): Iterable<Statement> {
    const { ours } = this.#source.layout;
    const sql = ours
      ? `SELECT d.derivation, d.record_id, x.version_id, s.number, ${anyVersion('d')}, iif(d.time = r.time, NULL, d.time), k.kind
         FROM derivations d
         LEFT JOIN derivation_versions x ON x.derivation = d.derivation AND x.record_id = d.record_id
         LEFT JOIN versions s ON s.version_id = x.version_id
         LEFT JOIN records r ON r.record_id = d.derivation LEFT JOIN records k ON k.record_id = d.record_id
         WHERE d.derivation BETWEEN ? AND ? AND d.stated = 1 AND ${where}`
      : `SELECT d.derivation, d.record_id, NULL, NULL, 0, NULL, NULL FROM derivations d WHERE d.derivation BETWEEN ? AND ? AND ${where}`;
    type Raw = [derived: number, source: number, of: number | null, number: number | null, any: number, time: string | null, kind: number | null]; // prettier-ignore
    for (const [derived, source, of, number, any, at, sourceKind] of this.#inRanges<Raw>(sql)) {
      yield {
        kind,
        args: [names.record(derived), nodeName(source, of, number)],
        attributes: [
          ...this.#primary(sourceKind, source),
          ...flag('braid:anyVersion', any === 1),
          ...time('braid:time', isoTime(at)),
        ],
      };
    }
  }

  /** What is trusted from outside is a primary source; not what was inferred to be a fact. */
  #primary(kind: number | null, source: number): Attribute[] {
    const isFact = kind !== null && KINDS[kind] === 'fact' && !isKindInferred(this.#source.layout, source);
    return isFact ? [typed('prov:PrimarySource')] : [];
  }

  /** Whose rank recorded it follows from its id. */
  *attributions(): Iterable<Statement> {
    const sql = 'SELECT r.record_id FROM records r WHERE r.record_id BETWEEN ? AND ? ORDER BY r.record_id';
    for (const [id, { attempt }] of this.#inRanges<[number]>(sql)) {
      this.#passed();
      if (!attempt) continue;
      const rank = names.rank(attempt.run, attempt.attempt, (id - attempt.base - 1) % attempt.size);
      yield { kind: 'wasAttributedTo', args: [names.record(id), rank], attributes: [] };
    }
  }

  *#associations(): Iterable<Statement> {
    const sql = `SELECT DISTINCT ${VERSION}, u.rank FROM versions v CROSS JOIN updates u USING (version_id)
      WHERE v.attempt_id = ?`;
    for (const [{ run, attempt }, [row, model, number, rank]] of this.#ofAttempts<[...RawName, number]>(sql)) {
      const update = names.update(names.version(model, number, row));
      yield { kind: 'wasAssociatedWith', args: [update, names.rank(run, attempt, rank)], attributes: [] };
    }
  }

  *#specializations(): Iterable<Statement> {
    const sql = `SELECT ${VERSION} FROM versions v WHERE v.attempt_id = ? ORDER BY v.version_id`;
    for (const [, [row, model, number]] of this.#ofAttempts<RawName>(sql)) {
      yield {
        kind: 'specializationOf',
        args: [names.version(model, number, row), names.record(model)],
        attributes: [],
      };
    }
  }

  *#inRanges<Raw extends unknown[]>(sql: string): Iterable<[...Raw, Range]> {
    for (const range of this.#ranges) {
      const rows = this.#source.connection.stream(sql, [range.first, range.last], (raw: Raw) => raw);
      for (const raw of rows) yield [...raw, range];
    }
  }

  *#ofAttempts<Raw extends unknown[]>(sql: string): Iterable<[Attempt, Raw]> {
    for (const attempt of this.#attempts) {
      for (const raw of this.#source.connection.stream(sql, [attempt.id], (row: Raw) => row)) yield [attempt, raw];
    }
  }
}

/** How often each record is passed by: PASSES calls of `passed` are one record done. */
export const PASSES = 3;

/** A record, or a version of it. */
function nodeName(record: number, version: number | null, number: number | null): string {
  return version === null ? names.record(record) : names.version(record, number, version);
}
