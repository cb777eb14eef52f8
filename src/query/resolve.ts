import { BraidError } from '../errors.js';
import { isId } from '../frame/format.js';
import { parseVersionKey } from '../record/version-key.js';
import { findRecord } from './find.js';
import type { BraidReader } from './reader.js';
import { parseVersionOf, type VersionOf } from './version-names.js';
import type { Versions } from './versions.js';

/**
 * What lineage is asked about: a record, by its id; or by text, as people write it: `17`, `name:scan-17`, and a version of a
 * model as `17@3`, `17@step=12`, `17@step=12,run=8861a738,attempt=2`, `17@time=2026-07-28T09:30:00Z`, `17@when=name:scan-17`,
 * or `name:braggnn@3`; or what has the key of a version. A model without a version is all that it has ever learnt.
 */
export type NodeName = number | string | { readonly key: string };

/** A record, or a version of the model that the record is. */
export interface ResolvedNode {
  readonly record: number;
  readonly version?: number;
}

/** The node of lineage that it is: a record, or the negative of a version. */
export function nodeOf({ record, version }: { record: number; version?: number }): number {
  return version === undefined ? record : -version;
}

/** What `Walks` starts from. */
export function startOf({ record, version }: ResolvedNode, versions: Versions): number[] {
  return version === undefined ? [record, ...versions.idsOf(record).map((id) => -id)] : [-version];
}

/**
 * The record or version that is meant.
 *
 * @param meant where it can be a model only.
 * @throws BraidError ERR_BRAID_ID_INVALID, ERR_BRAID_NO_SUCH_RECORD, ERR_BRAID_RECORD_AMBIGUOUS, ERR_BRAID_NO_SUCH_VERSION, ERR_BRAID_VERSION_AMBIGUOUS, ERR_BRAID_VERSION_INVALID
 */
export function resolveNode(reader: BraidReader, node: NodeName, meant?: 'model'): ResolvedNode {
  // A program that asks goes on as if there were such a record, and finds nothing.
  if (reader.isOff) return { record: typeof node === 'number' ? node : Number.parseInt(typeof node === 'string' ? node : node?.key, 10) || 0 }; // prettier-ignore
  if (typeof node === 'number') return { record: existingRecord(reader, node) };
  if (typeof node === 'string') return resolveText(reader, node, meant);
  const key: unknown = node?.key;
  if (typeof key !== 'string') throw notAnId(node);
  const parts = parseVersionKey(key);
  if (!parts) throw new BraidError('ERR_BRAID_VERSION_INVALID', `'${key}' is not the key of a version`);
  return { record: parts.model, version: existing(reader, reader.versionTable.byKey(key), key) };
}

/**
 * That something is the id that a record can have. Negative ones are versions, inside.
 *
 * @throws BraidError ERR_BRAID_ID_INVALID
 */
export function checkId(id: unknown): void {
  if (typeof id !== 'number' || !isId(id)) throw notAnId(id);
}

function existingRecord(reader: BraidReader, id: number): number {
  checkId(id);
  if (reader.query('SELECT 1 FROM records WHERE record_id = ?', id).length > 0) return id;
  throw new BraidError('ERR_BRAID_NO_SUCH_RECORD', `${reader.path} has no record ${id}`);
}

function notAnId(what: unknown): BraidError {
  const shown = typeof what === 'number' || typeof what === 'bigint' ? `${what}${typeof what === 'bigint' ? 'n' : ''}` : what === null ? 'null' : `a value of type ${typeof what}`; // prettier-ignore
  return new BraidError(
    'ERR_BRAID_ID_INVALID',
    `${shown} is not the id of a record, a positive safe integer, nor a name of it or of a version: 17, "name:scan-17", "17@3"`,
  );
}

/**
 * A version of a model that is named already.
 *
 * @throws BraidError ERR_BRAID_NO_SUCH_VERSION, ERR_BRAID_VERSION_AMBIGUOUS, ERR_BRAID_VERSION_INVALID
 */
export function asOf(reader: BraidReader, { record, version }: ResolvedNode, which: VersionOf): ResolvedNode {
  if (version !== undefined) {
    throw new BraidError(
      'ERR_BRAID_VERSION_INVALID',
      'a version was named, and another one as of which it is meant: name one',
    );
  }
  const text = typeof which === 'number' ? `${record}@${which}` : `of ${record} as of ${JSON.stringify(which)}`;
  return { record, version: existing(reader, reader.findVersion(record, which), text) };
}

function resolveText(reader: BraidReader, text: string, meant?: 'model'): ResolvedNode {
  const at = text.lastIndexOf('@', text.includes('@when=') ? text.indexOf('@when=') : undefined);
  // A name may have an @ in it.
  if (at <= 0 || (text.startsWith('name:') && isName(reader, text.slice('name:'.length)))) {
    return { record: findRecord(reader, text, meant) };
  }
  const key = parseVersionKey(text);
  if (key) return { record: key.model, version: existing(reader, reader.versionTable.byKey(text), text) };
  const which = parseVersionOf(text.slice(at + 1));
  if (which === undefined) {
    // It may be a name that there is not.
    if (text.startsWith('name:') && !isName(reader, text.slice('name:'.length, at))) return { record: findRecord(reader, text, meant) }; // prettier-ignore
    throw new BraidError(
      'ERR_BRAID_VERSION_INVALID',
      `'${text}' names no version: write 17@3, 17@step=12, 17@time=2026-07-28T09:30:00Z or 17@when=RECORD`,
    );
  }
  const record = findRecord(reader, text.slice(0, at), 'model');
  return { record, version: existing(reader, reader.findVersion(record, which), text) };
}

function isName(reader: BraidReader, name: string): boolean {
  return !reader.records({ name }).next().done;
}

function existing(reader: BraidReader, version: number | undefined, text: string): number {
  if (version !== undefined) return version;
  throw new BraidError(
    'ERR_BRAID_NO_SUCH_VERSION',
    `${reader.path} has no version ${text}: braid versions lists those of a model`,
  );
}
