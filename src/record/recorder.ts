import { faultPoint } from '../fault.js';
import { progress } from '../comm/progress.js';
import { BraidError } from '../errors.js';
import { MAX_BOUND_BYTES, encodeAside, type EncodedCall, type Encoder } from '../frame/encoder.js';
import type { VersionName } from '../frame/format.js';
import { CallGroup } from './call-group.js';

/** Where a recorder's ops go: the spool, or nowhere (`BRAID=off`). */
export interface OpSink {
  readonly encoder: Encoder;
  /** What it has timed itself, of what recording calls now and then have to do. */
  readonly growthMs: number;
  readonly sealMs: number;
  publish(): void;
}

/** Who records: a run as 32 hex digits, which attempt of it, and which rank. */
export interface Identity {
  readonly run: string;
  readonly attempt: number;
  readonly rank: number;
  /** Ranks. */
  readonly size: number;
}

/** A block of ids that this run may give out: `base + 1` to `base + count`. */
export interface IdBlock {
  readonly base: number;
  readonly count: number;
}

/**
 * After the first few, which are slower and all counted, one recording call in so many is timed: what recording costs is
 * known without adding to it. A prime, so that what happens in every so-many-th call is met as often as it happens.
 */
const SAMPLE = 17;
const TIMED_FIRST = 32;
/**
 * A sample may meet the collector of garbage, which is a part of what recording costs, and takes a millisecond or two. One
 * that took much longer would count for so many that didn't.
 */
const SAMPLE_LIMIT_MS = 2;

/** What records share: who they are for, ids, what this rank has seen of which model, and where their ops go. */
export class Recorder {
  readonly identity: Identity;
  /** The version of a model that this rank has seen last, by the model's id. */
  readonly seen = new Map<number, VersionName>();

  readonly #sink: OpSink | undefined;
  readonly #ids: IdBlock;
  /** How many ids this rank has given out. */
  #minted = 0;
  #unsteppedUpdates = 0;
  #calls = 0;
  #writing = false;
  /** Of recording calls that are to be one. */
  #group: CallGroup | undefined;
  #captureMs = 0;
  #closed = false;
  readonly #describe: (id: number) => { name: string; time: Date };

  /** @param describe looks up a record that this rank has only the id of; throws where it can't. */
  constructor(
    identity: Identity,
    ids: IdBlock,
    sink: OpSink | undefined,
    describe: (id: number) => { name: string; time: Date },
  ) {
    this.identity = identity;
    this.#ids = ids;
    this.#sink = sink;
    this.#describe = describe;
  }

  describe(id: number): { name: string; time: Date } {
    return this.#describe(id);
  }

  /** The newest id that this rank can have given out; the block's base if none. */
  get highestId(): number {
    return this.#minted === 0 ? this.#ids.base : this.#idOf(this.#minted - 1);
  }

  /**
   * Makes one recording call: what `write` writes is kept as a whole, or, if it throws, nothing of it. Without recording
   * (`BRAID=off`) it isn't called. Other recording calls may be made first, by whoever waits for progress: what they
   * change is to be looked up in `write`.
   *
   * @param bound an upper bound of the ops' bytes.
   */
  write(bound: number, write: (encoder: Encoder) => void): void {
    const started = this.#enter();
    this.#call(bound, write, 0, started);
  }

  /** Makes the recording call of a new record, and returns its id. A call that fails takes none. */
  create(bound: number, write: (encoder: Encoder, id: number) => void): number {
    const started = this.#enter();
    const id = this.#nextId();
    this.#call(bound, write, id, started);
    this.#minted++;
    return id;
  }

  /**
   * Makes one recording call of all those in `calls`, of records that are made there and of what is said of them: they are
   * kept as a whole, or, if anything throws, not at all.
   *
   * @throws BraidError ERR_BRAID_TOO_LARGE, and what the calls throw
   */
  together<Result>(calls: () => Result): Result {
    const minted = this.#minted;
    const group = (this.#group = new CallGroup());
    try {
      const result = calls();
      this.#group = undefined;
      const whole = group.whole();
      if (whole.ops > 0) this.#call(whole.bytes.length, whole, 0, this.#start());
      return result;
    } catch (error) {
      this.#minted = minted;
      throw error;
    } finally {
      this.#group = undefined;
    }
  }

  /** Begins a recording call; gives its start. */
  #enter(): number {
    this.assertIdle('a recording call');
    if (this.#sink) this.#calls++;
    const started = this.#start();
    // A long synchronous loop would otherwise keep a flush that has begun from getting on. Completions run foreign code,
    // which may record: from here on, and until the call is kept, nobody else's runs.
    if (this.#sink && (this.#calls & 0xff) === 0 && !this.#group) progress.poke();
    this.assertOpen();
    return started;
  }

  /** When it is, less what the spool times itself; NaN of a call that isn't timed. */
  #start(): number {
    const sink = this.#group ?? this.#sink;
    const timed = sink && (this.#calls <= TIMED_FIRST || this.#calls % SAMPLE === 0);
    return timed ? performance.now() - sink.growthMs - sink.sealMs : NaN;
  }

  /** @param ops what writes them, or they themselves, written already. */
  #call(bound: number, ops: ((encoder: Encoder, id: number) => void) | EncodedCall, id: number, started: number): void {
    if (!this.#sink) return;
    const sink = this.#group ?? this.#sink;
    this.#writing = true;
    try {
      const { encoder } = sink;
      if (typeof ops === 'object') {
        encoder.append(ops);
      } else if (bound <= MAX_BOUND_BYTES) {
        encoder.begin(bound);
        ops(encoder, id);
      } else {
        encoder.append(encodeAside(bound, (aside) => ops(aside, id)));
      }
      faultPoint('capture.written');
      sink.publish();
      faultPoint('capture.published');
    } finally {
      this.#writing = false;
    }
    if (!Number.isNaN(started)) {
      const took = performance.now() - started - sink.growthMs - sink.sealMs;
      this.#captureMs += this.#calls <= TIMED_FIRST ? took : Math.min(took, SAMPLE_LIMIT_MS) * SAMPLE;
    }
  }

  #nextId(): number {
    const id = this.#idOf(this.#minted);
    if (id > this.#ids.base + this.#ids.count) {
      throw new BraidError(
        'ERR_BRAID_IDS_EXHAUSTED',
        `this run's block of ${this.#ids.count} ids is used up: close and open the database again`,
      );
    }
    return id;
  }

  /** Names an update without a step. */
  nextOrdinal(): number {
    return this.#unsteppedUpdates++;
  }

  assertOpen(): void {
    if (this.#closed) throw new BraidError('ERR_BRAID_CLOSED', 'the database is closed: record before close()');
  }

  /** What would look at the spool, or end it, can't be done while an op is being written into it. */
  assertIdle(what: string): void {
    if (!this.#writing) return;
    throw new BraidError(
      'ERR_BRAID_REENTERED',
      `${what} was made from inside a recording call: by a getter of its tags or sources? Record first, then go on`,
    );
  }

  /** What all recording calls took so far, estimated from the sampled ones; without sealing. */
  get captureMs(): number {
    return this.#captureMs + (this.#sink?.growthMs ?? 0);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Refuses recording calls from now on, or takes them again if closing has failed. */
  set closed(closed: boolean) {
    this.#closed = closed;
  }

  #idOf(ordinal: number): number {
    return this.#ids.base + ordinal * this.identity.size + this.identity.rank + 1;
  }
}

/** The property by which a `BraidDB` gives its records what they need of it. */
export const RECORDER: unique symbol = Symbol('recorder');

export interface HasRecorder {
  readonly [RECORDER]: Recorder;
}

export function recorderOf(db: HasRecorder): Recorder {
  const recorder = (db as HasRecorder | undefined)?.[RECORDER];
  if (!recorder) {
    throw new BraidError(
      'ERR_BRAID_NOT_A_DATABASE',
      'the first argument must be a BraidDB, as BraidDB.open() resolves with',
    );
  }
  return recorder;
}
