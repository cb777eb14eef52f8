import type { HasRecorder } from './recorder.js';
import { BraidRecord, Existing, type RecordInit } from './record.js';

/** A record that is derived from others: a scan, a set of labels, a result. */
export class BraidData extends BraidRecord {
  /** @internal */
  override readonly kind = 'data' as const;

  /**
   * Stores data, with all that `init` names.
   *
   * @throws BraidError ERR_BRAID_NAME_INVALID, ERR_BRAID_URI_INVALID, ERR_BRAID_TAG_INVALID, ERR_BRAID_TIME_INVALID, ERR_BRAID_TEXT_INVALID, ERR_BRAID_OTHER_DATABASE, ERR_BRAID_ID_INVALID, ERR_BRAID_TOO_LARGE, ERR_BRAID_SPOOL_FULL, ERR_BRAID_CLOSED
   */
  constructor(db: HasRecorder, init: RecordInit | Existing) {
    super(db, init, 'data');
  }
}
