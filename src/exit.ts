import { constants } from 'node:os';

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
      for (const each of open) each.unclosed(Number(process.exitCode ?? code));
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

function onSignal(signal: string): void {
  // Whoever handles the signal himself knows what is to be done; `exit` is still watched.
  if (process.listenerCount(signal) > 1) return;
  const number = constants.signals[signal as NodeJS.Signals];
  ending = true;
  for (const each of open) if (each.signals.includes(signal)) each.killed(signal, number);
  process.exit(128 + number);
}
