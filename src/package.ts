import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The path of a file of this package, wherever that is: `packageFile('build/Release/braid_core.node')`. */
export function packageFile(name: string): string {
  // Of the bundle, which is in `dist`.
  return fileURLToPath(new URL(`../${name}`, import.meta.url));
}

let version: string | undefined;

export function packageVersion(): string {
  version ??= (JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string }).version;
  return version;
}
