/**
 * Children that a test starts, and what they start. What is left of them when the test ends, as it is where an assertion
 * fails in their midst, is ended here: it would go on for ever, and mocha would wait for it.
 */
import type { ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import process from 'node:process';

const running = new Set<ChildProcess>();

/** Has a child ended with the test that has started it, at the latest. */
export function endWithTest<Child extends ChildProcess>(child: Child): Child {
  running.add(child);
  for (const event of ['exit', 'error']) child.once(event, () => running.delete(child));
  return child;
}

/** Ends a child that runs, and all below it. Launchers give each rank a group of its own, so killing theirs is not enough. */
export function killTree(child: ChildProcess): void {
  // Of one that has ended the number may be another's.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  for (const victim of [...descendants(child.pid), child.pid]) {
    for (const target of [-victim, victim]) {
      try {
        process.kill(target, 'SIGKILL');
      } catch {
        // Gone already, or the leader of no group.
      }
    }
  }
}

export function descendants(pid: number): number[] {
  try {
    const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
    return children.flatMap((child) => [child, ...descendants(child)]);
  } catch {
    return [];
  }
}

function killRunning(): void {
  for (const child of running) killTree(child);
}

// Of a run that comes to no end of its test.
process.on('exit', killRunning);

export const mochaHooks = {
  afterEach: async (): Promise<void> => {
    const left = [...running].map((child) => new Promise((resolve) => child.once('exit', resolve)));
    killRunning();
    await Promise.all(left);
  },
};
