import { createHash } from 'node:crypto';
import { BraidError } from '../errors.js';
import { OP_BOUND, textBound } from '../frame/encoder.js';
import { ActionCode, type ActionType } from '../frame/format.js';
import { now } from './clock.js';
import type { Recorder } from './recorder.js';

/**
 * What is to be done when a record is invalidated. In its arguments `{name}`, `{uri}` and `{KEY}` of a tag stand for what the
 * record has; one that has `{uri}` is given once for each URI.
 */
export interface InvalidationAction {
  /** What it is called. The command, if left out. */
  name?: string;
  /** `shell`: a program is started, without a shell. `event`: JSON is sent to a URL by POST. */
  type: ActionType;
  /** A program, by path or as found in PATH; or an http or https URL without credentials. Nothing is put in its place. */
  command: string;
  args?: string[];
}

/** @internal An action as it is stored. */
export interface StoredAction {
  /** 32 hex digits. Follows from the rest: the same action has it, whoever says it; but Braid-DB takes any. */
  readonly id: string;
  readonly type: number;
  readonly name: string;
  readonly command: string;
  /** JSON, as Braid-DB has it. */
  readonly params: string;
}

/** Checks an action. */
export function storedAction(action: InvalidationAction): StoredAction {
  const { type, command, args = [], ...rest } = action ?? {};
  const { name = command, ...unknown } = rest;
  const wrong = (what: string) => new BraidError('ERR_BRAID_ACTION_INVALID', `an invalidation action ${what}`);
  const [stranger] = Object.keys(unknown);
  if (stranger !== undefined)
    throw wrong(`has no property ${JSON.stringify(stranger)}: it has name, type, command and args`);
  if (typeof type !== 'string' || !Object.hasOwn(ActionCode, type)) throw wrong(`has a type: 'shell' or 'event'`);
  if (typeof command !== 'string' || command === '') throw wrong('needs a command: a program, or a URL');
  if (typeof name !== 'string' || name === '') throw wrong('has a name that is not empty');
  if (type === 'event' && !isUrl(command)) {
    throw wrong('of type event has an http or https URL as its command, without a user or a password');
  }
  if (!Array.isArray(args) || args.some((arg) => typeof arg !== 'string')) throw wrong('has args that are strings');
  const params = JSON.stringify({ args });
  const id = createHash('sha256')
    .update(JSON.stringify([type, name, command, params]))
    .digest('hex')
    .slice(0, 32);
  return { id, type: ActionCode[type], name, command, params };
}

/** The recording call of what is to be done when a record is invalidated. */
export function recordAction(recorder: Recorder, record: number, action: StoredAction): void {
  const { id, type, name, command, params } = action;
  recorder.write(OP_BOUND + textBound(name) + textBound(command) + textBound(params), (encoder) => {
    encoder.invalidationAction(id, record, type, now(), name, command, params);
  });
}

/** One with credentials can't be sent to, and they would be in the database for all to read. */
function isUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}
