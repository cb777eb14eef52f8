import { parseArgs } from 'node:util';

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

export interface Options {
  db: string;
  days: number;
  pairs: boolean;
  seed: number;
  flushEvery: number;
  top: number;
  record: boolean;
  json: boolean;
}

/** From the command line. Ends the process, before MPI is up, for --help (0) and for what can't be understood (2). */
export function readOptions(): Options {
  try {
    const { values } = parseArgs({
      allowNegative: true,
      options: {
        db: { type: 'string', default: 'powergrid.db' },
        days: { type: 'string', default: '8' },
        pairs: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        'flush-every': { type: 'string', default: '1000' },
        top: { type: 'string', default: '10' },
        record: { type: 'boolean', default: true },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    return {
      db: values.db,
      days: count('days', values.days),
      pairs: values.pairs,
      seed: count('seed', values.seed),
      flushEvery: count('flush-every', values['flush-every']),
      top: count('top', values.top),
      record: values.record,
      json: values.json,
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

function count(name: string, text: string, most = 1_000_000): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`--${name} must be a whole number from 1 to ${most}, not '${text}'`);
}
