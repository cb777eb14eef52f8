import { setTimeout as sleep } from 'node:timers/promises';
import { BraidError } from './errors.js';
import { jsonText } from './json-text.js';
import type { ActionType } from './frame/format.js';
import { BraidReader, type RecordRow } from './query/reader.js';
import { OUTPUT_BYTES, runProgram, textOf, type Came } from './program.js';
import { ACTION_TYPES } from './store/invalidation.js';
import { Store } from './store/store.js';

export interface ActionOptions {
  /** How long each action may take, in milliseconds. Default 60,000. */
  actionTimeoutMs?: number;
  /**
   * What URLs an event may be sent to: each allows its origin, and the paths that begin with its own. Those of
   * BRAID_ACTION_URLS, with spaces between them, if left out; none without that.
   */
  actionUrls?: readonly string[];
  /** Ends the action that is under way, and begins no more. */
  signal?: AbortSignal;
  /** Told of each action when it has ended. */
  onAction?: (result: ActionResult) => void;
}

/** What came of an action, as `action_runs` keeps it. */
export interface ActionResult extends Came {
  readonly record: number;
  /** Of the action. */
  readonly name: string;
  readonly type: ActionType;
}

interface Due {
  readonly record: number;
  readonly invalidation: string;
  readonly action: string;
  readonly type: string;
  readonly name: string;
  readonly cmd: string;
  readonly params: string | null;
  readonly cause: string;
  readonly time: string;
}

const TIMEOUT_MS = 60_000;
/** How often an event is sent again, and how long is waited before the first of those times: twice as long before each other. */
const RETRIES = 3;
const BACKOFF_MS = 500;

/** @internal */
export interface ActionLimits {
  readonly timeoutMs: number;
  readonly allowed: readonly URL[];
  readonly signal: AbortSignal | undefined;
}

/**
 * @internal Checks options.
 *
 * @throws BraidError ERR_BRAID_OPTION_INVALID
 */
export function actionLimits({
  actionTimeoutMs: timeoutMs = TIMEOUT_MS,
  actionUrls,
  signal,
}: ActionOptions): ActionLimits {
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > 2 ** 31 - 1) {
    throw new BraidError(
      'ERR_BRAID_OPTION_INVALID',
      'actionTimeoutMs must be a whole number of milliseconds, at least 1',
    );
  }
  return { timeoutMs, allowed: allowedUrls(actionUrls), signal };
}

/** The actions of the records that these invalidations have made invalid, one after the other; what comes of each is stored. */
export async function runActions(
  path: string,
  invalidations: readonly string[],
  busyMs: number,
  limits: ActionLimits,
  onAction: ActionOptions['onAction'],
): Promise<ActionResult[]> {
  const reader = BraidReader.open(path);
  const results: ActionResult[] = [];
  let store: Store | undefined;
  try {
    for (const due of dueActions(reader, invalidations)) {
      const started = Date.now();
      const type = due.type === ACTION_TYPES.event ? 'event' : 'shell';
      const came = await perform(due, type, reader.record(due.record)!, limits);
      const { action, record, invalidation, name } = due;
      store ??= new Store({ path, busyMs, existing: true, commit: 'statements' });
      store.addActionRun({ action, record, invalidation, started, ended: Date.now(), ...came });
      const result: ActionResult = { record, name, type, ...came };
      results.push(result);
      onAction?.(result);
    }
  } finally {
    reader.close();
    store?.close();
  }
  return results;
}

function dueActions(reader: BraidReader, invalidations: readonly string[]): Due[] {
  return reader.query<Due>(
    `SELECT r.record_id AS record, i.id AS invalidation, a.id AS action, a.action_type AS type, a.name, a.cmd, a.params, i.cause, i.time
     FROM records r CROSS JOIN invalidation_actions a ON a.id = r.invalidation_action_id
     CROSS JOIN invalidations i ON i.id = r.invalidation_id
     WHERE r.invalidation_action_id IS NOT NULL AND ifnull(i.root_invalidation, i.id) IN (SELECT value FROM json_each(?))
     ORDER BY r.record_id`,
    JSON.stringify(invalidations),
  );
}

async function perform(due: Due, type: ActionType, record: RecordRow, how: ActionLimits): Promise<Came> {
  if (how.signal?.aborted) return { outcome: 'interrupted', output: 'not begun' };
  if (!Object.values(ACTION_TYPES).includes(due.type))
    return refused(`an action of type ${due.type} is not known here`);
  let args: string[];
  try {
    args = substituted(argsOf(due.params), record);
  } catch (error) {
    return { outcome: 'failed', output: (error as Error).message };
  }
  if (type === 'event') return send(due, args, record, how);
  return runProgram(due.cmd, args, how);
}

function argsOf(params: string | null): string[] {
  const { args = [] } = (params === null ? {} : JSON.parse(params)) as { args?: unknown[] };
  return args.map(String);
}

/**
 * Puts what a record has in the place of `{name}`, `{id}`, `{uri}` and `{KEY}` of its tags. Each stays one argument, but what has
 * `{uri}` is there once for each URI.
 */
export function substituted(args: readonly string[], { id, name, uris, tags }: RecordRow): string[] {
  const value = (key: string): string => {
    if (key === 'name') return name;
    if (key === 'id') return String(id);
    if (Object.hasOwn(tags, key)) return String(tags[key]);
    throw new Error(`record ${id} has no tag ${key}, which the action puts in the place of {${key}}`);
  };
  const put = (arg: string, uri?: string) =>
    arg.replace(/\{([^{}\s"',:]+)\}/g, (_, key: string) => (key === 'uri' && uri !== undefined ? uri : value(key)));
  return args.flatMap((arg) => {
    if (!arg.includes('{uri}')) return [put(arg)];
    if (uris.length === 0) throw new Error(`record ${id} has no URI, which the action puts in the place of {uri}`);
    return uris.map((uri) => put(arg, uri));
  });
}

function refused(output: string): Came {
  return { outcome: 'refused', output };
}

/** @throws BraidError ERR_BRAID_OPTION_INVALID */
function allowedUrls(
  urls: readonly string[] = (process.env.BRAID_ACTION_URLS ?? '').split(/\s+/).filter(Boolean),
): URL[] {
  return urls.map((text) => {
    if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return new URL(text);
    throw new BraidError('ERR_BRAID_OPTION_INVALID', `actionUrls (BRAID_ACTION_URLS): ${JSON.stringify(text)} is not an http or https URL`); // prettier-ignore
  });
}

function isAllowed(url: URL, allowed: readonly URL[]): boolean {
  return allowed.some(({ origin, pathname }) => {
    if (url.origin !== origin) return false;
    const directory = pathname.endsWith('/') ? pathname : `${pathname}/`;
    return url.pathname === pathname || url.pathname.startsWith(directory);
  });
}

/** What an event carries. */
function eventOf({ cause, time, name }: Due, args: readonly string[], record: RecordRow): string {
  const { id, kind, uris, tags, run } = record;
  const event = { event: 'invalidation', action: name, record: { id, kind, name: record.name, time: record.time, uris, tags, run }, cause, time: `${time.replace(' ', 'T')}Z`, args }; // prettier-ignore
  return jsonText(event);
}

async function send(due: Due, args: readonly string[], record: RecordRow, how: ActionLimits): Promise<Came> {
  if (!URL.canParse(due.cmd)) return refused(`${due.cmd} is not a URL`);
  const url = new URL(due.cmd);
  if (!isAllowed(url, how.allowed)) {
    return refused(
      `${url.origin}${url.pathname} is not among the URLs that are allowed (BRAID_ACTION_URLS, actionUrls)`,
    );
  }
  const deadline = AbortSignal.timeout(how.timeoutMs);
  const signal = how.signal ? AbortSignal.any([deadline, how.signal]) : deadline;
  const body = eventOf(due, args, record);
  let last: Came = { outcome: 'failed', output: '' };
  try {
    for (let attempt = 0; attempt <= RETRIES; attempt++) {
      if (attempt > 0) await sleep(BACKOFF_MS * 2 ** (attempt - 1), undefined, { signal });
      last = await post(url, body, signal);
      // What was asked for wrongly is wrong again; a redirect would lead to where it is not allowed.
      if (last.outcome === 'succeeded' || (last.status !== undefined && last.status < 500 && last.status !== 429))
        break;
    }
    return last;
  } catch (error) {
    if (deadline.aborted)
      return { ...last, outcome: 'timeout', output: last.output || `no answer within ${how.timeoutMs} ms` };
    if (signal.aborted) return { ...last, outcome: 'interrupted' };
    throw error;
  }
}

async function post(url: URL, body: string, signal: AbortSignal): Promise<Came> {
  try {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(url, { method: 'POST', body, headers, redirect: 'manual', signal });
    const output = await beginningOf(answer);
    return { outcome: answer.ok ? 'succeeded' : 'failed', status: answer.status, output };
  } catch (error) {
    signal.throwIfAborted();
    const { message, cause } = error as Error;
    return { outcome: 'failed', output: cause instanceof Error ? `${message}: ${cause.message}` : message };
  }
}

async function beginningOf(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  if (answer.body) {
    for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= OUTPUT_BYTES) break;
    }
  }
  return textOf(Buffer.concat(chunks));
}
