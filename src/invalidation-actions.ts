import { setTimeout as sleep } from 'node:timers/promises';
import { BraidError } from './errors.js';
import { jsonText } from './json-text.js';
import type { ActionType } from './frame/format.js';
import { BraidReader, type RecordRow } from './query/reader.js';
import { groupBy } from './group-by.js';
import { OUTPUT_BYTES, runProgram, textOf, type Came, type Outcome } from './program.js';
import { ACTION_TYPES, actionTypeOf } from './store/invalidation.js';
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
export interface ActionResult extends Omit<Came, 'outcome'> {
  /** `begun`: it was begun before, and nobody knows whether it ended. It was not begun again. */
  readonly outcome: Outcome | 'begun';
  readonly record: number;
  /** Of the action. */
  readonly name: string;
  readonly type: ActionType;
}

/** What one invalidation has made invalid of a record that has an action: itself, or versions of it. */
interface Due {
  readonly record: number;
  readonly invalidation: string;
  /** Of the invalidation. */
  readonly root: string;
  readonly action: string;
  readonly type: string;
  readonly name: string;
  readonly cmd: string;
  readonly params: string | null;
  readonly cause: string;
  readonly time: string;
  /** Numbers of versions, where not the model itself is invalid. */
  versions?: number[];
  /** When it was done for this invalidation, and what came of it. */
  readonly before: readonly { readonly outcome: string; readonly started: string }[];
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

/**
 * The actions of these nodes that are due, and with `cascade` of all that derives from them, one after the other: of what is
 * invalid, those that nobody has carried out for the invalidation that it has. Each is stored when it begins, and what came of it
 * when it has ended.
 *
 * @param nodes records, and negatives of versions.
 * @param retry whether those are due, too, of which nobody knows that they have succeeded.
 */
export async function runActions(
  path: string,
  { nodes, cascade, retry }: { nodes: readonly number[]; cascade: boolean; retry: boolean },
  busyMs: number,
  limits: ActionLimits,
  onAction: ActionOptions['onAction'],
): Promise<ActionResult[]> {
  const reader = BraidReader.open(path);
  const results: ActionResult[] = [];
  let store: Store | undefined;
  try {
    for (const due of dueActions(reader, nodes, cascade, retry)) {
      const { record, name } = due;
      const type = actionTypeOf(due.type);
      const unended = retry ? undefined : due.before.find(({ outcome }) => outcome === 'begun');
      let came: Omit<ActionResult, 'record' | 'name' | 'type'> | undefined;
      if (unended) came = { outcome: 'begun', output: mayHaveRun(unended.started) };
      else if (limits.signal?.aborted) came = { outcome: 'interrupted', output: 'not begun' };
      else {
        store ??= new Store({ path, busyMs, existing: true, commit: 'statements' });
        came = await carryOut(store, due, type, reader.record(record)!, limits);
        // Another process has come to it meanwhile.
        if (!came) continue;
      }
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

function mayHaveRun(started: string): string {
  return `it was begun at ${started.slice(0, 19)} UTC, and nobody stored its end: it may have run, or be running. It is run again by --retry-actions (runActions: 'retry')`; // prettier-ignore
}

async function carryOut(
  store: Store,
  due: Due,
  type: ActionType,
  record: RecordRow,
  limits: ActionLimits,
): Promise<Came | undefined> {
  const { action, invalidation, root, before } = due;
  const run = { action, record: due.record, invalidation, root, known: before.length, started: Date.now() };
  const id = store.beginActionRun(run);
  if (id === undefined) return undefined;
  const came = await perform(due, type, record, limits);
  store.endActionRun(id, { ended: Date.now(), ...came });
  return came;
}

/** Of a row `i` of invalidations. */
const ROOT = 'ifnull(i.root_invalidation, i.id)';
const INVALID = `SELECT x.node, x.record, x.number, i.id AS invalidation, ${ROOT} AS root, a.id AS action,
    a.action_type AS type, a.name, a.cmd, a.params, i.cause, i.time
  FROM (
    SELECT record_id AS node, record_id AS record, NULL AS number, invalidation_id, invalidation_action_id FROM records
    WHERE invalidation_action_id IS NOT NULL AND invalidation_id IS NOT NULL
    UNION ALL
    SELECT -v.version_id, v.model_id, v.number, v.invalidation_id, m.invalidation_action_id
    FROM versions v CROSS JOIN records m ON m.record_id = v.model_id
    WHERE v.invalidation_id IS NOT NULL AND m.invalidation_action_id IS NOT NULL
  ) x
  CROSS JOIN invalidation_actions a ON a.id = x.invalidation_action_id CROSS JOIN invalidations i ON i.id = x.invalidation_id
  ORDER BY x.record, root, x.node DESC`;
const BEFORE = `SELECT d.record_id AS record, d.action_id AS action, ifnull(${ROOT}, d.invalidation_id) AS root, d.outcome, d.started
  FROM action_runs d LEFT JOIN invalidations i ON i.id = d.invalidation_id ORDER BY d.action_run_id`;

type Invalid = Omit<Due, 'versions' | 'before'> & { readonly node: number; readonly number: number | null };
type Before = Pick<Due, 'record' | 'action' | 'root'> & Due['before'][number];

function dueActions(reader: BraidReader, nodes: readonly number[], cascade: boolean, retry: boolean): Due[] {
  const keyOf = ({ record, action, root }: Pick<Due, 'record' | 'action' | 'root'>) => `${record} ${root} ${action}`;
  const before = groupBy(reader.query<Before>(BEFORE), keyOf);
  const isDone = ({ outcome }: Before) =>
    // Of what was refused nothing was done.
    retry ? outcome === 'succeeded' : outcome !== 'refused' && outcome !== 'begun';
  const waiting = reader.query<Invalid>(INVALID).filter((each) => !before.get(keyOf(each))?.some(isDone));
  if (waiting.length === 0) return [];
  const reached = reader.reached(nodes, cascade);
  const due = new Map<string, Due>();
  for (const { node, number, ...each } of waiting) {
    if (!reached.has(node)) continue;
    const key = keyOf(each);
    const known = due.get(key);
    // The record comes before its versions.
    if (!known)
      due.set(key, { ...each, ...(node < 0 ? { versions: numbered(number) } : {}), before: before.get(key) ?? [] }); // prettier-ignore
    else known.versions?.push(...numbered(number));
  }
  return [...due.values()];
}

/** None of a version that is only named so far. */
function numbered(number: number | null): number[] {
  return number === null ? [] : [number];
}

async function perform(due: Due, type: ActionType, record: RecordRow, how: ActionLimits): Promise<Came> {
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

/** What stands for a tag that the record should have: words, as keys mostly are. `{"a": 1}` and `{ print }` are text. */
const WORDS = '[^{}\\s"\',:]+|[\\p{L}\\p{N}_.-]+(?: [\\p{L}\\p{N}_.-]+)+';

/**
 * Puts what a record has in the place of `{name}`, `{id}`, `{uri}` and `{KEY}` of its tags, whatever is in a key. Each stays one
 * argument, but what has `{uri}` is there once for each URI.
 */
export function substituted(args: readonly string[], { id, name, uris, tags }: RecordRow): string[] {
  // The longest first: a key may have braces in it.
  const keys = Object.keys(tags).toSorted((a, b) => b.length - a.length).map((key) => key.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')); // prettier-ignore
  const places = new RegExp(`\\{(${[...keys, WORDS].join('|')})\\}`, 'gu');
  const value = (key: string): string => {
    if (key === 'name') return name;
    if (key === 'id') return String(id);
    if (Object.hasOwn(tags, key)) return String(tags[key]);
    throw new Error(
      `record ${id} has no tag ${key}, which the action puts in the place of {${key}}; braces that mean themselves are written { ${key} }`,
    );
  };
  const put = (arg: string, uri?: string) =>
    arg.replace(places, (_, key: string) => (key === 'uri' && uri !== undefined ? uri : value(key)));
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
function eventOf({ cause, time, name, versions }: Due, args: readonly string[], record: RecordRow): string {
  const { id, kind, uris, tags, run } = record;
  const event = { event: 'invalidation', action: name, record: { id, kind, name: record.name, time: record.time, uris, tags, run, versions }, cause, time: `${time.replace(' ', 'T')}Z`, args }; // prettier-ignore
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
