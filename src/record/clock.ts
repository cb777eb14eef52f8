let last = 0;

/**
 * Microseconds since 1970, never the same twice in a process and never going back: within a millisecond, which is as
 * fine as the clock is cheap to read, calls are a microsecond apart, so that times tell a rank's own order.
 */
export function now(): number {
  const time = Date.now() * 1000;
  last = time > last ? time : last + 1;
  return last;
}
