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

const open = new Set<ExitAware>();
const listeners = new Map<string, () => void>();
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
  for (const [signal, listener] of listeners) {
    if ([...open].some(({ signals }) => signals.includes(signal))) continue;
    process.off(signal, listener);
    listeners.delete(signal);
  }
}

/**
 * Says on stderr how a rank ended, and where what it recorded is.
 *
 * @param speaks Whether this rank tells of an end at which nothing is lost. The ranks of a job mostly end alike, and then
 *   the root's word will do. One that leaves the others is named in the error of their next collective, and one whose end
 *   ends the job is named by that.
 */
export function sayEnd({ spool, channel, isRoot, path }: Session, what: string, speaks: boolean): void {
  const { file } = spool!;
  const who = channel.size === 1 ? 'this process' : `rank ${channel.rank}`;
  const say = (where: string) => process.stderr.write(`braid-mpi: ${who} ${what}. ${where}\n`);
  if (!existsSync(file)) {
    say(`Its spool ${file} was deleted under it, and with it what is not yet committed`);
  } else if (isRoot && !existsSync(path)) {
    say(
      `${path} was deleted under it. What is not yet committed is in ${file}, and can come into a copy of that file only`,
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
  if (process.listenerCount(signal) > 1) return;
  const number = constants.signals[signal as NodeJS.Signals];
  ending = true;
  for (const each of open) if (each.signals.includes(signal)) each.killed(signal, number);
  process.exit(128 + number);
}
