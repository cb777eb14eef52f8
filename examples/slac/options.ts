import { readCommandLine, whole } from '../common/command-line.js';

const HELP = `Usage: [mpiexec -n RANKS] node slac.js [OPTION]…

Finds the settings of a small beam with a model that learns from simulations and experiments, and records how.

  --db FILE          the database to record into (slac.db)
  --simulations N    simulations in each of the two batches (60)
  --experiments N    experiments (5)
  --shots N          shots in each (8)
  --seed N           of all that is random (1)
  --no-record        record nothing (BRAID=off)
  --json             print the result as one line of JSON on standard output
  --help

For example:
  mpiexec -n 4 node dist-dev/examples/slac/slac.js --experiments 10 --db /tmp/slac.db
`;

export const readOptions = () =>
  readCommandLine(HELP, {
    db: 'slac.db',
    simulations: whole(60, 1, 10_000),
    experiments: whole(5, 1, 999),
    shots: whole(8, 1, 10_000),
    seed: whole(1, 1, 1000),
    record: true,
    json: false,
  });
