import { intensities, REFLECTIONS, type Image, type Structure } from './crystal.js';

export interface Processing {
  /** Less of a reflection than this says little about the whole. */
  readonly minPartiality: number;
  /** Spots of more than three sigma that an image must have to be indexed. */
  readonly minStrong: number;
}

export interface Measurement {
  readonly reflection: number;
  readonly intensity: number;
  readonly sigma: number;
}

/** The whole intensities that an image tells of, or null if it can't be indexed. */
export function integrate(image: Image, { minPartiality, minStrong }: Processing): Measurement[] | null {
  const measurements = image.spots
    .filter(({ partiality }) => partiality >= minPartiality)
    .map(({ reflection, counts, partiality }) => ({
      reflection,
      intensity: counts / partiality,
      sigma: Math.sqrt(Math.max(counts, 0) + image.background ** 2) / partiality,
    }));
  const strong = measurements.filter(({ intensity, sigma }) => intensity > 3 * sigma).length;
  return strong >= minStrong ? measurements : null;
}

/** Collective: adds up over the ranks, in place. */
export type AllSum = (values: Float64Array) => Promise<void>;

/**
 * Collective. Merges what all ranks have measured: each image is brought to the scale of a reference, and measurements
 * of a reflection are averaged by their inverse variance. The first reference is the starting model; then what was
 * merged itself. Gives the weights (1/σ²) in the first half, the weighted sums in the second.
 */
export async function merge(images: readonly Measurement[][], start: Structure, allSum: AllSum): Promise<Float64Array> {
  let reference = intensities(start);
  for (let cycle = 1; ; cycle++) {
    const sums = new Float64Array(2 * REFLECTIONS);
    for (const image of images) {
      let [both, own] = [0, 0];
      for (const { reflection, intensity, sigma } of image) {
        both += (intensity * reference[reflection]) / sigma ** 2;
        own += (reference[reflection] / sigma) ** 2;
      }
      const scale = both / own;
      if (!(scale > 0)) continue;
      for (const { reflection, intensity, sigma } of image) {
        const weight = (scale / sigma) ** 2;
        sums[reflection] += weight;
        sums[REFLECTIONS + reflection] += (weight * intensity) / scale;
      }
    }
    await allSum(sums);
    if (cycle === 3) return sums;
    reference = reference.map((old, h) => (sums[h] > 0 ? sums[REFLECTIONS + h] / sums[h] : old));
  }
}
