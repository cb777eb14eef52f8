import { normal, random } from '../common/random.js';

/**
 * The beamline, simulated: frames of a detector with the Bragg peaks of a loaded aluminium sample. What a frame shows
 * depends on its experiment and its number alone, so it is the same whichever rank takes it.
 */

/** Of a frame, along an edge, in pixels. Each cell of it has one peak. */
export const SIZE = 160;
const CELL = 20;
export const PEAKS = (SIZE / CELL) ** 2;
/** Of a patch, along an edge: what is cut out around a peak. */
export const PATCH = 11;

/** Of the sample. The strain model is to find them out. */
export const YOUNG_GPA = 70;
export const POISSON = 0.33;

export interface Conditions {
  /** On the sample, along x. */
  loadMPa: number;
  /** Of a peak, full width at half maximum, in pixels. */
  width: number;
  /** So much wider on its right than on its left. */
  asymmetry: number;
  /** How much of a peak is a Lorentzian; the rest is a Gaussian. */
  eta: number;
  /** Of a typical peak's brightest pixel. */
  photons: number;
  /** Photons in every pixel. */
  background: number;
  /** Counts of the detector for a photon. */
  gain: number;
}

/** Optics and sample holders wear a little from one experiment to the next, and are exchanged after every second. */
const SETUPS = [
  { width: 2.4, asymmetry: 0, eta: 0.2, photons: 900, background: 15, gain: 1 },
  { width: 4.2, asymmetry: 0.2, eta: 0.7, photons: 500, background: 40, gain: 2.5 },
  { width: 3.0, asymmetry: -0.15, eta: 0.5, photons: 400, background: 25, gain: 1.4 },
];
const LOADS_MPA = [80, 120, 160, 200];

export function conditionsOf(experiment: number): Conditions {
  const setup = SETUPS[(experiment >> 1) % SETUPS.length];
  const worn = 1 + 0.05 * (experiment % 2);
  return { ...setup, width: setup.width * worn, loadMPa: LOADS_MPA[experiment % LOADS_MPA.length] };
}

/** A patch of a frame with one peak in it. */
export interface Patch {
  /** Its pixels by rows, from 0, the darkest, to 1, the brightest. */
  readonly pixels: Float64Array;
  /** Of its middle pixel, from the beam. */
  readonly x: number;
  readonly y: number;
  /** Where the peak would be without load, from the beam. It is known of the crystal. */
  readonly unloadedX: number;
  readonly unloadedY: number;
}

export interface Frame {
  readonly pixels: Float64Array;
  /** Where the peaks are, and where they would be without load, from the beam. */
  readonly peaks: readonly { x: number; y: number; unloadedX: number; unloadedY: number }[];
}

/** The beam hits the detector in the middle. */
const BEAM = SIZE / 2;

export function takeFrame(experiment: number, number: number): Frame {
  const { loadMPa, width, asymmetry, eta, photons, background, gain } = conditionsOf(experiment);
  const next = random(experiment * 1_000_003 + number);
  const pixels = new Float64Array(SIZE * SIZE).fill(background);
  const strain = loadMPa / (1000 * YOUNG_GPA);

  const peaks = Array.from({ length: PEAKS }, (_, cell) => {
    // Anywhere in the middle of its cell, so that peaks don't run into each other.
    const within = () => CELL * (0.5 + 0.25 * (next() - 0.5));
    const unloadedX = CELL * (cell % (SIZE / CELL)) + within() - BEAM;
    const unloadedY = CELL * Math.floor(cell / (SIZE / CELL)) + within() - BEAM;
    // A stretched lattice diffracts by smaller angles.
    const peak = { x: unloadedX / (1 + strain), y: unloadedY / (1 - POISSON * strain), unloadedX, unloadedY };
    const height = photons * (0.5 + next());
    forEachPixel(peak.x + BEAM, peak.y + BEAM, CELL / 2, (index, dx, dy) => {
      const side = width * (1 + (Math.sign(dx) * asymmetry) / 2);
      pixels[index] += height * pseudoVoigt((4 * (dx * dx + dy * dy)) / (side * side), eta);
    });
    return peak;
  });

  // Photons come by chance. A dozen and more of them are as good as normally distributed.
  for (let i = 0; i < pixels.length; i++) {
    pixels[i] = gain * Math.max(0, Math.round(pixels[i] + Math.sqrt(pixels[i]) * normal(next)));
  }
  return { pixels, peaks };
}

/** The profile of a peak, 1 in its middle. `u` is 1 at half of its height: the squared distance over that of there. */
export function pseudoVoigt(u: number, eta: number): number {
  return eta / (1 + u) + (1 - eta) * Math.exp(-Math.LN2 * u);
}

/** Cuts out the peaks. Each patch has in its middle the brightest pixel near to where the peak would be without load. */
export function cutPatches({ pixels, peaks }: Frame): Patch[] {
  return peaks.map(({ unloadedX, unloadedY }) => {
    let [brightest, column, row] = [-1, 0, 0];
    forEachPixel(unloadedX + BEAM, unloadedY + BEAM, 2, (index) => {
      if (pixels[index] <= brightest) return;
      brightest = pixels[index];
      [column, row] = [index % SIZE, Math.floor(index / SIZE)];
    });
    const patch = new Float64Array(PATCH * PATCH);
    const corner = (row - (PATCH >> 1)) * SIZE + column - (PATCH >> 1);
    for (let i = 0; i < patch.length; i++) patch[i] = pixels[corner + Math.floor(i / PATCH) * SIZE + (i % PATCH)];
    const darkest = Math.min(...patch);
    for (let i = 0; i < patch.length; i++) patch[i] = (patch[i] - darkest) / (brightest - darkest);
    return { pixels: patch, x: column - BEAM, y: row - BEAM, unloadedX, unloadedY };
  });
}

/** Pixels of a frame around a point, and how far they are from it. */
function forEachPixel(x: number, y: number, reach: number, visit: (index: number, dx: number, dy: number) => void) {
  const [left, top] = [Math.max(0, Math.round(x - reach)), Math.max(0, Math.round(y - reach))];
  const [right, bottom] = [Math.min(SIZE - 1, Math.round(x + reach)), Math.min(SIZE - 1, Math.round(y + reach))];
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= right; column++) visit(row * SIZE + column, column - x, row - y);
  }
}
