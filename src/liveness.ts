import { inspect } from './inspection.js';

export interface Liveness {
  /**
   * Of a run that is RUNNING in the database: whether anybody of it lives. `elsewhere`: its root ran on another host. Of one
   * that ended otherwise than by `close()`: `dead` while something of it waits in spools here.
   */
  liveness?: 'alive' | 'dead' | 'elsewhere';
  /** What of it waits in spools on this host, if it is dead. */
  waitingOps?: number;
}

/** Of each run that has spools on this host, or is RUNNING in the database: what those say. */
export function liveness(path: string): Map<string, Liveness> {
  const { leftovers, dead, states } = inspect(path);
  try {
    const found = new Map<string, Liveness>();
    for (const { run, attempt, spools } of dead) {
      const frames = states[`${run}.${attempt}`]?.frames ?? [];
      const waiting = spools.reduce((sum, { file, rank }) => sum + leftovers.after(file, frames[rank!] ?? 0).ops, 0);
      found.set(run, { liveness: 'dead', waitingOps: (found.get(run)?.waitingOps ?? 0) + waiting });
    }
    for (const { run, alone } of leftovers.reports) {
      if (run && (alone === 'alive' || alone === 'busy')) found.set(run, { liveness: 'alive' });
    }
    return found;
  } finally {
    leftovers.release();
  }
}
