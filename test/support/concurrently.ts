import process from 'node:process';

/** How many cases are under way together: jobs of which a rank was killed mostly wait for their launcher. */
const AT_ONCE = 5;

/** Runs cases that have nothing to do with each other, a few at a time. Fails with all that failed, by name. */
export async function concurrently(cases: readonly [name: string, run: () => Promise<void>][]): Promise<void> {
  const waiting = [...cases];
  const failures: string[] = [];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [name, run] = next;
      try {
        await run();
      } catch (error) {
        failures.push(`${name}: ${(error as Error).stack}`);
        // A long run is not to be waited for to its end to see what it has found.
        process.stderr.write(`${failures.at(-1)}\n`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (failures.length > 0) throw new Error(`${failures.length} of ${cases.length} cases\n${failures.join('\n\n')}`);
}
