/** Every code that a `BraidError` can carry is listed, with its meaning and remedy, in `docs/errors.md`. */
export type BraidErrorCode = `ERR_BRAID_${string}`;

/**
 * The one class of errors that the recorder throws, whether the caller, the database or the surroundings are at fault.
 * `code` is stable; the message is for people and may change. Where something lower down failed, `cause` has it.
 */
export class BraidError extends Error {
  readonly code: BraidErrorCode;

  constructor(code: BraidErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BraidError';
    this.code = code;
  }
}
