import type { BraidDB } from '../braid-db.js';
import { BraidError } from '../errors.js';
import { Desk } from './desk.js';
import { checkDepth } from './input.js';
import { FUNCTIONS } from './table.js';

/** What a call has recorded: as a whole, and so that it survives this process. */
export interface Called {
  readonly result: unknown;
  /** Why it isn't in the database yet. It will be, by the next commit or the next open: called again, it would be there twice. */
  readonly uncommitted?: BraidError;
}

/**
 * Checks a call, and gives what carries it out at a desk.
 *
 * @throws BraidError ERR_BRAID_NO_SUCH_FUNCTION, ERR_BRAID_INPUT_INVALID, ERR_BRAID_TOO_LARGE, ERR_BRAID_ACTION_INVALID
 */
export function planCall(name: string, input: unknown, warn: (text: string) => void): (desk: Desk) => Promise<Called> {
  if (!Object.hasOwn(FUNCTIONS, name)) {
    throw new BraidError(
      'ERR_BRAID_NO_SUCH_FUNCTION',
      `there is no function ${JSON.stringify(name)}; there are ${Object.keys(FUNCTIONS).join(', ')}`,
    );
  }
  checkDepth(input);
  const perform = FUNCTIONS[name].plan(input, warn);
  return async (desk) => {
    const result = await desk.perform(() => perform(desk));
    try {
      await desk.commit();
      return { result };
    } catch (error) {
      const uncommitted = error as BraidError;
      // What is lost is not kept.
      if (uncommitted.code === 'ERR_BRAID_FRAME_LOST') throw uncommitted;
      return { result, uncommitted };
    }
  };
}

/**
 * Calls a function, in a database that is opened for it or that is open.
 *
 * @returns its result, when that is committed.
 */
export async function callOnce(
  name: string,
  input: unknown,
  db: BraidDB | string,
  warn: (text: string) => void,
): Promise<unknown> {
  // First, so that a call that is wrong opens nothing.
  const perform = planCall(name, input, warn);
  if (typeof db !== 'string') return committed(await perform(Desk.over(db)));
  const desk = await Desk.open(db, { name });
  let called: Called;
  try {
    called = await perform(desk);
  } catch (error) {
    await desk.close();
    throw error;
  }
  try {
    await desk.close();
  } catch (error) {
    called = { ...called, uncommitted: error as BraidError };
  }
  return committed(called);
}

function committed({ result, uncommitted: cause }: Called): unknown {
  if (!cause) return result;
  throw new BraidError(
    cause.code,
    `${cause.message}. What the call has recorded is kept, and the next open or braid recover commits it: do not call again`,
    { cause },
  );
}
