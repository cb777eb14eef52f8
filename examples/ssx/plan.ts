import type { Beamline } from './crystal.js';
import type { Processing } from './processing.js';

/** How the beam was, by the name of the fact. */
export const BEAMLINES = {
  'beamline-focused': { flux: 1.2, background: 12 },
  'beamline-wide': { flux: 0.5, background: 8 },
} satisfies Record<string, Beamline>;

/** How images were processed. */
export const PROCESSINGS = {
  'process-strict': { minPartiality: 0.5, minStrong: 5 },
  'process-tolerant': { minPartiality: 0.2, minStrong: 3 },
} satisfies Record<string, Processing>;

/** Experiment 1 and so on. */
export const EXPERIMENTS: readonly { beamline: keyof typeof BEAMLINES; processing: keyof typeof PROCESSINGS }[] = [
  { beamline: 'beamline-focused', processing: 'process-strict' },
  { beamline: 'beamline-focused', processing: 'process-strict' },
  { beamline: 'beamline-wide', processing: 'process-tolerant' },
  { beamline: 'beamline-wide', processing: 'process-strict' },
];

/** The experiments that each structure is refined from: the third serves both. */
export const STRUCTURES: Readonly<Record<string, readonly number[]>> = {
  'structure-a': [1, 2, 3],
  'structure-b': [3, 4],
};
