import type { BraidDB } from '../braid-db.js';
import { BraidError } from '../errors.js';
import { Desk } from './desk.js';
import { checkDepth } from './input.js';
import { FUNCTIONS } from './table.js';

/**
 * Checks a call, and gives what carries it out at a desk.
 *
 * @throws BraidError ERR_BRAID_NO_SUCH_FUNCTION, ERR_BRAID_INPUT_INVALID, ERR_BRAID_TOO_LARGE, ERR_BRAID_ACTION_INVALID
 */
export function planCall(name: string, input: unknown, warn: (text: string) => void): (desk: Desk) => Promise<unknown> {
  if (!Object.hasOwn(FUNCTIONS, name)) {
    throw new BraidError(
      'ERR_BRAID_NO_SUCH_FUNCTION',
      `there is no function ${JSON.stringify(name)}; there are ${Object.keys(FUNCTIONS).join(', ')}`,
    );
  }
  checkDepth(input);
  const perform = FUNCTIONS[name].plan(input, warn);
  return async (desk) => {
    const result = perform(desk);
    await desk.commit();
    return result;
  };
}

/** Calls a function, in a database that is opened for it or that is open. */
export async function callOnce(
  name: string,
  input: unknown,
  db: BraidDB | string,
  warn: (text: string) => void,
): Promise<unknown> {
  // First, so that a call that is wrong opens nothing.
  const perform = planCall(name, input, warn);
  if (typeof db !== 'string') return perform(Desk.over(db));
  const desk = await Desk.open(db, { name });
  try {
    return await perform(desk);
  } finally {
    await desk.close();
  }
}
