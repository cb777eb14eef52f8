import { readCommandLine, whole } from '../common/command-line.js';

const HELP = `Usage: [mpiexec -n RANKS] node powergrid.js [OPTION]…

Finds out what becomes of the IEEE 14-bus grid when something in it fails, on many days, and records every case.
Of several ranks rank 0 gives out the cases, and the others work on them.

  --db FILE             the database to record into (powergrid.db)
  --days N              days with loads of their own; the first has the published ones (8)
  --pairs               fail any two parts at a time, too: 325 cases a day instead of 25
  --seed N              of the loads (1)
  --flush-every N       cases between flushes (1000)
  --top N               lines of the table (10)
  --no-record           record nothing (BRAID=off), to see what recording costs
  --json                print the result as one line of JSON on standard output, and no table
  --help

For example:
  mpiexec -n 4 node dist-dev/examples/powergrid/powergrid.js --days 100 --db /tmp/powergrid.db
`;

export const readOptions = () =>
  readCommandLine(HELP, {
    db: 'powergrid.db',
    days: whole(8, 1, 1_000_000),
    pairs: false,
    seed: whole(1, 1, 1_000_000),
    flushEvery: whole(1000, 1, 1_000_000),
    top: whole(10, 1, 1_000_000),
    record: true,
    json: false,
  });
