import type { Source } from './source.js';

/** What is told of a long export now and then. */
export interface ExportProgress {
  /** Of a crate, where files are copied; else it is of records, or of rows of tables. */
  unit?: 'files';
  /** What is written. */
  done: number;
  /** Of so many. */
  total: number;
}

/** A file that was to be copied, and could not be. */
export interface SkippedFile {
  uri: string;
  why: string;
}

export interface ExportSelection {
  /** Only what this run has recorded, by its id. */
  run?: string;
  /** Of OpenLineage: the namespace of jobs. `slurm://CLUSTER` if left out, or `default`. */
  namespace?: string;
  /** Of OpenLineage: a run for each rank, too, as a child of its run. */
  ranks?: boolean;
  /** Of RO-Crate: copy the files that records have `file:` URIs of into it. */
  withFiles?: boolean;
  /** Of RO-Crate: the licence of it, as a URI. */
  license?: string;
  onProgress?: (progress: ExportProgress) => void;
  /** Told of each file that was to be copied, and could not be. */
  onSkipped?: (file: SkippedFile) => void;
  /** Ends it; what was there before stays. */
  signal?: AbortSignal;
}

/** Text, made piece by piece: for a stream, or a file. */
export interface TextExporter {
  text(source: Source, selection: ExportSelection): Iterable<string>;
}

/** A file, or a folder, of its own: under a name beside the one that is asked for, which it gets when it is whole. */
export interface FileExporter {
  /** @param output what `file` will be called. */
  file(source: Source, file: string, selection: ExportSelection, output: string): Promise<void>;
}

/** One format. */
export type Exporter = TextExporter | FileExporter;
