import type { Desk, PlannedRecord } from './desk.js';
import { idsOf, type Found } from './earlier-steps.js';
import { checkSize } from './input.js';
import { isObject } from './schemas.js';
import { flattenTags, textOf } from './tags.js';
import type { ActionStep, ActionStepResult, RecordDefinition } from './types.js';

interface Side extends Found {
  readonly made: PlannedRecord[];
}

export interface ActionStepPlan {
  readonly step: PlannedRecord;
  readonly predecessors: Found;
  readonly inputs: Side;
  readonly outputs: Side;
}

/** @throws BraidError ERR_BRAID_INPUT_INVALID, ERR_BRAID_TOO_LARGE */
export function planActionStep(input: ActionStep): ActionStepPlan {
  const { step_name: name, tags, step_result: result, uris } = input;
  const step = definition({ name: `Action Step ${name ?? 'None'}`, uris, tags }, 'the step', {
    status: statusOf(result),
  });
  const earlier = (['previous_step_output', 'other_predecessor_record_ids'] as const).map((argument) =>
    idsOf(input[argument], 'flow_state_record_id', argument),
  );
  return {
    step,
    predecessors: { ids: earlier.flatMap(({ ids }) => ids), problems: earlier.flatMap(({ problems }) => problems) },
    inputs: sideOf(input, 'input', input.inputs_from_referenced_outputs ? 'output' : 'input'),
    outputs: sideOf(input, 'output', input.outputs_from_referenced_inputs ? 'input' : 'output'),
  };
}

function sideOf(input: ActionStep, which: 'input' | 'output', field: 'input' | 'output'): Side {
  const argument = `${which}_record_ids` as const;
  const defs = input[`${which}_record_defs`];
  const made = (Array.isArray(defs) ? defs : defs ? [defs] : []).map((each, i) =>
    definition(each, `${which}_record_defs[${i}]`),
  );
  return { ...idsOf(input[argument], `${field}_record_ids`, argument), made };
}

/** @param more tags that win over those of the definition. */
function definition(
  { name, uris, tags }: RecordDefinition,
  place: string,
  more?: Record<string, string>,
): PlannedRecord {
  const record: PlannedRecord = {
    name: name ?? 'NoNameGiven',
    uris: typeof uris === 'string' ? [uris] : (uris ?? []),
    tags: flattenTags(Object.assign(Object.create(null) as object, tags, more), `${place}: tags`),
  };
  checkSize(record, place);
  return record;
}

/** As Braid-DB words it. */
export function statusOf(result: unknown): string {
  if (result === null || result === undefined) return 'Not Provided';
  if (!isObject(result)) return textOf(result);
  return result.status === undefined ? 'Not Present in Step Results' : textOf(result.status);
}

/** Records a step. What it is said to come from, and isn't there, is told and not linked, so that the Flow goes on. */
export function addActionStep(desk: Desk, { step, predecessors, inputs, outputs }: ActionStepPlan): ActionStepResult {
  const there = desk.existing([...new Set([...predecessors.ids, ...inputs.ids, ...outputs.ids])]);
  const problems = [...predecessors.problems, ...inputs.problems, ...outputs.problems];
  const present = (ids: number[]) =>
    ids.filter((id) => {
      if (!there.has(id)) problems.push(`there is no record ${id}`);
      return there.has(id);
    });
  const inputIds = [...present(inputs.ids), ...inputs.made.map((each) => desk.record(each).id)];
  const sources = new Set([...present(predecessors.ids), ...inputIds]);
  const existing = present(outputs.ids);
  const record = desk.record(step, [...sources]);
  for (const id of existing) {
    // It would derive from itself.
    if (sources.has(id)) problems.push(`record ${id} is an input, too: it does not derive from the step`);
    else record.addDerivation(id);
  }
  const made = outputs.made.map((each) => desk.record(each, [record.id]).id);
  return {
    flow_state_record_id: record.id,
    input_record_ids: inputIds,
    output_record_ids: [...existing, ...made],
    exception_str: problems.length === 0 ? null : problems.join('; '),
  };
}
