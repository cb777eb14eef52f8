import { readCommandLine, whole, wholeNumber } from '../common/command-line.js';

const HELP = `Usage: [mpiexec -n RANKS] node mascot.js [OPTION]…

Braid-DB's synthetic load: records as fast as it can, and tells how fast that was.

  --configurations C  facts, each with URIs (5)
  --experiments E     data a cycle, each with URIs, of all ranks together (3)
  --cycles N          (5)
  --uris U            of each configuration and experiment (3)
  --deps D            configurations that an experiment is derived from (3)
  --models M          models, each derived from a configuration, and updated by every experiment (3)
  --db FILE           the database to record into (mascot.db)
  --seed N            of the choice of configurations (1)
  --time              print also what the parts took
  --verbose           print each record
  --help

For example:
  mpiexec -n 4 node dist-dev/examples/mascot/mascot.js --cycles 10000 --db /tmp/mascot.db
`;

const MOST = 1_000_000_000;

export const readOptions = () =>
  readCommandLine(
    HELP,
    {
      configurations: whole(5, 0, MOST),
      experiments: whole(3, 0, MOST),
      cycles: whole(5, 0, MOST),
      uris: whole(3, 0, MOST),
      deps: whole(3, 0, MOST),
      models: whole(3, 0, MOST),
      db: 'mascot.db',
      seed: whole(1, 0, MOST),
      time: false,
      verbose: false,
    },
    ({ configurations, deps, models }) => {
      // Each from another configuration: two derivations of the same two records are one.
      for (const [flag, value] of Object.entries({ deps, models })) {
        wholeNumber(flag, String(value), 0, configurations);
      }
    },
  );
