import * as v from 'valibot';
import { MAX_ID } from '../frame/format.js';
import type * as types from './types.js';
import type { AddedRecord, JsonObject, RecordDict, TypedTag } from './types.js';

// What types.ts says, as what validates, and of which /openapi.json is made.

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Of any keys, such as `__proto__`, which valibot's own objects leave out. */
export const jsonObject = v.custom<JsonObject>(isObject, 'must be an object');

/** valibot takes a list for an object, too. */
const objectOf = <Entries extends v.ObjectEntries>(entries: Entries) => v.pipe(jsonObject, v.object(entries));

/** What SQLite and UTF-8 give back as it was. */
const text = v.pipe(
  v.string(),
  v.check((value) => !value.includes('\0') && value.isWellFormed(), 'must be Unicode text without a NUL character'),
);
const filled = v.pipe(text, v.nonEmpty('must not be empty'));

const AN_ID = 'must be the id of a record: a whole number, or its digits';
const recordId = v.pipe(
  v.union(
    [
      v.pipe(v.number(), v.safeInteger(AN_ID), v.minValue(1, AN_ID)),
      v.pipe(v.string(), v.regex(/^[1-9][0-9]{0,15}$/, AN_ID)),
    ],
    AN_ID,
  ),
  v.check((id) => Number(id) <= MAX_ID, 'is larger than any id'),
  v.description('The id of a record, as a number or in digits.'),
);

const uris = v.pipe(
  v.nullish(v.union([filled, v.array(filled)], 'must be a URI, or a list of URIs')),
  v.description('One URI, or several.'),
);

const nestedTags = v.pipe(
  v.nullish(jsonObject),
  v.description('Tags by key. What is nested gets dotted keys: {"train": {"lr": 0.1}} is the tag train.lr.'),
);

const stepOutput = v.pipe(
  jsonObject,
  v.description('What an earlier step gave, with its result in details.result[0]; or that result itself.'),
);
const idOrStep = v.union([recordId, stepOutput], 'must be the id of a record, or what an earlier step gave');
const idsOrSteps = v.nullish(
  v.union([idOrStep, v.array(idOrStep)], 'must be the id of a record, what an earlier step gave, or a list of such'),
);

const recordDefinition = objectOf({ name: v.nullish(filled), uris, tags: nestedTags });
const recordDefinitions = v.nullish(
  v.union([v.array(recordDefinition), recordDefinition], 'must be a record, or a list of records'),
);
export const typedTag: v.GenericSchema<TypedTag> = v.object({
  value: v.union(
    [text, v.pipe(v.number(), v.finite('must be a finite number')), v.bigint(), v.boolean()],
    'must be Unicode text, a finite number or a boolean',
  ),
  type: v.pipe(
    v.nullish(v.pipe(v.string(), v.regex(/^(NONE|STRING|INT|INTEGER|FLOAT)$/i, 'must be STRING, INT or FLOAT'))),
    v.description('STRING, INT or FLOAT; if left out, that of the value.'),
  ),
});

export const recordDict: v.GenericSchema<RecordDict> = v.object({
  name: filled,
  uris,
  tags: v.pipe(
    v.nullish(jsonObject as v.GenericSchema<Record<string, TypedTag>>),
    v.description('{KEY: {value, type}}'),
  ),
  derivations: v.pipe(
    v.nullish(v.array(v.lazy(() => recordDict))),
    v.description('Records that derive from this one.'),
  ),
  derived_from_record_id: v.nullish(recordId),
});

export const addedRecord: v.GenericSchema<AddedRecord> = v.object({
  record_id: v.pipe(v.number(), v.safeInteger()),
  name: v.string(),
  time: v.pipe(v.string(), v.isoTimestamp()),
  uris: v.nullable(v.array(v.string())),
  tags: v.nullable(jsonObject as v.GenericSchema<Record<string, TypedTag>>),
  derivations: v.nullable(v.array(v.lazy(() => addedRecord))),
  invalidation_id: v.null(),
  invalidation: v.null(),
});

export const addRecordsInput = v.object({
  record_dicts: v.union([recordDict, v.array(recordDict)]),
});
export const addRecordsOutput = v.array(
  v.union([addedRecord, v.pipe(v.string(), v.description('Why the record that was given here was not added.'))]),
);

export const actionStepInput = v.object({
  step_name: v.nullish(filled),
  tags: nestedTags,
  step_result: v.pipe(
    v.nullish(v.unknown()),
    v.description('What the step gave; the tag status is its status, or the value itself if it is no object.'),
  ),
  previous_step_output: v.pipe(
    idsOrSteps,
    v.description('What earlier calls gave, or ids: the step derives from their flow_state_record_id.'),
  ),
  other_predecessor_record_ids: idsOrSteps,
  input_record_ids: v.pipe(idsOrSteps, v.description('What the step derives from; of earlier calls, their inputs.')),
  inputs_from_referenced_outputs: v.pipe(
    v.nullish(v.boolean()),
    v.description('Of earlier calls in input_record_ids, their outputs instead.'),
  ),
  output_record_ids: v.pipe(idsOrSteps, v.description('What derives from the step; of earlier calls, their outputs.')),
  outputs_from_referenced_inputs: v.pipe(
    v.nullish(v.boolean()),
    v.description('Of earlier calls in output_record_ids, their inputs instead.'),
  ),
  input_record_defs: v.pipe(recordDefinitions, v.description('Inputs to make records of.')),
  output_record_defs: v.pipe(recordDefinitions, v.description('Outputs to make records of.')),
  uris,
}) satisfies v.GenericSchema<types.ActionStep>;

const id = v.pipe(v.number(), v.safeInteger());
export const actionStepOutput = v.object({
  flow_state_record_id: v.pipe(id, v.description('Of the record of the step.')),
  input_record_ids: v.array(id),
  output_record_ids: v.array(id),
  exception_str: v.pipe(v.nullable(v.string()), v.description('What could not be linked, and why.')),
}) satisfies v.GenericSchema<types.ActionStepResult>;

const transferItem = objectOf({ source_path: v.nullish(filled), destination_path: v.nullish(filled) });

export const transferInput = v.object({
  previous_step_record_id: v.pipe(idsOrSteps, v.description('What the transfer derives from.')),
  transfer_input: v.nullish(
    objectOf({
      source_endpoint_id: v.nullish(filled),
      destination_endpoint_id: v.nullish(filled),
      transfer_items: v.nullish(v.array(transferItem)),
    }),
  ),
  transfer_result: v.nullish(
    objectOf({ status: v.nullish(text), details: v.nullish(objectOf({ task_id: v.nullish(filled) })) }),
  ),
}) satisfies v.GenericSchema<types.TransferRequest>;
export const transferOutput = v.object({
  flow_state_record_id: v.pipe(id, v.description('Of the record of the transfer.')),
  input_record_ids: v.pipe(v.array(id), v.description('Of the sources, in the order of the items.')),
  output_record_ids: v.pipe(v.array(id), v.description('Of the destinations.')),
}) satisfies v.GenericSchema<types.TransferRequestResult>;

export const createActionInput = v.object({
  name: v.nullish(filled),
  action_type: v.pipe(v.nullish(v.string()), v.description('shell (the default) or automate_event.')),
  command: v.pipe(filled, v.description('A program; of an event, an http or https URL.')),
  params: v.pipe(v.nullish(v.array(text)), v.description('Arguments. {name}, {uri} and {KEY} of a tag are filled in.')),
}) satisfies v.GenericSchema<types.CreateInvalidationAction>;
const actionId = v.pipe(v.string(), v.uuid());
export const createActionOutput = v.object({
  invalidation_action_id: actionId,
}) satisfies v.GenericSchema<types.CreateInvalidationActionResult>;

const AN_ACTION_ID = 'must be the id of an invalidation action, which is a UUID, or what an earlier step gave';
export const addActionInput = v.object({
  record_id: idOrStep,
  invalidation_action_id: v.union(
    [v.pipe(v.string(), v.regex(/^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i, AN_ACTION_ID)), stepOutput],
    AN_ACTION_ID,
  ),
}) satisfies v.GenericSchema<types.AddInvalidationAction>;
export const addActionOutput = v.object({
  invalidation_action_id: actionId,
  flow_state_record_id: id,
}) satisfies v.GenericSchema<types.AddInvalidationActionResult>;
