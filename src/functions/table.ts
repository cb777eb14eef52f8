import type * as v from 'valibot';
import { addActionStep, planActionStep } from './add-action-step.js';
import { addRecords, planRecords } from './add-records.js';
import { addTransfer, planTransfer } from './add-transfer.js';
import type { Desk } from './desk.js';
import { checked, inputError, strangers } from './input.js';
import { addActionToRecord, createAction, planAction, planActionOfRecord } from './invalidation-actions.js';
import * as schemas from './schemas.js';
import { isObject } from './schemas.js';

/** A function as it can be called by name. */
export interface RemoteFunction {
  readonly summary: string;
  readonly input: v.GenericSchema;
  readonly output: v.GenericSchema;
  /** Checks all of the input, and gives what carries it out. What it records it records at once, so that nobody comes between. */
  plan(input: unknown, warn: (text: string) => void): (desk: Desk) => unknown;
}

interface Definition<Input extends v.ObjectSchema<v.ObjectEntries, undefined>, Plan> {
  summary: string;
  input: Input;
  output: v.GenericSchema;
  plan: (input: v.InferOutput<Input>) => Plan;
  perform: (desk: Desk, plan: Plan) => unknown;
}

function define<Input extends v.ObjectSchema<v.ObjectEntries, undefined>, Plan>(
  definition: Definition<Input, Plan>,
): RemoteFunction {
  const { summary, input: schema, output, plan, perform } = definition;
  return {
    summary,
    input: schema,
    output,
    plan(input, warn) {
      if (!isObject(input)) throw inputError(`the arguments are an object: {"${Object.keys(schema.entries)[0]}": …}`);
      const ready = plan(checked(schema, input));
      // Braid-DB's take what they don't know, too, and leave it out.
      for (const key of strangers(input, schema.entries)) warn(`there is no argument ${JSON.stringify(key)}: left out`);
      return (desk) => perform(desk, ready);
    },
  };
}

/** By the names that Braid-DB gives them. */
export const FUNCTIONS: Record<string, RemoteFunction> = {
  add_records: {
    summary: 'Adds records, with what derives from each.',
    input: schemas.addRecordsInput,
    output: schemas.addRecordsOutput,
    plan(input, warn) {
      const plan = planRecords(input, warn);
      return (desk) => addRecords(desk, plan);
    },
  },
  add_record_for_action_step: define({
    summary: 'Adds the record of a step of a Flow, between what it comes from and what came of it.',
    input: schemas.actionStepInput,
    output: schemas.actionStepOutput,
    plan: planActionStep,
    perform: addActionStep,
  }),
  add_transfer_request: define({
    summary: 'Adds the record of a Globus transfer, between those of its sources and destinations.',
    input: schemas.transferInput,
    output: schemas.transferOutput,
    plan: planTransfer,
    perform: addTransfer,
  }),
  create_invalidation_action: define({
    summary: 'Keeps an action that can be carried out when records are invalidated.',
    input: schemas.createActionInput,
    output: schemas.createActionOutput,
    plan: planAction,
    perform: createAction,
  }),
  add_invalidation_action_to_record: define({
    summary: 'Says that an action is to be carried out when a record is invalidated.',
    input: schemas.addActionInput,
    output: schemas.addActionOutput,
    plan: planActionOfRecord,
    perform: addActionToRecord,
  }),
};
