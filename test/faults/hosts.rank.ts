/**
 * A rank on a host of its own, by name, with a spool directory of its own: node hosts.rank.js SPOOLS WHAT …. WHAT is
 * `die DB`, which records ten and is killed; `library DB`, which recovers by a call; or `braid ARGS`. HOSTS in the
 * environment names the hosts by rank.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pretendHost } from '../support/another-host.js';

const [spools, what, ...args] = process.argv.slice(2);
const rank = Number(process.env.OMPI_COMM_WORLD_RANK ?? process.env.PMI_RANK);
const host = process.env.HOSTS!.split(',')[rank];
pretendHost(host);

if (what === 'braid') {
  process.argv = [process.argv[0], 'braid', ...args];
  await import('#src/cli/braid.js');
} else {
  const { BraidDB, BraidData, recover } = await import('braid-mpi');
  const { MPI } = await import('braid-mpi/mpi');
  const [path] = args;
  if (what === 'die') {
    const spoolDir = join(spools, host);
    mkdirSync(spoolDir, { recursive: true });
    const db = await BraidDB.open(path, { spoolDir });
    for (let i = 0; i < 10; i++) new BraidData(db, { name: `${rank}-${i}` });
    MPI.COMM_WORLD.barrier();
    process.kill(process.pid, 'SIGKILL');
  } else {
    // A rank says what it got, be it a report or an error.
    const said = await recover(path, { mpi: true, spoolDirs: args.slice(1) }).catch(({ code }: { code: string }) => ({
      code,
    }));
    MPI.COMM_WORLD.barrier();
    process.stdout.write(`${JSON.stringify(said)}\n`);
  }
}
