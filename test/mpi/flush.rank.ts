import { MPI } from 'braid-mpi/mpi';

import { FlushCases } from '../support/flush-cases.js';
import { runRankSuite, type Case } from './rank-suite.js';

const cases: Case[] = [
  [
    'frames that follow a header, and texts that go with a verdict',
    async (comm) => {
      const own = await comm.idup();
      await new FlushCases(own).all();
      own.free();
    },
  ],
];

await runRankSuite([[cases, [MPI.COMM_WORLD]]]);
