import { BraidError } from '../errors.js';
import { statusOf } from './add-action-step.js';
import type { Desk, PlannedRecord } from './desk.js';
import { idsOf } from './earlier-steps.js';
import { checkSize, inputError } from './input.js';
import type { TransferRequest, TransferRequestResult } from './types.js';

export interface TransferPlan {
  readonly transfer: PlannedRecord;
  readonly predecessors: number[];
  readonly sources: PlannedRecord[];
  readonly destinations: PlannedRecord[];
}

/** @throws BraidError ERR_BRAID_INPUT_INVALID, ERR_BRAID_TOO_LARGE */
export function planTransfer(input: TransferRequest): TransferPlan {
  const { previous_step_record_id: previous, transfer_input, transfer_result } = input;
  const { ids, problems } = idsOf(previous, 'flow_state_record_id', 'previous_step_record_id');
  if (problems.length > 0) throw inputError(problems[0]);
  const task = transfer_result?.details?.task_id;
  const items = transfer_input?.transfer_items ?? [];
  const side = (which: 'source' | 'destination') =>
    items.map((item, i) => {
      const endpoint = transfer_input?.[`${which}_endpoint_id`] ?? 'Unknown';
      const path = item[`${which}_path`] ?? 'Unknown';
      const name = `Globus transfer ${which} ${endpoint}:${path}`;
      const record = { name, uris: [`globustransfer://${endpoint}/${path}`], tags: [] };
      checkSize(record, `transfer_items[${i}]`);
      return record;
    });
  const transfer = {
    name: `Globus Transfer task ${task ?? 'Unknown'}`,
    uris: task ? [`https://app.globus.org/activity/${task}/overview`] : [],
    tags: [{ key: 'status', value: statusOf(transfer_result?.status) }],
  };
  checkSize(transfer, 'transfer_result');
  return { transfer, predecessors: ids, sources: side('source'), destinations: side('destination') };
}

/** @throws BraidError ERR_BRAID_NO_SUCH_RECORD */
export function addTransfer(
  desk: Desk,
  { transfer, predecessors, sources, destinations }: TransferPlan,
): TransferRequestResult {
  const there = desk.existing(predecessors);
  const missing = predecessors.find((id) => !there.has(id));
  if (missing !== undefined) {
    throw new BraidError('ERR_BRAID_NO_SUCH_RECORD', `previous_step_record_id: there is no record ${missing}`);
  }
  const from = sources.map((each) => desk.record(each).id);
  const { id } = desk.record(transfer, [...predecessors, ...from]);
  const to = destinations.map((each) => desk.record(each, [id]).id);
  return { flow_state_record_id: id, input_record_ids: from, output_record_ids: to };
}
