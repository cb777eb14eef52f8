/** Small graphs of records, models and versions: committed by the store's own code from the ops that ranks would send. */
import { join } from 'node:path';
import { BraidReader } from 'braid-mpi';
import type { DecodedOp } from '#src/frame/decoder.js';
import { KindCode, type SourceVersion, type VersionName } from '#src/frame/format.js';
import { Store } from '#src/store/store.js';
import { frameOf } from '../support/ops.js';

export const RUN = 'abcdefabcdefabcdefabcdefabcdefab';
export const RANKS = 2;
/** Times are seconds after this one. */
const START = Date.UTC(2026, 0, 1) * 1000;

/** A version of a model, as a person would name it: of a step, or the how-many-th of a rank without one. */
export interface Made {
  attempt: number;
  step?: number;
  rank?: number;
  ordinal?: number;
}

export type Named = Made | 'none' | 'unknown';

export type Event =
  | { type: 'record'; id: number; kind: 'fact' | 'data' | 'model'; time: number; name?: string }
  | { type: 'derivation'; source: number; version: Named; derived: number; time: number; rank: number; attempt: number }
  | {
      type: 'update';
      model: number;
      made: Made;
      time: number;
      rank: number;
      seen?: Made;
      exposures: { source: number; version: Named }[];
    }
  | {
      type: 'invalidation';
      uuid: string;
      record: number;
      version: Made | 'none';
      cascade: boolean;
      time: number;
      rank: number;
      attempt: number;
    };

export function timeOf(seconds: number): Date {
  return new Date(START / 1000 + seconds * 1000);
}

/** Commits what each rank of each attempt has recorded, an attempt at a time, and opens a reader of it. */
export function readerOf(directory: string, events: readonly Event[]): BraidReader {
  const path = join(directory, `${Math.random().toString(36).slice(2)}.db`);
  const store = new Store({ path, busyMs: 1000, commit: 'extension' });
  for (const attempt of [1, 2]) {
    const ranks = Array.from({ length: RANKS }, () => ({ host: 'h', spool: 's', anchor: 'a' }));
    store.beginRun({ run: RUN, attempt, context: {}, ranks });
  }
  for (const attempt of [1, 2]) {
    const frames = Array.from({ length: RANKS }, (_, rank) => {
      const mine = events.filter((event) => ownerOf(event).attempt === attempt && ownerOf(event).rank === rank);
      return mine.length === 0 ? [] : [frameOf({ run: RUN, attempt, rank }, 1, mine.map((event) => opsOf(event, attempt)))]; // prettier-ignore
    }).flat();
    if (frames.length > 0) store.commit(Buffer.concat(frames));
  }
  store.close();
  return BraidReader.open(path);
}

/** Ids of the first attempt, which begin at 1, are given out by its ranks in turn. */
export function ownerOf(event: Event): { attempt: number; rank: number } {
  if (event.type === 'record') return { attempt: 1, rank: (event.id - 1) % RANKS };
  return { attempt: event.type === 'update' ? event.made.attempt : event.attempt, rank: event.rank };
}

/** What the rank that an event is of has recorded. */
export function opsOf(event: Event, here: number): DecodedOp[] {
  const time = START + event.time * 1e6;
  switch (event.type) {
    case 'record':
      return [{ op: 'record', id: event.id, kind: KindCode[event.kind], time, name: event.name ?? `r${event.id}` }];
    case 'derivation': {
      const { source, derived, version } = event;
      return [{ op: 'derivation', source, derived, time, version: sourceVersion(version, here) }];
    }
    case 'invalidation': {
      const { uuid, record, version, cascade } = event;
      const named = version === 'none' ? version : nameOf(version, here);
      return [{ op: 'invalidation', uuid, record, version: named, cascade, time, cause: uuid.slice(0, 4) }];
    }
    case 'update': {
      const { model, made, seen, exposures } = event;
      return [
        { op: 'update', model, time, made: nameOf(made, here), seen: seen && nameOf(seen, here) },
        ...exposures.map(({ source, version }) => ({ op: 'exposure' as const, source, version: sourceVersion(version, here) })), // prettier-ignore
      ];
    }
  }
}

function sourceVersion(version: Named, here: number): SourceVersion {
  return typeof version === 'string' ? version : nameOf(version, here);
}

function nameOf({ attempt, step, rank, ordinal }: Made, here: number): VersionName {
  const elsewhere = attempt === here ? {} : { elsewhere: { run: RUN, attempt } };
  return { ...elsewhere, ...(step === undefined ? { rank, ordinal } : { step }) };
}

/** What a row of lineage is about: `7`, or `7@1.s3` and `7@1.o0.2` for versions of attempt 1. */
export function labelOf({ id, key }: { id: number; key?: string }): string {
  return key === undefined ? String(id) : key.replace(`@${RUN}.`, '@');
}

export function labelOfMade(model: number, { attempt, step, rank, ordinal }: Made): string {
  return `${model}@${attempt}.${step === undefined ? `o${rank}.${ordinal}` : `s${step}`}`;
}
