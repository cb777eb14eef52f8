import { intensities, REFLECTIONS, type Structure } from './crystal.js';

export interface Refinement {
  readonly structure: Structure;
  /** Σ | |F observed| − |F calculated| | / Σ |F observed|. */
  readonly rFactor: number;
}

/** Fits a structure, and the scale of the data, to merged intensities (see `merge`) by least squares. */
export function refine(merged: Float64Array, start: Structure): Refinement {
  const measured = Array.from({ length: REFLECTIONS }, (_, h) => h).filter((h) => merged[h] > 0);
  const amplitudes = measured.map((h) => Math.sqrt(Math.max(merged[REFLECTIONS + h] / merged[h], 0)));
  const total = amplitudes.reduce((sum, amplitude) => sum + amplitude, 0);

  // Parameters: the positions, the fading, the scale. Amplitudes rather than intensities, or two strong reflections
  // would decide alone.
  const structureOf = (at: readonly number[]) => ({ positions: at.slice(0, -2), fading: at.at(-2)! });
  const residuals = (at: readonly number[]) => {
    const calculated = intensities(structureOf(at));
    return measured.map((h, i) => amplitudes[i] - at.at(-1)! * Math.sqrt(calculated[h]));
  };
  const found = leastSquares(residuals, [...start.positions, start.fading, 1]);
  const rFactor = residuals(found).reduce((sum, residual) => sum + Math.abs(residual), 0) / total;
  return { structure: structureOf(found), rFactor };
}

/** Levenberg and Marquardt's way down: Gauss-Newton steps, shortened for as long as they lead up. */
function leastSquares(residuals: (at: readonly number[]) => number[], start: readonly number[]): number[] {
  let at = [...start];
  let now = residuals(at);
  let damping = 1e-2;
  for (let step = 0; step < 60; step++) {
    const slopes = at.map((value, p) => {
      const beside = residuals(at.with(p, value + 1e-6));
      return beside.map((residual, i) => (residual - now[i]) / 1e-6);
    });
    const normal = slopes.map((a, p) => slopes.map((b, q) => dot(a, b) * (p === q ? 1 + damping : 1)));
    const move = solve(
      normal,
      slopes.map((slope) => -dot(slope, now)),
    );
    const next = at.map((value, p) => value + move[p]);
    const then = residuals(next);
    if (dot(then, then) < dot(now, now)) {
      [at, now] = [next, then];
      damping /= 3;
    } else damping *= 3;
  }
  return at;
}

/** Gauss's elimination. Needs no pivots where the matrix is positive definite, and damping makes it so. */
function solve(matrix: readonly number[][], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]]);
  rows.forEach((pivot, p) => {
    rows.forEach((row, i) => {
      if (i === p) return;
      const factor = row[p] / pivot[p];
      for (let c = p; c < row.length; c++) row[c] -= factor * pivot[c];
    });
  });
  return rows.map((row, i) => row.at(-1)! / row[i]);
}

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0);
