import { normal } from '../common/random.js';

/** Currents of the two quadrupoles, each from −1 to 1 of what its power supply gives. */
export type Settings = readonly [number, number];

/** What turns currents into a beam: the focusing strength (1/m²) of each quadrupole at a current of 1. */
export interface Calibration {
  readonly strengths: readonly [number, number];
}

/** What the drawings say. The simulation believes it. */
export const DESIGN: Calibration = { strengths: [7, 7] };
/** What the magnets have come to be. Only shots know of it. */
const MACHINE: Calibration = { strengths: [5.6, 8.1] };
/** Of one shot, relative. */
export const MEASUREMENT_ERROR = 0.03;

const [QUADRUPOLE, BETWEEN, TO_SCREEN] = [0.2, 0.8, 1.5];
const [EMITTANCE, BETA_X, BETA_Y] = [0.1, 6, 4];

type Matrix = readonly [number, number, number, number];

/** The size of the beam on the screen, in mm: linear optics of quadrupole, drift, quadrupole, drift. */
export function beamSize([first, second]: Settings, { strengths }: Calibration): number {
  const squared = (plane: 1 | -1, beta: number) => {
    const [m11, m12] = [
      drift(TO_SCREEN),
      quadrupole(plane * second * strengths[1]),
      drift(BETWEEN),
      quadrupole(plane * first * strengths[0]),
    ].reduce(multiply);
    return EMITTANCE * (beta * m11 ** 2 + m12 ** 2 / beta);
  };
  // What focuses in one plane spreads in the other.
  return Math.sqrt((squared(1, BETA_X) + squared(-1, BETA_Y)) / 2);
}

/** What the screen shows of one shot of the machine. */
export function shoot(settings: Settings, next: () => number): number {
  return beamSize(settings, MACHINE) * Math.exp(MEASUREMENT_ERROR * normal(next));
}

function quadrupole(k: number): Matrix {
  const phase = Math.sqrt(Math.abs(k)) * QUADRUPOLE;
  if (phase === 0) return drift(QUADRUPOLE);
  const [cos, sin, sign] = k > 0 ? [Math.cos(phase), Math.sin(phase), -1] : [Math.cosh(phase), Math.sinh(phase), 1];
  return [cos, (sin * QUADRUPOLE) / phase, (sign * sin * phase) / QUADRUPOLE, cos];
}

function drift(length: number): Matrix {
  return [1, length, 0, 1];
}

function multiply(a: Matrix, b: Matrix): Matrix {
  return [a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3], a[2] * b[0] + a[3] * b[2], a[2] * b[1] + a[3] * b[3]];
}
