/**
 * Fills a spool and has it trimmed until it is killed. Says which file, and then each time what is stored.
 *
 * Usage: node spool-writer.js <directory> <seed>
 */
import { writeSync } from 'node:fs';
import { Spool } from '#src/spool/spool.js';
import { spoolOwner } from '../support/spool-owner.js';

const [directory, seed] = process.argv.slice(2);
const spool = new Spool(directory, spoolOwner, { limitBytes: 2 ** 23, durable: false });
const say = (line: string) => writeSync(1, `${line}\n`);
say(spool.file);
for (let id = 1; ; id++) {
  // Mostly small ones, and such as need empty segments to be put together.
  const uri = `${id}/`.padEnd(id % 17 === 0 ? 2_500_000 : (id * 7919 * Number(seed)) % 300_000, '.');
  spool.encoder.begin(100 + uri.length);
  spool.encoder.uri(id, uri);
  spool.publish();
  if (id % 5 === 0) {
    const sealed = spool.seal();
    say(String(id));
    spool.trim(sealed);
  }
}
