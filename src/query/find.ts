import { BraidError } from '../errors.js';
import type { BraidReader } from './reader.js';

/**
 * The record that a person means: by its id, or as `name:NAME` where only one has that name, or only one model, if a model is
 * meant.
 *
 * @throws BraidError ERR_BRAID_ID_INVALID, ERR_BRAID_NO_SUCH_RECORD, ERR_BRAID_RECORD_AMBIGUOUS
 */
export function findRecord(reader: BraidReader, text: string, meant?: 'model'): number {
  if (text.startsWith('name:')) {
    const name = text.slice('name:'.length);
    const ids = firstIds(reader.records({ name }));
    if (ids.length === 1) return ids[0];
    const models = meant === 'model' && ids.length > 1 ? firstIds(reader.records({ name, kind: meant })) : [];
    if (models.length === 1) return models[0];
    if (ids.length === 0)
      throw new BraidError('ERR_BRAID_NO_SUCH_RECORD', `${reader.path} has no record named ${name}`);
    const [many, shown] = models.length > 1 ? ['models', models] : ['records', ids];
    const more = shown.length > SHOWN;
    throw new BraidError(
      'ERR_BRAID_RECORD_AMBIGUOUS',
      `${more ? 'several' : 'two'} ${many} are named ${name} (${shown.slice(0, SHOWN).join(', ')}${more ? ', …' : ''}): name one by its id`,
    );
  }
  const id = /^[0-9]+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(id) || id < 1) {
    throw new BraidError(
      'ERR_BRAID_ID_INVALID',
      `'${text}' is not the id of a record; for its name write name:${text}`,
    );
  }
  if (!reader.record(id)) throw new BraidError('ERR_BRAID_NO_SUCH_RECORD', `${reader.path} has no record ${id}`);
  return id;
}

const SHOWN = 2;

/** One more than are shown, at most. */
function firstIds(records: Iterable<{ readonly id: number }>): number[] {
  const ids: number[] = [];
  for (const { id } of records) if (ids.push(id) > SHOWN) break;
  return ids;
}

/**
 * The id of the run that a person means: in full, or its first digits where they are enough.
 *
 * @throws BraidError ERR_BRAID_NO_SUCH_RUN, ERR_BRAID_RUN_AMBIGUOUS
 */
export function findRun(reader: BraidReader, text: string): string {
  const ids = reader.runs().map(({ id }) => id);
  const found = text === '' ? [] : ids.filter((id) => id.startsWith(text));
  if (found.length === 1) return found[0];
  if (found.length === 0) {
    throw new BraidError('ERR_BRAID_NO_SUCH_RUN', `${reader.path} has no run ${text}: braid stats lists its runs`);
  }
  throw new BraidError(
    'ERR_BRAID_RUN_AMBIGUOUS',
    `the ids of ${found.length} runs begin with ${text}: give more digits`,
  );
}
