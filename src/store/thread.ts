import type { MessagePort } from 'node:worker_threads';
import type { Store, StoreOptions } from './store.js';

/** What the thread that owns the database is asked, and what it answers. */
export interface StoreCall {
  readonly id: number;
  readonly method: 'open' | keyof Store;
  readonly args: unknown[];
}
export type StoreReply = { readonly id: number } & (
  { readonly value: unknown } | { readonly code: string; readonly message: string; readonly stack?: string }
);

/** What it is started with. */
export interface ThreadData {
  readonly port: MessagePort;
  /** Memory that both threads see: the words are {@link REPLIES}, {@link TID} and {@link ENDING}. */
  readonly signal: Int32Array;
  /** The launcher that has bound this process to fewer processors than the job has. */
  readonly launcher?: number;
  /** Where it is to die, in a test. */
  readonly BRAID_FAULTS?: string;
  /** What it is to take the file system for, in a test. */
  readonly BRAID_TEST_STATFS?: string;
  /** The database that the thread before this one had open when it died. */
  readonly reopen?: { readonly options: StoreOptions; readonly uuid: string };
}

/** Counts replies, and wakes a caller that waits without its event loop. */
export const REPLIES = 0;
/** The kernel's number of the thread, once it runs. */
export const TID = 1;
/** Set when the process is to end: who waits for another's lock gives up. */
export const ENDING = 2;
/** Words of it. */
export const SIGNAL_WORDS = 3;
