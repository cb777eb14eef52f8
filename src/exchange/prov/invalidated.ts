import type { Source } from '../source.js';
import { flag, text, time, typed, type Attribute } from './attributes.js';
import { isoTime, names } from './names.js';
import type { Attempt, Range } from './recorded.js';
import type { Statement } from './terms.js';

type RawRequest = [id: string, record: number, row: number | null, number: number | null, cascade: number, cause: string, time: string, reason: string | null, taken: string | null]; // prettier-ignore
type RawCause = [id: string, root: string | null, cause: string, time: string, inferred: number];
type Invalid = [entity: string, ...RawCause];

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
  }

  *activities(): Iterable<Statement> {
    const { ours } = this.#source.layout;
    for (const [id, record, row, number, cascade, cause, at, reason, taken] of this.#requests()) {
      const of = row === null ? names.record(record) : names.version(record, number, row);
      const attributes: Attribute[] = [
        typed('braid:Invalidation'),
        ['braid:of', { name: of }],
        ...text('braid:cause', cause),
        ...flag('braid:cascade', cascade === 1),
        ...text('braid:revalidationReason', reason),
        ...time('braid:revalidatedAtTime', isoTime(taken)),
      ];
      yield { kind: 'activity', id: names.invalidation(id), args: [isoTime(at), isoTime(at)], attributes };
    }
    for (const [, id, root, cause, at] of this.#invalid()) {
      if (ours && root === null) continue;
      const attributes: Attribute[] = [
        typed('braid:Invalidation'),
        ...text('braid:cause', cause),
        ...(root === null ? [] : [['braid:rootInvalidation', { name: names.invalidation(root) }] as const]),
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

  /** What people have said, also of what isn't there yet, or has been taken back. */
  *#requests(): Iterable<RawRequest> {
    if (!this.#source.layout.ours) return;
    const sql = `SELECT q.id, q.record_id, q.version_id, v.number, q.cascade, q.cause, q.time, b.reason, b.time
      FROM invalidation_requests q LEFT JOIN versions v ON v.version_id = q.version_id
      LEFT JOIN revalidations b ON b.request_id = q.id WHERE q.record_id BETWEEN ? AND ?`;
    yield* this.#inRanges<RawRequest>(sql);
  }

  *#invalid(): Iterable<Invalid> {
    if (!this.#told) return;
    const inferred = this.#source.layout.ours ? 'i.inferred' : '0';
    const cause = `i.id, i.root_invalidation, i.cause, i.time, ${inferred}`;
    const records = `SELECT r.record_id, ${cause} FROM records r CROSS JOIN invalidations i ON i.id = r.invalidation_id
      WHERE r.record_id BETWEEN ? AND ? AND r.invalidation_id IS NOT NULL ORDER BY r.record_id`;
    for (const [id, ...rest] of this.#inRanges<[number, ...RawCause]>(records)) yield [names.record(id), ...rest];
    const versions = `SELECT v.version_id, v.model_id, v.number, ${cause}
      FROM versions v CROSS JOIN invalidations i ON i.id = v.invalidation_id
      WHERE v.attempt_id = ? AND v.invalidation_id IS NOT NULL ORDER BY v.version_id`;
    for (const { id } of this.#attempts) {
      type Raw = [row: number, model: number, number: number | null, ...RawCause];
      for (const raw of this.#source.connection.stream(versions, [id], (each: Raw) => each)) {
        const [row, model, number, ...rest] = raw;
        yield [names.version(model, number, row), ...rest];
      }
    }
  }

  *#inRanges<Raw extends readonly unknown[]>(sql: string): Iterable<Raw> {
    for (const { first, last } of this.#ranges) {
      yield* this.#source.connection.stream(sql, [first, last], (raw: Raw) => raw);
    }
  }
}
