/** Rounds of frames as the root gathers them of several ranks: by the recorder's own classes, and by one process. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { contiguous } from '#src/flush/gathering.js';
import { planRounds } from '#src/flush/plan.js';
import { bootId, host } from '#src/host.js';
import { parseOptions } from '#src/options.js';
import { Existing } from '#src/record/record.js';
import { BraidFact } from '#src/record/fact.js';
import { RECORDER, Recorder, type HasRecorder } from '#src/record/recorder.js';
import { BraidData } from '#src/record/data.js';
import { Spool } from '#src/spool/spool.js';
import type { BegunRun, RunInit, Store } from '#src/store/store.js';
import { contents, factOf, CONFIGURATIONS, type Made } from './records.js';

/** Ranks of which each has a spool of its own, as if each were a process. */
export class Ranks {
  readonly #ranks: { db: HasRecorder; spool: Spool; make: () => Made }[];

  /** Begins a run of so many ranks, and records the facts that all else is derived from. */
  static begin(store: Store, directory: string, size: number, searchIndexes: boolean): Ranks {
    const spools = join(directory, 'spools');
    mkdirSync(spools, { mode: 0o700 });
    const named = store.nextAttempt();
    const ranks: RunInit['ranks'] = Array.from({ length: size }, () => ({ host, spool: spools, anchor: '' }));
    return new Ranks(store.beginRun({ ...named, context: {}, ranks, searchIndexes }), store.opened.uuid, spools, size);
  }

  private constructor(
    readonly run: BegunRun,
    database: string,
    spools: string,
    size: number,
  ) {
    const { spoolLimitBytes: limitBytes } = parseOptions({}, {});
    const dbs = Array.from({ length: size }, (_, rank) => {
      const identity = { run: run.run, attempt: run.attempt, rank, size };
      const process_ = { path: '', host, boot: bootId(), pid: process.pid, created: Date.now() * 1000 };
      const spool = new Spool(spools, { database, ...identity, ...process_ }, { limitBytes, durable: false });
      const describe = () => {
        throw new Error('it looks up no record');
      };
      return { spool, db: { [RECORDER]: new Recorder(identity, run, spool, describe) } };
    });
    const facts = Array.from({ length: CONFIGURATIONS }, (_, i) => new BraidFact(dbs[0].db, factOf(i)));
    this.#ranks = dbs.map(({ db, spool }, rank) => {
      // As `share` gives them.
      const shared = facts.map(({ id, name }) => new BraidFact(db, new Existing(id, name)));
      return { db, spool, make: contents(shared, rank, size) };
    });
  }

  /** Records so many more, and gives them in rounds of at most `roundBytes`: rank by rank, as a gather lays them down. */
  rounds(records: number, roundBytes: number): Generator<Buffer> {
    this.record(records);
    return this.gather(roundBytes);
  }

  /** Records so many more, of all ranks in turn. */
  record(records: number): void {
    this.#ranks.forEach(({ db, make }, rank) => {
      for (let i = rank; i < records; i += this.#ranks.length) new BraidData(db, make());
    });
  }

  /** Where one rank records, and what it makes next: for graphs of other shapes. */
  rank(rank: number): { db: HasRecorder; make: () => Made } {
    return this.#ranks[rank];
  }

  /** What has been recorded since, in rounds. */
  *gather(roundBytes: number): Generator<Buffer> {
    const frames = this.#ranks.map(({ spool }) => spool.pending(spool.seal()));
    const sizes = frames.map((of) => Uint32Array.from(of, ({ size }) => size));
    const sent = frames.map(() => 0);
    for (const { counts } of planRounds(sizes, roundBytes)) {
      yield Buffer.concat(frames.map((of, rank) => contiguous(of, sent[rank], counts[rank])));
      counts.forEach((count, rank) => (sent[rank] += count));
    }
    this.#ranks.forEach(({ spool }, rank) => spool.trim(frames[rank].at(-1)?.sequence ?? 0));
  }

  /** Ends the run, and closes the database, which is one file then. */
  finish(store: Store): void {
    store.endAttempt(this.run.run, this.run.attempt, 'COMPLETED');
    store.finishIndexes();
    store.close();
  }

  /** Gives the spools up. */
  end(): void {
    for (const { spool } of this.#ranks) spool.remove();
  }
}
