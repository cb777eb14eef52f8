import { BraidError } from '../errors.js';
import { ActionCode } from '../frame/format.js';
import { storedAction, type StoredAction } from '../record/action.js';
import { actionTypeOf } from '../store/invalidation.js';
import { dashed } from '../uuid-text.js';
import type { Desk } from './desk.js';
import { fieldOf, idsOf } from './earlier-steps.js';
import { inputError } from './input.js';
import { isObject } from './schemas.js';
import type {
  AddInvalidationAction,
  AddInvalidationActionResult,
  CreateInvalidationAction,
  CreateInvalidationActionResult,
} from './types.js';

/** Braid-DB's names of types, by value and as they are stored, and ours. */
const TYPES: Partial<Record<string, 'shell' | 'event'>> = {
  shell: 'shell',
  shell_command: 'shell',
  automate_event: 'event',
  event: 'event',
};

/** @throws BraidError ERR_BRAID_INPUT_INVALID, ERR_BRAID_ACTION_INVALID */
export function planAction(input: CreateInvalidationAction): StoredAction {
  const { name, action_type: given, command, params } = input;
  const type = TYPES[given?.toLowerCase() ?? 'shell'];
  if (!type) throw inputError(`action_type: must be shell or automate_event, not ${JSON.stringify(given)}`);
  return storedAction({ name: name ?? 'Not Provided', type, command, args: params ?? [] });
}

export async function createAction(desk: Desk, action: StoredAction): Promise<CreateInvalidationActionResult> {
  await desk.addAction(action);
  return { invalidation_action_id: dashed(action.id) };
}

/** @throws BraidError ERR_BRAID_INPUT_INVALID */
export function planActionOfRecord(input: AddInvalidationAction): { record: number; action: string } {
  const { record_id, invalidation_action_id: given } = input;
  const { ids, problems } = idsOf(record_id, 'flow_state_record_id', 'record_id');
  if (problems.length > 0) throw inputError(problems[0]);
  if (ids.length !== 1) throw inputError(`record_id: one record is needed, not ${ids.length}`);
  const id = isObject(given) ? fieldOf(given, 'invalidation_action_id') : given;
  const action = typeof id === 'string' ? id.replaceAll('-', '').toLowerCase() : '';
  if (!/^[0-9a-f]{32}$/.test(action)) {
    throw inputError('invalidation_action_id has no UUID in details.result[0].invalidation_action_id');
  }
  return { record: ids[0], action };
}

/** @throws BraidError ERR_BRAID_NO_SUCH_RECORD, ERR_BRAID_NO_SUCH_ACTION */
export function addActionToRecord(
  desk: Desk,
  { record, action }: { record: number; action: string },
): AddInvalidationActionResult {
  if (!desk.existing([record]).has(record)) {
    throw new BraidError('ERR_BRAID_NO_SUCH_RECORD', `record_id: there is no record ${record}`);
  }
  desk.setAction(record, storedActionOf(desk, action));
  return { invalidation_action_id: dashed(action), flow_state_record_id: record };
}

function storedActionOf({ reader }: Desk, id: string): StoredAction {
  const [row] = reader.query<{ type: string | null; name: string; command: string; params: string | null }>(
    'SELECT action_type AS type, name, cmd AS command, params FROM invalidation_actions WHERE id = ?',
    id,
  );
  if (!row) {
    throw new BraidError(
      'ERR_BRAID_NO_SUCH_ACTION',
      `invalidation_action_id: there is no action ${dashed(id)}; create_invalidation_action makes one`,
    );
  }
  const { type, name, command, params } = row;
  return {
    id,
    type: ActionCode[actionTypeOf(type)],
    name,
    command,
    params: params ?? '{}',
  };
}
