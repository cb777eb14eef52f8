/**
 * Solves the n × n system `matrix` · x = `right` by Gaussian elimination with partial pivoting. Both are overwritten; x is
 * left in `right`. Returns false if the matrix is singular, as far as the arithmetic can tell.
 */
export function solveLinear(matrix: Float64Array, right: Float64Array, n: number): boolean {
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) {
      if (Math.abs(matrix[i * n + k]) > Math.abs(matrix[pivot * n + k])) pivot = i;
    }
    // Written so that a NaN is singular, too.
    if (!(Math.abs(matrix[pivot * n + k]) > 1e-12)) return false;
    if (pivot !== k) {
      for (let j = k; j < n; j++) {
        [matrix[k * n + j], matrix[pivot * n + j]] = [matrix[pivot * n + j], matrix[k * n + j]];
      }
      [right[k], right[pivot]] = [right[pivot], right[k]];
    }
    for (let i = k + 1; i < n; i++) {
      const factor = matrix[i * n + k] / matrix[k * n + k];
      if (factor === 0) continue;
      for (let j = k + 1; j < n; j++) matrix[i * n + j] -= factor * matrix[k * n + j];
      right[i] -= factor * right[k];
    }
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let j = i + 1; j < n; j++) right[i] -= matrix[i * n + j] * right[j];
    right[i] /= matrix[i * n + i];
  }
  return true;
}
