import process from 'node:process';
import { isMainThread, workerData } from 'node:worker_threads';

/**
 * The moments at which a process can be made to die, in the order of a record's way. Only tests do it, by
 * BRAID_FAULTS=POINT[:NTH]: the process kills itself by SIGKILL when it comes to that point for the nth time.
 */
export const FAULT_POINTS = [
  // A rank opens: it has its spool's file under another name; has given it its name; the run is written; all have begun.
  'open.making',
  'open.named',
  'open.run',
  'open.begun',
  // It records: a call is written and not published; is published; the spool has grown; the open frame is sealed.
  'capture.written',
  'capture.published',
  'capture.grown',
  'capture.sealed',
  // A collective: before the rank says that it has come; before frames are sent; the root, before and after its verdict;
  // the others, when they have it; before and after the space of committed frames is free.
  'flush.come',
  'flush.send',
  'flush.verdict',
  'flush.pronounced',
  'flush.told',
  'flush.trim',
  'flush.trimmed',
  // The root's transaction: begun; all rows in it; committed, and nobody knows.
  'commit.begun',
  'commit.inserted',
  'commit.committed',
  // The end: all is committed; the run is COMPLETED; the database is closed; the verdict is there, and the spool is, too.
  'close.committed',
  'close.completed',
  'close.closed',
  'close.told',
  // Recovery of a dead attempt: its spools are held; its frames are in; it has its status; a spool of several is deleted.
  'recover.held',
  'recover.committed',
  'recover.ended',
  'recover.removed',
] as const;
export type FaultPoint = (typeof FAULT_POINTS)[number];

/** What the thread that writes the database is told by the one that starts it: its environment is empty. */
export const plannedFault: string | undefined = isMainThread
  ? process.env.BRAID_FAULTS
  : (workerData as { BRAID_FAULTS?: string } | null)?.BRAID_FAULTS;

const [point, nth = '1'] = plannedFault?.split(':') ?? [];
let left = Number(nth);

if (plannedFault !== undefined && (!(FAULT_POINTS as readonly string[]).includes(point) || !(left > 0))) {
  throw new Error(`BRAID_FAULTS=${plannedFault}: the points are ${FAULT_POINTS.join(', ')}; then, if you like, :NTH`);
}

/** Where a test can have this process killed. */
export function faultPoint(here: FaultPoint): void {
  if (here === point && --left === 0) process.kill(process.pid, 'SIGKILL');
}
