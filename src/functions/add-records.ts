import { BraidError } from '../errors.js';
import type { Desk, PlannedRecord } from './desk.js';
import { checked, checkSize, inputError, strangers } from './input.js';
import { isObject, recordDict } from './schemas.js';
import { typedTags } from './tags.js';
import type { AddedRecord, JsonObject, RecordDict } from './types.js';

/** A record and what derives from it, checked. */
interface Planned {
  readonly record: PlannedRecord;
  readonly given: RecordDict;
  readonly source?: number;
  readonly derivations?: Planned[];
}

/** What is to be added, in the place of each; or why it can't be. */
export type AddRecordsPlan = (Planned | string)[];

/**
 * Records in the form of Braid-DB: `{record_dicts}`, and also the list itself, or one record.
 *
 * @throws BraidError ERR_BRAID_INPUT_INVALID
 */
export function planRecords(input: unknown, warn: (text: string) => void): AddRecordsPlan {
  const given = isObject(input) && 'record_dicts' in input ? input.record_dicts : input;
  const dicts: unknown[] | undefined = Array.isArray(given) ? given : isObject(given) ? [given] : undefined;
  if (!dicts) throw inputError('record_dicts: a record, or a list of records, is needed');
  return dicts.map((dict, i) => {
    try {
      return plan(dict, `record_dicts[${i}]`, warn);
    } catch (error) {
      return textOf(error);
    }
  });
}

function plan(dict: unknown, place: string, warn: (text: string) => void): Planned {
  if (!isObject(dict)) throw inputError(`${place}: a record is an object, {"name": …}`);
  const given = checked(recordDict, dict, place);
  return planChecked(given, dict, place, warn);
}

/** @param dict what was given, of which `given` has what is known. */
function planChecked(given: RecordDict, dict: JsonObject, place: string, warn: (text: string) => void): Planned {
  const known = (recordDict as unknown as { entries: object }).entries;
  for (const key of strangers(dict, { ...known, invalidation_id: null })) {
    warn(`${place} has no property ${JSON.stringify(key)}: left out`);
  }
  const { name, uris, tags, derivations, derived_from_record_id: source } = given;
  const record: PlannedRecord = {
    name,
    uris: typeof uris === 'string' ? [uris] : (uris ?? []),
    tags: tags ? typedTags(tags, `${place}.tags`) : [],
  };
  checkSize(record, place);
  return {
    record,
    given,
    source: source === null || source === undefined ? undefined : Number(source),
    derivations: derivations?.map((each, i) => {
      const inner = (dict.derivations as JsonObject[])[i];
      return planChecked(each, inner, `${place}.derivations[${i}]`, warn);
    }),
  };
}

/** Records what can be; the rest is told in its place. */
export function addRecords(desk: Desk, plan: AddRecordsPlan): (AddedRecord | string)[] {
  const there = desk.existing([...new Set(plan.flatMap((each) => (typeof each === 'string' ? [] : sourcesOf(each))))]);
  return plan.map((each) => {
    if (typeof each === 'string') return each;
    const missing = sourcesOf(each).find((id) => !there.has(id));
    if (missing === undefined) return add(desk, each);
    return textOf(new BraidError('ERR_BRAID_NO_SUCH_RECORD', `derived_from_record_id: there is no record ${missing}`));
  });
}

function sourcesOf({ source, derivations = [] }: Planned): number[] {
  return [...(source === undefined ? [] : [source]), ...derivations.flatMap(sourcesOf)];
}

function add(desk: Desk, { record, given, source, derivations }: Planned, parent?: number): AddedRecord {
  const sources = [parent, source].filter((id) => id !== undefined);
  const { id, name, time } = desk.record(record, [...new Set(sources)]);
  return {
    record_id: id,
    name,
    time: time.toISOString(),
    uris: given.uris ? record.uris : null,
    tags: given.tags ?? null,
    derivations: derivations?.map((each) => add(desk, each, id)) ?? null,
    invalidation_id: null,
    invalidation: null,
  };
}

function textOf(error: unknown): string {
  if (error instanceof BraidError) return `${error.code}: ${error.message}`;
  throw error;
}
