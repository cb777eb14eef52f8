import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import type { Session } from './session.js';

/** An open database, as the end of the process concerns it. */
export interface ExitAware {
  readonly signals: readonly string[];
  /** The process is ending by a signal: keep what must be kept. Synchronous. */
  killed(signal: string, number: number): void;
  /** The process ends with `code`, and the database was not closed. Synchronous. */
  unclosed(code: number): void;
}

/** How long signals are listened to when the last database is closed. */
const LINGER_MS = 1_000;

const open = new Set<ExitAware>();
const listeners = new Map<string, () => void>();
/** Signals of which a listener has gone in this turn of the event loop. */
const left = new Set<string>();
let watching = false;
/** Set while we end the process ourselves, so that `exit` doesn't tell another story. */
let ending = false;

/** Tells `database` when the process ends while it is open. */
export function watchExit(database: ExitAware): void {
  open.add(database);
  if (!watching) {
    watching = true;
    process.on('exit', (code) => {
      if (ending) return;
      // The last first: what others stand on was there before them.
      for (const each of [...open].reverse()) each.unclosed(Number(process.exitCode ?? code));
    });
    process.on('removeListener', onLeft);
  }
  for (const signal of database.signals) {
    if (listeners.has(signal)) continue;
    const listener = () => onSignal(signal);
    listeners.set(signal, listener);
    process.on(signal, listener);
  }
}

/** The database was closed: its end is no longer our business, nor are the signals when it was the last. */
export function unwatchExit(database: ExitAware): void {
  open.delete(database);
  // Not at once: a signal that has come and is not yet told is lost with its listener, and nobody would end for it. Nor
  // between two openings, nor before this turn of the event loop has told what there is.
  setTimeout(() => setImmediate(dropListeners), LINGER_MS).unref();
}

function dropListeners(): void {
  for (const [signal, listener] of listeners) {
    if (isWatched(signal)) continue;
    process.off(signal, listener);
    listeners.delete(signal);
  }
}

function isWatched(signal: string): boolean {
  return [...open].some(({ signals }) => signals.includes(signal));
}

/**
 * Says on stderr how a rank ended, and where what it recorded is.
 *
 * @param speaks Whether this rank tells of an end at which nothing is lost. The ranks of a job mostly end alike, and then
 *   the root's word will do. One that leaves the others is named in the error of their next collective, and one whose end
 *   ends the job is named by that.
 */
export function sayEnd({ spool, store, channel, isRoot, path }: Session, what: string, speaks: boolean): void {
  const { file } = spool!;
  const who = channel.size === 1 ? 'this process' : `rank ${channel.rank}`;
  const say = (where: string) => process.stderr.write(`braid-mpi: ${who} ${what}. ${where}\n`);
  const gone = existsSync(path) ? store?.gone && 'replaced' : 'deleted';
  if (!existsSync(file)) {
    say(`Its spool ${file} was deleted under it, and with it what is not yet committed`);
  } else if (isRoot && gone) {
    say(
      `${path} was ${gone} under it. What is not yet committed is in ${file}, and can come into a copy of that file only`,
    );
  } else if (speaks) {
    const others = channel.size === 1 ? '' : ', and what other ranks have in theirs';
    say(
      `Nothing is lost: what is not yet committed is in ${file}${others}. It comes into the database at its next open, ` +
        `or by: braid recover ${path}`,
    );
  }
}

function onSignal(signal: string): void {
  // Whoever handles the signal himself knows what is to be done; `exit` is still watched.
  if (process.listenerCount(signal) > 1 || left.has(signal)) return;
  if (!isWatched(signal)) {
    // It came before the last database was closed, or right behind: it does what it does where there is none.
    dropListeners();
    process.kill(process.pid, signal);
    return;
  }
  const number = constants.signals[signal as NodeJS.Signals];
  ending = true;
  for (const each of open) if (each.signals.includes(signal)) each.killed(signal, number);
  process.exit(128 + number);
}

/** A listener for one time goes before it is called, which may be before we are: that it was there shows only here. */
function onLeft(signal: string | symbol): void {
  if (typeof signal !== 'string' || !listeners.has(signal)) return;
  left.add(signal);
  // No signal is told within the turn of another.
  queueMicrotask(() => left.delete(signal));
}
