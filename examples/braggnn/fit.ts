import { PATCH, pseudoVoigt, type Patch } from './frames.js';

/** A position in a patch, from its middle pixel. */
export interface Position {
  readonly x: number;
  readonly y: number;
}

/** Height, x, y, width, eta, background. */
const PARAMETERS = 6;
const ITERATIONS = 30;
const MIDDLE = PATCH >> 1;

/**
 * Fits a pseudo-Voigt profile to a patch by Levenberg and Marquardt's method: what the surrogate is to replace.
 *
 * @returns null if nothing comes of it that can be the peak.
 */
export function fitPeak({ pixels }: Patch): Position | null {
  let best = Float64Array.of(1, 0, 0, 3, 0.5, 0);
  let { error, hessian, gradient } = normalEquations(pixels, best);
  let damping = 1e-3;
  for (let i = 0; i < ITERATIONS; i++) {
    const step = solve(hessian, gradient, damping);
    const moved = best.map((value, k) => value + step[k]);
    moved[3] = Math.max(0.5, moved[3]);
    moved[4] = Math.min(1, Math.max(0, moved[4]));
    const there = normalEquations(pixels, moved);
    if (there.error < error) {
      const gained = error - there.error;
      best = moved;
      ({ error, hessian, gradient } = there);
      damping /= 10;
      if (gained < 1e-7 * error) break;
    } else {
      damping *= 10;
      if (damping > 1e6) break;
    }
  }
  const [height, x, y, width] = best;
  const plausible = height > 0.2 && Math.abs(x) < 2 && Math.abs(y) < 2 && width < PATCH;
  return plausible ? { x, y } : null;
}

/** The sum of squared differences between a profile and a patch, and what tells the way to a smaller one. */
function normalEquations(pixels: Float64Array, [height, x, y, width, eta, background]: Float64Array) {
  let error = 0;
  const hessian = new Float64Array(PARAMETERS * PARAMETERS);
  const gradient = new Float64Array(PARAMETERS);
  const slopes = new Float64Array(PARAMETERS);
  for (let i = 0; i < pixels.length; i++) {
    const [dx, dy] = [(i % PATCH) - MIDDLE - x, Math.floor(i / PATCH) - MIDDLE - y];
    const u = (4 * (dx * dx + dy * dy)) / (width * width);
    const [lorentz, gauss] = [pseudoVoigt(u, 1), pseudoVoigt(u, 0)];
    const profile = eta * lorentz + (1 - eta) * gauss;
    const difference = pixels[i] - background - height * profile;
    // How the profile changes with u, and by way of u with x, y and the width.
    const slope = -height * (eta * lorentz * lorentz + (1 - eta) * Math.LN2 * gauss);
    slopes[0] = profile;
    slopes[1] = (slope * -8 * dx) / (width * width);
    slopes[2] = (slope * -8 * dy) / (width * width);
    slopes[3] = (slope * -2 * u) / width;
    slopes[4] = height * (lorentz - gauss);
    slopes[5] = 1;
    error += difference * difference;
    for (let j = 0; j < PARAMETERS; j++) {
      gradient[j] += slopes[j] * difference;
      for (let k = 0; k <= j; k++) hessian[j * PARAMETERS + k] += slopes[j] * slopes[k];
    }
  }
  return { error, hessian, gradient };
}

/** Solves the normal equations, their diagonal raised by `damping`, by Cholesky's decomposition. */
function solve(hessian: Float64Array, gradient: Float64Array, damping: number): Float64Array {
  const n = PARAMETERS;
  const factor = hessian.slice();
  const solution = gradient.slice();
  for (let j = 0; j < n; j++) {
    factor[j * n + j] = factor[j * n + j] * (1 + damping) + 1e-12;
    for (let k = 0; k < j; k++) {
      for (let l = 0; l < k; l++) factor[j * n + k] -= factor[j * n + l] * factor[k * n + l];
      factor[j * n + k] /= factor[k * n + k];
      factor[j * n + j] -= factor[j * n + k] ** 2;
      solution[j] -= factor[j * n + k] * solution[k];
    }
    factor[j * n + j] = Math.sqrt(Math.max(factor[j * n + j], 1e-12));
    solution[j] /= factor[j * n + j];
  }
  for (let j = n - 1; j >= 0; j--) {
    for (let k = j + 1; k < n; k++) solution[j] -= factor[k * n + j] * solution[k];
    solution[j] /= factor[j * n + j];
  }
  return solution;
}
