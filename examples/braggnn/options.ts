import { numberAbove, readCommandLine, whole } from '../common/command-line.js';

const HELP = `Usage: [mpiexec -n RANKS] node braggnn.js [OPTION]…

Finds Bragg peaks in simulated detector frames by a network that learns from fits, and that is trained again when
experiments have drifted away from it. Records what was found by which version, and what that had learnt from.

  --db FILE         the database to record into (braggnn.db)
  --out DIR         where checkpoints go (braggnn-checkpoints)
  --experiments N   experiments, one after the other (4)
  --frames N        frames of each, at least 3 (24)
  --hidden N        units of the network's hidden layer (32)
  --epochs N        of the first training; each later one has half as many (30)
  --threshold PX    median distance from the fit, in pixels, above which the network is trained again (0.05)
  --no-record       record nothing (BRAID=off), to see what recording costs
  --json            print the result as one line of JSON on standard output
  --help

For example:
  mpiexec -n 4 node dist-dev/examples/braggnn/braggnn.js --experiments 6 --db /tmp/braggnn.db
`;

export const readOptions = () =>
  readCommandLine(HELP, {
    db: 'braggnn.db',
    out: 'braggnn-checkpoints',
    experiments: whole(4, 1, 1_000_000),
    frames: whole(24, 3, 1_000_000),
    hidden: whole(32, 1, 1_000_000),
    epochs: whole(30, 1, 1_000_000),
    threshold: numberAbove(0.05, 0),
    record: true,
    json: false,
  });
