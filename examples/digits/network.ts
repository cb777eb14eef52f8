import { CLASSES, PIXELS } from './data.js';
import { random } from '../common/random.js';

/**
 * Pixels → one hidden layer of rectified units → ten classes by softmax, learning by gradient descent on cross-entropy.
 *
 * All weights are one array, so that they are one message and one file: from pixel p to unit h at `p · hidden + h`, then
 * the units' biases, from unit h to class c, the classes' biases.
 */
export class Network {
  readonly weights: Float32Array;
  /** What `learn` adds up: the gradient of every weight, and in the last place the loss. */
  readonly sums: Float32Array;
  readonly #hidden: number;
  readonly #units: Float32Array;
  readonly #classes = new Float32Array(CLASSES);
  readonly #blame: Float32Array;

  constructor(weights: Float32Array) {
    this.weights = weights;
    this.sums = new Float32Array(weights.length + 1);
    this.#hidden = (weights.length - CLASSES) / (PIXELS + 1 + CLASSES);
    this.#units = new Float32Array(this.#hidden);
    this.#blame = new Float32Array(this.#hidden);
  }

  /** Of random weights: the same for the same seed. */
  static random(hidden: number, seed: number): Network {
    const weights = new Float32Array((PIXELS + 1) * hidden + (hidden + 1) * CLASSES);
    const next = random(seed);
    const fill = (from: number, count: number, inputs: number) => {
      for (let i = from; i < from + count; i++) weights[i] = (2 * next() - 1) * Math.sqrt(6 / inputs);
    };
    fill(0, PIXELS * hidden, PIXELS);
    fill((PIXELS + 1) * hidden, hidden * CLASSES, hidden);
    return new Network(weights);
  }

  /** The likeliest digit. */
  classify(image: Float32Array): number {
    this.#forward(image);
    return this.#classes.indexOf(Math.max(...this.#classes));
  }

  /** Adds what one image teaches to `sums`. */
  learn(image: Float32Array, label: number): void {
    this.#forward(image);
    const { weights, sums } = this;
    const [hidden, units, classes, blame] = [this.#hidden, this.#units, this.#classes, this.#blame];
    const [biases, second] = [PIXELS * hidden, (PIXELS + 1) * hidden];
    sums[sums.length - 1] -= Math.log(Math.max(classes[label], 1e-12));

    // Backward. Of softmax and cross-entropy together the derivative is the error itself.
    classes[label] -= 1;
    for (let c = 0; c < CLASSES; c++) sums[second + hidden * CLASSES + c] += classes[c];
    for (let h = 0; h < hidden; h++) {
      blame[h] = 0;
      // A unit that was cut off at 0 has taken no part.
      if (units[h] === 0) continue;
      for (let c = 0; c < CLASSES; c++) {
        sums[second + h * CLASSES + c] += units[h] * classes[c];
        blame[h] += weights[second + h * CLASSES + c] * classes[c];
      }
      sums[biases + h] += blame[h];
    }
    for (let p = 0; p < PIXELS; p++) {
      const pixel = image[p];
      if (pixel !== 0) for (let h = 0; h < hidden; h++) sums[p * hidden + h] += pixel * blame[h];
    }
  }

  /** Goes a step down the gradient that `sums` holds of `count` images, and clears it. Returns their mean loss. */
  descend(rate: number, count: number): number {
    const { weights, sums } = this;
    const loss = sums[weights.length] / count;
    for (let i = 0; i < weights.length; i++) weights[i] -= (rate / count) * sums[i];
    sums.fill(0);
    return loss;
  }

  #forward(image: Float32Array): void {
    const { weights } = this;
    const [hidden, units, classes] = [this.#hidden, this.#units, this.#classes];
    const second = (PIXELS + 1) * hidden;
    units.set(weights.subarray(PIXELS * hidden, second));
    for (let p = 0; p < PIXELS; p++) {
      const pixel = image[p];
      // Four of five pixels are blank.
      if (pixel !== 0) for (let h = 0; h < hidden; h++) units[h] += pixel * weights[p * hidden + h];
    }
    classes.set(weights.subarray(second + hidden * CLASSES));
    for (let h = 0; h < hidden; h++) {
      if (units[h] < 0) units[h] = 0;
      for (let c = 0; c < CLASSES; c++) classes[c] += units[h] * weights[second + h * CLASSES + c];
    }
    const highest = Math.max(...classes);
    let total = 0;
    for (let c = 0; c < CLASSES; c++) total += classes[c] = Math.exp(classes[c] - highest);
    for (let c = 0; c < CLASSES; c++) classes[c] /= total;
  }
}
