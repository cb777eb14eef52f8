import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';

/** Lets this process believe that it is on a host of that name, with a kernel of its own. To be called before it asks. */
export function pretendHost(name: string): void {
  const { readFileSync } = fs;
  os.hostname = () => name;
  fs.readFileSync = ((file: fs.PathOrFileDescriptor, ...rest: []) =>
    file === '/proc/sys/kernel/random/boot_id'
      ? `the kernel of ${name}\n`
      : readFileSync(file, ...rest)) as typeof readFileSync;
  syncBuiltinESMExports();
}
