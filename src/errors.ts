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

/** An error of something that is written beside its place: of that place, as it was named, to whoever asked for it. */
export function calledAs(error: unknown, beside: string, name: string): unknown {
  if (!(error instanceof BraidError) || !error.message.includes(beside)) return error;
  return new BraidError(error.code, error.message.replaceAll(beside, name), { cause: error });
}
