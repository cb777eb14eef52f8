import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';

import { BraidError } from './errors.js';
import { packageFile } from './package.js';

const require = createRequire(import.meta.url);

/** The path of an addon, whether or not it has been built. */
export function addonPath(name: string): string {
  return packageFile(`build/Release/${name}.node`);
}

/** Loads `build/Release/<name>.node`. `T` is its interface in `native.ts`. */
export function loadAddon<T>(name: string): T {
  const path = addonPath(name);
  if (!existsSync(path)) {
    throw new BraidError('ERR_BRAID_ADDON', `${path} has not been built; npm rebuild braid-mpi builds it`);
  }
  try {
    return require(path) as T;
  } catch (error) {
    // Mostly the loader's: a shared library that isn't where it was, a binary of another architecture.
    throw new BraidError('ERR_BRAID_ADDON', `${path} can't be loaded: ${(error as Error).message}`, { cause: error });
  }
}
