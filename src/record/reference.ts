import type { HasRecorder } from './recorder.js';
import { BraidRecord, Existing } from './record.js';

/** A handle on a record whose kind this rank doesn't know. */
export class RecordReference extends BraidRecord {
  /** @internal */
  override readonly kind = 'record' as const;

  constructor(db: HasRecorder, existing: Existing) {
    super(db, existing, undefined);
  }
}
