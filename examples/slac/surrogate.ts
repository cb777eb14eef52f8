import { normal } from '../common/random.js';
import type { Settings } from './optics.js';

/** Of the polynomial, in each setting. Of thin lenses it would be exactly 2. */
const DEGREE = 3;
/** How the model expects the coefficients to be before it has seen anything: around 0, this far. */
const PRIOR = 10;
/** mm: below this no screen tells beams apart, and a polynomial may even get negative. */
const SMALLEST = 0.1;

/**
 * A cheap stand-in for simulation and machine: a polynomial for the logarithm of the beam size, known as well as the
 * data allow (Bayesian linear regression). What it has learnt is sums, so that data may come in any portions.
 */
export class Surrogate {
  readonly #terms = terms([0, 0]).length;
  /** Σ φ φᵀ / σ² and Σ φ y / σ², of the terms φ. */
  readonly #precision = Array.from({ length: this.#terms }, (_, i) =>
    Array.from({ length: this.#terms }, (_, j) => (i === j ? 1 / PRIOR ** 2 : 0)),
  );
  readonly #sums = new Array<number>(this.#terms).fill(0);
  #root: number[][] | undefined;
  #mean: number[] | undefined;

  /** Learns one beam size, which is to be trusted up to `sigma`, relative. */
  learn(settings: Settings, size: number, sigma: number): void {
    const phi = terms(settings);
    const weight = 1 / (2 * size ** 2 * sigma) ** 2;
    for (let i = 0; i < phi.length; i++) {
      this.#sums[i] += weight * phi[i] * size ** 2;
      for (let j = 0; j < phi.length; j++) this.#precision[i][j] += weight * phi[i] * phi[j];
    }
    this.#root = this.#mean = undefined;
  }

  predict(settings: Settings): number {
    return Math.sqrt(Math.max(dot(terms(settings), this.#coefficients()), SMALLEST ** 2));
  }

  /** The settings where the beam is smallest, as far as the model knows. */
  best(): Settings {
    return smallest(this.#coefficients());
  }

  /**
   * Settings worth trying: the best ones of a polynomial that is drawn from all those that the data allow (Thompson's
   * sampling). Where much is known they are all alike, elsewhere they explore.
   */
  propose(next: () => number): Settings {
    const mean = this.#coefficients();
    const draw = backward(
      this.#root!,
      mean.map(() => normal(next)),
    );
    return smallest(mean.map((value, i) => value + draw[i]));
  }

  #coefficients(): number[] {
    this.#root ??= cholesky(this.#precision);
    return (this.#mean ??= backward(this.#root, forward(this.#root, this.#sums)));
  }
}

const GRID = Array.from({ length: 41 }, (_, i) => -1 + i / 20);
const CANDIDATES = GRID.flatMap((first) => GRID.map((second): Settings => [first, second]));
const CANDIDATE_TERMS = CANDIDATES.map(terms);

function smallest(coefficients: readonly number[]): Settings {
  const sizes = CANDIDATE_TERMS.map((phi) => dot(phi, coefficients));
  return CANDIDATES[sizes.indexOf(Math.min(...sizes))];
}

/** All products of powers up to the degree. */
function terms([first, second]: Settings): number[] {
  const powers = Array.from({ length: DEGREE + 1 }, (_, power) => power);
  return powers.flatMap((a) => powers.map((b) => first ** a * second ** b));
}

/** The lower triangle L with L Lᵀ = `matrix`. */
function cholesky(matrix: readonly number[][]): number[][] {
  const root = matrix.map((row) => row.map(() => 0));
  for (let i = 0; i < root.length; i++) {
    for (let j = 0; j <= i; j++) {
      const rest = matrix[i][j] - dot(root[i].slice(0, j), root[j]);
      root[i][j] = i === j ? Math.sqrt(rest) : rest / root[j][j];
    }
  }
  return root;
}

/** x with L x = `right`. */
function forward(root: readonly number[][], right: readonly number[]): number[] {
  const x: number[] = [];
  for (let i = 0; i < root.length; i++) x.push((right[i] - dot(x, root[i])) / root[i][i]);
  return x;
}

/** x with Lᵀ x = `right`. */
function backward(root: readonly number[][], right: readonly number[]): number[] {
  const x = [...right];
  for (let i = root.length - 1; i >= 0; i--) {
    x[i] /= root[i][i];
    for (let j = 0; j < i; j++) x[j] -= root[i][j] * x[i];
  }
  return x;
}

/** As far as `a` goes. */
function dot(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
