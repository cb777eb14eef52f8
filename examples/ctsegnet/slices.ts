import { normal, random } from '../common/random.js';

/** A slice has so many pixels each way. */
export const WIDTH = 48;
export const PIXELS = WIDTH * WIDTH;
/** Of every slice: one from every fifth projection, beginning with the first, the second, … */
export const RECONSTRUCTIONS = 5;
/** Of a pixel, where a pore is darker than what is around it by about 1. */
export const NOISE = 0.7;

export interface Slice {
  /** The same but for the noise. */
  readonly reconstructions: readonly Float32Array[];
  /** 1 where there is a pore. Only the simulation knows it. */
  readonly pores: Uint8Array;
}

/** A slice of a porous sample: shaded, blurred, noisy, and no two of the same brightness. */
export function scan(seed: number): Slice {
  const next = random(seed);
  const pores = new Uint8Array(PIXELS);
  for (let count = 8 + Math.floor(5 * next()); count > 0; count--) {
    const [x, y, radius] = [WIDTH * next(), WIDTH * next(), 2 + 3 * next()];
    for (let i = 0; i < PIXELS; i++) {
      if (((i % WIDTH) - x) ** 2 + (Math.floor(i / WIDTH) - y) ** 2 < radius ** 2) pores[i] = 1;
    }
  }
  const [brightness, shade, contrast] = [0.05 * normal(next), 0.1 * next(), 0.9 + 0.2 * next()];
  const clear = Float32Array.from(pores, (pore, i) => {
    const [x, y] = [(i % WIDTH) / WIDTH - 0.5, Math.floor(i / WIDTH) / WIDTH - 0.5];
    // Beams harden on their way through a sample, so that its middle looks thinner than it is.
    return brightness + 2 * shade * (x ** 2 + y ** 2) - (pore ? contrast : 0);
  });
  const blurred = boxMean(clear, 1);
  const reconstructions = Array.from({ length: RECONSTRUCTIONS }, () =>
    blurred.map((value) => value + NOISE * normal(next)),
  );
  return { reconstructions, pores };
}

/** The mean over the square of `2 · reach + 1` pixels about each, or as much of it as there is. */
export function boxMean(image: Float32Array, reach: number): Float32Array {
  const along = (from: Float32Array, stride: number, at: (i: number) => number) =>
    from.map((_, i) => {
      let [sum, count] = [0, 0];
      for (let offset = -reach; offset <= reach; offset++) {
        const place = at(i) + offset;
        if (place < 0 || place >= WIDTH) continue;
        sum += from[i + offset * stride];
        count++;
      }
      return sum / count;
    });
  const rows = along(image, 1, (i) => i % WIDTH);
  return along(rows, WIDTH, (i) => Math.floor(i / WIDTH));
}

/** How well segmentations agree with the truth: pixels that both call a pore, over pixels that either does. */
export function overlap(segmentations: readonly Uint8Array[], slices: readonly Slice[]): number {
  let [both, either] = [0, 0];
  slices.forEach(({ pores }, s) =>
    pores.forEach((pore, i) => {
      both += pore & segmentations[s][i];
      either += pore | segmentations[s][i];
    }),
  );
  return both / either;
}
