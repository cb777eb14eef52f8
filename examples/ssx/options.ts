import { readCommandLine, whole } from '../common/command-line.js';
import { EXPERIMENTS } from './plan.js';

const HELP = `Usage: [mpiexec -n RANKS] node ssx.js [OPTION]…

Integrates images of many small crystals, refines two structures from them, and records what each rests on.

  --db FILE      the database to record into (ssx.db)
  --images N     images an experiment, at least 10 (40)
  --bad N        the experiment that had the wrong sample in the beam; 0 for none (3)
  --no-record    record nothing (BRAID=off)
  --json         print the result as one line of JSON on standard output
  --help

For example:
  mpiexec -n 4 node dist-dev/examples/ssx/ssx.js --images 200 --db /tmp/ssx.db
`;

export const readOptions = () =>
  readCommandLine(HELP, {
    db: 'ssx.db',
    // Of fewer, too few may be indexed to refine anything.
    images: whole(40, 10, 100_000),
    bad: whole(3, 0, EXPERIMENTS.length),
    record: true,
    json: false,
  });
