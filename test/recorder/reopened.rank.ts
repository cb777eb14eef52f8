/**
 * All ranks open a database and close it, or fail to open one; then one ends, and the others open it again: node
 * reopened.rank.js DB closed|failed RANK. Each of these says what that came to.
 */
import { BraidDB } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';

const [path, before, leaver] = process.argv.slice(2);
const { rank } = MPI.COMM_WORLD;
if (before === 'closed') await (await BraidDB.open(path)).close();
else await BraidDB.open(`${path}/no/directory.db`).catch(() => undefined);

if (rank !== Number(leaver)) {
  for (const attempt of ['one', 'two']) {
    const said = await BraidDB.open(path).then(
      () => 'opened',
      ({ code, message }: { code: string; message: string }) => `${code} ${message}`,
    );
    console.log(`rank ${rank} ${attempt}: ${said}`);
  }
}
