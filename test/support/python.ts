import { spawnSync } from 'node:child_process';

/** A Python that has these modules: the one on the PATH, or the system's, for which Debian's packages are. */
export function pythonWith(...modules: readonly string[]): string | undefined {
  return ['python3', '/usr/bin/python3'].find((python) => {
    const { status } = spawnSync(python, ['-c', `import ${modules.join(', ')}`], { stdio: 'ignore' });
    return status === 0;
  });
}
