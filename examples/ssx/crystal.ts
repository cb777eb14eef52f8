import { normal, random } from '../common/random.js';

/** Reflections 1 … 24 of a crystal in one dimension: index h − 1 has reflection h. */
export const REFLECTIONS = 24;

/** Electrons of the atoms in half a unit cell; the other half is its mirror image, so that phases are signs. */
const ELECTRONS = [16, 8, 7, 6];

/** What is refined: a place in the cell for each atom, and how fast reflections fade with their index. */
export interface Structure {
  readonly positions: readonly number[];
  readonly fading: number;
}

/** What is in the crystals, and nobody knows but the simulation. */
export const TRUTH: Structure = { positions: [0.083, 0.187, 0.312, 0.434], fading: 1.1 };
/** What crystals of the wrong sample are made of. */
export const WRONG_SAMPLE: Structure = { positions: [0.112, 0.231, 0.344, 0.402], fading: 1.4 };
/** A relative whose structure is known: where refinement begins. */
export const STARTING_MODEL: Structure = { positions: [0.088, 0.182, 0.306, 0.439], fading: 0.8 };

/** |F|² of every reflection. */
export function intensities({ positions, fading }: Structure): Float64Array {
  return Float64Array.from({ length: REFLECTIONS }, (_, i) => {
    const h = i + 1;
    let amplitude = 0;
    positions.forEach((x, atom) => (amplitude += 2 * ELECTRONS[atom] * Math.cos(2 * Math.PI * h * x)));
    return (amplitude * Math.exp(-fading * (h / REFLECTIONS) ** 2)) ** 2;
  });
}

export interface Beamline {
  readonly flux: number;
  readonly background: number;
}

/** What a detector saw of one crystal: for some reflections a count, and the part of the reflection it is thought to be. */
export interface Image {
  readonly background: number;
  readonly spots: readonly { readonly reflection: number; readonly counts: number; readonly partiality: number }[];
}

/** A shot at a stream of crystals in random orientations. Some hit nothing, and each crystal is of another size. */
export function shoot(sample: Structure, { flux, background }: Beamline, seed: number): Image {
  const next = random(seed);
  const truth = intensities(sample);
  const hit = next() < 0.8;
  const size = hit ? flux * Math.exp(0.4 * normal(next)) : 0;
  const spots = [];
  for (let reflection = 0; reflection < REFLECTIONS; reflection++) {
    // A still image cuts only some of the reflections, and those only in part.
    if (next() > 0.6) continue;
    const part = 0.1 + 0.9 * next();
    const expected = size * part * truth[reflection];
    const counts = expected + Math.sqrt(expected + background ** 2) * normal(next);
    spots.push({ reflection, counts, partiality: part * (1 + 0.05 * normal(next)) });
  }
  return { background, spots };
}
