import { Request } from '../comm/request.js';

/** A state machine: it yields what it waits for, and is resumed with the value, or with the error thrown into it. */
export type Steps<T> = Generator<Request<unknown>, T, unknown>;

/**
 * Runs a state machine to its end. Each resumption happens where the awaited request is found complete, be it in the
 * event loop or inside a recording call, and not in a microtask: a rank that computes without a pause still advances.
 */
export function drive<T>(steps: Steps<T>): Request<T> {
  const result = new Request<T>();
  let running = false;
  let awaited: Request<unknown> | undefined;

  const resume = () => {
    if (running) return;
    running = true;
    try {
      // Requests that are complete at once, as all are in one process, are taken in a loop and not by recursion.
      while (!awaited || awaited.done) {
        const request: Request<unknown> | undefined = awaited;
        awaited = undefined;
        const step = request?.error ? steps.throw(request.error) : steps.next(request?.value);
        if (step.done) {
          running = false;
          result.resolve(step.value);
          return;
        }
        awaited = step.value;
      }
    } catch (error) {
      running = false;
      result.reject(error as Error);
      return;
    }
    running = false;
    awaited.onDone(resume);
  };

  resume();
  return result;
}

/** Waits for a request inside a state machine, and gives its value with its type. */
export function* wait<T>(request: Request<T>): Steps<T> {
  return (yield request) as T;
}
