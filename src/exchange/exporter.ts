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
  /** Only what this run has recorded: its id, or the beginning of it. */
  run?: string;
  /** Of OpenLineage: the namespace of jobs. `slurm://CLUSTER` if left out, or `default`. */
  namespace?: string;
  /** Of a crate: copy files of `file:` URIs into it. */
  withFiles?: boolean;
  /** Of a crate: its licence, as a URI. */
  license?: string;
  onProgress?: (progress: ExportProgress) => void;
  onSkipped?: (file: SkippedFile) => void;
  /** Ends it. */
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
