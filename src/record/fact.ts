import type { HasRecorder } from './recorder.js';
import { BraidRecord, Existing, type RecordInit } from './record.js';

/** A record that is static and trusted from outside: a configuration, a calibration, a published structure. */
export class BraidFact extends BraidRecord {
  /** @internal */
  override readonly kind = 'fact' as const;

  /**
   * Stores a fact.
   *
   * @throws BraidError ERR_BRAID_NAME_INVALID, ERR_BRAID_URI_INVALID, ERR_BRAID_TAG_INVALID, ERR_BRAID_TIME_INVALID, ERR_BRAID_TEXT_INVALID, ERR_BRAID_FACT_DERIVED, ERR_BRAID_TOO_LARGE, ERR_BRAID_SPOOL_FULL, ERR_BRAID_CLOSED
   */
  constructor(db: HasRecorder, init: Omit<RecordInit, 'derivedFrom'> | Existing) {
    super(db, init, 'fact');
  }
}
