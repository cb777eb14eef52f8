import { MAX_ID } from '../frame/format.js';
import { isObject } from './schemas.js';
import type { IdOrStep, JsonObject } from './types.js';

/** What was found in what earlier steps gave, and what wasn't. */
export interface Found {
  readonly ids: number[];
  /** In words. */
  readonly problems: string[];
}

/**
 * Record ids: as they are given, or from what earlier steps of a Flow gave, by a field of their results.
 *
 * @param place how the argument is called, for messages.
 */
export function idsOf(given: IdOrStep | IdOrStep[] | null | undefined, field: string, place: string): Found {
  const ids: number[] = [];
  const problems: string[] = [];
  for (const each of Array.isArray(given) ? given : given === null || given === undefined ? [] : [given]) {
    const value: unknown = isObject(each) ? fieldOf(each, field) : each;
    const found = (Array.isArray(value) ? value : [value]).map(idOf);
    const good = found.filter((id) => id !== undefined);
    if (good.length < found.length) problems.push(`${place} has no record id in details.result[0].${field}`);
    ids.push(...good);
  }
  return { ids: [...new Set(ids)], problems };
}

/** A field of the result of an earlier step. */
export function fieldOf(step: JsonObject, field: string): unknown {
  const { details } = step;
  const result: unknown = isObject(details) && Array.isArray(details.result) ? details.result[0] : step;
  return isObject(result) ? result[field] : undefined;
}

function idOf(value: unknown): number | undefined {
  const id = typeof value === 'string' && /^[0-9]{1,16}$/.test(value) ? Number(value) : value;
  return typeof id === 'number' && Number.isSafeInteger(id) && id >= 1 && id <= MAX_ID ? id : undefined;
}
