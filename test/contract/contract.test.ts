import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SimulatedWorld } from '../support/simulated-communicator.js';
import { CONTRACT, type Rank } from './contract.js';

/** Ways to have ranks without a launcher. MPI's run the same cases in `test/recorder/contract.rank.ts`. */
const FACTORIES: { name: string; size: number; ranks: (directory: string) => Rank[] }[] = [
  {
    name: 'one process',
    size: 1,
    ranks: (directory) => [{ rank: 0, size: 1, directory, options: { mpi: 'off' } }],
  },
  ...[2, 3, 5].map((size) => ({
    name: `${size} simulated ranks`,
    size,
    ranks: (directory: string) =>
      new SimulatedWorld(size, size * 1000).comms.map((comm) => ({
        rank: comm.rank,
        size,
        directory,
        options: { comm },
      })),
  })),
];

for (const { name, size, ranks } of FACTORIES) {
  describe(`the contract, ${name}`, () => {
    let directory: string;
    beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'braid-contract-'))));
    afterEach(() => rmSync(directory, { recursive: true }));

    for (const { title, run, atLeast = 1 } of CONTRACT) {
      if (size < atLeast) continue;
      it(title, async () => {
        await Promise.all(ranks(directory).map((rank) => run(rank)));
      });
    }
  });
}
