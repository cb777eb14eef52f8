// The JSON that the functions take and give, under Braid-DB's names, and the options of serving them. Nothing is imported
// here: users have the types, and not the libraries of which the rest is made.

export type JsonObject = Record<string, unknown>;

/** The id of a record, as a number or in digits; or what an earlier step gave, in which it is found. */
export type IdOrStep = number | string | object;

/** A tag of `add_records`; its type follows from the value, if left out. */
export interface TypedTag {
  value: string | number | bigint | boolean;
  /** STRING, INT or FLOAT. */
  type?: string | null;
}

/** A record of `add_records`. */
export interface RecordDict {
  name: string;
  uris?: string | string[] | null;
  tags?: Record<string, TypedTag> | null;
  /** Records that derive from this one. */
  derivations?: RecordDict[] | null;
  derived_from_record_id?: number | string | null;
}

/** What `add_records` gives of a record. */
export interface AddedRecord {
  record_id: number;
  name: string;
  /** ISO 8601, UTC. */
  time: string;
  uris: string[] | null;
  tags: Record<string, TypedTag> | null;
  derivations: AddedRecord[] | null;
  invalidation_id: null;
  invalidation: null;
}

/** A record that a step makes of an input or an output. */
export interface RecordDefinition {
  name?: string | null;
  uris?: string | string[] | null;
  /** What is nested gets dotted keys. */
  tags?: JsonObject | null;
}

/** A step of a Flow. */
export interface ActionStep {
  step_name?: string | null;
  /** What is nested gets dotted keys. */
  tags?: JsonObject | null;
  /** What the step gave. Its `status`, or the value itself if it is no object, is the tag `status`. */
  step_result?: unknown;
  /** What earlier calls gave: the step derives from their `flow_state_record_id`. */
  previous_step_output?: IdOrStep | IdOrStep[] | null;
  other_predecessor_record_ids?: IdOrStep | IdOrStep[] | null;
  /** What the step derives from; of an earlier call, its inputs. */
  input_record_ids?: IdOrStep | IdOrStep[] | null;
  /** Of earlier calls in `input_record_ids`, their outputs instead. */
  inputs_from_referenced_outputs?: boolean | null;
  /** What derives from the step; of an earlier call, its outputs. */
  output_record_ids?: IdOrStep | IdOrStep[] | null;
  /** Of earlier calls in `output_record_ids`, their inputs instead. */
  outputs_from_referenced_inputs?: boolean | null;
  input_record_defs?: RecordDefinition | RecordDefinition[] | null;
  output_record_defs?: RecordDefinition | RecordDefinition[] | null;
  uris?: string | string[] | null;
}

export interface ActionStepResult {
  /** Of the record of the step. */
  flow_state_record_id: number;
  input_record_ids: number[];
  output_record_ids: number[];
  /** What could not be linked, and why. */
  exception_str: string | null;
}

/** A Globus transfer: what it was asked for, and what came of it. */
export interface TransferRequest {
  previous_step_record_id?: IdOrStep | IdOrStep[] | null;
  transfer_input?: {
    source_endpoint_id?: string | null;
    destination_endpoint_id?: string | null;
    transfer_items?: { source_path?: string | null; destination_path?: string | null }[] | null;
  } | null;
  transfer_result?: { status?: string | null; details?: { task_id?: string | null } | null } | null;
}

export interface TransferRequestResult {
  /** Of the record of the transfer. */
  flow_state_record_id: number;
  /** Of the sources, in the order of the items. */
  input_record_ids: number[];
  /** Of the destinations. */
  output_record_ids: number[];
}

export interface CreateInvalidationAction {
  name?: string | null;
  /** `shell`, if left out, or `automate_event`. */
  action_type?: string | null;
  /** A program; of an event, an http or https URL. */
  command: string;
  /** Arguments. `{name}`, `{uri}` and `{KEY}` of a tag are filled in. */
  params?: string[] | null;
}

export interface CreateInvalidationActionResult {
  /** A UUID. */
  invalidation_action_id: string;
}

export interface AddInvalidationAction {
  record_id: IdOrStep;
  /** A UUID, or what `create_invalidation_action` gave in an earlier step. */
  invalidation_action_id: string | object;
}

export interface AddInvalidationActionResult {
  invalidation_action_id: string;
  flow_state_record_id: number;
}

export interface ServeOptions {
  /** The path of the database, made if need be. Default: `BRAID_DB_FILE`. */
  db?: string;
  /** Where to listen. Default 127.0.0.1; elsewhere than on the loopback interface a token is needed. */
  host?: string;
  /** Default 8787; 0 is any that is free. */
  port?: number;
  /** What each request must carry as `Authorization: Bearer TOKEN`: 16 characters or more. Default: `BRAID_TOKEN`. */
  token?: string;
  /** Of a request's body. Default 1 MiB. */
  maxBodyBytes?: number;
  /** That one client, by its address, may make. Default 1000. */
  requestsPerSecond?: number;
  /** How long a client may take to send a request, in milliseconds. Default 30,000. */
  requestTimeoutMs?: number;
  /** Called for each request that was answered. */
  onRequest?: (request: ServedRequest) => void;
}

/** A request that was answered. */
export interface ServedRequest {
  method: string;
  path: string;
  status: number;
  /** Until the answer was ready. */
  ms: number;
  /** Of the client. */
  address: string;
  /** The code of the error that was the answer, if it was one. */
  code?: string;
  /** What went wrong that the client is not told; with status 202, why what it recorded is not committed yet. */
  cause?: unknown;
  /** Of arguments that were left out. */
  warnings: string[];
}

/** What serves the functions. */
export interface FunctionServer {
  /** Where: http://127.0.0.1:8787 */
  readonly url: string;
  /** Absolute. */
  readonly db: string;
  /** Answers what has come, takes no more, and closes the database. */
  close(): Promise<void>;
}
