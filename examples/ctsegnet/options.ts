import { readCommandLine, whole } from '../common/command-line.js';

const HELP = `Usage: [mpiexec -n RANKS] node ctsegnet.js [OPTION]…

Segments slices of a tomogram by an ensemble of networks that learn from their own votes, and records who taught whom.

  --db FILE      the database to record into (ctsegnet.db)
  --slices N     slices to segment (8)
  --rounds N     rounds of voting and learning from it (3)
  --seed N       of all that is random (1)
  --no-record    record nothing (BRAID=off)
  --json         print the result as one line of JSON on standard output
  --help

For example:
  mpiexec -n 4 node dist-dev/examples/ctsegnet/ctsegnet.js --rounds 5 --db /tmp/ctsegnet.db
`;

export const readOptions = () =>
  readCommandLine(HELP, {
    db: 'ctsegnet.db',
    slices: whole(8, 1, 1000),
    rounds: whole(3, 1, 500),
    seed: whole(1, 1, 1000),
    record: true,
    json: false,
  });
