/**
 * The second model: how the sample gives way to its load. A load along x stretches the lattice along x and makes it
 * narrower along y, and each peak moves by its distance from the beam: two regressions through the origin, of how far
 * peaks have moved on load · distance.
 */
export class StrainModel {
  /** What `learn` adds up of this rank's peaks; `absorb` takes it when it is of all ranks. */
  readonly sums = new Float64Array(4);
  readonly #totals = new Float64Array(4);

  /** Adds what one peak tells: where it is, and where it would be without load. */
  learn(loadMPa: number, x: number, y: number, unloadedX: number, unloadedY: number): void {
    const [alongX, alongY] = [loadMPa * unloadedX, loadMPa * unloadedY];
    this.sums[0] += alongX * (unloadedX - x);
    this.sums[1] += alongX * alongX;
    this.sums[2] += alongY * (unloadedY - y);
    this.sums[3] += alongY * alongY;
  }

  /** Adds an experiment to those before. */
  absorb(): void {
    for (let i = 0; i < this.sums.length; i++) this.#totals[i] += this.sums[i];
    this.sums.fill(0);
  }

  /** Stress over strain. */
  get youngGPa(): number {
    return this.#totals[1] / this.#totals[0] / 1000;
  }

  /** How much narrower for how much longer. */
  get poisson(): number {
    return -(this.#totals[2] / this.#totals[3]) * this.youngGPa * 1000;
  }

  /** Of the lattice along x, under a load. */
  strainAt(loadMPa: number): number {
    return loadMPa / (this.youngGPa * 1000);
  }
}
