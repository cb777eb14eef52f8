import type { BraidDB } from './braid-db.js';
import { BraidError } from './errors.js';
import type {
  ActionStep,
  ActionStepResult,
  AddInvalidationAction,
  AddInvalidationActionResult,
  AddedRecord,
  CreateInvalidationAction,
  CreateInvalidationActionResult,
  FunctionServer,
  RecordDict,
  ServeOptions,
  TransferRequest,
  TransferRequestResult,
} from './functions/types.js';

export type * from './functions/types.js';

export interface CallOptions {
  /** The path of a database, which is opened for the call and made if need be; or one that is open in this process. Default: `BRAID_DB_FILE`. */
  db?: BraidDB | string;
  /** Is told of arguments that no function has, which are left out. */
  onWarning?: (text: string) => void;
}

/**
 * Calls one of Braid-DB's remote functions by its name, with JSON. When it resolves, what it recorded is committed.
 *
 * @param input the function's arguments by name, as a Globus Flow gives them.
 * @returns what Braid-DB's function gives, as JSON.
 * @throws BraidError ERR_BRAID_NO_SUCH_FUNCTION, ERR_BRAID_INPUT_INVALID, ERR_BRAID_TOO_LARGE, ERR_BRAID_ACTION_INVALID, ERR_BRAID_NO_SUCH_RECORD, ERR_BRAID_NO_SUCH_ACTION, ERR_BRAID_OPTION_INVALID, and as `BraidDB.open`; nothing is recorded then
 */
export async function callFunction(name: string, input: unknown, options: CallOptions = {}): Promise<unknown> {
  const { db, onWarning = () => {} } = options;
  // Who records by himself needs none of it.
  const { callOnce } = await import('./functions/call.js');
  return callOnce(name, input, db ?? databaseOfCalls(), onWarning);
}

/**
 * The database in which functions record, of those that name none.
 *
 * @throws BraidError ERR_BRAID_OPTION_INVALID
 */
export function databaseOfCalls(): string {
  const path = process.env.BRAID_DB_FILE;
  if (path) return path;
  throw new BraidError(
    'ERR_BRAID_OPTION_INVALID',
    'which database? Set BRAID_DB_FILE to its path, or give the option db (--db DB)',
  );
}

/**
 * Adds records, with what derives from each. `add_records` of Braid-DB.
 *
 * @returns for each, the record with its id, or why it was not added.
 * @throws BraidError as `callFunction`
 */
export function addRecords(
  records: RecordDict | RecordDict[],
  options?: CallOptions,
): Promise<(AddedRecord | string)[]> {
  return callFunction('add_records', records, options) as Promise<(AddedRecord | string)[]>;
}

/**
 * Adds the record of a step of a Flow. `add_record_for_action_step` of Braid-DB.
 *
 * @throws BraidError as `callFunction`
 */
export function addRecordForActionStep(step: ActionStep, options?: CallOptions): Promise<ActionStepResult> {
  return callFunction('add_record_for_action_step', step, options) as Promise<ActionStepResult>;
}

/**
 * Adds the record of a Globus transfer. `add_transfer_request` of Braid-DB.
 *
 * @throws BraidError as `callFunction`
 */
export function addTransferRequest(request: TransferRequest, options?: CallOptions): Promise<TransferRequestResult> {
  return callFunction('add_transfer_request', request, options) as Promise<TransferRequestResult>;
}

/**
 * Keeps an action for records that may become invalid. `create_invalidation_action` of Braid-DB.
 *
 * @throws BraidError as `callFunction`
 */
export function createInvalidationAction(
  action: CreateInvalidationAction,
  options?: CallOptions,
): Promise<CreateInvalidationActionResult> {
  return callFunction('create_invalidation_action', action, options) as Promise<CreateInvalidationActionResult>;
}

/**
 * Says that an action is to be carried out when a record is invalidated. `add_invalidation_action_to_record` of Braid-DB.
 *
 * @throws BraidError as `callFunction`
 */
export function addInvalidationActionToRecord(
  which: AddInvalidationAction,
  options?: CallOptions,
): Promise<AddInvalidationActionResult> {
  return callFunction('add_invalidation_action_to_record', which, options) as Promise<AddInvalidationActionResult>;
}

/**
 * Serves the functions over HTTP, until it is closed: `POST /add_records` and so on, and `GET /openapi.json`.
 *
 * @throws BraidError ERR_BRAID_OPTION_INVALID, ERR_BRAID_SERVE_TOKEN, ERR_BRAID_SERVE_ADDRESS, and as `BraidDB.open`
 */
export async function serveFunctions(options: ServeOptions = {}): Promise<FunctionServer> {
  const { serveAt } = await import('./functions/server.js');
  return serveAt(options.db ?? databaseOfCalls(), options);
}
