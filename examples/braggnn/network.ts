import type { Position } from './fit.js';
import { PATCH } from './frames.js';
import { random } from '../common/random.js';

const PIXELS = PATCH * PATCH;

/**
 * The surrogate: the pixels of a patch → a hidden layer of rectified units → the peak's x and y, learning by gradient
 * descent on the squared error.
 *
 * All weights are one array, so that they are one message and one file. Of unit h it has a row at `h · (PIXELS + 3)`:
 * from each pixel, the unit's bias, to x, to y. In the end are the biases of x and y.
 */
export class Network {
  readonly weights: Float64Array;
  /** What `learn` adds up: the gradient of every weight, then the loss, then how many peaks. */
  readonly sums: Float64Array;
  readonly #units: Float64Array;
  /** Of the gradient of each weight, running means of it and of its square: Adam's. */
  readonly #means: Float64Array;
  readonly #squares: Float64Array;
  #steps = 0;

  constructor(weights: Float64Array) {
    this.weights = weights;
    this.sums = new Float64Array(weights.length + 2);
    this.#units = new Float64Array((weights.length - 2) / (PIXELS + 3));
    this.#means = new Float64Array(weights.length);
    this.#squares = new Float64Array(weights.length);
  }

  /** Of random weights: the same for the same seed. */
  static random(hidden: number, seed: number): Network {
    const weights = new Float64Array(hidden * (PIXELS + 3) + 2);
    const next = random(seed);
    for (let i = 0; i < weights.length - 2; i++) {
      const column = i % (PIXELS + 3);
      const inputs = column < PIXELS ? PIXELS : hidden;
      if (column !== PIXELS) weights[i] = (2 * next() - 1) * Math.sqrt(6 / inputs);
    }
    return new Network(weights);
  }

  /** Where the peak in a patch is. */
  locate(patch: Float64Array): Position {
    const { weights } = this;
    const units = this.#units;
    let [x, y] = weights.subarray(-2);
    for (let h = 0, row = 0; h < units.length; h++, row += PIXELS + 3) {
      let unit = weights[row + PIXELS];
      for (let p = 0; p < PIXELS; p++) unit += weights[row + p] * patch[p];
      units[h] = Math.max(0, unit);
      x += units[h] * weights[row + PIXELS + 1];
      y += units[h] * weights[row + PIXELS + 2];
    }
    return { x, y };
  }

  /** Adds what one peak teaches to `sums`. */
  learn(patch: Float64Array, label: Position): void {
    const { weights, sums } = this;
    const units = this.#units;
    const found = this.locate(patch);
    const [dx, dy] = [found.x - label.x, found.y - label.y];
    for (let h = 0, row = 0; h < units.length; h++, row += PIXELS + 3) {
      // A unit that was cut off at 0 has taken no part.
      if (units[h] === 0) continue;
      sums[row + PIXELS + 1] += units[h] * dx;
      sums[row + PIXELS + 2] += units[h] * dy;
      const blame = weights[row + PIXELS + 1] * dx + weights[row + PIXELS + 2] * dy;
      sums[row + PIXELS] += blame;
      for (let p = 0; p < PIXELS; p++) sums[row + p] += blame * patch[p];
    }
    sums[weights.length - 2] += dx;
    sums[weights.length - 1] += dy;
    sums[weights.length] += dx * dx + dy * dy;
    sums[weights.length + 1]++;
  }

  /** Goes a step down the gradient that `sums` holds, as Adam does, and clears it. Returns the peaks' mean loss. */
  descend(rate: number): number {
    const { weights, sums } = this;
    const count = Math.max(1, sums[weights.length + 1]);
    const loss = sums[weights.length] / count;
    const [means, squares] = [this.#means, this.#squares];
    this.#steps++;
    const [young, younger] = [1 - 0.9 ** this.#steps, 1 - 0.999 ** this.#steps];
    for (let i = 0; i < weights.length; i++) {
      const gradient = sums[i] / count;
      means[i] += 0.1 * (gradient - means[i]);
      squares[i] += 0.001 * (gradient * gradient - squares[i]);
      weights[i] -= (rate * means[i]) / young / (Math.sqrt(squares[i] / younger) + 1e-8);
    }
    sums.fill(0);
    return loss;
  }
}
