/**
 * A job over two hosts that share a spool directory: node hosts.rank.js DB SPOOLS RANK nodes|containers die|close. The
 * host's name is that of the given rank, or of the others. Containers have names of their own on one kernel.
 */
import os from 'node:os';
import { syncBuiltinESMExports } from 'node:module';
import { pretendHost } from '../support/another-host.js';

const [path, spoolDir, odd, what, end] = process.argv.slice(2);
const rank = process.env.OMPI_COMM_WORLD_RANK ?? process.env.PMI_RANK;
const name = rank === odd ? 'node-b' : 'node-a';
if (what === 'nodes') {
  pretendHost(name);
} else {
  os.hostname = () => name;
  syncBuiltinESMExports();
}

const { BraidDB, BraidData } = await import('braid-mpi');
const { MPI } = await import('braid-mpi/mpi');
const db = await BraidDB.open(path, { spoolDir });
new BraidData(db, { name: `${end}-${db.rank}` });
// All have stored theirs before one dies.
MPI.COMM_WORLD.barrier();
if (end === 'die') process.kill(process.pid, 'SIGKILL');
await db.close();
