import { random, shuffled } from '../common/random.js';
import { boxMean, PIXELS } from './slices.js';

/** As a label: nobody has said what this pixel is. */
export const OPEN = 255;

/** What is seen of a pixel: the means of the squares about it that reach so far. */
const REACHES = [1, 2, 3];
const INPUTS = REACHES.length;
const HIDDEN = 6;
const RATE = 0.04;
/** Pores are few: missing one counts for more. */
const PORE_WEIGHT = 1.8;

/** What a segmenter sees of a slice: for each pixel a number for every reach. */
export function look(pixels: Float32Array): Float32Array {
  const seen = new Float32Array(PIXELS * INPUTS);
  REACHES.forEach((reach, input) => boxMean(pixels, reach).forEach((mean, i) => (seen[i * INPUTS + input] = mean)));
  return seen;
}

/** A very small network that says of each pixel whether it is of a pore: one hidden layer, one answer. */
export class Segmenter {
  /** By hidden unit: from each input, its bias, and to the answer. In the last place the answer's bias. */
  readonly #weights: Float64Array;
  readonly #units = new Float64Array(HIDDEN);

  constructor(seed: number) {
    const next = random(seed);
    this.#weights = Float64Array.from({ length: HIDDEN * (INPUTS + 2) + 1 }, () => next() - 0.5);
  }

  /** 1 where it sees a pore. */
  segment(seen: Float32Array): Uint8Array {
    return Uint8Array.from({ length: PIXELS }, (_, i) => (this.#answer(seen, i) > 0.5 ? 1 : 0));
  }

  /** Learns from the labels of slices, pixel by pixel, in an order that the seed decides. */
  learn(seen: readonly Float32Array[], labels: readonly Uint8Array[], epochs: number, seed: number): void {
    for (let epoch = 0; epoch < epochs; epoch++) {
      for (const place of shuffled(seen.length * PIXELS, seed + epoch)) {
        const [slice, pixel] = [Math.floor(place / PIXELS), place % PIXELS];
        const label = labels[slice][pixel];
        if (label !== OPEN) this.#step(seen[slice], pixel, label);
      }
    }
  }

  #answer(seen: Float32Array, pixel: number): number {
    const weights = this.#weights;
    let answer = weights[weights.length - 1];
    for (let h = 0, w = 0; h < HIDDEN; h++, w += INPUTS + 2) {
      let unit = weights[w + INPUTS];
      for (let i = 0; i < INPUTS; i++) unit += weights[w + i] * seen[pixel * INPUTS + i];
      this.#units[h] = Math.tanh(unit);
      answer += weights[w + INPUTS + 1] * this.#units[h];
    }
    return 1 / (1 + Math.exp(-answer));
  }

  #step(seen: Float32Array, pixel: number, label: number): void {
    const weights = this.#weights;
    const error = RATE * (label === 1 ? PORE_WEIGHT : 1) * (label - this.#answer(seen, pixel));
    weights[weights.length - 1] += error;
    for (let h = 0, w = 0; h < HIDDEN; h++, w += INPUTS + 2) {
      const unit = this.#units[h];
      const blame = error * weights[w + INPUTS + 1] * (1 - unit ** 2);
      weights[w + INPUTS + 1] += error * unit;
      for (let i = 0; i < INPUTS; i++) weights[w + i] += blame * seen[pixel * INPUTS + i];
      weights[w + INPUTS] += blame;
    }
  }
}
