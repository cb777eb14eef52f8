import { createHash } from 'node:crypto';
import process from 'node:process';

/** How many random trials a test makes, and the number from which they all follow. */
export const TRIALS = Number(process.env.BRAID_TEST_TRIALS ?? 30);
export const SEED = Number(process.env.BRAID_TEST_SEED ?? 1);

/** Whether tests take the minutes, and the disk, of their full sizes. */
export const LONG = process.env.BRAID_TEST_LONG === '1';

/** Numbers from 0 to 1, the same for the same trial of a seed, and others for the next of either. Mulberry32, by Tommy Ettinger. */
export function randomOf(seed: number, trial: number): () => number {
  // Not their sum: the next seed would make the same trials, but for the first.
  let state = createHash('sha256').update(`${seed} ${trial}`).digest().readUInt32LE(0);
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
