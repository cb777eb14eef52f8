/**
 * Imported before a program whose first argument is DB: when its spool has its name, and its attempt is not yet begun, it
 * says so and waits until the file DB.begin is there.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { linkSync } = fs;
fs.linkSync = (from, to) => {
  linkSync(from, to);
  fs.writeSync(1, 'named\n');
  const never = new Int32Array(new SharedArrayBuffer(4));
  while (!fs.existsSync(`${process.argv[2]}.begin`)) Atomics.wait(never, 0, 0, 5);
};
syncBuiltinESMExports();
