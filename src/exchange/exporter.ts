import type { Source } from './source.js';

/** What is told of a long export now and then. */
export interface ExportProgress {
  /** Records, or rows of tables, that are written. */
  done: number;
  /** Of so many. */
  total: number;
}

export interface ExportSelection {
  /** Only what this run has recorded: its id, or the beginning of it. */
  run?: string;
  /** Ends what makes files of its own. */
  signal?: AbortSignal;
  onProgress?: (progress: ExportProgress) => void;
}

/**
 * One format. Most are text, and made piece by piece: for a stream, or a file. Others make a file, or a folder, of their
 * own: under a name beside the one that is asked for, which it gets when it is whole.
 */
export type Exporter =
  | { text: (source: Source, selection: ExportSelection) => Iterable<string> }
  | { file: (source: Source, file: string, selection: ExportSelection) => Promise<void> };
